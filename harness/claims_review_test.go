package harness

import (
	"strings"
	"testing"
)

func TestScorecardOnReviewing(t *testing.T) {
	rate := 80.0
	control := func(fires bool) ArmResult {
		a := armWith("lock-set-retries", fires)
		a.FaultsPerS = &Goodput{During: &rate}
		return a
	}
	token := func(v Verdict, faults int64) ArmResult {
		return ArmResult{Name: "token", Remedy: "none", Prevention: "token", Claim: "C3", Verdict: v, Unsafe: faults > 0, Safety: Safety{Overlaps: faults}}
	}
	for _, c := range []struct {
		name          string
		arms          []ArmResult
		verdict, says string
	}{
		{"nothing shows it, and it helps", []ArmResult{control(false), token(Mitigated, 6)}, Confirmed,
			"It finds what no signal shows in x (80 safety faults a second, and none of 1 signals fired); it helps to ask for token in x (mitigated, 6 faults)."},
		{"a signal shows it too", []ArmResult{control(true), token(Prevented, 0)}, Conditional, "it is not the only way to see it in x"},
		{"nothing shows it, and it does not help", []ArmResult{control(false), token(NotPrevented, 60)}, Conditional, "it does not help to ask for token in x"},
		{"a signal shows it, and it does not help", []ArmResult{control(true), token(NotPrevented, 60)}, Refuted, "lock-set-retries fired"},
		// Goodput is what is lost: there was nothing to be seen in the release.
		{"another failure", []ArmResult{armWith("lock-set-retries", false), token(Mitigated, 1)}, Untested, "No control arm of this run breaks safety"},
		{"nothing at all", nil, Untested, noArm},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := card(t, "C3", failing("x", c.arms...))
			if got.Verdict != c.verdict || !strings.Contains(strings.ToLower(got.Because), strings.ToLower(c.says)) {
				t.Errorf("%s because %s; want %s, %q", got.Verdict, got.Because, c.verdict, c.says)
			}
		})
	}
}
