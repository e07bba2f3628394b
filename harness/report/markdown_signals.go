package report

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/result"
)

// overview is scenarios by signals: after how long each fires.
func overview(r *result.Run) string {
	var names []string
	for _, sc := range r.Scenarios {
		for _, name := range signalNames(sc) {
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
			cells = append(cells, live(sc).did(name).brief())
		}
		table(&b, cells...)
	}
	b.WriteString("\nThe time to detect, the median of the arms without a prevention; *silent*: it fires in none of them.\n\n")
	return b.String()
}

// brief is what a signal did, in a cell.
func (d did) brief() string {
	switch d.kind {
	case "fires":
		return strings.TrimPrefix(d.words[strings.Index(d.words, ",")+1:], " ")
	case "silent", "not available":
		return d.kind
	}
	return d.words
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
	for _, s := range signalNames(sc) {
		cells, fastest := signalLine(sc, s)
		lines = append(lines, line{cells, fastest})
	}
	if len(lines) == 0 {
		return
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.detect, b.detect) })
	table(b, "signal", "claim", "expected", "fired in", "time to detect", "false alarms before", "cleared after a cure", "what it read")
	for _, l := range lines {
		table(b, l.cells...)
	}
}

// signalLine is what a signal did in all arms of a scenario, and when it was the
// quickest, in milliseconds.
func signalLine(sc result.Scenario, s string) (cells []string, fastest float64) {
	failing := live(sc)
	one, fired, detect := failing.signal(s)
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
	in := fmt.Sprintf("%d of %d", fired, len(failing.repeats))
	if one.Unavailable != "" {
		in = "not available: " + one.Unavailable
	}
	return []string{s, orDash(one.Claim), one.Expected, in, detect, fmt.Sprint(alarms), clear, figures(sc.Arms[0].Figures(s))}, fastest
}

// falseAlarms sums up the runs in which nothing was wrong.
func falseAlarms(b *bytes.Buffer, r *result.Run) {
	if alarmed, quiet := alarmsOfQuiet(r); quiet > 0 {
		fmt.Fprintf(b, "Where nothing was wrong, a signal fired in %d of %d runs.\n\n", alarmed, quiet)
	}
}

// alarmsOfQuiet counts the runs in which nothing was wrong, and those of them in which a
// signal fired.
func alarmsOfQuiet(r *result.Run) (alarmed, quiet int) {
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			if a.Reproduced != nil || a.Prevention != "" || a.Outcome == result.Inconclusive {
				continue
			}
			quiet++
			if slices.ContainsFunc(a.Signals, func(s result.Signal) bool { return s.Fired || s.BaselineFirings > 0 }) {
				alarmed++
			}
		}
	}
	return alarmed, quiet
}

func signalNames(sc result.Scenario) []string {
	var names []string
	for _, a := range sc.Arms {
		for _, s := range a.Signals {
			if !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
		}
	}
	return names
}
