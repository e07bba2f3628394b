package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/lockjam/lockjam/harness/compare"
)

// compareText writes a comparison for a terminal: the answer, what the runs differ in
// to begin with, and what came of it.
func compareText(w io.Writer, c *compare.Comparison) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n\n", plain(c.Answer))
	fmt.Fprintf(&b, "before  %s\nafter   %s\n", plain(runLine(c.Before)), plain(runLine(c.After)))
	for _, d := range c.Environment {
		fmt.Fprintf(&b, "differs %s: %s -> %s\n", plain(d.What), plain(d.Before), plain(d.After))
	}
	for _, said := range remarks(c) {
		fmt.Fprintf(&b, "note    %s\n", plain(said))
	}
	for _, j := range c.Rules {
		fmt.Fprintf(&b, "rule    %s: %s, %s\n", j.String(), j.Outcome, plain(j.Because))
	}
	for _, said := range c.Passed() {
		fmt.Fprintf(&b, "not gated: %s\n", plain(said))
	}
	for _, s := range sections(c) {
		fmt.Fprintf(&b, "\n%s\n", strings.ToUpper(s.Title))
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		for _, r := range s.Rows {
			scenario, arm := placeOf(r)
			_, _ = fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", plain(scenario), plain(arm), plain(r.What), plain(change(r)))
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	fmt.Fprintf(&b, "\n%s\n", counted(c))
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
