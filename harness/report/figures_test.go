package report

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/runbook"
	"github.com/lockjam/lockjam/harness/rundir"
)

// A figure that stands in a sentence and in a table of a report is the same in both, to
// the digit: over every arm of the recorded catalogue that has an interval in both.
func TestSentencesAndTablesAgree(t *testing.T) {
	r, err := rundir.Load("../../results/reference")
	if err != nil {
		t.Fatal(err)
	}
	var md bytes.Buffer
	if err := markdownWithin(&md, r, 1<<20); err != nil {
		t.Fatal(err)
	}
	interval := regexp.MustCompile(`(\d+)% of the baseline \(95% interval (\d+) to (\d+)%\)`)
	level := regexp.MustCompile(`Goodput was (\d+)% of the baseline: `)
	back := regexp.MustCompile(`was back after (\d+\.\d s)`)
	compared := 0
	for _, one := range rows(r) {
		because := one.repeats[0].Because
		line := fmt.Sprintf("| %s | %s | ", one.scenario, one.arm)
		_, cells, found := strings.Cut(md.String(), line)
		if cells, _, _ = strings.Cut(cells, "\n"); !found || !strings.Contains(md.String(), because) {
			t.Errorf("%s/%s: no line in the table, or no sentence", one.scenario, one.arm)
		}
		if m := interval.FindStringSubmatch(because); m != nil {
			compared++
			if want := fmt.Sprintf("| %s%% (%s-%s) |", m[1], m[2], m[3]); !strings.Contains(cells, want) {
				t.Errorf("%s/%s: %q in the table, and in the text %q", one.scenario, one.arm, cells, because)
			}
		}
		if m := level.FindStringSubmatch(because); m != nil && !strings.Contains(cells, "| "+m[1]+"% (") && !strings.Contains(cells, "| "+m[1]+"% |") {
			t.Errorf("%s/%s: %q in the table, and in the text %q", one.scenario, one.arm, cells, because)
		}
		if m := back.FindStringSubmatch(because); m != nil && one.repeats[0].Verdict == result.Cured && !strings.Contains(cells, "| "+m[1]+" |") {
			t.Errorf("%s/%s: %q in the table, and in the text %q", one.scenario, one.arm, cells, because)
		}
	}
	if compared < 45 {
		t.Errorf("%d intervals compared", compared)
	}
	// Goodput of the baseline stands in the table of arms, in that of phases and in the chart.
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			for _, p := range a.Phases {
				if p.Name == "baseline" && p.GoodputPerS != *a.Goodput.Before {
					t.Errorf("%s/%s: %v/s in the baseline's phase, %v/s before", sc.Name, a.Name, p.GoodputPerS, *a.Goodput.Before)
				}
			}
		}
	}
}

// The time that a signal takes is the median of the same arms in the scorecard, in the
// overview and in the table of the scenario.
func TestTimesToDetectAgree(t *testing.T) {
	arm := func(name, prevention string, reproduced bool, ms float64) result.Arm {
		return result.Arm{Name: name, Prevention: prevention, Reproduced: &reproduced, Outcome: result.Pass, Repeat: 1,
			Signals: []result.Signal{{Name: "client-saturation", Expected: "fire", Fired: true, DetectMS: &ms, Met: true}}}
	}
	r := sample()
	r.Scenarios = []result.Scenario{{Name: "s", Claims: []string{"A1"}, Arms: []result.Arm{
		arm("control", "", true, 1000), arm("cure", "", true, 2000), arm("kept", "ttl", true, 9000), arm("odd", "", false, 9000)}}}
	r.Claims = runbook.Scorecard(r)
	md := markdownOf(t, r)
	for _, want := range []string{"It fires in s (after 1.5 s).", "| s | 1500 ms |", "| client-saturation | - | fire | 2 of 2 | 1500 ms |"} {
		if !strings.Contains(md, want) {
			t.Errorf("no %q in\n%s", want, md)
		}
	}
}

func markdownOf(t *testing.T, r *result.Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := Markdown(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
