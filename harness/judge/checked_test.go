package judge

import (
	"slices"
	"testing"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/scenario"
)

// What a scenario expects nothing of is a finding: it is told from what was as expected.
func TestWhatIsNotExpectedIsNotChecked(t *testing.T) {
	unsafe := false
	fire := map[string]scenario.Signal{"goodput-collapse": {Expect: scenario.Fire}}
	any := map[string]scenario.Signal{"goodput-collapse": {Expect: scenario.Any}}
	for _, c := range []struct {
		name    string
		signals map[string]scenario.Signal
		expect  scenario.ArmExpect
		want    string
		checked []string
	}{
		{"nothing at all", nil, scenario.ArmExpect{}, "not checked", []string{}},
		{"a signal of which nothing is expected", any, scenario.ArmExpect{}, "not checked", []string{}},
		{"a signal", fire, scenario.ArmExpect{}, "not checked beyond signals", []string{"signals"}},
		{"the verdict", nil, scenario.ArmExpect{Verdict: "cured"}, "yes", []string{"verdict"}},
		{"safety alone", nil, scenario.ArmExpect{Unsafe: &unsafe}, "yes, verdict not checked", []string{"safety"}},
		{"all of it", fire, scenario.ArmExpect{Verdict: "cured", Unsafe: &unsafe}, "yes",
			[]string{"verdict", "safety", "signals"}},
		{"another verdict", nil, scenario.ArmExpect{Verdict: "relapsed"}, "NO", []string{"verdict"}},
	} {
		sc, arm := testScenario()
		sc.Signals, arm.Expect = c.signals, c.expect
		r := Judge(sc, arm, newLiteral().work(0, second, 200).work(3*second, 6*second, 200).sampled())
		if got := r.AsExpected(); got != c.want || !slices.Equal(r.Checked, c.checked) {
			t.Errorf("%s: %q, checked %q (%s %v); want %q, %q", c.name, got, r.Checked, r.Verdict, r.Reasons, c.want,
				c.checked)
		}
	}
	// Recorded before there was the list.
	old := result.Arm{Outcome: result.Pass, Verdict: result.Relapsed}
	if got := old.AsExpected(); got != "yes, verdict not checked" {
		t.Errorf("%q", got)
	}
	old.Expected = result.Relapsed
	if got := old.AsExpected(); got != "yes" {
		t.Errorf("%q", got)
	}
	broken := result.Arm{Outcome: result.Pass, Verdict: result.Cured, Expected: result.Cured, Unsafe: true,
		Checked: []string{result.CheckedVerdict}, Attempts: 2}
	if got := broken.AsExpected(); got != "yes, at attempt 2, safety not checked" {
		t.Errorf("%q", got)
	}
}
