package signals

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

// Every parameter has a range that its default lies in, and that leaves something out.
func TestEveryParameterHasARange(t *testing.T) {
	for _, s := range All() {
		if got, want := slices.Sorted(maps.Keys(s.Ranges)),
			slices.Sorted(maps.Keys(s.Params)); !slices.Equal(got, want) {
			t.Errorf("%s has ranges of %v, and parameters %v", s.Name, got, want)
		}
		if wrong := CheckParams(s.Name, s.Params, Setting{}); len(wrong) > 0 {
			t.Errorf("%s: %v", s.Name, wrong)
		}
		for name, r := range s.Ranges {
			for _, v := range []float64{r.Low - 1, r.High + 1, math.NaN(), math.Inf(1), math.Inf(-1)} {
				err := CheckParams(s.Name, map[string]float64{name: v}, Setting{})[name]
				if err == nil || !strings.Contains(err.Error(), r.String()) {
					t.Errorf("%s.%s takes %v: %v", s.Name, name, v, err)
				}
			}
		}
	}
}

// A ratio at the ends of its range never fires, or always does: so say the signals
// themselves, of the worst incident and of nothing at all.
func TestEndsOfTheRangesAreRight(t *testing.T) {
	worst, calm := incident(), incident()
	for i := range worst.Samples {
		s := worst.Samples[i].Server
		if s.Connected = 90; i >= 15 {
			s.Connected = s.MaxClients
		}
	}
	calm.Samples = calm.Samples[:15]
	for i := range calm.Samples {
		calm.Samples[i].Server.Commands += int64(i % 2 * 10)
	}
	for _, c := range []struct {
		signal string
		params Params
		in     View
		fires  bool
	}{
		{"client-saturation", Params{"ratio": 1}, worst, false},
		{"client-saturation", Params{"ratio": 0}, calm, true},
		{"command-throughput", Params{"ratio": 0}, worst, false},
		{"goodput-collapse", Params{"ratio": 0}, worst, false},
		{"goodput-collapse", Params{"ratio": 1.01}, calm, true},
		{"lock-set-retries", Params{"attempts": 0}, calm, true},
		{"lock-set-retries", Params{"for_ms": 1000}, worst, false},
		{"command-latency-server", Params{"threshold_ms": 0}, calm, true},
		{"orphaned-locks", Params{"count": 2}, worst, false},
	} {
		s, _ := Find(c.signal)
		if fired := s.Firings(c.in, s.Params.With(c.params)); len(fired) > 0 != c.fires {
			t.Errorf("%s with %v: %q", c.signal, c.params, spans(fired))
		}
		if wrong := CheckParams(c.signal, c.params, Setting{Burst: 200 * ms, Locks: 2}); len(wrong) != 1 {
			t.Errorf("%s with %v is taken: %v", c.signal, c.params, wrong)
		}
	}
}

func TestSettingsInWhichASignalCannotFire(t *testing.T) {
	in := Setting{Lasts: 5 * time.Second, Burst: 200 * ms, CanaryEvery: 200 * ms, MaxClients: 32, Own: 3, Locks: 4}
	for _, c := range []struct {
		signal, param string
		good, bad     float64
	}{
		{"client-saturation", "for_ms", 5000, 5001},
		{"client-saturation", "ratio", 0.1, 0.05},
		{"command-latency-server", "window_ms", 5000, 6000},
		{"lock-set-retries", "for_ms", 200, 201},
		{"refused-clients", "count", 6, 7},
		{"orphaned-locks", "count", 3, 4},
	} {
		if wrong := CheckParams(c.signal, map[string]float64{c.param: c.good}, in); len(wrong) > 0 {
			t.Errorf("%v", wrong)
		}
		if err := CheckParams(c.signal, map[string]float64{c.param: c.bad}, in)[c.param]; err == nil {
			t.Errorf("%s.%s: %v is taken", c.signal, c.param, c.bad)
		}
	}
}

// A stretch is a baseline where its level is steady, however noisy that is by chance.
func TestUnsteady(t *testing.T) {
	at := func(perSample ...int64) View {
		return series(len(perSample), func(i int, s *history.Sample) { s.Server.Commands += perSample[i] })
	}
	level := func(n int, perSample func(i int) int64) View {
		all := make([]int64, n)
		for i := range all {
			all[i] = perSample(i)
		}
		return at(all...)
	}
	whole := Span{0, 5000 * ms}
	for _, c := range []struct {
		why   string
		v     View
		in    Span
		wants string
	}{
		{"steady", level(51, func(int) int64 { return 30 }), whole, ""},
		{"noisy", level(51, func(i int) int64 { return 20 + int64(i*7%5)*5 }), whole, ""},
		{"4 or 5 a second", level(51, func(i int) int64 { return map[bool]int64{true: 1}[i*i%7 == 2] }), whole, ""},
		{"begins late", level(51, func(i int) int64 { return map[bool]int64{true: 30}[i > 9] }), whole,
			"no steady baseline yet: from 30 to 300 commands/s"},
		{"and is steady then", level(61, func(i int) int64 { return map[bool]int64{true: 30}[i > 9] }),
			Span{1000 * ms, 6000 * ms}, ""},
		{"ramps up", level(51, func(i int) int64 { return int64(i) }), whole,
			"no steady baseline yet: from 55 to 455 commands/s"},
		{"ramps up from half", level(51, func(i int) int64 { return 50 + int64(i) }), whole,
			"no steady baseline yet: from 555 to 955 commands/s"},
		{"stops at the very end", level(51, func(i int) int64 { return map[bool]int64{true: 300}[i < 44] }), whole,
			"no steady baseline yet: from 900 to 3000 commands/s"},
		{"one burst in what is left over", level(50, func(i int) int64 { return map[bool]int64{true: 3000}[i == 48] }),
			whole, "no steady baseline yet: from 0 to 3333 commands/s"},
		{"nothing", level(51, func(int) int64 { return 0 }), whole,
			"nothing but lockjam's own commands ran in the baseline"},
		{"half of it was not seen", level(26, func(int) int64 { return 30 }), whole,
			"the server did not answer often enough in the baseline to see that it is steady"},
	} {
		if got := commandThroughput.Unsteady(c.v, c.in); got != c.wants {
			t.Errorf("%s: %q, want %q", c.why, got, c.wants)
		}
	}
}

// A few commands a second that come at random are no stop of work when for a while none
// comes, and when none comes any more that is one.
func TestFewCommandsComeAtRandom(t *testing.T) {
	gaps := []int{3, 14, 1, 9, 2, 6, 21, 4, 1, 8, 12, 2, 5, 17, 3, 7, 1, 11, 2, 13} // samples between two commands
	v := View{}
	at := map[int]bool{}
	for i, sum := 0, 0; sum < 900; i++ {
		sum += gaps[i%len(gaps)]
		at[sum] = true
	}
	work := func(stops int) View {
		v = series(1000, func(i int, s *history.Sample) {
			if at[i] && i < stops {
				s.Server.Commands++
			}
		})
		v.Baseline = Span{0, 20 * time.Second}
		return v
	}
	if fired := commandThroughput.Firings(work(900), commandThroughput.Params); len(fired) > 0 &&
		fired[0].From < 90*time.Second {
		t.Errorf("fired %q", spans(fired))
	}
	if fired := commandThroughput.Firings(work(500), commandThroughput.Params); len(fired) != 1 ||
		fired[0].From < 50*time.Second || fired[0].From > 75*time.Second {
		t.Errorf("stopped at 50 s: fired %q", spans(fired))
	}
}
