package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/report/markdown"
	"github.com/lockjam/lockjam/harness/report/sample"
	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
)

func TestMarkdownOpensWithTheAnswer(t *testing.T) {
	var b bytes.Buffer
	if err := markdown.Write(&b, view.Of(sample.Run())); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	for _, want := range []string{
		"**slot-lock-deadlock**: Deadlock: 4 workers wait. Proved in 1 of 3 arms, here 1.3 s after the trigger and 90 ms after the rules first allow it; the locks' tokens and CLIENT LIST in Redis agree.\n\n<details><summary>wait-for graph</summary>\n\n```mermaid\nflowchart LR\n```\n\n</details>\n",
		"| scenario | client-saturation | lock-key-count |\n|---|---|---|\n| slot-lock-deadlock | 2 of 3, 100 ms | not available |\n",
		"<details><summary>slot-lock-deadlock / raise</summary>\n\n| at | did | answer |\n",
		"# lockjam run 20260504-030201-beef: FAIL\n",
		"| slot-lock-deadlock | raise | **cured, UNSAFE** | 201/s | 0/s | 213/s | 100% | 0.8 s | 6 | yes |\n",
		"| slot-lock-deadlock | restart | **relapsed** | - | - | - | - | - | 0 | NO |\n",
		"cured, at the price of safety, by `raise`; briefly recovered after `restart`",
		"**Unsafe:** 4 double grants, 2 lost updates.",
		"- fail: `slot-lock-deadlock` / `restart`: remedy restart-server was expected to be cured and was relapsed\n",
		"| client-saturation | A1 | fire | 2 of 3 | 100 ms | 0 | 1 of 1 | connected max 31, ratio max 0.97 |\n",
		"| lock-key-count | D1 | any | not available: the user may not run SCAN: NOPERM | - | 0 | - |  |\n",
		"| A1 | Connected clients &gt; 80% | **conditional** | It fires here. |\n",
		"## What to do instead\n\n- **A1**: Watch goodput.\n",
		"- A1: slot-lock-deadlock/control: detect ms 120; healthy/control: ratio max 0.5\n",
		"Untested by this run: P1.\n",
		"- `slot-lock-deadlock` / `control`, `redis-cli monitor | grep \"SET lock:\"`: It could not connect.\n",
		"| 3.1 s | CONFIG GET maxclients | 10000 |\n",
		"| took | 60 s, from 2026-05-04 03:02:01 UTC |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	order := []int{strings.Index(got, "## Which remedy"), strings.Index(got, "## What did not pass"),
		strings.Index(got, "## Arm by arm"), strings.Index(got, "## What the runbook"),
		strings.Index(got, "## Which signal"), strings.Index(got, "## What it ran on"),
		strings.Index(got, "## What the remedies did")}
	if !slices.IsSorted(order) || order[0] < 0 {
		t.Errorf("sections are out of order: %v", order)
	}
}

// Scenario files, servers and run folders come from anywhere. Nothing of what
// they say may turn into markup, or break a table.
func TestMarkdownIsHostileProof(t *testing.T) {
	evil := "<script>alert(1)</script>|`rm`[x](javascript:y)\n# owned"
	r := sample.Run()
	r.ID, r.Because, r.Status = evil, evil, result.Aborted
	sc := &r.Scenarios[0]
	sc.Name, sc.Title = evil, evil
	for i := range sc.Arms {
		a := &sc.Arms[i]
		a.Name, a.Because, a.Reasons = evil+string(rune('a'+i)), evil, []string{evil}
		a.Steps = []result.Step{{Did: evil, Answer: evil}}
		a.Signals[0].Name = evil
	}
	r.Environment.Server.Version = evil
	var b bytes.Buffer
	if err := markdown.Write(&b, view.Of(r)); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		// Between backticks nothing is markup, and a backtick cannot be in there.
		var outside strings.Builder
		for i, part := range strings.Split(strings.NewReplacer("\\`", "", "\\]", "").Replace(line), "`") {
			if i%2 == 0 {
				outside.WriteString(part)
			}
		}
		if text := outside.String(); strings.Contains(text, "<script") || strings.Contains(text, "](") ||
			strings.HasPrefix(line, "# owned") {
			t.Errorf("markup got through: %s", line)
		}
	}
}

func TestRepeatsAreFolded(t *testing.T) {
	r := sample.Run()
	r.Repeat = 3
	arm := r.Scenarios[0].Arms[0]
	no := false
	again, odd := arm, arm
	again.Repeat, odd.Repeat, odd.Verdict, odd.Outcome, odd.Reproduced = 2, 3, result.Relapsed, result.Fail, &no
	r.Scenarios[0].Arms = []result.Arm{arm, again, odd}
	var b bytes.Buffer
	if err := Table(&b, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"no-effect 2/3, relapsed 1/3", "yes 2/3, NO 1/3", "2 of 3"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestJSONIsTheRun(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, "json", sample.Run()); err != nil {
		t.Fatal(err)
	}
	var back result.Run
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || back.Schema != result.RunSchema ||
		len(back.Scenarios[0].Arms) != 3 {
		t.Errorf("%v, %+v", err, back)
	}
}

func TestFormats(t *testing.T) {
	if !slices.IsSorted(Formats()) {
		t.Errorf("not sorted: %v", Formats())
	}
	for _, name := range Formats() {
		if err := Write(&bytes.Buffer{}, name, &result.Run{}); err != nil {
			t.Errorf("%s of an empty run: %v", name, err)
		}
	}
	if err := Write(&bytes.Buffer{}, "pdf", sample.Run()); !errors.Is(err, result.ErrUsage) ||
		!strings.Contains(err.Error(), "markdown") {
		t.Errorf("%v", err)
	}
}

// With repeats the report says which verdicts differ, and that none does.
func TestMarkdownListsVerdictsThatDiffer(t *testing.T) {
	r := sample.Run()
	r.Repeat = 2
	first := r.Scenarios[0].Arms[0]
	second := first
	second.Repeat = 2
	r.Scenarios[0].Arms = []result.Arm{first, second}
	for verdict, want := range map[result.Verdict]string{
		result.NoEffect: "## Verdicts that differ between 2 repeats\n\nNone.\n",
		result.Relapsed: "## Verdicts that differ between 2 repeats\n\n- `slot-lock-deadlock` / `control`: no-effect 1/2, relapsed 1/2\n",
		"":              "## Verdicts that differ between 2 repeats\n\n- `slot-lock-deadlock` / `control`: no-effect 1/2, reproduced 1/2\n",
	} {
		r.Scenarios[0].Arms[1].Verdict = verdict
		var b bytes.Buffer
		if err := markdown.Write(&b, view.Of(r)); err != nil || !strings.Contains(b.String(), want) {
			t.Errorf("%q: %v, no %q in\n%s", verdict, err, want, b.String())
		}
	}
}
