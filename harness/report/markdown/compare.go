package markdown

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/lockjam/lockjam/harness/report/view"
)

// Compare writes a comparison that fits in a pull request's comment: the answer
// first, the details folded, and a line for what is left out where there are too many.
func Compare(w io.Writer, c *view.Comparison) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "## lockjam: %s\n\n", cell(c.Answer))
	for _, said := range c.Remarks {
		fmt.Fprintf(&b, "> %s\n\n", cell(said))
	}
	table(&b, "", "before", "after")
	table(&b, "run", c.First, c.Second)
	for _, d := range c.Environment {
		table(&b, d.What, d.Before, d.After)
	}
	b.WriteString("\n")
	left := 0
	for _, s := range c.Sections {
		part, out := foldedSection(s, MaxComment-2000-b.Len())
		b.WriteString(part)
		left += out
	}
	fmt.Fprintf(&b, "%s\n", cell(c.Counted))
	if left > 0 {
		fmt.Fprintf(&b, "\n%d more rows do not fit here; `lockjam compare --format html` has them all.\n", left)
	}
	if len(c.Rules) > 0 {
		b.WriteString("\n")
		table(&b, "rule", "outcome", "because")
		for _, j := range c.Rules {
			table(&b, j.String(), string(j.Outcome), j.Because)
		}
	}
	for _, said := range c.Passed() {
		fmt.Fprintf(&b, "\nNot gated: %s.\n", cell(said))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// foldedSection is a section in at most room bytes, and how many of its rows do not fit.
// An open one is not folded.
func foldedSection(s view.Section, room int) (string, int) {
	whole := func(rows string) string { return folded(fmt.Sprintf("%s: %d", s.Title, len(s.Rows)), rows+"\n") }
	if s.Open {
		whole = func(rows string) string { return "### " + s.Title + "\n\n" + rows + "\n" }
	}
	var b bytes.Buffer
	table(&b, "scenario", "arm", "what", "before", "after", "difference", "")
	for i, r := range s.Rows {
		var line bytes.Buffer
		line.WriteString(" ") // a row, not the head of a table
		scenario, arm := view.PlaceOf(r)
		table(&line, scenario, arm, r.What, r.Before, r.After, r.Difference(), r.Because)
		if len(whole(b.String()))+line.Len() > room {
			if i == 0 {
				return "", len(s.Rows)
			}
			return whole(b.String()), len(s.Rows) - i
		}
		b.WriteString(strings.TrimPrefix(line.String(), " "))
	}
	return whole(b.String()), 0
}
