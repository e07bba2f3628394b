package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/swarm"
)

// prevented is an arm with a prevention: a baseline until 1 s, then the trigger, and
// nothing else until 6 s.
func prevented() (*literal, *scenario.Scenario, scenario.Arm) {
	l := newLiteral()
	l.h.Marks = nil
	l.mark(0, history.PhaseMark, history.Baseline, "")
	l.mark(second, history.PhaseMark, history.Incident, "")
	l.mark(second, history.TriggerMark, "surge", "")
	l.mark(6*second, history.PhaseMark, history.End, "")
	sc, _ := testScenario()
	backoff := sc.Swarm
	backoff.Lock.Backoff = swarm.BackoffFullJitter
	arm := scenario.Arm{Name: "a", Prevention: "backoff", Claim: "P1", Swarm: &backoff}
	return l.work(0, second, 200), sc, arm
}

func TestPreventionVerdicts(t *testing.T) {
	const tenth = 100 * time.Millisecond
	for _, c := range []struct {
		name    string
		work    func(l *literal)
		verdict result.Verdict
		outcome result.Outcome
	}{
		{"the trigger makes no difference", func(l *literal) { l.work(second, 6*second, 200) }, result.Prevented,
			result.Pass},
		{"it stands still for a second, and goes on",
			func(l *literal) { l.work(second, 2*second, 200).work(3*second, 6*second, 220) }, result.Mitigated,
			result.Pass},
		{"it goes on at half the pace", func(l *literal) { l.work(second, 6*second, 100) }, result.Mitigated,
			result.Pass},
		{"it stands still", func(l *literal) { l.work(second, 2*second, 200) }, result.NotPrevented, result.Pass},
		{"too uneven to tell", func(l *literal) {
			for i := range 50 {
				from := second + time.Duration(i)*tenth
				l.work(from, from+tenth, map[bool]float64{true: 240, false: 130}[i%2 == 0])
			}
		}, "", result.Inconclusive},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, sc, arm := prevented()
			c.work(l)
			r := Judge(sc, arm, l.sampled())
			if r.Verdict != c.verdict || r.Outcome != c.outcome || r.Reproduced != nil {
				t.Errorf("verdict %q (%s), outcome %s %v; want %q, %s", r.Verdict, r.Because, r.Outcome, r.Reasons,
					c.verdict, c.outcome)
			}
		})
	}
}

// Nothing is expected of signals where the failure may not come, and the verdict
// that was expected is what counts.
func TestPreventionExpectations(t *testing.T) {
	l, sc, arm := prevented()
	sc.Signals = map[string]scenario.Signal{"rejected-connections": {Expect: scenario.Fire}}
	sc.Incident.Kind = "deadlock"
	arm.Expect.Verdict = "not-prevented"
	r := Judge(sc, arm, l.work(second, 6*second, 200).sampled())
	if r.Outcome != result.Fail || len(r.Reasons) != 1 ||
		!strings.Contains(r.Reasons[0], "prevention backoff was expected to be not-prevented and was prevented") {
		t.Errorf("%s %v", r.Outcome, r.Reasons)
	}
	if sc.Signals == nil {
		t.Error("the scenario was changed")
	}
}

// A prevention earns credit by the control arm's incident.
func TestPreventionWithoutAnIncidentEarnsNoCredit(t *testing.T) {
	no := false
	arms := []result.Arm{
		{Name: "control", Remedy: "none", Repeat: 1, Outcome: result.Inconclusive, Reproduced: &no},
		{Name: "a", Remedy: "none", Prevention: "backoff", Repeat: 1, Verdict: result.Prevented, Outcome: result.Pass},
		{Name: "b", Remedy: "none", Prevention: "backoff", Repeat: 2, Verdict: result.Prevented, Outcome: result.Pass},
	}
	attribute(arms)
	if arms[1].Outcome != result.Inconclusive || arms[2].Outcome != result.Pass || arms[1].Credit.Earned ||
		!strings.Contains(arms[2].Credit.Because, "No control arm ran beside it") {
		t.Errorf("%+v", arms[1:])
	}
}
