package markdown

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
)

// overview is scenarios by signals: after how long each fires.
func overview(r *result.Run) string {
	var names []string
	for _, sc := range r.Scenarios {
		for _, name := range view.SignalNames(sc) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 {
		return ""
	}
	var b bytes.Buffer
	falseAlarms(&b, r)
	table(&b, append([]string{"scenario"}, names...)...)
	for _, sc := range r.Scenarios {
		cells := []string{sc.Name}
		for _, name := range names {
			cells = append(cells, view.Live(sc).Did(name).Brief())
		}
		table(&b, cells...)
	}
	b.WriteString("\nThe time to detect, the median of the arms without a prevention; *silent*: it fires in none of them.\n\n")
	return b.String()
}

// signalTables has one table per scenario, quickest signal first. Arms of one
// scenario share their incident, so their readings are folded together.
func signalTables(p *pages, r *result.Run) {
	const heading = "## What the signals read"
	images := r.Images()
	for _, sc := range r.Scenarios {
		var b bytes.Buffer
		if len(images) > 0 {
			signalsByImage(&b, sc, images)
		} else {
			signalTable(&b, sc)
		}
		if b.Len() > 0 {
			p.add(heading, folded(sc.Name, b.String()+"\n"))
		}
	}
}

func signalTable(b *bytes.Buffer, sc result.Scenario) {
	type line struct {
		cells  []string
		detect float64
	}
	var lines []line
	for _, s := range view.SignalNames(sc) {
		cells, fastest := signalLine(sc, s)
		lines = append(lines, line{cells, fastest})
	}
	if len(lines) == 0 {
		return
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.detect, b.detect) })
	table(b, "signal", "claim", "expected", "fired in", "time to detect", "false alarms before", "cleared after a cure",
		"what it read")
	for _, l := range lines {
		table(b, l.cells...)
	}
}

// signalLine is what a signal did in all arms of a scenario, and when it was the
// quickest, in milliseconds.
func signalLine(sc result.Scenario, s string) (cells []string, fastest float64) {
	failing := view.Live(sc)
	one, fired, detect := failing.Signal(s)
	alarms, cleared, cured := 0, 0, 0
	fastest = 1e12
	for _, a := range sc.Arms {
		for _, x := range a.Signals {
			if x.Name != s {
				continue
			}
			alarms += x.BaselineFirings
			if one.Name == "" { // no arm had the failure
				one = x
			}
			if x.DetectMS != nil {
				fastest = min(fastest, *x.DetectMS)
			}
			if a.Verdict == result.Cured && x.Fired {
				cured++
				if x.Cleared {
					cleared++
				}
			}
		}
	}
	clear := "-"
	if cured > 0 {
		clear = fmt.Sprintf("%d of %d", cleared, cured)
	}
	in := fmt.Sprintf("%d of %d", fired, len(failing.Repeats))
	if one.Unavailable != "" {
		in = "not available: " + one.Unavailable
	}
	return []string{s, view.OrDash(one.Claim), one.Expected, in, detect, fmt.Sprint(alarms), clear,
		view.Figures(sc.Arms[0].Figures(s))}, fastest
}

// falseAlarms sums up the runs in which nothing was wrong.
func falseAlarms(b *bytes.Buffer, r *result.Run) {
	if alarmed, quiet := view.AlarmsOfQuiet(r); quiet > 0 {
		fmt.Fprintf(b, "Where nothing was wrong, a signal fired in %d of %d runs.\n\n", alarmed, quiet)
	}
}

// signalsByImage has a line for each signal and a column for each image: in how many
// arms it fired there, after how long, and what else it did.
func signalsByImage(b *bytes.Buffer, sc result.Scenario, images []string) {
	table(b, append(append([]string{"signal", "claim", "expected"}, images...), view.Differs)...)
	for _, name := range view.SignalNames(sc) {
		var cells, kinds []string
		var s result.Signal
		for _, image := range images {
			did := view.Live(sc.On(image)).Did(name)
			cells = append(cells, did.Words)
			if did.Kind != "" {
				kinds = append(kinds, did.Kind)
				s = did.Signal
			}
		}
		table(b, append(append([]string{name, view.OrDash(s.Claim), s.Expected}, cells...), view.Mark(kinds))...)
	}
}
