package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/report/markdown"
	"github.com/lockjam/lockjam/harness/report/sample"
	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
)

func TestMarkdownOfSeveralImages(t *testing.T) {
	var b bytes.Buffer
	if err := markdown.Write(&b, view.Of(sample.OnTwo())); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	for _, want := range []string{
		"- **slot-lock-deadlock** (Slots and locks), on `redis:6`: cured, at the price of safety, by `raise`\n",
		"- **slot-lock-deadlock** (Slots and locks), on `valkey:9`: no help: `raise`\n",
		"## Image by image\n\n| scenario | arm | redis:6 | valkey:9 | differs |\n|---|---|---|---|---|\n" +
			"| slot-lock-deadlock | control | no-effect | no-effect | no |\n" +
			"| slot-lock-deadlock | raise | cured, UNSAFE, 100%, after 0.8 s, 6 violations | no-effect | **yes** |\n",
		"| slot-lock-deadlock | raise on valkey:9 | **no-effect** |",
		"- `raise on redis:6`: Goodput was back.",
		"- A1 on redis:6: slot-lock-deadlock/control: detect ms 1\n",
		"- fail: `slot-lock-deadlock` / `raise on valkey:9`: it was expected to be cured\n",
		"| signal | claim | expected | redis:6 | valkey:9 | differs |\n|---|---|---|---|---|---|\n",
		"| client-saturation | A1 | fire | 2 of 2, 100 ms | 1 of 2, 120 ms, 2 false alarms before | **yes** |\n",
		"| lock-key-count | D1 | any | not available: the user may not run SCAN: NOPERM | not available: the user may not run SCAN: NOPERM | no |\n",
		"| server | redis 6.0.16, container redis:6; lacks DELIFEQ, RESET |\n",
		"| server | valkey 9.1.2, container valkey:9; has DELIFEQ, maxclients-reserved 2; does not say whether it has RESET (NOPERM) |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	for _, not := range []string{"### Remedies", "### Preventions"} {
		if strings.Contains(got, not) {
			t.Errorf("%s: with a column per image it is said already", not)
		}
	}
}

// Where all images agree, a scenario is said in short once.
func TestImagesThatAgree(t *testing.T) {
	r := sample.OnTwo()
	r.Scenarios[0].Arms[3] = r.Scenarios[0].Arms[2]
	r.Scenarios[0].Arms[3].Image = "valkey:9"
	var md, table bytes.Buffer
	if err := markdown.Write(&md, view.Of(r)); err != nil {
		t.Fatal(err)
	}
	if want := "- **slot-lock-deadlock** (Slots and locks): cured, at the price of safety, by `raise`\n"; strings.Count(md.String(), "- **slot-lock-deadlock** (") != 1 || !strings.Contains(md.String(), want) {
		t.Errorf("no %q in\n%s", want, md.String())
	}
	if err := Table(&table, r); err != nil ||
		!strings.Contains(table.String(), "\nno arm differs between the 2 images\n") ||
		strings.Contains(md.String(), "**yes**") {
		t.Errorf("%v\n%s\n%s", err, &table, &md)
	}
}

func TestTableOfSeveralImages(t *testing.T) {
	var b bytes.Buffer
	if err := Table(&b, sample.OnTwo()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"control on redis:6 ", "raise on valkey:9 ",
		"fail: slot-lock-deadlock/raise on valkey:9: it was expected to be cured\n",
		"\ndiffers: slot-lock-deadlock/raise: cured, UNSAFE on redis:6; no-effect on valkey:9\n\noutcome: fail\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
}

// An arm of which nothing can be said on one image does not differ from the others,
// and neither does one that ran on one image alone.
func TestWhatSaysNothingDoesNotDiffer(t *testing.T) {
	r := sample.OnTwo()
	arms := r.Scenarios[0].Arms
	arms[1].Verdict, arms[1].Outcome = "", result.Inconclusive
	r.Scenarios[0].Arms = arms[:3]
	var table bytes.Buffer
	if err := Table(&table, r); err != nil ||
		!strings.Contains(table.String(), "\n0 of 2 arms can be compared between all 2 images, and none differs\n") {
		t.Errorf("%v\n%s", err, &table)
	}
	m := view.Of(r).Matrices[0]
	for i, want := range []string{"control | no-effect | inconclusive | -",
		"raise | cured, UNSAFE, 100%, after 0.8 s, 6 violations | - | -"} {
		if got := strings.Join(m.Lines[i].Cells, " | "); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	// A verdict that is in doubt is shown, and is not compared.
	arms[1].Verdict = result.Cured
	if got := strings.Join(view.Of(r).Matrices[0].Lines[0].Cells,
		" | "); got != "control | no-effect | cured, -, inconclusive | -" {
		t.Errorf("got %q", got)
	}
	arms[1].Verdict = ""
	// Where there is no verdict to reach, what was found is compared, and the outcome.
	arms[0].Verdict, arms[1].Outcome = "", result.Fail
	if got := strings.Join(view.Of(r).Matrices[0].Lines[0].Cells,
		" | "); got != "control | reproduced | reproduced, fail | **yes**" {
		t.Errorf("got %q", got)
	}
}

// Repeats are compared on the same image: two images that differ are not unstable.
func TestStabilityIsWithinAnImage(t *testing.T) {
	r := sample.OnTwo()
	r.Repeat = 2
	for _, a := range r.Scenarios[0].Arms {
		a.Repeat = 2
		r.Scenarios[0].Arms = append(r.Scenarios[0].Arms, a)
	}
	var b bytes.Buffer
	if err := markdown.Write(&b, view.Of(r)); err != nil ||
		!strings.Contains(b.String(), "## Verdicts that differ between 2 repeats\n\nNone.\n") {
		t.Errorf("%v\n%s", err, &b)
	}
	r.Scenarios[0].Arms[7].Verdict = result.Relapsed
	b.Reset()
	if err := markdown.Write(&b, view.Of(r)); err != nil ||
		!strings.Contains(b.String(), "repeats\n\n- `slot-lock-deadlock` / `raise on valkey:9`: no-effect 1/2, relapsed 1/2\n\n") {
		t.Errorf("%v\n%s", err, &b)
	}
}

// One image is not worth a column, nor a word behind every arm; what its server has
// is told all the same.
func TestMarkdownOfOneImage(t *testing.T) {
	r := sample.Run()
	r.Environment.Server = sample.OnTwo().Environment.Servers[0]
	var b bytes.Buffer
	if err := markdown.Write(&b, view.Of(r)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "| server | redis 6.0.16, container redis:6; lacks DELIFEQ, RESET |\n") ||
		strings.Contains(b.String(), " on redis:6") || strings.Contains(b.String(), "differs |") {
		t.Errorf("%s", &b)
	}
}

// The name of an image comes from a command line or a run folder, and is no markup.
func TestImageNamesAreText(t *testing.T) {
	r := sample.OnTwo()
	evil := "<script>|`x`\n# owned"
	r.Environment.Servers[0].Image = evil
	for i := range r.Scenarios[0].Arms {
		if r.Scenarios[0].Arms[i].Image == "redis:6" {
			r.Scenarios[0].Arms[i].Image = evil
		}
	}
	r.Claims[0].Images[0].Image = evil
	var b bytes.Buffer
	if err := markdown.Write(&b, view.Of(r)); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		var outside strings.Builder
		for i, part := range strings.Split(strings.ReplaceAll(line, "\\`", ""), "`") {
			if i%2 == 0 {
				outside.WriteString(part)
			}
		}
		if strings.Contains(outside.String(), "<script") || strings.HasPrefix(line, "# owned") {
			t.Errorf("markup got through: %s", line)
		}
	}
}
