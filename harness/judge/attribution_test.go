package judge

import (
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/result"
)

// A cure is due to whatever nothing else explains.
func TestCredit(t *testing.T) {
	yes := true
	control := func(v, expected result.Verdict) result.Arm {
		return result.Arm{Name: "control", Remedy: "none", Repeat: 1, Outcome: result.Pass, Reproduced: &yes,
			Verdict: v, Expected: expected}
	}
	remedy := func(name string, v result.Verdict, against ...string) result.Arm {
		return result.Arm{Name: name, Remedy: "restart-server", Repeat: 1, Outcome: result.Pass, Verdict: v,
			Against: against}
	}
	after := func(ms float64, a result.Arm) result.Arm {
		a.Recovery = &result.Recovery{RestoredAfterMS: &ms}
		return a
	}
	unsafe := func(a result.Arm) result.Arm { a.Unsafe = true; return a }
	for _, c := range []struct {
		name    string
		arms    []result.Arm // the last one is looked at
		earned  bool
		outcome result.Outcome
		because string
	}{
		{"nothing came back by itself", []result.Arm{control(result.NoEffect, ""), remedy("a", result.Cured)}, true,
			result.Pass, "Without it (control) nothing came back."},
		{"it came back by itself", []result.Arm{control(result.Cured, ""), remedy("a", result.Cured)}, false,
			result.Inconclusive, "it earns no credit"},
		{"it came back by itself, as is known",
			[]result.Arm{control(result.Cured, result.Cured), remedy("a", result.Cured)}, false, result.Pass,
			"it earns no credit"},
		{"it comes back by itself, later",
			[]result.Arm{after(1200, control(result.Cured, result.Cured)), after(600, remedy("a", result.Cured))}, true,
			result.Pass, "was over as well, after 1.2 s"},
		{"it comes back by itself, as soon",
			[]result.Arm{after(1200, control(result.Cured, result.Cured)), after(700, remedy("a", result.Cured))},
			false, result.Pass, "it earns no credit"},
		{"it came back by itself, later",
			[]result.Arm{after(1200, control(result.Cured, "")), after(100, remedy("a", result.Cured))}, false,
			result.Inconclusive, "it earns no credit"},
		// What comes and goes by itself is not cured by that.
		{"it relapses by itself, as is known",
			[]result.Arm{control(result.Relapsed, result.Relapsed), remedy("a", result.Cured)}, true, result.Pass,
			"was relapsed and no more"},
		{"nothing is known of the control", []result.Arm{control("", ""), remedy("a", result.Cured)}, false,
			result.Pass, "not proved"},
		{"better, but not cured", []result.Arm{control(result.NoEffect, ""), remedy("a", result.Partial)}, true,
			result.Pass, "nothing came back"},
		{"a part of it does as much", []result.Arm{control(result.NoEffect, ""), remedy("raise", result.Cured),
			remedy("restart", result.Relapsed), remedy("a", result.Cured, "raise", "restart")},
			true, result.Pass, "raise alone did as much; restart (relapsed) did not: the credit is due to raise."},
		{"a part of it does as much without the harm",
			[]result.Arm{control(result.NoEffect, ""), remedy("raise", result.Cured),
				unsafe(remedy("a", result.Cured, "raise"))},
			true, result.Pass, "raise alone did as much, safely: the credit is due to raise."},
		{"the same without what is new does not",
			[]result.Arm{control(result.NoEffect, ""), remedy("same", result.Relapsed),
				remedy("a", result.Cured, "same")},
			true, result.Pass, "same (relapsed) did not: the credit is due to what this arm has beyond that."},
		// An arm that was not run is no comparison.
		{"its part was not run", []result.Arm{control(result.NoEffect, ""), remedy("a", result.Cured, "raise")}, true,
			result.Pass, "nothing came back."},
	} {
		t.Run(c.name, func(t *testing.T) {
			attribute(c.arms)
			a := c.arms[len(c.arms)-1]
			if a.Credit == nil || a.Credit.Earned != c.earned || a.Outcome != c.outcome ||
				!strings.Contains(a.Credit.Because, c.because) {
				t.Errorf("%s, %+v; want earned %v, %s, %q", a.Outcome, a.Credit, c.earned, c.outcome, c.because)
			}
		})
	}
	lost := []result.Arm{control(result.NoEffect, ""), remedy("a", result.Relapsed)}
	if attribute(lost); lost[1].Credit != nil {
		t.Errorf("credit for nothing: %+v", lost[1].Credit)
	}
}
