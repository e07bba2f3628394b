package report

import (
	"slices"
	"testing"

	"github.com/lockjam/lockjam/harness"
)

// A cell holds every arm of its scenario and column, and says of each what an
// engineer would want to know of it.
func TestMatrices(t *testing.T) {
	back := 1200.0
	arm := func(name, remedy string, v harness.Verdict) harness.ArmResult {
		return harness.ArmResult{Name: name, Remedy: remedy, Repeat: 1, Reproduced: yes(), Verdict: v}
	}
	cured := arm("raise-maxclients-live", "raise-maxclients-live", harness.Cured)
	cured.Recovery = &harness.Recovery{Ratio: 1.02, Low: 0.97, High: 1.08, RestoredAfterMS: &back}
	harmful := arm("release-stale-locks-reserved", "release-stale-locks", harness.Relapsed)
	harmful.Unsafe, harmful.Safety.Overlaps = true, 4
	prevention := func(name, claim string, v harness.Verdict) harness.ArmResult {
		return harness.ArmResult{Name: name, Remedy: "none", Prevention: name, Claim: claim, Repeat: 1, Verdict: v}
	}
	r := &harness.Run{
		Claims: []harness.Claim{{ID: "P1"}, {ID: "P2"}},
		Scenarios: []harness.ScenarioResult{
			{Name: "x", Arms: []harness.ArmResult{
				arm("control", "none", harness.NoEffect), arm("release-stale-locks", "release-stale-locks", harness.Blocked), harmful, cured,
				prevention("backoff", "P1", harness.NotPrevented), prevention("script", "", harness.Prevented),
			}},
			{Name: "quiet", Arms: []harness.ArmResult{{Name: "control", Remedy: "none", Repeat: 1}}},
			{Name: "y", Arms: []harness.ArmResult{arm("control", "none", harness.NoEffect)}},
		},
	}
	for _, c := range []struct {
		m       matrix
		columns []string
		lines   [][]string
	}{
		{remedyMatrix(r), []string{"none", "raise-maxclients-live", "release-stale-locks"}, [][]string{
			{"x", "no-effect", "cured, 102% (97-108), after 1.2 s", "blocked; reserved: relapsed, UNSAFE, 4 faults"},
			{"y", "no-effect", "-", "-"},
		}},
		{preventionMatrix(r), []string{"P1", beyond}, [][]string{{"x", "backoff: not-prevented", "script: prevented, -"}}},
	} {
		if !slices.Equal(c.m.columns, c.columns) || len(c.m.lines) != len(c.lines) {
			t.Fatalf("%+v", c.m)
		}
		for i, want := range c.lines {
			if got := append([]string{c.m.lines[i].scenario}, c.m.lines[i].cells...); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	}
}
