package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/lockjam/lockjam/harness/compare"
)

// CommentLimit is how many characters GitHub takes in a comment.
const CommentLimit = 65536

// CompareMarkdown writes a comparison that fits in a pull request's comment: the answer
// first, the details folded, and a line for what is left out where there are too many.
func CompareMarkdown(w io.Writer, c *compare.Comparison) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "## lockjam: %s\n\n", cell(c.Answer))
	for _, said := range remarks(c) {
		fmt.Fprintf(&b, "> %s\n\n", cell(said))
	}
	table(&b, "", "before", "after")
	table(&b, "run", runLine(c.Before), runLine(c.After))
	for _, d := range c.Environment {
		table(&b, d.What, d.Before, d.After)
	}
	b.WriteString("\n")
	left := 0
	for _, s := range sections(c) {
		part, out := folded(s, CommentLimit-2000-b.Len())
		b.WriteString(part)
		left += out
	}
	fmt.Fprintf(&b, "%s\n", cell(counted(c)))
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
	_, err := w.Write(b.Bytes())
	return err
}

// folded is a section in at most room bytes, and how many of its rows do not fit.
// Regressions stand open, all else is folded.
func folded(s section, room int) (string, int) {
	open, closed := fmt.Sprintf("<details><summary>%s: %d</summary>\n\n", s.Title, len(s.Rows)), "\n</details>\n\n"
	if s.Title == "Regressions" {
		open, closed = "### Regressions\n\n", "\n"
	}
	var b bytes.Buffer
	b.WriteString(open)
	table(&b, "scenario", "arm", "what", "before", "after", "difference", "")
	for i, r := range s.Rows {
		var line bytes.Buffer
		line.WriteString(" ") // a row, not the head of a table
		scenario, arm := placeOf(r)
		table(&line, scenario, arm, r.What, r.Before, r.After, r.Difference(), r.Because)
		if b.Len()+line.Len()+len(closed) > room {
			if i == 0 {
				return "", len(s.Rows)
			}
			return b.String() + closed, len(s.Rows) - i
		}
		b.WriteString(strings.TrimPrefix(line.String(), " "))
	}
	return b.String() + closed, 0
}
