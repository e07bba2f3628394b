package report

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/lockjam/lockjam/harness"
)

// Table writes the answer as aligned plain text, for a terminal: a line per
// arm, then why anything did not pass.
func Table(w io.Writer, r *harness.Run) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "SCENARIO\tARM\tVERDICT\tAS EXPECTED\tREPRODUCED\tBEFORE\tDURING\tAFTER\tBACK AFTER")
	last := ""
	for _, row := range rows(r) {
		name := row.scenario
		if name == last {
			name = ""
		}
		last = row.scenario
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", name, row.name(), row.verdict(), row.asExpected(), row.reproduced(),
			row.before(), row.during(), row.after(), row.restored())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			for _, why := range a.Reasons {
				if _, err := fmt.Fprintf(w, "%s: %s/%s%s: %s\n", a.Outcome, sc.Name, a.Name, on(a.Image), why); err != nil {
					return err
				}
			}
		}
	}
	if err := tableOfImages(w, r); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\noutcome: %s\n", r.Outcome)
	return err
}
