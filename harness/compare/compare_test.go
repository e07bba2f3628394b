package compare

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lockjam/lockjam/harness/result"
)

func num(v float64) *float64 { return &v }

// arm is a cured one with one of everything that is compared.
func arm(change ...func(*result.Arm)) result.Arm {
	a := result.Arm{
		Name: "raise", Remedy: "raise-maxclients-live", Outcome: result.Pass, Verdict: result.Cured,
		Goodput:  result.Goodput{Before: num(100), During: num(0), After: num(100)},
		Recovery: &result.Recovery{Ratio: 1, Low: 0.95, High: 1.05, RestoredAfterMS: num(200)},
		Phases: []result.Phase{{Name: "baseline", Operations: result.Operations{OK: 100},
			ResponseMS: result.Percentiles{P50: 80, P99: 140, Max: 200}}},
		Signals: []result.Signal{
			{Name: "deadlock", Expected: "fire", Fired: true, Met: true, DetectMS: num(1200), Cleared: true},
			{Name: "lock-key-count", Expected: "silent", Met: true, Cleared: true},
			{Name: "client-errors", Expected: "any", Met: true, Cleared: true},
		},
		Deadlock: &result.Deadlock{Proved: true, Kind: "deadlock"},
	}
	for _, c := range change {
		c(&a)
	}
	return a
}

// run has these repeats of one arm.
func run(arms ...result.Arm) Side {
	for i := range arms {
		arms[i].Repeat = i + 1
	}
	return Side{Run: &result.Run{
		Schema: result.RunSchema, ID: "x", Status: result.Completed, Repeat: len(arms),
		Environment: result.Environment{GoRedis: "v9.23.0", CPUs: 2},
		Scenarios:   []result.Scenario{{Name: "s", Arms: arms}},
		Claims:      []result.Claim{{ID: "A1", Verdict: "confirmed"}, {ID: "A2", Verdict: result.Untested}},
	}}
}

// spread is n repeats of the arm whose figure is about that much, none twice.
func spread(n int, around float64, set func(*result.Arm, float64)) []result.Arm {
	var arms []result.Arm
	for i := range n {
		a := arm()
		set(&a, around*(1+0.01*float64(i)/float64(n)))
		arms = append(arms, a)
	}
	return arms
}

func verdicts(v ...result.Verdict) []result.Arm {
	var arms []result.Arm
	for _, v := range v {
		arms = append(arms, arm(func(a *result.Arm) { a.Verdict = v }))
	}
	return arms
}

func times(n int, v result.Verdict) []result.Verdict { return slices.Repeat([]result.Verdict{v}, n) }

// Every rule has a case that is just a regression, and one that is just none.
func TestRules(t *testing.T) {
	each := func(n int, change func(*result.Arm)) []result.Arm {
		var arms []result.Arm
		for range n {
			arms = append(arms, arm(func(a *result.Arm) { a.Signals = slices.Clone(a.Signals); change(a) }))
		}
		return arms
	}
	nothing := func(*result.Arm) {}
	unsafe := func(a *result.Arm) { a.Unsafe, a.Safety.Overlaps = true, 1 }
	inconclusive := func(a *result.Arm) {
		a.Outcome, a.Reasons = result.Inconclusive, []string{"no steady baseline"}
	}
	fires := func(i int, fired bool) func(*result.Arm) {
		return func(a *result.Arm) {
			a.Signals = slices.Clone(a.Signals)
			a.Signals[i].Fired = fired
		}
	}
	after := func(a *result.Arm, v float64) { a.Goodput.After = &v }
	back := func(a *result.Arm, v float64) { a.Recovery = &result.Recovery{Ratio: 1, RestoredAfterMS: &v} }
	share := func(mid, low, high float64) result.Arm {
		return arm(func(a *result.Arm) {
			a.Goodput, a.Recovery = result.Goodput{},
				&result.Recovery{Ratio: mid, Low: low, High: high, RestoredAfterMS: num(200)}
		})
	}
	never := func(a *result.Arm) { a.Recovery = &result.Recovery{Ratio: 0.5} }
	p99 := func(a *result.Arm, v float64) {
		a.Phases = slices.Clone(a.Phases)
		a.Phases[0].ResponseMS.P99 = v
	}
	max := func(a *result.Arm, v float64) {
		a.Phases = slices.Clone(a.Phases)
		a.Phases[0].ResponseMS.Max = v
	}
	detect := func(a *result.Arm, v float64) {
		a.Signals = slices.Clone(a.Signals)
		a.Signals[0].DetectMS = &v
	}
	faults := func(a *result.Arm, v float64) { a.Unsafe, a.Safety.Overlaps = true, int64(v) }
	const pass, fail, open = result.Pass, result.Fail, result.Inconclusive

	for _, c := range []struct {
		name          string
		rule          string
		before, after []result.Arm
		want          result.Outcome
	}{
		{"cured, then partial", "verdict", verdicts(result.Cured), verdicts(result.Partial), fail},
		{"partial, then relapsed", "verdict", verdicts(result.Partial), verdicts(result.Relapsed), fail},
		{"relapsed, then no effect", "verdict", verdicts(result.Relapsed), verdicts(result.NoEffect), fail},
		{"no effect, then blocked", "verdict", verdicts(result.NoEffect), verdicts(result.Blocked), fail},
		{"prevented, then mitigated", "verdict", verdicts(result.Prevented), verdicts(result.Mitigated), fail},
		{"mitigated, then not prevented", "verdict", verdicts(result.Mitigated), verdicts(result.NotPrevented), fail},
		{"for the better", "verdict", verdicts(result.NoEffect), verdicts(result.Cured), pass},
		{"another kind of verdict is neither better nor worse", "verdict", verdicts(result.Cured),
			verdicts(result.NotPrevented), pass},
		{"most of the repeats, where there was no doubt", "verdict", verdicts(times(5, result.Cured)...),
			verdicts(append(times(3, result.Relapsed), times(2, result.Cured)...)...), fail},
		{"one of five may be chance", "verdict", verdicts(times(5, result.Cured)...),
			verdicts(append(times(4, result.Cured), result.Relapsed)...), pass},
		{"one of three may be chance too, but three could not tell", "verdict", verdicts(times(3, result.Cured)...),
			verdicts(append(times(2, result.Cured), result.Relapsed)...), open},
		{"one of three for the better hides nothing", "verdict",
			verdicts(append(times(2, result.Cured), result.Relapsed)...), verdicts(times(3, result.Cured)...), pass},
		{"a minority that is beyond chance", "verdict", verdicts(times(20, result.Cured)...),
			verdicts(append(times(12, result.Cured), times(8, result.Relapsed)...)...), fail},
		{"a change of verdict is not asked about", "outcome", verdicts(result.Cured), verdicts(result.Relapsed), pass},

		{"does not meet its expectations any more", "outcome", each(1, nothing),
			each(1, func(a *result.Arm) { a.Outcome = result.Fail }), fail},
		{"did not before either", "outcome", each(1, func(a *result.Arm) { a.Outcome = result.Fail }),
			each(1, func(a *result.Arm) { a.Outcome = result.Fail }), pass},
		{"inconclusive now", "outcome", each(1, nothing), each(1, inconclusive), open},
		{"inconclusive before", "verdict", each(1, inconclusive), each(1, nothing), open},
		{"one repeat that is inconclusive does not matter", "outcome", each(2, nothing),
			append(each(1, nothing), each(1, inconclusive)...), pass},

		{"one counterexample is enough", "unsafe", each(20, nothing), append(each(19, nothing), each(1, unsafe)...),
			fail},
		{"it was unsafe before", "unsafe", each(1, unsafe), each(1, unsafe), pass},
		{"more faults, beyond noise", "faults", spread(5, 100, faults), spread(5, 140, faults), fail},
		{"more faults, one run each", "faults", spread(1, 100, faults), spread(1, 140, faults), open},
		{"as many faults", "faults", spread(5, 100, faults), spread(5, 100, faults), pass},

		{"stays silent now", "signal", each(1, nothing), each(1, fires(0, false)), fail},
		{"fires where it was silent", "signal", each(1, nothing), each(1, fires(1, true)), fail},
		{"fires where nothing was expected", "signal", each(1, nothing), each(1, fires(2, true)), pass},
		{"a false alarm", "signal", each(1, nothing), each(1, func(a *result.Arm) { a.Signals[1].BaselineFirings = 1 }),
			fail},
		{"false alarms of a signal of which nothing is expected", "signal", each(1, nothing),
			each(1, func(a *result.Arm) { a.Signals[2].BaselineFirings = 1 }), pass},
		{"does not clear", "signal", each(1, nothing), each(1, func(a *result.Arm) { a.Signals[0].Cleared = false }),
			pass},
		{"slower", "detection", spread(5, 1200, detect), spread(5, 1300, detect), fail},
		{"quicker", "detection", spread(5, 1300, detect), spread(5, 1200, detect), pass},

		{"lower", "goodput", spread(5, 100, after), spread(5, 90, after), fail},
		{"higher", "goodput", spread(5, 90, after), spread(5, 100, after), pass},
		{"lower by less than what counts", "goodput>12%", spread(5, 100, after), spread(5, 90, after), pass},
		{"lower by more than what counts", "goodput>8%", spread(5, 100, after), spread(5, 90, after), fail},
		{"three repeats are too few", "goodput", spread(3, 100, after), spread(3, 50, after), open},
		{"one run each", "goodput", spread(1, 100, after), spread(1, 50, after), open},
		{"one run each, and almost nothing is left", "goodput", []result.Arm{share(1.04, 0.98, 1.11)},
			[]result.Arm{share(0.001, 0, 0.02)}, fail},
		{"one run each, and as much more", "goodput", []result.Arm{share(0.001, 0, 0.02)},
			[]result.Arm{share(1.04, 0.98, 1.11)}, pass},
		{"three runs each, all of them far from all others", "goodput",
			[]result.Arm{share(1.04, 0.98, 1.11), share(1.02, 0.97, 1.1), share(1, 0.96, 1.05)},
			[]result.Arm{share(0.4, 0.35, 0.48), share(0.3, 0.25, 0.33), share(0.31, 0.26, 0.34)}, fail},
		{"three runs each, and one of them is not", "goodput",
			[]result.Arm{share(1.04, 0.98, 1.11), share(1.02, 0.97, 1.1), share(1, 0.96, 1.05)},
			[]result.Arm{share(0.4, 0.35, 0.49), share(0.3, 0.25, 0.33), share(0.31, 0.26, 0.34)}, open},
		{"one run each, and apart as the machine may bring about", "goodput", []result.Arm{share(2.22, 2.04, 2.42)},
			[]result.Arm{share(1.4, 1.28, 1.54)}, open},
		{"one run each, and apart as what a few grants leave may be", "goodput", []result.Arm{share(0.23, 0.12, 0.45)},
			[]result.Arm{share(0.004, 0.002, 0.01)}, open},
		{"one run each, far apart, and within what counts", "goodput>70%", []result.Arm{share(1.04, 0.98, 1.11)},
			[]result.Arm{share(0.4, 0.35, 0.45)}, open},
		{"one run each, and the same", "goodput", spread(1, 100, after), spread(1, 100, after), pass},
		{"overlapping", "goodput", spread(5, 100, after), spread(5, 100.2, after), pass},

		{"back later", "recovery", spread(5, 200, back), spread(5, 300, back), fail},
		{"never back is latest", "recovery", spread(5, 200, back), each(5, never), fail},
		{"never back before either", "recovery", each(5, never), each(5, never), pass},
		{"never back is beyond every bound", "recovery>900%", spread(5, 200, back), each(5, never), fail},

		{"slower answers", "latency", spread(5, 140, p99), spread(5, 150, p99), fail},
		{"the longest answer is luck", "latency", spread(5, 140, max), spread(5, 900, max), pass},

		{"none", "none", verdicts(result.Cured), verdicts(result.NoEffect), pass},
		{"any", "any", verdicts(times(5, result.Cured)...), verdicts(times(5, result.NoEffect)...), fail},
	} {
		limits, err := ParseRules([]string{c.rule})
		if err != nil {
			t.Fatal(err)
		}
		if got := Runs(run(c.before...), run(c.after...), limits); got.Outcome != c.want {
			t.Errorf("%s: %s: %s (%s), want %s", c.rule, c.name, got.Outcome, got.Answer, c.want)
		}
	}
}

func TestArmsClaimsAndEnds(t *testing.T) {
	all, _ := ParseRules([]string{"any"})
	with := func(change func(*result.Run)) Side {
		s := run(arm())
		change(s.Run)
		return s
	}
	for _, c := range []struct {
		name   string
		rules  string
		after  Side
		want   result.Outcome
		answer string
	}{
		{"the same", "any", run(arm()), result.Pass, "no regression in 1 arm"},
		{"a claim changed", "claim", with(func(r *result.Run) { r.Claims[0].Verdict = "refuted" }), result.Fail,
			"regression: claim (1 changed)"},
		{"a claim is not tested any more", "claim", with(func(r *result.Run) { r.Claims[0].Verdict = result.Untested }),
			result.Pass, "no regression"},
		{"one more arm", "missing", with(func(r *result.Run) {
			a := arm()
			a.Name = "new"
			r.Scenarios[0].Arms = append(r.Scenarios[0].Arms, a)
		}), result.Pass, "no regression in 1 arm"},
		{"no arm in common", "verdict", with(func(r *result.Run) { r.Scenarios[0].Name = "other" }),
			result.Inconclusive, "no arm in common"},
		{"cut short", "verdict", with(func(r *result.Run) { r.Status = result.Interrupted }), result.Inconclusive,
			"the second run was interrupted"},
		{"cut short, and nothing was asked", "none", with(func(r *result.Run) { r.Status = result.Interrupted }),
			result.Pass, "no rule was asked for"},
		{"no arms at all", "none", with(func(r *result.Run) { r.Scenarios = nil }), result.Inconclusive,
			"no arm in common"},
	} {
		limits, _ := ParseRules([]string{c.rules})
		if got := Runs(run(arm()), c.after, limits); got.Outcome != c.want || !strings.Contains(got.Answer, c.answer) {
			t.Errorf("%s: %s, %q", c.name, got.Outcome, got.Answer)
		}
	}
	two := run(arm(), arm(func(a *result.Arm) { a.Name = "gone" }))
	got := Runs(two, run(arm()), all)
	if got.Outcome != result.Fail || got.Answer != "regression: missing (1 worse)" {
		t.Errorf("%s, %q", got.Outcome, got.Answer)
	}
}

// What has no need to be the same is said, and what makes the runs incomparable said
// so.
func TestEnvironment(t *testing.T) {
	before, after := run(arm()), run(arm())
	before.Texts, after.Texts = map[string]string{"s": "a\nb\n"}, map[string]string{"s": "a\nc\n"}
	after.Run.Environment.GoRedis, after.Run.Environment.CPUs = "v9.24.0", 8
	got := Runs(before, after, nil).Environment
	want := []Difference{
		{"go-redis", "v9.23.0", "v9.24.0", false}, {"cores", "2", "8", true},
		{"scenario s", "2 lines", "other text from line 2: c", true},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

// How much a figure differs, and what can be said of a single run of each.
func TestWords(t *testing.T) {
	ratio := func(mid, low, high float64) result.Arm {
		return arm(func(a *result.Arm) {
			a.Recovery = &result.Recovery{Ratio: mid, Low: low, High: high, RestoredAfterMS: num(1)}
		})
	}
	find := func(c *Comparison, what string) Row {
		i := slices.IndexFunc(c.Rows, func(r Row) bool { return r.What == what })
		if i < 0 {
			t.Fatalf("no %s", what)
		}
		return c.Rows[i]
	}
	r := find(Runs(run(ratio(1.06, 1, 1.12)), run(ratio(0.8, 0.75, 0.86)), nil), "goodput of the baseline")
	if r.Before != "106% (100-112)" || r.After != "80% (75-86)" || !r.Apart || r.Finding != Unclear ||
		r.Difference() != "-24.5%" ||
		r.Because != "the 95% intervals of the two do not overlap; 1 repeat and 1 are too few to tell from noise, 4 each would be enough" {
		t.Errorf("%+v", r)
	}
	if r := find(Runs(run(ratio(1.06, 1, 1.12)), run(ratio(1, 0.9, 1.1)), nil), "goodput of the baseline"); r.Apart {
		t.Errorf("%+v", r)
	}
	set := func(a *result.Arm, v float64) { a.Goodput.After = &v }
	r = find(Runs(run(spread(5, 100, set)...), run(spread(5, 90, set)...), nil), "goodput after")
	if r.Before != "100/s (100-101)" || r.After != "90.4/s (90-90.7)" || r.Finding != Worse ||
		r.Difference() != "-10% (-10.6 to -9.44)" ||
		r.Because != "beyond noise: p 0.0079 over 1 figure" {
		t.Errorf("%+v %s", r, r.Difference())
	}
	flaps := Runs(run(verdicts(append(times(19, result.Cured), result.Relapsed)...)...),
		run(verdicts(times(20, result.Cured)...)...), nil)
	if r := find(flaps, "verdict"); r.Before != "cured 19/20, relapsed 1/20" || r.After != "cured 20/20" ||
		r.Finding != Noise {
		t.Errorf("%+v", r)
	}
}

// A list of rules of one's own leaves out the default ones, and what these would have
// found is said.
func TestWhatIsNotGatedIsSaid(t *testing.T) {
	limits, err := ParseRules([]string{"goodput>5%"})
	if err != nil {
		t.Fatal(err)
	}
	c := Runs(run(verdicts(result.Cured)...), run(verdicts(result.Relapsed)...), limits)
	if c.Outcome != result.Pass ||
		c.Answer != "no regression in 1 arm, by goodput>5%; not gated: verdict worse in 1 arm (rule verdict not asked for)" {
		t.Errorf("%s, %q", c.Outcome, c.Answer)
	}
	want := []string{"verdict worse in 1 arm (rule verdict not asked for)",
		"outcome, unsafe, missing, by which nothing is worse"}
	if got := c.Passed(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	limits, _ = ParseRules([]string{"+goodput>5%"})
	c = Runs(run(verdicts(result.Cured)...), run(verdicts(result.Relapsed)...), limits)
	if c.Outcome != result.Fail || len(c.Passed()) != 0 ||
		!strings.HasPrefix(c.Answer, "regression: verdict (1 worse)") {
		t.Errorf("%s, %q, %q", c.Outcome, c.Answer, c.Passed())
	}
	changed := run(arm())
	changed.Run.Claims[0].Verdict = "refuted"
	if c := Runs(run(arm()), changed, Default()); !slices.Contains(c.Passed(),
		"the verdict on 1 claim changed (rule claim not asked for)") {
		t.Errorf("%q", c.Passed())
	}
}

func TestParseRules(t *testing.T) {
	for _, c := range []struct {
		words []string
		want  string // the rules, or the error
	}{
		{[]string{"verdict", "goodput>10%"}, "verdict, goodput>10%"},
		{[]string{" verdict ", "verdict"}, "verdict"},
		{[]string{"goodput>2.5%"}, "goodput>2.5%"},
		{[]string{"none"}, ""},
		{[]string{"+goodput>5%"}, "verdict, outcome, unsafe, missing, goodput>5%"},
		{[]string{" +goodput>5%", "+recovery"}, "verdict, outcome, unsafe, missing, goodput>5%, recovery"},
		{[]string{"+verdict"}, "verdict, outcome, unsafe, missing"},
		{[]string{"+goodput>5%", "recovery"},
			`"+goodput>5%,recovery": a rule with + is added to the default, one without replaces it: write all of them one way`},
		{[]string{"+none"}, "+none adds nothing: leave it out"},
		{[]string{"+verdikt"}, "no rule is called \"verdikt\"; there are: verdict, outcome, unsafe, signal, claim, missing, goodput, recovery, latency, detection, faults, any, none"},
		{[]string{"any", "goodput>10%"},
			"verdict, outcome, unsafe, signal, claim, missing, goodput>10%, recovery, latency, detection, faults"},
		{[]string{"goodput>10%", "any"},
			"goodput>10%, verdict, outcome, unsafe, signal, claim, missing, recovery, latency, detection, faults"},
		{[]string{"verdikt"}, "no rule is called \"verdikt\"; there are: verdict, outcome, unsafe, signal, claim, missing, goodput, recovery, latency, detection, faults, any, none"},
		{[]string{"verdict>10%"}, `"verdict>10%": verdict has no figures that a bound could be for`},
		{[]string{"any>10%"}, `"any>10%": any has no figures that a bound could be for`},
		{[]string{"goodput>10"}, `"goodput>10": want goodput>N%, N from 0 to 1000`},
		{[]string{"goodput>NaN%"}, `"goodput>NaN%": want goodput>N%, N from 0 to 1000`},
		{[]string{"goodput>-1%"}, `"goodput>-1%": want goodput>N%, N from 0 to 1000`},
		{[]string{"none", "verdict"}, "none stands alone: leave it out, or the others"},
		{nil, "no rule is named: none compares without one"},
	} {
		limits, err := ParseRules(c.words)
		var got []string
		for _, l := range limits {
			got = append(got, l.String())
		}
		said := strings.Join(got, ", ")
		if err != nil {
			said = err.Error()
		}
		if said != c.want {
			t.Errorf("%q: %q, want %q", c.words, said, c.want)
		}
	}
}

// A random run of a few arms, all of one mind about what is no figure.
func drawRun(t *rapid.T) Side {
	s := Side{Run: &result.Run{Status: result.Completed}}
	repeats := rapid.IntRange(1, 6).Draw(t, "repeats")
	for _, name := range []string{"a", "b"} {
		verdict := rapid.SampledFrom(result.Verdicts).Draw(t, "verdict")
		fired, unsafe := rapid.Bool().Draw(t, "fired"), rapid.Bool().Draw(t, "unsafe")
		sc := result.Scenario{Name: name}
		for i := range repeats {
			sc.Arms = append(sc.Arms, arm(func(a *result.Arm) {
				a.Repeat, a.Verdict, a.Unsafe = i+1, verdict, unsafe
				a.Goodput.After = num(float64(rapid.IntRange(0, 5).Draw(t, "goodput")))
				a.Signals[0].Fired, a.Signals[0].DetectMS = fired, num(rapid.Float64Range(0, 2000).Draw(t, "detect"))
				if rapid.Bool().Draw(t, "never") {
					a.Recovery.RestoredAfterMS = nil
				}
			}))
		}
		s.Run.Scenarios = append(s.Run.Scenarios, sc)
	}
	return s
}

func TestARunComparedWithItselfIsTheSame(t *testing.T) {
	all, _ := ParseRules([]string{"any"})
	rapid.Check(t, func(t *rapid.T) {
		s := drawRun(t)
		c := Runs(s, s, all)
		if c.Outcome != result.Pass || len(c.Environment) > 0 {
			t.Errorf("%s", c.Answer)
		}
		for _, r := range c.Rows {
			if r.Finding != Same && r.Finding != Noise || r.Before != r.After {
				t.Errorf("%+v", r)
			}
		}
	})
}

// What is worse from here to there is better from there to here.
func TestDirectionsMirror(t *testing.T) {
	opposite := map[Finding]Finding{Worse: Better, Better: Worse, Same: Same, Noise: Noise, Changed: Changed,
		Unclear: Unclear}
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawRun(t), drawRun(t)
		there, back := Runs(a, b, nil), Runs(b, a, nil)
		for i, r := range there.Rows {
			if s := back.Rows[i]; s.What != r.What || s.Finding != opposite[r.Finding] {
				t.Errorf("%s: %s %s -> %s, and back: %s", r.What, r.Finding, r.Before, r.After, s.Finding)
			}
		}
	})
}

// Runs of the same thing, whose figures are all drawn alike: in at most one of twenty
// does a rule find something.
func TestNoiseIsNoRegression(t *testing.T) {
	luck := rand.New(rand.NewPCG(7, 11))
	noisy := func(repeats int) Side {
		s := Side{Run: &result.Run{Status: result.Completed}}
		for range 4 {
			sc := result.Scenario{Name: string(rune('a' + len(s.Run.Scenarios)))}
			for range repeats {
				sc.Arms = append(sc.Arms, arm(func(a *result.Arm) {
					// Skewed, tied, with outliers, as what is measured is.
					a.Goodput.Before = num(100 + luck.NormFloat64())
					a.Goodput.After = num(float64(luck.IntN(4)))
					a.Recovery.RestoredAfterMS = num(100 * float64(luck.IntN(3)))
					a.Phases = []result.Phase{{Name: "baseline", Operations: result.Operations{OK: 1},
						ResponseMS: result.Percentiles{P50: 80 + luck.ExpFloat64(),
							P99: 100 / (0.01 + luck.Float64())}}}
					a.Signals[0].DetectMS = num(1000 + 100*luck.ExpFloat64())
					a.Safety.Overlaps = int64(luck.IntN(50))
				}))
			}
			s.Run.Scenarios = append(s.Run.Scenarios, sc)
		}
		return s
	}
	const rounds, repeats = 200, 6
	found := map[Rule]int{}
	for range rounds {
		c := Runs(noisy(repeats), noisy(repeats), nil)
		seen := map[Rule]bool{}
		for _, r := range c.Rows {
			if (r.Finding == Better || r.Finding == Worse) && !seen[r.Rule] {
				seen[r.Rule] = true
				found[r.Rule]++
			}
		}
	}
	t.Logf("%d comparisons: %v", rounds, found)
	for rule, n := range found {
		if n > 10+9 { // 5%, and three standard errors of chance
			t.Errorf("%s found something in %d of %d comparisons", rule, n, rounds)
		}
	}
}

func TestRunInfo(t *testing.T) {
	s := run(arm())
	s.Run.Started = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s.Run.Environment.Servers = []result.Server{{Version: "redis 7"}, {Version: "valkey 9"}}
	if got := Runs(s, s, nil).Before; got.Server != "redis 7, valkey 9" || got.Arms != 1 || got.GoRedis != "v9.23.0" {
		t.Errorf("%+v", got)
	}
}
