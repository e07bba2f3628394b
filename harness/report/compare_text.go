package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/lockjam/lockjam/harness/compare"
	"github.com/lockjam/lockjam/harness/report/view"
)

// compareText writes a comparison for a terminal: the answer, what the runs differ in
// to begin with, and what came of it.
func compareText(w io.Writer, c *view.Comparison) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n\n", view.Plain(c.Answer))
	fmt.Fprintf(&b, "before  %s\nafter   %s\n", view.Plain(c.First), view.Plain(c.Second))
	for _, d := range c.Environment {
		fmt.Fprintf(&b, "differs %s: %s -> %s\n", view.Plain(d.What), view.Plain(d.Before), view.Plain(d.After))
	}
	for _, said := range c.Remarks {
		fmt.Fprintf(&b, "note    %s\n", view.Plain(said))
	}
	for _, j := range c.Rules {
		fmt.Fprintf(&b, "rule    %s: %s, %s\n", j.String(), j.Outcome, view.Plain(j.Because))
	}
	for _, said := range c.Passed() {
		fmt.Fprintf(&b, "not gated: %s\n", view.Plain(said))
	}
	for _, s := range c.Sections {
		fmt.Fprintf(&b, "\n%s\n", strings.ToUpper(s.Title))
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		for _, r := range s.Rows {
			scenario, arm := view.PlaceOf(r)
			_, _ = fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", view.Plain(scenario), view.Plain(arm), view.Plain(r.What),
				view.Plain(change(r)))
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	fmt.Fprintf(&b, "\n%s\n", c.Counted)
	_, err := w.Write(b.Bytes())
	return err
}

// change is a row's two sides in a line, with the difference and the reason.
func change(r compare.Row) string {
	said := r.Before + " -> " + r.After
	if d := r.Difference(); d != "" {
		said += ", " + d
	}
	if r.Because != "" {
		said += ": " + r.Because
	}
	return said
}
