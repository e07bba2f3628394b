package markdown

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
)

// A figure that stands in a sentence and in a table of a report is the same in both, to
// the digit: over every arm of the recorded catalogue that has an interval in both.
func TestSentencesAndTablesAgree(t *testing.T) {
	r, err := rundir.Load("../../../results/reference")
	if err != nil {
		t.Fatal(err)
	}
	var md bytes.Buffer
	if err := Within(&md, view.Of(r), 1<<20); err != nil {
		t.Fatal(err)
	}
	interval := regexp.MustCompile(`(\d+)% of the baseline \(95% interval (\d+) to (\d+)%\)`)
	level := regexp.MustCompile(`Goodput was (\d+)% of the baseline: `)
	back := regexp.MustCompile(`was back after (\d+\.\d s)`)
	compared := 0
	for _, one := range view.Of(r).Rows {
		because := one.Repeats[0].Because
		line := fmt.Sprintf("| %s | %s | ", one.Scenario, one.Arm)
		_, cells, found := strings.Cut(md.String(), line)
		if cells, _, _ = strings.Cut(cells, "\n"); !found || !strings.Contains(md.String(), because) {
			t.Errorf("%s/%s: no line in the table, or no sentence", one.Scenario, one.Arm)
		}
		if m := interval.FindStringSubmatch(because); m != nil {
			compared++
			if want := fmt.Sprintf("| %s%% (%s-%s) |", m[1], m[2], m[3]); !strings.Contains(cells, want) {
				t.Errorf("%s/%s: %q in the table, and in the text %q", one.Scenario, one.Arm, cells, because)
			}
		}
		if m := level.FindStringSubmatch(because); m != nil && !strings.Contains(cells, "| "+m[1]+"% (") &&
			!strings.Contains(cells, "| "+m[1]+"% |") {
			t.Errorf("%s/%s: %q in the table, and in the text %q", one.Scenario, one.Arm, cells, because)
		}
		if m := back.FindStringSubmatch(because); m != nil && one.Repeats[0].Verdict == result.Cured &&
			!strings.Contains(cells, "| "+m[1]+" |") {
			t.Errorf("%s/%s: %q in the table, and in the text %q", one.Scenario, one.Arm, cells, because)
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
					t.Errorf("%s/%s: %v/s in the baseline's phase, %v/s before", sc.Name, a.Name, p.GoodputPerS,
						*a.Goodput.Before)
				}
			}
		}
	}
}
