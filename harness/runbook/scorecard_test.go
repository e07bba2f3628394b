package runbook

import (
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/claims"
	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/remedies"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
	"github.com/lockjam/lockjam/harness/signals"
)

// card finds a claim on the scorecard of a run with these scenarios.
func card(t *testing.T, id string, scenarios ...result.Scenario) result.Claim {
	t.Helper()
	for _, c := range Scorecard(&result.Run{Scenarios: scenarios}) {
		if c.ID == id {
			return c
		}
	}
	t.Fatalf("%s is not on the scorecard", id)
	return result.Claim{}
}

func failing(name string, arms ...result.Arm) result.Scenario {
	yes := true
	for i := range arms {
		arms[i].Reproduced, arms[i].Repeat = &yes, 1
	}
	return result.Scenario{Name: name, Arms: arms, Claims: everyClaim()}
}

func everyClaim() (ids []string) {
	for _, c := range claims.Runbook {
		ids = append(ids, c.ID)
	}
	return ids
}

func armWith(signal string, fired bool) result.Arm {
	s := result.Signal{Name: signal, Fired: fired}
	if fired {
		after := 500.0
		s.DetectMS = &after
	}
	return result.Arm{Name: "control", Remedy: "none", Verdict: result.NoEffect, Signals: []result.Signal{s}}
}

func TestScorecardOnDetection(t *testing.T) {
	const a1 = "client-saturation"
	healthy := result.Scenario{Name: "healthy", Arms: []result.Arm{armWith(a1, false)}, Claims: everyClaim()}
	alarm := result.Scenario{Name: "healthy", Arms: []result.Arm{armWith(a1, true)}, Claims: everyClaim()}
	elsewhere := failing("z", armWith(a1, true))
	elsewhere.Claims = []string{"A2"}
	blind := failing("x", armWith(a1, false))
	blind.Arms[0].Signals[0].Unavailable = "INFO does not say it"
	for _, c := range []struct {
		name      string
		scenarios []result.Scenario
		verdict   string
		because   string
	}{
		{"nothing ran", nil, result.Untested, "No arm of this run bears on it."},
		{"only a healthy run", []result.Scenario{healthy}, result.Untested,
			"Nothing was wrong in this run, and it stayed silent: whether it fires when something is, no arm says."},
		{"a scenario that does not bear on it", []result.Scenario{elsewhere}, result.Untested,
			"No arm of this run bears on it."},
		{"a signal that could say nothing", []result.Scenario{blind}, result.Untested,
			"No arm of this run bears on it."},
		{"fires wherever it should", []result.Scenario{failing("x", armWith(a1, true)), healthy}, result.Confirmed,
			"It fires in x (after 0.5 s)."},
		{"never fires", []result.Scenario{failing("x", armWith(a1, false))}, result.Refuted, "It stays silent in x."},
		{"fires here, not there", []result.Scenario{failing("x", armWith(a1, true)), failing("y", armWith(a1, false))},
			result.Conditional, "It fires in x (after 0.5 s); it stays silent in y."},
		{"fires where nothing is wrong", []result.Scenario{failing("x", armWith(a1, true)), alarm}, result.Conditional,
			"It fires in x (after 0.5 s); it raises a false alarm in healthy."},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := card(t, "A1", c.scenarios...)
			if got.Verdict != c.verdict || got.Because != c.because {
				t.Errorf("%s: %s; want %s: %s", got.Verdict, got.Because, c.verdict, c.because)
			}
			if needs := c.verdict == result.Refuted || c.verdict == result.Conditional; needs != (got.Instead != "") {
				t.Errorf("verdict %s, instead %q", got.Verdict, got.Instead)
			}
		})
	}
}

// S1 speaks of applications: what a raw socket is told is not what they hear.
func TestScorecardOnTheServersWords(t *testing.T) {
	for _, c := range []struct {
		refused, told float64
		verdict       string
		because       string
	}{
		{100, 0, result.Refuted, "Of 100 commands that go-redis could not send for want of a slot, 0 told"},
		{100, 100, result.Confirmed, "100 told"},
		{0, 0, result.Confirmed, "It fires in x"},
	} {
		arm := armWith("refused-clients", true)
		arm.Signals[0].Figures = map[string]float64{"refused_count": c.refused, "told_count": c.told}
		if got := card(t, "S1", failing("x", arm)); got.Verdict != c.verdict ||
			!strings.Contains(got.Because, c.because) {
			t.Errorf("%+v: %s: %s", c, got.Verdict, got.Because)
		}
	}
}

// S2 promises timeouts as well.
func TestScorecardOnTimeouts(t *testing.T) {
	for timeouts, want := range map[float64]string{0: result.Conditional, 3: result.Confirmed} {
		arm := armWith("request-latency", true)
		arm.Signals[0].Figures = map[string]float64{"timeouts_per_s": timeouts}
		if got := card(t, "S2", failing("x", arm)); got.Verdict != want {
			t.Errorf("%v timeouts a second: %s: %s", timeouts, got.Verdict, got.Because)
		}
	}
}

// An arm with a prevention is no failure, and no quiet day either.
func TestScorecardLeavesPreventionsOut(t *testing.T) {
	arm := armWith("client-saturation", true)
	arm.Prevention = "backoff"
	if got := card(t, "A1", result.Scenario{Name: "x", Arms: []result.Arm{arm},
		Claims: everyClaim()}); got.Because != "No arm of this run bears on it." {
		t.Errorf("%+v", got)
	}
}

// D2 is a command line. What it prints as written decides; that MONITOR could tell
// is said beside it.
func TestScorecardOnTheCommandAsWritten(t *testing.T) {
	for _, c := range []struct {
		probe   result.Probe
		verdict string
	}{
		{result.Probe{Name: history.RunbookMonitor, Because: "It could not connect."}, result.Refuted},
		{result.Probe{Name: history.RunbookMonitor, Connected: true, Lines: 900}, result.Refuted},
		{result.Probe{Name: history.RunbookMonitor, Connected: true, Lines: 900, Matches: 30}, result.Confirmed},
		{result.Probe{Name: history.RunbookMonitor, Failed: "no redis-cli to run"}, result.Confirmed},
	} {
		arm := armWith("lock-set-retries", true)
		arm.Probes = []result.Probe{c.probe}
		if got := card(t, "D2", failing("x", arm)); got.Verdict != c.verdict {
			t.Errorf("%+v: %s: %s", c.probe, got.Verdict, got.Because)
		}
	}
	arm := armWith("lock-set-retries", false)
	arm.Signals[0].Figures = map[string]float64{"monitored_decisions": 90, "monitored_ms": 1000,
		"unmonitored_decisions": 400, "unmonitored_ms": 4000}
	healthy := result.Scenario{Name: "healthy", Arms: []result.Arm{arm}, Claims: everyClaim()}
	probed := armWith("lock-set-retries", true)
	probed.Probes = []result.Probe{{Name: history.RunbookMonitor, Connected: true}}
	if got := card(t, "D2", healthy, failing("x", probed)); !strings.Contains(got.Because,
		"goodput with MONITOR on was 90% of goodput without (95% interval 72 to 113%)") {
		t.Errorf("%s", got.Because)
	}
}

// What the command was not asked in, or was asked in when it was over, is no failure that
// it missed: a claim that no arm bears on is untested, whatever was asked.
func TestScorecardLeavesOutWhatWasNoFailure(t *testing.T) {
	probed := func(change func(*result.Arm)) result.Scenario {
		arm := armWith("lock-set-retries", true)
		arm.Probes = []result.Probe{{Name: history.RunbookMonitor, Because: "It could not connect."}}
		sc := failing("x", arm)
		change(&sc.Arms[0])
		return sc
	}
	no := false
	for _, c := range []struct {
		name          string
		change        func(*result.Arm)
		verdict, says string
	}{
		{"the failure", func(*result.Arm) {}, result.Refuted,
			"As written it printed nothing in the one failure. Over a connection that was open before, a lock that is tried and not released shows: it fires in x"},
		{"no failure", func(a *result.Arm) { a.Reproduced, a.Verdict, a.Outcome = &no, "", result.Inconclusive },
			result.Untested, "No arm of this run bears on it."},
		{"a failure of which nothing can be said", func(a *result.Arm) { a.Outcome = result.Inconclusive },
			result.Untested, "No arm of this run bears on it."},
		{"a failure that was over", func(a *result.Arm) { a.Verdict = result.Cured }, result.Confirmed,
			"It fires in x (after 0.5 s)."},
		{"a failure in which nothing was to be read", func(a *result.Arm) { a.Signals = nil }, result.Refuted,
			"As written it printed nothing in the one failure."},
	} {
		got := card(t, "D2", probed(c.change))
		if got.Verdict != c.verdict || !strings.HasPrefix(got.Because, c.says) ||
			strings.Contains(got.Because, "no arm") {
			t.Errorf("%s: %s: %s; want %s: %s", c.name, got.Verdict, got.Because, c.verdict, c.says)
		}
	}
	// Of the others, too: an arm that proves nothing is no evidence.
	arm := result.Arm{Name: "raise-maxclients-restart", Remedy: "raise-maxclients-restart", Verdict: result.Cured,
		Outcome: result.Inconclusive}
	if got := card(t, "R2", failing("x", arm)); got.Verdict != result.Untested || len(got.Evidence) > 0 {
		t.Errorf("%+v", got)
	}
}

// No claim says that no arm bears on it and has a verdict or evidence all the same, whatever
// mix of arms a run has.
func TestScorecardDoesNotContradictItself(t *testing.T) {
	r, err := rundir.Load("../../results/reference")
	if err != nil {
		t.Fatal(err)
	}
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			for _, outcome := range []result.Outcome{result.Pass, result.Inconclusive} {
				one := sc
				a.Outcome = outcome
				one.Arms = []result.Arm{a}
				for _, c := range Scorecard(&result.Run{Scenarios: []result.Scenario{one}}) {
					says := strings.Contains(strings.ToLower(c.Because),
						strings.ToLower("No arm of this run bears on it."))
					if says && (c.Verdict != result.Untested || len(c.Evidence) > 0) ||
						outcome == result.Inconclusive && c.Verdict != result.Untested ||
						strings.Contains(c.Because, "any of 1 ") {
						t.Errorf("%s/%s, %s: %s is %s, with %d pieces of evidence: %s", sc.Name, a.Name, outcome, c.ID,
							c.Verdict, len(c.Evidence), c.Because)
					}
				}
			}
		}
	}
}

// "Rejected connections > 0" stays true after the cure.
func TestScorecardOnTheCumulativeReading(t *testing.T) {
	arm := armWith("rejected-connections", true)
	arm.Verdict, arm.Signals[0].FiguresAfter = result.Cured, map[string]float64{"cumulative_reading": 900}
	if got := card(t, "A2", failing("x", arm)); !strings.Contains(got.Because,
		"still over 0 at the end of 1 of 1 cured arm") {
		t.Errorf("%s", got.Because)
	}
}

func TestScorecardOnRemedies(t *testing.T) {
	restart := func(v result.Verdict, unsafe bool) result.Arm {
		return result.Arm{Name: "raise-maxclients-restart", Remedy: "raise-maxclients-restart", Verdict: v,
			Unsafe: unsafe}
	}
	for _, c := range []struct {
		name      string
		scenarios []result.Scenario
		verdict   string
	}{
		{"cures", []result.Scenario{failing("x", restart(result.Cured, false))}, result.Confirmed},
		{"cures and does harm", []result.Scenario{failing("x", restart(result.Cured, true))}, result.Refuted},
		{"blocked", []result.Scenario{failing("x", restart(result.Blocked, false))}, result.Refuted},
		{"cures one of two", []result.Scenario{failing("x", restart(result.Cured, false)),
			failing("y", restart(result.NoEffect, false))}, result.Conditional},
		{"harms one, no help to the other",
			[]result.Scenario{failing("x", restart(result.Cured, true)), failing("y", restart(result.NoEffect, false))},
			result.Conditional},
		{"inconclusive", []result.Scenario{failing("x", restart("", false))}, result.Untested},
	} {
		if got := card(t, "R2", c.scenarios...); got.Verdict != c.verdict {
			t.Errorf("%s: %s (%s), want %s", c.name, got.Verdict, got.Because, c.verdict)
		}
	}
}

func TestScorecardOnTheWarning(t *testing.T) {
	release := func(v result.Verdict, overlaps int64) result.Arm {
		return result.Arm{Name: "r", Remedy: "release-stale-locks", Verdict: v,
			Safety: result.Safety{Overlaps: overlaps, OverAdmitted: overlaps / 2}}
	}
	if got := card(t, "R1w", failing("x", release(result.Cured, 0)),
		failing("y", release(result.Relapsed, 4))); got.Verdict != result.Confirmed ||
		!strings.Contains(got.Because, "in y (4 holders overrun, 0 updates lost, 2 requests admitted over the limit)") {
		t.Errorf("%+v", got)
	}
	if got := card(t, "R1w", failing("x", release(result.Cured, 0))); got.Verdict != result.Untested {
		t.Errorf("nobody was alive to be hurt: %+v", got)
	}
	if got := card(t, "R1w", failing("x", release(result.Blocked, 0))); got.Verdict != result.Untested ||
		len(got.Evidence) != 0 {
		t.Errorf("nothing was deleted: %+v", got)
	}
}

// Every claim that a signal or remedy stands for must be one of the runbook's.
func TestScorecardKnowsEveryClaim(t *testing.T) {
	known := map[string]bool{}
	for _, c := range claims.Runbook {
		if known[c.ID] || c.Words == "" {
			t.Errorf("claim %q is there twice, or says nothing", c.ID)
		}
		known[c.ID] = true
	}
	if len(known) != 24 {
		t.Errorf("%d claims, the runbook has 24", len(known))
	}
	var names []string
	for _, s := range signals.All() {
		names = append(names, s.Name)
	}
	for _, r := range remedies.All() {
		names = append(names, r.Name)
	}
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
