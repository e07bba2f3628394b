package report

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// Changes writes what a later judge says of a recorded run, and what was said before: a
// line for each arm that turned, and of those that only have other figures the first few.
// Arms that could not be judged again come last.
func Changes(w io.Writer, changes []result.Change) error {
	var turned, lost []result.Change
	var figures []string
	for _, c := range changes {
		switch {
		case c.Lost != nil:
			lost = append(lost, c)
		case c.Turned():
			turned = append(turned, c)
		default:
			figures = append(figures, view.Plain(c.Now.Folder))
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if n := len(turned) + len(figures); n > 0 {
		_, _ = fmt.Fprintf(t, "changed: %d %s\n", n, text.Noun(n, "arm"))
	} else {
		_, _ = fmt.Fprintln(t, "changed: nothing")
	}
	for _, c := range turned {
		_, _ = fmt.Fprintf(t, "%s\t%s -> %s\n", view.Plain(c.Now.Folder), judgedAs(c.Was), judgedAs(c.Now))
	}
	if len(figures) > 0 {
		_, _ = fmt.Fprintf(t, "in figures alone: %s\n", text.FirstOf(figures, ", ", view.MaxNames))
	}
	for _, c := range lost {
		_, _ = fmt.Fprintf(t, "not judged again, still %s: %s: %s\n", judgedAs(c.Was), view.Plain(c.Now.Folder),
			view.Plain(c.Lost.Error()))
	}
	return t.Flush()
}

func judgedAs(a result.Arm) string {
	words := view.Plain(string(a.Outcome))
	if a.Verdict != "" {
		words += ", " + view.Plain(string(a.Verdict))
	}
	if a.Unsafe {
		words += ", UNSAFE"
	}
	return words
}
