package judge

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/swarm"
)

// turning are the keys of the numbers that turn a literal arm at a share.
func turning(sc *scenario.Scenario, arm scenario.Arm, h *history.History, share float64) (keys []string) {
	_, found := Narrow(sc.For(arm), arm, h, share)
	for _, m := range found {
		keys = append(keys, fmt.Sprintf("%s %g -> %g", m.Key, m.From, m.To))
	}
	return keys
}

// Goodput comes back to 96% of what it was, where 90 are asked for.
func TestMarginOfACure(t *testing.T) {
	sc, arm := testScenario()
	arm.Expect.Verdict = string(result.Cured)
	h := newLiteral().work(0, second, 200).work(3*second, 6*second, 192).sampled()
	if got, want := turning(sc, arm, h, 0.1), []string{"cure.ratio 0.9 -> 0.99"}; !slices.Equal(got, want) {
		t.Errorf("at a tenth: %q, want %q", got, want)
	}
	if got := turning(sc, arm, h, 0.01); len(got) > 0 {
		t.Errorf("at a hundredth: %q", got)
	}
}

// A signal fires a little sooner than it has to.
func TestMarginOfATimeToDetect(t *testing.T) {
	sc, arm := testScenario()
	const name = "goodput-collapse"
	h := newLiteral().work(0, second, 200).work(3*second, 6*second, 200).sampled()
	sc.Signals = map[string]scenario.Signal{name: {Expect: scenario.Fire}}
	detected := *signalOf(Judge(sc, arm, h), name).DetectMS
	sc.Signals[name] = scenario.Signal{Expect: scenario.Fire, WithinMS: swarm.Millis(1.05 * detected)}
	within := func(key string) bool { return strings.HasPrefix(key, "signals."+name+".within_ms ") }
	if got := turning(sc, arm, h, 0.1); !slices.ContainsFunc(got, within) {
		t.Errorf("at a tenth: %q", got)
	}
	if got := turning(sc, arm, h, 0.02); slices.ContainsFunc(got, within) {
		t.Errorf("at a fiftieth: %q", got)
	}
	if is := sc.Signals[name]; is.WithinMS != swarm.Millis(1.05*detected) || len(is.Params) > 0 {
		t.Errorf("the scenario is not what it was: %+v", is)
	}
}

func signalOf(r result.Arm, name string) result.Signal {
	i := slices.IndexFunc(r.Signals, func(s result.Signal) bool { return s.Name == name })
	return r.Signals[i]
}

// An arm that does not pass as it is has no margin to speak of, and a number that has
// no say in an arm is left alone.
func TestNoMargin(t *testing.T) {
	sc, arm := testScenario()
	arm.Expect.Verdict = string(result.Partial)
	h := newLiteral().work(0, second, 200).work(3*second, 6*second, 192).sampled()
	if passed, found := Narrow(sc.For(arm), arm, h, 0.1); passed || len(found) > 0 {
		t.Errorf("an arm that fails: %v %v", passed, found)
	}
	sc.Signals = map[string]scenario.Signal{"goodput-collapse": {Expect: scenario.Any},
		"client-saturation": {Expect: scenario.Silent}}
	arm.Prevention = "p"
	for _, n := range numbersOf(sc, arm) {
		if !strings.HasPrefix(n.key, "cure.") {
			t.Errorf("%s has no say where a prevention is in force", n.key)
		}
	}
	arm.Prevention, arm.Expect.Verdict = "", ""
	var keys []string
	for _, n := range numbersOf(sc, arm) {
		keys = append(keys, n.key)
	}
	want := []string{"incident.goodput_ratio", "incident.for_ms", "signals.client-saturation.params.for_ms",
		"signals.client-saturation.params.ratio"}
	if !slices.Equal(keys, want) {
		t.Errorf("numbers %q, want %q", keys, want)
	}
}

// The judge counts in bins: no window becomes shorter than a file may ask for.
func TestNoMarginBelowWhatAFileMaySay(t *testing.T) {
	window := number{value: 500, least: scenario.MinWindowMS}
	if got := window.around(0.99); !slices.Equal(got, []float64{200, 995}) {
		t.Errorf("around 500: %v", got)
	}
	window.value = 200
	if got := window.around(0.1); !slices.Equal(got, []float64{220}) {
		t.Errorf("around the least: %v", got)
	}
	if got := (number{}).around(0.1); !slices.Equal(got, []float64{1}) {
		t.Errorf("around nothing: %v", got)
	}
}
