package report

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
)

// Margins writes which arms would not have passed, had one of the numbers that the
// judge compares with been a share lower or higher.
func Margins(w io.Writer, margins []result.Margin, share float64) error {
	if len(margins) == 0 {
		_, err := fmt.Fprintf(w, "margins: no arm that passed turns where a number is %g%% off\n", 100*share)
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(t, "margins: what turns where a number is %g%% off\n", 100*share)
	_, _ = fmt.Fprintln(t, "ARM\tNUMBER\tIS\tWOULD BE\tTURNS\tTO")
	for _, m := range margins {
		_, _ = fmt.Fprintf(t, "%s/%s%s\t%s\t%g\t%g\t%d of %d\t%s: %s\n", view.Plain(m.Scenario), view.Plain(m.Arm),
			view.Plain(view.On(m.Image)), view.Plain(m.Key), m.From, m.To,
			m.Turned, m.Of, view.Plain(string(m.Outcome)), view.Plain(m.Reason))
	}
	return t.Flush()
}
