package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/lockjam/lockjam/harness"
)

// Changes writes what a later judge says of a recorded run, and what was said before: a
// line for each arm that turned, and of those that only have other figures the first few.
func Changes(w io.Writer, changes []harness.Change) error {
	if len(changes) == 0 {
		_, err := fmt.Fprintln(w, "changed: nothing")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(t, "changed: %d %s\n", len(changes), plural(len(changes), "arm"))
	var figures []string
	for _, c := range changes {
		if !c.Turned() {
			figures = append(figures, plain(c.Now.Folder))
			continue
		}
		_, _ = fmt.Fprintf(t, "%s\t%s -> %s\n", plain(c.Now.Folder), judgedAs(c.Was), judgedAs(c.Now))
	}
	if len(figures) > 0 {
		_, _ = fmt.Fprintf(t, "in figures alone: %s\n", listed(figures, maxNames))
	}
	return t.Flush()
}

func judgedAs(a harness.ArmResult) string {
	words := plain(string(a.Outcome))
	if a.Verdict != "" {
		words += ", " + plain(string(a.Verdict))
	}
	if a.Unsafe {
		words += ", UNSAFE"
	}
	return words
}

// listed names the first of them, and says how many more there are.
func listed(names []string, most int) string {
	if n := len(names); n > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), n-most)
	}
	return strings.Join(names, ", ")
}
