package runbook

import (
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/result"
)

func TestScorecardOnPreventions(t *testing.T) {
	arm := func(name string, v result.Verdict, faults int64) result.Arm {
		return result.Arm{Name: name, Remedy: "none", Prevention: name, Claim: "P3", Repeat: 1, Verdict: v,
			Unsafe: faults > 0, Safety: result.Safety{Overlaps: faults}}
	}
	for _, c := range []struct {
		arms []result.Arm
		want string
	}{
		{[]result.Arm{arm("x", result.Prevented, 0)}, result.Confirmed},
		{[]result.Arm{arm("x", result.Prevented, 0), arm("y", result.NotPrevented, 0)}, result.Conditional},
		{[]result.Arm{arm("x", result.NotPrevented, 0)}, result.Refuted},
		{[]result.Arm{arm("x", result.Prevented, 3)}, result.Refuted},
		{[]result.Arm{arm("x", result.Mitigated, 0)}, result.Conditional},
		{nil, result.Untested},
	} {
		sc := result.Scenario{Name: "s", Arms: c.arms, Claims: everyClaim()}
		if got := card(t, "P3", sc); got.Verdict != c.want {
			t.Errorf("%+v: %s: %s, want %s", c.arms, got.Verdict, got.Because, c.want)
		}
	}
}

// After option 2 connections are as steady where it has not helped.
func TestScorecardOnSteadyConnections(t *testing.T) {
	arm := func(v result.Verdict) result.Arm {
		after := map[string]float64{"connected_max": 20, "maxclients": 10000, "ratio_max": 0.002}
		soon := 1200.0
		return result.Arm{Name: "raise-maxclients-restart", Remedy: "raise-maxclients-restart", Repeat: 1, Verdict: v,
			Connections: &result.Connections{Clients: 19, SettledAfterMS: &soon}, Signals: []result.Signal{
				{Name: "client-saturation", FiguresAfter: after},
				{Name: "rejected-connections", FiguresAfter: map[string]float64{"rejected_count": 0}},
			}}
	}
	if got := card(t, "R2m", failing("x", arm(result.Cured))); got.Verdict != result.Confirmed {
		t.Errorf("%+v", got)
	}
	unsteady := arm(result.Cured)
	unsteady.Connections.SettledAfterMS = nil
	if got := card(t, "R2m", failing("x", unsteady)); got.Verdict != result.Refuted ||
		!strings.Contains(got.Because, "never steady") {
		t.Errorf("%+v", got)
	}
	if got := card(t, "R2m", failing("x", arm(result.Cured)),
		failing("y", arm(result.NoEffect))); got.Verdict != result.Conditional ||
		!strings.Contains(got.Because,
			"tells wrong in y/raise-maxclients-restart (19 clients of 10000 after 1.2 s, no-effect)") {
		t.Errorf("%+v", got)
	}
}
