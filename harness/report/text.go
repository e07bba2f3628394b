package report

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/lockjam/lockjam/harness/result"
)

// Table writes the answer as aligned plain text, for a terminal: a line per
// arm, then why anything did not pass.
func Table(w io.Writer, r *result.Run) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "SCENARIO\tARM\tVERDICT\tAS EXPECTED\tREPRODUCED\tBEFORE\tDURING\tAFTER\tBACK AFTER")
	last := ""
	for _, row := range rows(r) {
		name := plain(row.scenario)
		if name == last {
			name = ""
		}
		last = plain(row.scenario)
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", name, plain(row.name()), plain(row.verdict()), plain(row.asExpected()), row.reproduced(),
			row.before(), row.during(), row.after(), row.restored())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			for _, why := range a.Reasons {
				if _, err := fmt.Fprintf(w, "%s: %s/%s%s: %s\n", plain(string(a.Outcome)), plain(sc.Name), plain(a.Name), plain(on(a.Image)), plain(why)); err != nil {
					return err
				}
			}
		}
	}
	if open := unchecked(r, func(one row) string { return one.scenario + "/" + one.name() }); open != "" {
		if _, err := fmt.Fprintf(w, "%s\n", plain(open)); err != nil {
			return err
		}
	}
	if err := tableOfImages(w, r); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\noutcome: %s\n", plain(string(r.Outcome)))
	return err
}
