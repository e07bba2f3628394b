package runbook

import (
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/result"
)

func TestScorecardOnReviewing(t *testing.T) {
	rate := 80.0
	control := func(fires bool) result.Arm {
		a := armWith("lock-set-retries", fires)
		a.FaultsPerS = &result.Goodput{During: &rate}
		return a
	}
	token := func(v result.Verdict, faults int64) result.Arm {
		return result.Arm{Name: "token", Remedy: "none", Prevention: "token", Claim: "C3", Verdict: v,
			Unsafe: faults > 0, Safety: result.Safety{Overlaps: faults}}
	}
	for _, c := range []struct {
		name          string
		arms          []result.Arm
		verdict, says string
	}{
		{"nothing shows it, and it helps", []result.Arm{control(false), token(result.Mitigated, 6)}, result.Confirmed,
			"It finds what no signal shows in x (80 safety violations a second, and none of 1 signals fired); it helps to ask for token in x (mitigated, 6 violations)."},
		{"a signal shows it too", []result.Arm{control(true), token(result.Prevented, 0)}, result.Conditional,
			"it is not the only way to see it in x"},
		{"nothing shows it, and it does not help", []result.Arm{control(false), token(result.NotPrevented, 60)},
			result.Conditional, "it does not help to ask for token in x"},
		{"a signal shows it, and it does not help", []result.Arm{control(true), token(result.NotPrevented, 60)},
			result.Refuted, "lock-set-retries fired"},
		// Goodput is what is lost: there was nothing to be seen in the release.
		{"another failure", []result.Arm{armWith("lock-set-retries", false), token(result.Mitigated, 1)},
			result.Untested, "No control arm of this run breaks safety"},
		{"nothing at all", nil, result.Untested, "No arm of this run bears on it."},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := card(t, "C3", failing("x", c.arms...))
			if got.Verdict != c.verdict || !strings.Contains(strings.ToLower(got.Because), strings.ToLower(c.says)) {
				t.Errorf("%s because %s; want %s, %q", got.Verdict, got.Because, c.verdict, c.says)
			}
		})
	}
}
