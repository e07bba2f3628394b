package harness

import (
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
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
		verdict Verdict
		outcome Outcome
	}{
		{"the trigger makes no difference", func(l *literal) { l.work(second, 6*second, 200) }, Prevented, Pass},
		{"it stands still for a second, and goes on", func(l *literal) { l.work(second, 2*second, 200).work(3*second, 6*second, 220) }, Mitigated, Pass},
		{"it goes on at half the pace", func(l *literal) { l.work(second, 6*second, 100) }, Mitigated, Pass},
		{"it stands still", func(l *literal) { l.work(second, 2*second, 200) }, NotPrevented, Pass},
		{"too uneven to tell", func(l *literal) {
			for i := range 50 {
				from := second + time.Duration(i)*tenth
				l.work(from, from+tenth, map[bool]float64{true: 240, false: 130}[i%2 == 0])
			}
		}, "", Inconclusive},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, sc, arm := prevented()
			c.work(l)
			r := Judge(sc, arm, l.sampled())
			if r.Verdict != c.verdict || r.Outcome != c.outcome || r.Reproduced != nil {
				t.Errorf("verdict %q (%s), outcome %s %v; want %q, %s", r.Verdict, r.Because, r.Outcome, r.Reasons, c.verdict, c.outcome)
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
	if r.Outcome != Fail || len(r.Reasons) != 1 || !strings.Contains(r.Reasons[0], "prevention backoff was expected to be not-prevented and was prevented") {
		t.Errorf("%s %v", r.Outcome, r.Reasons)
	}
	if sc.Signals == nil {
		t.Error("the scenario was changed")
	}
}

// A prevention earns credit by the control arm's incident.
func TestPreventionWithoutAnIncidentEarnsNoCredit(t *testing.T) {
	no := false
	arms := []ArmResult{
		{Name: "control", Remedy: "none", Repeat: 1, Outcome: Inconclusive, Reproduced: &no},
		{Name: "a", Remedy: "none", Prevention: "backoff", Repeat: 1, Verdict: Prevented, Outcome: Pass},
		{Name: "b", Remedy: "none", Prevention: "backoff", Repeat: 2, Verdict: Prevented, Outcome: Pass},
	}
	attribute(arms)
	if arms[1].Outcome != Inconclusive || arms[2].Outcome != Pass || arms[1].Credit.Earned || !strings.Contains(arms[2].Credit.Because, "No control arm ran beside it") {
		t.Errorf("%+v", arms[1:])
	}
}

// Where the control arm is expected to recover, a remedy earns credit by being
// quicker, and otherwise none.
func TestRemedyOfAnIncidentWithAnEnd(t *testing.T) {
	at := func(ms float64) *Recovery { return &Recovery{RestoredAfterMS: &ms} }
	for _, c := range []struct {
		control Verdict // what is expected of it
		after   float64 // ms until the remedy's arm was restored, of the control's 1200
		want    Outcome
	}{
		{Cured, 100, Pass},
		{Cured, 600, Pass},
		{Cured, 700, Inconclusive},
		{Cured, 1200, Inconclusive},
		{NoEffect, 100, Inconclusive},
		{"", 100, Inconclusive},
	} {
		arms := []ArmResult{
			{Name: "control", Remedy: "none", Repeat: 1, Outcome: Pass, Verdict: Cured, Expected: c.control, Recovery: at(1200)},
			{Name: "a", Remedy: "release-stale-locks", Repeat: 1, Outcome: Pass, Verdict: Cured, Recovery: at(c.after)},
		}
		attribute(arms)
		if arms[1].Outcome != c.want || (c.want == Pass) != arms[1].Credit.Earned {
			t.Errorf("%+v: %s %v %s", c, arms[1].Outcome, arms[1].Reasons, arms[1].Because)
		}
	}
}

// A prevention may run with no control arm beside it, as it does with --arm.
func TestPreventionWithoutAControlArm(t *testing.T) {
	arms := []ArmResult{{Name: "half", Prevention: "p", Verdict: Mitigated, Repeat: 1, Outcome: Pass}}
	attribute(arms)
	if arms[0].Outcome != Pass {
		t.Errorf("%s %v", arms[0].Outcome, arms[0].Reasons)
	}
}

func TestScorecardOnPreventions(t *testing.T) {
	arm := func(name string, v Verdict, faults int64) ArmResult {
		return ArmResult{Name: name, Remedy: "none", Prevention: name, Claim: "P3", Repeat: 1, Verdict: v, Unsafe: faults > 0, Safety: Safety{Overlaps: faults}}
	}
	for _, c := range []struct {
		arms []ArmResult
		want string
	}{
		{[]ArmResult{arm("x", Prevented, 0)}, Confirmed},
		{[]ArmResult{arm("x", Prevented, 0), arm("y", NotPrevented, 0)}, Conditional},
		{[]ArmResult{arm("x", NotPrevented, 0)}, Refuted},
		{[]ArmResult{arm("x", Prevented, 3)}, Refuted},
		{[]ArmResult{arm("x", Mitigated, 0)}, Conditional},
		{nil, Untested},
	} {
		sc := ScenarioResult{Name: "s", Arms: c.arms, Claims: everyClaim()}
		if got := card(t, "P3", sc); got.Verdict != c.want {
			t.Errorf("%+v: %s: %s, want %s", c.arms, got.Verdict, got.Because, c.want)
		}
	}
}

// After option 2 connections are as steady where it has not helped.
func TestScorecardOnSteadyConnections(t *testing.T) {
	arm := func(v Verdict) ArmResult {
		after := map[string]float64{"connected_max": 20, "maxclients": 10000, "ratio_max": 0.002}
		soon := 1200.0
		return ArmResult{Name: "raise-maxclients-restart", Remedy: "raise-maxclients-restart", Repeat: 1, Verdict: v,
			Connections: &Connections{Clients: 19, SettledAfterMS: &soon}, Signals: []SignalResult{
				{Name: "client-saturation", FiguresAfter: after}, {Name: "rejected-connections", FiguresAfter: map[string]float64{"rejected_count": 0}},
			}}
	}
	if got := card(t, "R2m", failing("x", arm(Cured))); got.Verdict != Confirmed {
		t.Errorf("%+v", got)
	}
	unsteady := arm(Cured)
	unsteady.Connections.SettledAfterMS = nil
	if got := card(t, "R2m", failing("x", unsteady)); got.Verdict != Refuted || !strings.Contains(got.Because, "never steady") {
		t.Errorf("%+v", got)
	}
	if got := card(t, "R2m", failing("x", arm(Cured)), failing("y", arm(NoEffect))); got.Verdict != Conditional || !strings.Contains(got.Because, "tells wrong in y/raise-maxclients-restart (19 clients of 10000 after 1.2 s, no-effect)") {
		t.Errorf("%+v", got)
	}
}
