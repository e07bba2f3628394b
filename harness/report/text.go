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
	last := ""
	for _, row := range view.Rows(r) {
		name := view.Plain(row.Scenario)
		if name == last {
			name = ""
		}
		last = view.Plain(row.Scenario)
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", name, view.Plain(row.Name()),
			view.Plain(row.Verdict()), view.Plain(row.AsExpected()), row.Reproduced(),
			row.Before(), row.During(), row.After(), row.Restored())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			for _, why := range a.Reasons {
				if _, err := fmt.Fprintf(w, "%s: %s/%s%s: %s\n", view.Plain(string(a.Outcome)), view.Plain(sc.Name),
					view.Plain(a.Name), view.Plain(view.On(a.Image)), view.Plain(why)); err != nil {
					return err
				}
			}
		}
	}
	if open := view.Unchecked(r, func(one view.Row) string { return one.Scenario + "/" + one.Name() }); open != "" {
		if _, err := fmt.Fprintf(w, "%s\n", view.Plain(open)); err != nil {
			return err
		}
	}
	if err := tableOfImages(w, r); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\noutcome: %s\n", view.Plain(string(r.Outcome)))
	return err
}

// tableOfImages says in plain text which arms came out differently, in a run on
// several images.
func tableOfImages(w io.Writer, r *result.Run) error {
	images := r.Images()
	if len(images) == 0 {
		return nil
	}
	var b bytes.Buffer
	lines, compared := view.ByArm(r), 0
	for _, l := range lines {
		answers := l.Answers()
		if len(answers) == len(images) {
			compared++
		}
		if !view.Differ(answers) {
			continue
		}
		var said []string
		for _, one := range l.Rows {
			said = append(said, fmt.Sprintf("%s on %s", one.Tally(view.CameTo), one.Image))
		}
		fmt.Fprintf(&b, "differs: %s/%s: %s\n", view.Plain(l.Scenario), view.Plain(l.Arm),
			view.Plain(strings.Join(said, "; ")))
	}
	switch {
	case b.Len() > 0:
	case compared == len(lines):
		fmt.Fprintf(&b, "no arm differs between the %d images\n", len(images))
	default:
		fmt.Fprintf(&b, "%d of %d arms can be compared between all %d images, and none differs\n", compared, len(lines),
			len(images))
	}
	_, err := fmt.Fprintf(w, "\n%s", &b)
	return err
}
