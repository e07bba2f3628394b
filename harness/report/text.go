package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
)

// Table writes the answer as aligned plain text, for a terminal: a line per
// arm, then why anything did not pass.
func Table(w io.Writer, r *result.Run) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "SCENARIO\tARM\tVERDICT\tAS EXPECTED\tREPRODUCED\tBEFORE\tDURING\tAFTER\tBACK AFTER")
	v := view.Of(r)
	for _, c := range v.Chapters {
		name := view.Plain(c.Name)
		for _, row := range c.Rows {
			_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", name, view.Plain(row.Name),
				view.Plain(row.Verdict), view.Plain(row.AsExpected), row.Reproduced, row.Before, row.During, row.After,
				row.Restored)
			name = ""
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	var b bytes.Buffer
	for _, r := range v.Reasons {
		fmt.Fprintf(&b, "%s: %s/%s%s: %s\n", view.Plain(string(r.Arm.Outcome)), view.Plain(r.Scenario.Name),
			view.Plain(r.Arm.Name), view.Plain(view.On(r.Arm.Image)), view.Plain(r.Why))
	}
	if open := v.Unchecked(func(one view.Row) string { return one.Scenario + "/" + one.Name }); open != "" {
		fmt.Fprintf(&b, "%s\n", view.Plain(open))
	}
	tableOfImages(&b, v)
	fmt.Fprintf(&b, "\noutcome: %s\n", view.Plain(string(v.Outcome)))
	_, err := b.WriteTo(w)
	return err
}

// tableOfImages says in plain text which arms came out differently, in a run on
// several images.
func tableOfImages(b *bytes.Buffer, v *view.Run) {
	if len(v.On) == 0 {
		return
	}
	b.WriteString("\n")
	lines, compared, differs := v.ByArm(), 0, false
	for _, l := range lines {
		answers := l.Answers()
		if len(answers) == len(v.On) {
			compared++
		}
		if !view.Differ(answers) {
			continue
		}
		differs = true
		var said []string
		for _, one := range l.Rows {
			said = append(said, fmt.Sprintf("%s on %s", view.Tally(one.Repeats, view.CameTo), one.Image))
		}
		fmt.Fprintf(b, "differs: %s/%s: %s\n", view.Plain(l.Scenario), view.Plain(l.Arm),
			view.Plain(strings.Join(said, "; ")))
	}
	switch {
	case differs:
	case compared == len(lines):
		fmt.Fprintf(b, "no arm differs between the %d images\n", len(v.On))
	default:
		fmt.Fprintf(b, "%d of %d arms can be compared between all %d images, and none differs\n", compared, len(lines),
			len(v.On))
	}
}
