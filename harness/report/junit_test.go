package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/joshdk/go-junit"

	"github.com/lockjam/lockjam/harness"
)

// What a CI server's parser makes of a run: it is a failure where an expectation was
// not met, skipped where nothing can be said, and passes otherwise.
func TestJUnit(t *testing.T) {
	detect := 95.0
	arm := func(name string, o harness.Outcome, reasons ...string) harness.ArmResult {
		return harness.ArmResult{
			Name: name, Remedy: "restart-server", Repeat: 1, Reproduced: yes(), Outcome: o, Reasons: reasons, Verdict: harness.Relapsed, Expected: harness.Cured,
			Phases: []harness.PhaseResult{{EndMS: 2500}},
			Signals: []harness.SignalResult{
				{Name: "client-saturation", Expected: "fire", Met: true, Fired: true, DetectMS: &detect},
				{Name: "goodput-collapse", Expected: "silent", Met: o == harness.Pass, Fired: true, Figures: map[string]float64{"goodput_per_s": 12}},
				{Name: "deadlock", Expected: "any", Met: true},
				{Name: "lock-set-retries", Expected: "fire", Unavailable: "the user may not run MONITOR"},
			},
		}
	}
	silent, verdict := "signal goodput-collapse was to stay silent and fired after 95 ms", "remedy restart-server was expected to be cured and was relapsed <&\x01"
	r := &harness.Run{ID: "x", Status: harness.Completed, Scenarios: []harness.ScenarioResult{{Name: "s", Arms: []harness.ArmResult{
		arm("good", harness.Pass), arm("bad", harness.Fail, silent, verdict), arm("unclear", harness.Inconclusive, silent, "the machine was too busy"),
	}}}}
	var b bytes.Buffer
	if err := JUnit(&b, r); err != nil {
		t.Fatal(err)
	}
	suites, err := junit.Ingest(b.Bytes())
	if err != nil || len(suites) != 3 {
		t.Fatalf("%v, %d suites:\n%s", err, len(suites), &b)
	}
	for i, want := range []junit.Totals{{Tests: 4, Passed: 3, Skipped: 1}, {Tests: 4, Passed: 1, Skipped: 1, Failed: 2}, {Tests: 4, Passed: 1, Skipped: 3}} {
		got := suites[i].Totals
		if got.Tests != want.Tests || got.Passed != want.Passed || got.Skipped != want.Skipped || got.Failed != want.Failed {
			t.Errorf("%s: %+v, want %+v", suites[i].Name, got, want)
		}
	}
	for _, want := range []struct{ name, message string }{
		{"signal goodput-collapse: silent", silent}, {"remedy restart-server: cured", strings.TrimSuffix(verdict, "\x01")},
	} {
		found := false
		for _, c := range suites[1].Tests {
			found = found || c.Name == want.name && c.Message == want.message
		}
		if !found {
			t.Errorf("no case %q says %q:\n%s", want.name, want.message, &b)
		}
	}
}

// A run that was cut short is not green for want of arms that failed.
func TestJUnitOfARunThatWasCutShort(t *testing.T) {
	var b bytes.Buffer
	if err := JUnit(&b, &harness.Run{ID: "x", Status: harness.Interrupted, Because: "interrupted by SIGINT"}); err != nil {
		t.Fatal(err)
	}
	suites, err := junit.Ingest(b.Bytes())
	if err != nil || len(suites) != 1 || suites[0].Totals.Failed != 1 || !strings.Contains(b.String(), "the run was interrupted: interrupted by SIGINT") {
		t.Errorf("%v\n%s", err, &b)
	}
}
