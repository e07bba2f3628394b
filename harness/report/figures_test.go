package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/report/markdown"
	"github.com/lockjam/lockjam/harness/report/sample"
	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/runbook"
)

// The time that a signal takes is the median of the same arms in the scorecard, in the
// overview and in the table of the scenario.
func TestTimesToDetectAgree(t *testing.T) {
	arm := func(name, prevention string, reproduced bool, ms float64) result.Arm {
		return result.Arm{Name: name, Prevention: prevention, Reproduced: &reproduced, Outcome: result.Pass, Repeat: 1,
			Signals: []result.Signal{{Name: "client-saturation", Expected: "fire", Fired: true, DetectMS: &ms,
				Met: true}}}
	}
	r := sample.Run()
	r.Scenarios = []result.Scenario{{Name: "s", Claims: []string{"A1"}, Arms: []result.Arm{
		arm("control", "", true, 1000), arm("cure", "", true, 2000), arm("kept", "ttl", true, 9000),
		arm("odd", "", false, 9000)}}}
	r.Claims = runbook.Scorecard(r)
	md := markdownOf(t, r)
	for _, want := range []string{"It fires in s (after 1.5 s).", "| s | 1500 ms |",
		"| client-saturation | - | fire | 2 of 2 | 1500 ms |"} {
		if !strings.Contains(md, want) {
			t.Errorf("no %q in\n%s", want, md)
		}
	}
}

func markdownOf(t *testing.T, r *result.Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := markdown.Write(&b, view.Of(r)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
