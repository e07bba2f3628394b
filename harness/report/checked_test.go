package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/report/sample"
	"github.com/lockjam/lockjam/harness/result"
)

// unexpected is a run of an arm whose verdict nothing was compared with.
func unexpected() *result.Run {
	r := sample.Run()
	r.Outcome = result.Pass
	arm := &r.Scenarios[0].Arms[0]
	arm.Verdict, arm.Expected, arm.Checked, arm.Because = result.Relapsed, "", []string{}, "Work went on for 3 grants."
	r.Scenarios[0].Arms = r.Scenarios[0].Arms[:2]
	return r
}

func inFormat(t *testing.T, name string, r *result.Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, name, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// No format calls an arm as expected of which nothing was expected.
func TestNotCheckedIsSaidInEveryFormat(t *testing.T) {
	r := unexpected()
	var table bytes.Buffer
	if err := Table(&table, r); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		want []string
	}{
		{table.String(), []string{"1 arm not checked, for want of an `expect` in the scenario: slot-lock-deadlock/control\n"}},
		{markdownOf(t, r), []string{"| 0 | not checked |",
			"1 arm not checked, for want of an `expect` in the scenario: `slot-lock-deadlock` / `control`."}},
		{inFormat(t, "html", r), []string{"as expected: not checked", "1 of 2", "arm not checked"}},
		{inFormat(t, "junit", r), []string{`<skipped message="not checked: the scenario has no expect for it; found: relapsed">`, `name="as expected" value="not checked"`}},
		{inFormat(t, "github", r), []string{"::notice title=lockjam%3A not checked::1 arm not checked"}},
		{inFormat(t, "json", r), []string{`"checked": []`}},
	} {
		for _, want := range c.want {
			if !strings.Contains(c.text, want) {
				t.Errorf("no %q in\n%s", want, c.text)
			}
		}
	}
	if text := table.String(); strings.Count(text, "yes") != 3 { // both reproduced, one as expected
		t.Errorf("%s", text)
	}
}

// An arm in which nothing was tried has what was found in it, the same in the matrix, in
// the table and in the list of the page.
func TestArmWithoutAVerdictSaysWhatWasFound(t *testing.T) {
	r := sample.Run()
	arm := &r.Scenarios[0].Arms[0]
	arm.Verdict, arm.Expected, arm.Because, arm.Checked = "", "", "", []string{"signals"}
	arm.FaultsPerS, arm.Safety = &result.Goodput{During: sample.Num(26)}, result.Safety{Overlaps: 39}
	md, page := markdownOf(t, r), inFormat(t, "html", r)
	for _, want := range []string{"| slot-lock-deadlock | reproduced, 39 violations |", "| control | **reproduced** |",
		"| 39 | yes |"} {
		if !strings.Contains(md, want) {
			t.Errorf("no %q in\n%s", want, md)
		}
	}
	if n := strings.Count(page, "</span> reproduced</span>"); n != 2 || strings.Contains(page, "no verdict") {
		t.Errorf("reproduced is on the page %d times, want twice: in the matrix and in the list", n)
	}
	if !strings.Contains(inFormat(t, "junit", r), `<testcase name="incident"`) {
		t.Error("no case for the incident in junit.xml")
	}
}
