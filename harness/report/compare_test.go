package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/compare"
	"github.com/lockjam/lockjam/harness/report/markdown"
	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
	"github.com/lockjam/lockjam/harness/text"
)

const referenceRun = "../../results/reference"

// planted is the reference run with what a change of a client library might do to it.
func planted(t *testing.T, change func(*result.Run)) compare.Side {
	t.Helper()
	s, err := compare.Load(referenceRun)
	if err != nil {
		t.Fatal(err)
	}
	change(s.Run)
	return s
}

func armOf(t *testing.T, r *result.Run, scenario, name string) *result.Arm {
	t.Helper()
	for i := range r.Scenarios {
		for k := range r.Scenarios[i].Arms {
			if a := &r.Scenarios[i].Arms[k]; r.Scenarios[i].Name == scenario && a.Name == name {
				return a
			}
		}
	}
	t.Fatalf("no %s/%s", scenario, name)
	return nil
}

// comparison is the reference run against itself with one of everything planted.
func comparison(t *testing.T, evil string) *compare.Comparison {
	rules, err := compare.ParseRules([]string{"verdict", "unsafe", "missing"})
	if err != nil {
		t.Fatal(err)
	}
	before := planted(t, func(r *result.Run) {
		armOf(t, r, "slot-lock-deadlock", "rollout").Recovery = &result.Recovery{Ratio: 1, Low: 1, High: 1}
	})
	after := planted(t, func(r *result.Run) {
		r.Status, r.Because, r.Environment.GoRedis, r.Environment.CPUs = result.Interrupted, "killed"+evil, "v9.99.0"+
			evil, 64
		cured := armOf(t, r, "slot-lock-deadlock", "rollout")
		cured.Verdict, cured.Recovery = result.Partial, &result.Recovery{Ratio: 0.5, Low: 0.45, High: 0.55}
		armOf(t, r, "slot-lock-deadlock", "raise-maxclients-live").Unsafe = true
		armOf(t, r, "lost-reply", "verify").Name = "gone" + evil
		armOf(t, r, "retry-storm", "control").Verdict = result.Cured
		r.Claims[0].Verdict, r.Claims[0].Because = "changed"+evil, evil
	})
	after.Texts["healthy"] += evil
	return compare.Runs(before, after, rules)
}

func written(t *testing.T, format string, c *compare.Comparison) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteComparison(&b, format, c); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The recorded run of the whole catalogue is the same as itself.
func TestReferenceComparedWithItself(t *testing.T) {
	same := planted(t, func(*result.Run) {})
	rules, _ := compare.ParseRules([]string{"any"})
	c := compare.Runs(same, same, rules)
	if c.Outcome != result.Pass || c.Compared != 121 || len(c.Environment) > 0 || len(view.OfComparison(c).Sections) > 0 {
		t.Errorf("%s, %d sections", c.Answer, len(view.OfComparison(c).Sections))
	}
}

func TestPlantedChangesAreFound(t *testing.T) {
	c := comparison(t, "")
	if c.Outcome != result.Fail ||
		!strings.HasPrefix(c.Answer, "regression: verdict (1 worse), unsafe (1 worse), missing (1 worse)") {
		t.Errorf("%s", c.Answer)
	}
	got := written(t, "text", c)
	for _, want := range []string{
		"regression: verdict (1 worse), unsafe (1 worse), missing (1 worse)\n",
		"differs go-redis: v9.23.0 -> v9.99.0\n",
		"note    The second run was interrupted; it is compared as far as it came. killed\n",
		"note    The inputs differ (cores): differences may be due to that.\n",
		"\nREGRESSIONS\n  slot-lock-deadlock  raise-maxclients-live  safety   safe -> unsafe: one counterexample is enough where there was none\n" +
			"  slot-lock-deadlock  rollout                verdict  cured -> partial\n" +
			"  lost-reply          verify                 arm      there -> missing: the second run does not have it\n",
		"\nIMPROVEMENTS\n  retry-storm  control  verdict  no-effect -> cured\n",
		"% -> 50% (45-55), -50%: the 95% intervals of the two do not overlap; 1 repeat and 1 are too few",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if comment := written(t, "markdown", c); !strings.Contains(comment,
		"| slot-lock-deadlock | rollout | verdict | cured | partial |") ||
		!strings.Contains(comment, "<details><summary>Improvements: 1</summary>\n\n| scenario |") {
		t.Error(comment)
	}
	var back compare.Comparison
	if err := json.Unmarshal([]byte(written(t, "json", c)), &back); err != nil || back.Schema != compare.Schema ||
		len(back.Rows) != len(c.Rows) || !slices.Equal(back.FailOn, c.FailOn) {
		t.Errorf("%v: %+v", err, back.FailOn)
	}
}

// A scenario that only one run has is a line, and every arm of it a row in the JSON.
func TestMissingArmsAreGathered(t *testing.T) {
	rules, _ := compare.ParseRules([]string{"missing"})
	missing := 0
	c := compare.Runs(planted(t, func(*result.Run) {}), planted(t, func(r *result.Run) {
		r.Scenarios = slices.DeleteFunc(r.Scenarios, func(s result.Scenario) bool {
			gone := s.Name == "healthy" || s.Name == "orphaned-lock" || s.Name == "slot-lock-deadlock"
			if gone {
				missing += len(s.Arms)
			}
			return gone
		})
	}), rules)
	got := written(t, "text", c)
	for _, want := range []string{
		`slot-lock-deadlock +control, release-stale-locks, [a-z-]+ and \d+ more +\d+ arms +there -> missing: the second run does not have it\n`,
		`orphaned-lock +control, [a-z-]+, [a-z-]+ and \d+ more +\d+ arms +there -> missing`,
		`healthy +control +arm +there -> missing`,
	} {
		if !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if n := strings.Count(got, "-> missing"); n != 3 {
		t.Errorf("%d lines for 3 scenarios", n)
	}
	if n := len(c.Shown(true, compare.Worse)); n != missing || missing < 20 {
		t.Errorf("%d regressions, and %d arms are missing", n, missing)
	}
}

// A comment has a limit. What does not fit is counted, regressions come first, and the
// table does not end in the middle.
func TestComparisonFitsInAComment(t *testing.T) {
	rules, _ := compare.ParseRules([]string{"verdict"})
	worst := planted(t, func(r *result.Run) {
		for i := range r.Scenarios {
			for k := range r.Scenarios[i].Arms {
				a := &r.Scenarios[i].Arms[k]
				a.Unsafe, a.Outcome, a.Reasons = !a.Unsafe, result.Fail,
					[]string{strings.Repeat("| a long reason |", 40)}
				a.Verdict = map[bool]result.Verdict{true: result.Blocked,
					false: result.NotPrevented}[a.Prevention == ""]
			}
		}
	})
	c := compare.Runs(planted(t, func(*result.Run) {}), worst, rules)
	got := written(t, "markdown", c)
	if len(got) > markdown.MaxComment || len(got) < markdown.MaxComment*3/4 {
		t.Errorf("%d characters", len(got))
	}
	if !regexp.MustCompile(`\n\d+ more rows do not fit here; `).MatchString(got) ||
		strings.Count(got, "<details>") != strings.Count(got, "</details>") {
		t.Errorf("the end: %s", got[len(got)-600:])
	}
}

// Nothing of a run's, a server's or a scenario's is markup, or moves the cursor.
func TestComparisonIsHostileProof(t *testing.T) {
	const evil = "</td></style><script>alert(1)</script>\x1b[31m\u009b\u202e\u061c|`x`[x](javascript:y)\n# owned"
	c := comparison(t, evil)
	plain := written(t, "text", c)
	if strings.ContainsAny(plain, "\x1b\t") || strings.Contains(plain, "\n# owned") {
		t.Error("the terminal acts upon it")
	}
	for line := range strings.Lines(written(t, "markdown", c)) {
		if line = strings.NewReplacer("\\`", "", "\\]", "").Replace(line); strings.Contains(line, "<script") ||
			strings.Contains(line, "](") || strings.HasPrefix(line, "# owned") {
			t.Errorf("markup got through: %s", line)
		}
	}
	page := written(t, "html", c)
	if strings.Contains(page, "<script") || strings.Count(page, "</style>") != 1 ||
		!strings.Contains(page, html.EscapeString("<script>")) {
		t.Error("markup got through")
	}
	for _, format := range ComparisonFormats() {
		if got := written(t, format, c); text.Printable(got) != got {
			t.Errorf("%s: what nobody sees got through", format)
		}
	}
	if !json.Valid([]byte(written(t, "json", c))) {
		t.Error("no JSON")
	}
}

// The page allows itself a style and nothing else, and has every row.
func TestComparisonPage(t *testing.T) {
	c := comparison(t, "")
	page := written(t, "html", c)
	if !strings.Contains(page, `content="default-src &#39;none&#39;; style-src &#39;sha256-`) {
		t.Errorf("no policy in %s", page[:400])
	}
	if n := strings.Count(page, "<tr class="); n < len(c.Rows) {
		t.Errorf("%d rows of %d", n, len(c.Rows))
	}
	if regexp.MustCompile(`(?i)(src|href)=|url\(|@import|style="`).MatchString(page) {
		t.Error("it asks for something outside of itself, or has a style that its policy forbids")
	}
}

func TestComparisonFormats(t *testing.T) {
	if there := ComparisonFormats(); !slices.IsSorted(there) || len(there) != 4 {
		t.Errorf("%v", there)
	}
	if err := WriteComparison(&bytes.Buffer{}, "pdf", &compare.Comparison{}); err == nil {
		t.Error("pdf")
	}
	for _, format := range ComparisonFormats() {
		written(t, format, &compare.Comparison{})
	}
}

// What is beside run.json is read as far as it is there, and nothing outside.
func TestLoadForComparison(t *testing.T) {
	folder := t.TempDir()
	run := result.Run{Schema: result.RunSchema, Scenarios: []result.Scenario{
		{Name: "there", Arms: []result.Arm{{Name: "a", Folder: "there/a"}}},
		{Name: "pipe", Arms: []result.Arm{{Name: "a", Folder: "pipe/a"}}},
		{Name: "gone", Arms: []result.Arm{{Name: "a", Folder: "gone/a"}}},
	}}
	write := func() {
		data, _ := json.Marshal(run)
		if err := os.WriteFile(filepath.Join(folder, rundir.RunFile), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write()
	for _, at := range []string{"there/a", "pipe/a"} {
		if err := os.MkdirAll(filepath.Join(folder, at), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "there/a", rundir.ScenarioFile), []byte("name: there\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(folder, "pipe/a", rundir.ScenarioFile)); err != nil {
		t.Fatal(err)
	}
	s, err := compare.Load(folder)
	if err != nil || len(s.Texts) != 1 || s.Texts["there"] != "name: there\n" {
		t.Errorf("%v %q", err, fmt.Sprint(s.Texts))
	}
	run.Scenarios[2].Arms[0].Folder = "../x"
	write()
	if _, err := compare.Load(folder); err == nil || !strings.Contains(err.Error(), "outside of itself") {
		t.Errorf("%v", err)
	}
	if _, err := compare.Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), fs.ErrNotExist.Error()) &&
		!strings.Contains(err.Error(), "no such file") {
		t.Errorf("%v", err)
	}
}
