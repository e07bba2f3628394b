package report

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness"
	"github.com/lockjam/lockjam/harness/remedies"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/signals"
	"github.com/lockjam/lockjam/harness/triggers"
)

const guideHead = `# Which failure is it?

Find the row that has what you see, and read on below it. Everything here is what the
scenarios of the catalogue expect, and ` + "`lockjam run --all`" + ` holds them to it.

Goodput is what tells that something is wrong, whatever it is. The other signals tell
what it is. The names are those of ` + "`lockjam list signals`" + `, and ` + "`lockjam watch`" + ` has
those that a Redis alone can tell.

`

// Guide writes the catalogue as a decision table: from what you see, to what it is,
// to what to do. It rests on what the scenarios expect of their signals and arms.
func Guide(all []*scenario.Scenario) []byte {
	var b bytes.Buffer
	b.WriteString(guideHead)
	failures := slices.DeleteFunc(slices.Clone(all), func(s *scenario.Scenario) bool { return s.Trigger.Kind == triggers.None })
	sightings(&b, failures)
	for _, s := range failures {
		page(&b, s)
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// sightings is a table of failures by the signals that tell one from another.
func sightings(b *bytes.Buffer, failures []*scenario.Scenario) {
	var names []string
	for _, s := range signals.All() {
		if slices.ContainsFunc(failures, func(f *scenario.Scenario) bool { return f.Signals[s.Name].Expect == scenario.Fire }) {
			names = append(names, s.Name)
		}
	}
	table(b, append([]string{"it may be"}, names...)...)
	for _, f := range failures {
		cells := []string{f.Name}
		for _, name := range names {
			cells = append(cells, map[scenario.Expect]string{scenario.Fire: "fires", scenario.Silent: "silent"}[f.Signals[name].Expect])
		}
		table(b, cells...)
	}
	b.WriteString("\nAn empty cell: it may fire or not.\n\n")
}

// page says what a failure is and what to do about it.
func page(b *bytes.Buffer, s *scenario.Scenario) {
	fmt.Fprintf(b, "## %s\n\n%s.", cell(s.Name), cell(s.Title))
	if s.Incident.Kind != "" {
		fmt.Fprintf(b, " The wait-for graph proves it: %s.", cell(s.Incident.Kind))
	}
	b.WriteString("\n\n")
	for _, n := range s.Notes() {
		if n.Heading == "Take away" {
			fmt.Fprintf(b, "%s\n\n", words(n.Text))
		}
	}
	if endsByItself(s) {
		b.WriteString("- Ends by itself, with nothing done about it\n")
	}
	for _, g := range []struct {
		words string
		is    func(v harness.Verdict, unsafe bool) bool
	}{
		{"Cures", func(v harness.Verdict, unsafe bool) bool { return v == harness.Cured && !unsafe }},
		{"Cures, and breaks mutual exclusion", func(v harness.Verdict, unsafe bool) bool { return v == harness.Cured && unsafe }},
		{"Cannot be carried out", func(v harness.Verdict, _ bool) bool { return v == harness.Blocked }},
		{"Does not last, or does nothing", func(v harness.Verdict, unsafe bool) bool { return fails(v) && !unsafe }},
		{"Does not last or does nothing, and breaks mutual exclusion", func(v harness.Verdict, unsafe bool) bool { return fails(v) && unsafe }},
		{"Prevents", func(v harness.Verdict, unsafe bool) bool { return v == harness.Prevented && !unsafe }},
		{"Prevents, and breaks mutual exclusion", func(v harness.Verdict, unsafe bool) bool { return v == harness.Prevented && unsafe }},
		{"Mitigates", func(v harness.Verdict, _ bool) bool { return v == harness.Mitigated }},
		{"Does not prevent", func(v harness.Verdict, _ bool) bool { return v == harness.NotPrevented }},
	} {
		var arms []string
		for _, a := range s.Arms {
			unsafe := a.Expect.Unsafe != nil && *a.Expect.Unsafe
			if acts(a) && g.is(harness.Verdict(a.Expect.Verdict), unsafe) {
				arms = append(arms, "`"+code(a.Name)+"`")
			}
		}
		if len(arms) > 0 {
			fmt.Fprintf(b, "- %s: %s\n", g.words, strings.Join(arms, ", "))
		}
	}
	fmt.Fprintf(b, "\n`lockjam show %s` says why; `lockjam run %[1]s` shows it.\n\n", code(s.Name))
}

// endsByItself says whether the incident is over with nothing done about it.
func endsByItself(s *scenario.Scenario) bool {
	return slices.ContainsFunc(s.Arms, func(a scenario.Arm) bool {
		return !acts(a) && harness.Verdict(a.Expect.Verdict) == harness.Cured
	})
}

func fails(v harness.Verdict) bool {
	return v == harness.Relapsed || v == harness.NoEffect || v == harness.Partial
}

// acts says whether anything is done in an arm.
func acts(a scenario.Arm) bool {
	return a.Prevention != "" || a.Remedy != "" && a.Remedy != remedies.NoRemedy
}
