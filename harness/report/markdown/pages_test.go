package markdown

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/lockjam/lockjam/harness/report/sample"
	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
)

// The whole catalogue fits into a comment, with its answers, and says what it leaves out.
func TestReferenceFitsIntoAComment(t *testing.T) {
	r, err := rundir.Load("../../../results/reference")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Write(&b, view.Of(r)); err != nil {
		t.Fatal(err)
	}
	if b.Len() >= MaxComment {
		t.Errorf("%d bytes", b.Len())
	}
	for _, want := range []string{"## Remedies\n", "## Arm by arm\n", "**Left out**"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q", want)
		}
	}
	there, err := os.ReadFile(filepath.Join(r.Folder, "report.md"))
	if err != nil || !bytes.Equal(there, b.Bytes()) {
		t.Errorf("results/reference/report.md is not what the run says: `lockjam judge results/reference` (%v)", err)
	}
}

// However long a run is, and whatever it says: it fits, what failed is in it, and the
// same run gives the same text.
func TestAnyRunFitsIntoAComment(t *testing.T) {
	r := sample.Run()
	evil := strings.Repeat("<&`|[\u202e_@everyone ☠", 300)
	arm := r.Scenarios[0].Arms[1]
	r.Scenarios = nil
	for i := range 40 {
		sc := result.Scenario{Name: fmt.Sprint(evil, i), Title: evil}
		for k := range 10 {
			one := arm
			one.Name, one.Because, one.Deadlock = fmt.Sprint(evil, k), evil,
				&result.Deadlock{Proved: true, Sentence: evil, Graph: evil}
			one.Reasons = []string{evil}
			sc.Arms = append(sc.Arms, one)
		}
		r.Scenarios = append(r.Scenarios, sc)
	}
	last := &r.Scenarios[39].Arms[9]
	last.Name, last.Outcome, last.Reasons = "the-last", result.Fail, []string{"it failed"}
	r.ID, r.Status, r.Because, r.Environment.Server.Version = evil, result.Aborted, evil, evil
	var first, again bytes.Buffer
	if err := Write(&first, view.Of(r)); err != nil {
		t.Fatal(err)
	}
	if err := Write(&again, view.Of(r)); err != nil || !bytes.Equal(first.Bytes(), again.Bytes()) {
		t.Errorf("%v, or the same run gives another text", err)
	}
	got := first.String()
	if len(got) >= MaxComment || !utf8.ValidString(got) {
		t.Errorf("%d bytes, %d characters", len(got), utf8.RuneCountInString(got))
	}
	if strings.Count(got, "<details>") != strings.Count(got, "</details>") {
		t.Error("a fold is not closed")
	}
	for _, want := range []string{"FAIL", "`the-last`: it failed", "**Left out**", "Why (40 of 40)"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%.2000s", want, got)
		}
	}
}

// A name as a person sees it: nothing that turns it round, mentions a user, or is markup.
func TestWords(t *testing.T) {
	for _, c := range []struct{ s, want string }{
		{"a_b _c_", `a_b \_c\_`},
		{"ping @org/team (@x) redis@sha256", "ping @<!-- -->org/team (@<!-- -->x) redis@sha256"},
		{"\u202egnp.exe\u2066\u200b", "�gnp.exe��"},
		{"a\x00b\x1b[31m\u2028c\xffd", "a b \\[31m c�d"},
		{"$x$ ~~y~~ *z*", `\$x\$ \~\~y\~\~ \*z\*`},
	} {
		if got := words(c.s); got != c.want {
			t.Errorf("%q: %q, want %q", c.s, got, c.want)
		}
	}
}

// What is in a drawing may come from a file: it neither ends the drawing nor acts.
func TestDrawingStaysOne(t *testing.T) {
	if got := drawing("flowchart LR\n``````` x\n"); strings.Count(got, "`") != 6 {
		t.Errorf("%q", got)
	}
	for _, evil := range []string{"flowchart LR\nClick a href \"javascript:alert(1)\"\n",
		"%%{init: {}}%%\nflowchart LR\n"} {
		if got := drawing(evil); got != "" {
			t.Errorf("%q is drawn: %q", evil, got)
		}
	}
}
