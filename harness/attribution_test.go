package harness

import (
	"strings"
	"testing"
)

// A cure is due to whatever nothing else explains.
func TestCredit(t *testing.T) {
	yes := true
	control := func(v, expected Verdict) ArmResult {
		return ArmResult{Name: "control", Remedy: "none", Repeat: 1, Outcome: Pass, Reproduced: &yes, Verdict: v, Expected: expected}
	}
	remedy := func(name string, v Verdict, against ...string) ArmResult {
		return ArmResult{Name: name, Remedy: "restart-server", Repeat: 1, Outcome: Pass, Verdict: v, Against: against}
	}
	unsafe := func(a ArmResult) ArmResult { a.Unsafe = true; return a }
	for _, c := range []struct {
		name    string
		arms    []ArmResult // the last one is looked at
		earned  bool
		outcome Outcome
		because string
	}{
		{"nothing came back by itself", []ArmResult{control(NoEffect, ""), remedy("a", Cured)}, true, Pass, "Without it (control) nothing came back."},
		{"it came back by itself", []ArmResult{control(Cured, ""), remedy("a", Cured)}, false, Inconclusive, "it earns no credit"},
		{"it came back by itself, as is known", []ArmResult{control(Cured, Cured), remedy("a", Cured)}, false, Inconclusive, "it earns no credit"},
		// What comes and goes by itself is not cured by that.
		{"it relapses by itself, as is known", []ArmResult{control(Relapsed, Relapsed), remedy("a", Cured)}, true, Pass, "was relapsed and no more"},
		{"nothing is known of the control", []ArmResult{control("", ""), remedy("a", Cured)}, false, Pass, "not proved"},
		{"better, but not cured", []ArmResult{control(NoEffect, ""), remedy("a", Partial)}, true, Pass, "nothing came back"},
		{"a part of it does as much", []ArmResult{control(NoEffect, ""), remedy("raise", Cured), remedy("restart", Relapsed), remedy("a", Cured, "raise", "restart")},
			true, Pass, "raise alone did as much; restart (relapsed) did not: the credit is due to raise."},
		{"a part of it does as much without the harm", []ArmResult{control(NoEffect, ""), remedy("raise", Cured), unsafe(remedy("a", Cured, "raise"))},
			true, Pass, "raise alone did as much, safely: the credit is due to raise."},
		{"the same without what is new does not", []ArmResult{control(NoEffect, ""), remedy("same", Relapsed), remedy("a", Cured, "same")},
			true, Pass, "same (relapsed) did not: the credit is due to what this arm has beyond that."},
		// An arm that was not run is no comparison.
		{"its part was not run", []ArmResult{control(NoEffect, ""), remedy("a", Cured, "raise")}, true, Pass, "nothing came back."},
	} {
		t.Run(c.name, func(t *testing.T) {
			attribute(c.arms)
			a := c.arms[len(c.arms)-1]
			if a.Credit == nil || a.Credit.Earned != c.earned || a.Outcome != c.outcome || !strings.Contains(a.Credit.Because, c.because) {
				t.Errorf("%s, %+v; want earned %v, %s, %q", a.Outcome, a.Credit, c.earned, c.outcome, c.because)
			}
		})
	}
	lost := []ArmResult{control(NoEffect, ""), remedy("a", Relapsed)}
	if attribute(lost); lost[1].Credit != nil {
		t.Errorf("credit for nothing: %+v", lost[1].Credit)
	}
}
