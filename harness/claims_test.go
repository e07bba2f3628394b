package harness

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/remedies"
	"github.com/lockjam/lockjam/harness/signals"
)

// card finds a claim on the scorecard of a run with these scenarios.
func card(t *testing.T, id string, scenarios ...ScenarioResult) Claim {
	t.Helper()
	for _, c := range Scorecard(&Run{Scenarios: scenarios}) {
		if c.ID == id {
			return c
		}
	}
	t.Fatalf("%s is not on the scorecard", id)
	return Claim{}
}

func failing(name string, arms ...ArmResult) ScenarioResult {
	yes := true
	for i := range arms {
		arms[i].Reproduced, arms[i].Repeat = &yes, 1
	}
	return ScenarioResult{Name: name, Arms: arms}
}

func armWith(signal string, fired bool) ArmResult {
	return ArmResult{Name: "control", Remedy: "none", Verdict: NoEffect, Signals: []SignalResult{{Name: signal, Fired: fired}}}
}

func TestScorecardOnDetection(t *testing.T) {
	const a1 = "client-saturation"
	healthy := ScenarioResult{Name: "healthy", Arms: []ArmResult{armWith(a1, false)}}
	alarm := ScenarioResult{Name: "healthy", Arms: []ArmResult{armWith(a1, true)}}
	for _, c := range []struct {
		name      string
		scenarios []ScenarioResult
		verdict   string
		because   string
	}{
		{"nothing ran", nil, Untested, "No arm of this run bears on it."},
		{"only a healthy run", []ScenarioResult{healthy}, Untested, "No arm of this run bears on it."},
		{"fires wherever it should", []ScenarioResult{failing("x", armWith(a1, true)), healthy}, Confirmed, "It fires in x."},
		{"never fires", []ScenarioResult{failing("x", armWith(a1, false))}, Refuted, "It stays silent in x."},
		{"fires here, not there", []ScenarioResult{failing("x", armWith(a1, true)), failing("y", armWith(a1, false))}, Conditional, "It fires in x; it stays silent in y."},
		{"fires where nothing is wrong", []ScenarioResult{failing("x", armWith(a1, true)), alarm}, Conditional, "It fires in x; it raises a false alarm in healthy."},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := card(t, "A1", c.scenarios...)
			if got.Verdict != c.verdict || got.Because != c.because {
				t.Errorf("%s: %s; want %s: %s", got.Verdict, got.Because, c.verdict, c.because)
			}
			if needs := c.verdict == Refuted || c.verdict == Conditional; needs != (got.Instead != "") {
				t.Errorf("verdict %s, instead %q", got.Verdict, got.Instead)
			}
		})
	}
}

func TestScorecardOnRemedies(t *testing.T) {
	restart := func(v Verdict, unsafe bool) ArmResult {
		return ArmResult{Name: "raise-maxclients-restart", Remedy: "raise-maxclients-restart", Verdict: v, Unsafe: unsafe}
	}
	for _, c := range []struct {
		name      string
		scenarios []ScenarioResult
		verdict   string
	}{
		{"cures", []ScenarioResult{failing("x", restart(Cured, false))}, Confirmed},
		{"cures and does harm", []ScenarioResult{failing("x", restart(Cured, true))}, Refuted},
		{"blocked", []ScenarioResult{failing("x", restart(Blocked, false))}, Refuted},
		{"cures one of two", []ScenarioResult{failing("x", restart(Cured, false)), failing("y", restart(NoEffect, false))}, Conditional},
		{"harms one, no help to the other", []ScenarioResult{failing("x", restart(Cured, true)), failing("y", restart(NoEffect, false))}, Conditional},
		{"inconclusive", []ScenarioResult{failing("x", restart("", false))}, Untested},
	} {
		if got := card(t, "R2", c.scenarios...); got.Verdict != c.verdict {
			t.Errorf("%s: %s (%s), want %s", c.name, got.Verdict, got.Because, c.verdict)
		}
	}
}

func TestScorecardOnTheWarning(t *testing.T) {
	release := func(v Verdict, overlaps int64) ArmResult {
		return ArmResult{Name: "r", Remedy: "release-stale-locks", Verdict: v, Safety: Safety{Overlaps: overlaps}}
	}
	if got := card(t, "R1w", failing("x", release(Cured, 0)), failing("y", release(Relapsed, 4))); got.Verdict != Confirmed || !strings.Contains(got.Because, "In y 4 locks") {
		t.Errorf("%+v", got)
	}
	if got := card(t, "R1w", failing("x", release(Cured, 0))); got.Verdict != Untested {
		t.Errorf("nobody was alive to be hurt: %+v", got)
	}
	if got := card(t, "R1w", failing("x", release(Blocked, 0))); got.Verdict != Untested || len(got.Evidence) != 0 {
		t.Errorf("nothing was deleted: %+v", got)
	}
}

// Every claim that a signal or remedy stands for must be one of the runbook's.
func TestScorecardKnowsEveryClaim(t *testing.T) {
	known := map[string]bool{}
	for _, c := range runbook {
		if known[c.id] || c.words == "" {
			t.Errorf("claim %q is there twice, or says nothing", c.id)
		}
		known[c.id] = true
	}
	if len(known) != 24 {
		t.Errorf("%d claims, the runbook has 24", len(known))
	}
	catalogue := Known()
	names := slices.Concat(slices.Collect(maps.Keys(catalogue.Signals)), slices.Collect(maps.Keys(catalogue.Remedies)))
	for _, name := range names {
		for _, id := range claimsOf(name) {
			if !known[id] {
				t.Errorf("%s stands for %q, which is no claim", name, id)
			}
		}
	}
}

func claimsOf(name string) []string {
	if s, ok := signals.Find(name); ok && s.Claim != "" {
		return []string{s.Claim}
	}
	if r, ok := remedies.Find(name); ok && r.Claim != "" {
		return []string{r.Claim}
	}
	return nil
}
