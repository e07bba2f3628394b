package harness

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/history"
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
	return ScenarioResult{Name: name, Arms: arms, Claims: everyClaim()}
}

func everyClaim() (ids []string) {
	for _, c := range runbook {
		ids = append(ids, c.id)
	}
	return ids
}

func armWith(signal string, fired bool) ArmResult {
	s := SignalResult{Name: signal, Fired: fired}
	if fired {
		after := 500.0
		s.DetectMS = &after
	}
	return ArmResult{Name: "control", Remedy: "none", Verdict: NoEffect, Signals: []SignalResult{s}}
}

func TestScorecardOnDetection(t *testing.T) {
	const a1 = "client-saturation"
	healthy := ScenarioResult{Name: "healthy", Arms: []ArmResult{armWith(a1, false)}, Claims: everyClaim()}
	alarm := ScenarioResult{Name: "healthy", Arms: []ArmResult{armWith(a1, true)}, Claims: everyClaim()}
	elsewhere := failing("z", armWith(a1, true))
	elsewhere.Claims = []string{"A2"}
	blind := failing("x", armWith(a1, false))
	blind.Arms[0].Signals[0].Unavailable = "INFO does not say it"
	for _, c := range []struct {
		name      string
		scenarios []ScenarioResult
		verdict   string
		because   string
	}{
		{"nothing ran", nil, Untested, "No arm of this run bears on it."},
		{"only a healthy run", []ScenarioResult{healthy}, Untested, "Nothing was wrong in this run, and it stayed silent: whether it fires when something is, no arm says."},
		{"a scenario that does not bear on it", []ScenarioResult{elsewhere}, Untested, noArm},
		{"a signal that could say nothing", []ScenarioResult{blind}, Untested, noArm},
		{"fires wherever it should", []ScenarioResult{failing("x", armWith(a1, true)), healthy}, Confirmed, "It fires in x (after 0.5 s)."},
		{"never fires", []ScenarioResult{failing("x", armWith(a1, false))}, Refuted, "It stays silent in x."},
		{"fires here, not there", []ScenarioResult{failing("x", armWith(a1, true)), failing("y", armWith(a1, false))}, Conditional, "It fires in x (after 0.5 s); it stays silent in y."},
		{"fires where nothing is wrong", []ScenarioResult{failing("x", armWith(a1, true)), alarm}, Conditional, "It fires in x (after 0.5 s); it raises a false alarm in healthy."},
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

// S1 speaks of applications: what a raw socket is told is not what they hear.
func TestScorecardOnTheServersWords(t *testing.T) {
	for _, c := range []struct {
		refused, told float64
		verdict       string
		because       string
	}{
		{100, 0, Refuted, "Of 100 commands that go-redis could not send for want of a slot, 0 told"},
		{100, 100, Confirmed, "100 told"},
		{0, 0, Confirmed, "It fires in x"},
	} {
		arm := armWith("refused-clients", true)
		arm.Signals[0].Figures = map[string]float64{"refused_count": c.refused, "told_count": c.told}
		if got := card(t, "S1", failing("x", arm)); got.Verdict != c.verdict || !strings.Contains(got.Because, c.because) {
			t.Errorf("%+v: %s: %s", c, got.Verdict, got.Because)
		}
	}
}

// S2 promises timeouts as well.
func TestScorecardOnTimeouts(t *testing.T) {
	for timeouts, want := range map[float64]string{0: Conditional, 3: Confirmed} {
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
	if got := card(t, "A1", ScenarioResult{Name: "x", Arms: []ArmResult{arm}, Claims: everyClaim()}); got.Because != noArm {
		t.Errorf("%+v", got)
	}
}

// D2 is a command line. What it prints as written decides; that MONITOR could tell
// is said beside it.
func TestScorecardOnTheCommandAsWritten(t *testing.T) {
	for _, c := range []struct {
		probe   Probe
		verdict string
	}{
		{Probe{Name: history.RunbookMonitor, Because: "It could not connect."}, Refuted},
		{Probe{Name: history.RunbookMonitor, Connected: true, Lines: 900}, Refuted},
		{Probe{Name: history.RunbookMonitor, Connected: true, Lines: 900, Matches: 30}, Confirmed},
		{Probe{Name: history.RunbookMonitor, Failed: "no redis-cli to run"}, Confirmed},
	} {
		arm := armWith("lock-set-retries", true)
		arm.Probes = []Probe{c.probe}
		if got := card(t, "D2", failing("x", arm)); got.Verdict != c.verdict {
			t.Errorf("%+v: %s: %s", c.probe, got.Verdict, got.Because)
		}
	}
	arm := armWith("lock-set-retries", false)
	arm.Signals[0].Figures = map[string]float64{"monitored_decisions": 90, "monitored_ms": 1000, "unmonitored_decisions": 400, "unmonitored_ms": 4000}
	healthy := ScenarioResult{Name: "healthy", Arms: []ArmResult{arm}, Claims: everyClaim()}
	probed := armWith("lock-set-retries", true)
	probed.Probes = []Probe{{Name: history.RunbookMonitor, Connected: true}}
	if got := card(t, "D2", healthy, failing("x", probed)); !strings.Contains(got.Because, "goodput with MONITOR on was 90% of goodput without (95% interval 72 to 113%)") {
		t.Errorf("%s", got.Because)
	}
}

// What the command was not asked in, or was asked in when it was over, is no failure that
// it missed: a claim that no arm bears on is untested, whatever was asked.
func TestScorecardLeavesOutWhatWasNoFailure(t *testing.T) {
	probed := func(change func(*ArmResult)) ScenarioResult {
		arm := armWith("lock-set-retries", true)
		arm.Probes = []Probe{{Name: history.RunbookMonitor, Because: "It could not connect."}}
		sc := failing("x", arm)
		change(&sc.Arms[0])
		return sc
	}
	no := false
	for _, c := range []struct {
		name          string
		change        func(*ArmResult)
		verdict, says string
	}{
		{"the failure", func(*ArmResult) {}, Refuted, "As written it printed nothing in the one failure. Over a connection that was open before, a lock that is tried and not released shows: it fires in x"},
		{"no failure", func(a *ArmResult) { a.Reproduced, a.Verdict, a.Outcome = &no, "", Inconclusive }, Untested, noArm},
		{"a failure of which nothing can be said", func(a *ArmResult) { a.Outcome = Inconclusive }, Untested, noArm},
		{"a failure that was over", func(a *ArmResult) { a.Verdict = Cured }, Confirmed, "It fires in x (after 0.5 s)."},
		{"a failure in which nothing was to be read", func(a *ArmResult) { a.Signals = nil }, Refuted, "As written it printed nothing in the one failure."},
	} {
		got := card(t, "D2", probed(c.change))
		if got.Verdict != c.verdict || !strings.HasPrefix(got.Because, c.says) || strings.Contains(got.Because, "no arm") {
			t.Errorf("%s: %s: %s; want %s: %s", c.name, got.Verdict, got.Because, c.verdict, c.says)
		}
	}
	// Of the others, too: an arm that proves nothing is no evidence.
	arm := ArmResult{Name: "raise-maxclients-restart", Remedy: "raise-maxclients-restart", Verdict: Cured, Outcome: Inconclusive}
	if got := card(t, "R2", failing("x", arm)); got.Verdict != Untested || len(got.Evidence) > 0 {
		t.Errorf("%+v", got)
	}
}

// No claim says that no arm bears on it and has a verdict or evidence all the same, whatever
// mix of arms a run has.
func TestScorecardDoesNotContradictItself(t *testing.T) {
	r, err := LoadRun("../results/reference")
	if err != nil {
		t.Fatal(err)
	}
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			for _, outcome := range []Outcome{Pass, Inconclusive} {
				one := sc
				a.Outcome = outcome
				one.Arms = []ArmResult{a}
				for _, c := range Scorecard(&Run{Scenarios: []ScenarioResult{one}}) {
					says := strings.Contains(strings.ToLower(c.Because), strings.ToLower(noArm))
					if says && (c.Verdict != Untested || len(c.Evidence) > 0) || outcome == Inconclusive && c.Verdict != Untested ||
						strings.Contains(c.Because, "any of 1 ") {
						t.Errorf("%s/%s, %s: %s is %s, with %d pieces of evidence: %s", sc.Name, a.Name, outcome, c.ID, c.Verdict, len(c.Evidence), c.Because)
					}
				}
			}
		}
	}
}

// "Rejected connections > 0" stays true after the cure.
func TestScorecardOnTheCumulativeReading(t *testing.T) {
	arm := armWith("rejected-connections", true)
	arm.Verdict, arm.Signals[0].FiguresAfter = Cured, map[string]float64{"cumulative_reading": 900}
	if got := card(t, "A2", failing("x", arm)); !strings.Contains(got.Because, "still over 0 at the end of 1 of 1 cured arm") {
		t.Errorf("%s", got.Because)
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
		return ArmResult{Name: "r", Remedy: "release-stale-locks", Verdict: v, Safety: Safety{Overlaps: overlaps, OverAdmitted: overlaps / 2}}
	}
	if got := card(t, "R1w", failing("x", release(Cured, 0)), failing("y", release(Relapsed, 4))); got.Verdict != Confirmed || !strings.Contains(got.Because, "in y (4 holders overrun, 0 updates lost, 2 requests admitted over the limit)") {
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
