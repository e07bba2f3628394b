package markdown

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// overview is scenarios by signals: after how long each fires.
func overview(v *view.Run) string {
	if len(v.Signals) == 0 {
		return ""
	}
	var b bytes.Buffer
	if v.Quiet != "" {
		b.WriteString(v.Quiet + "\n\n")
	}
	table(&b, append([]string{"scenario"}, v.Signals...)...)
	for _, sc := range v.Scenarios {
		cells, live := []string{sc.Name}, view.Live(sc)
		for _, name := range v.Signals {
			cells = append(cells, view.Read(live, name).Brief())
		}
		table(&b, cells...)
	}
	b.WriteString("\nThe time to detect, the median of the arms without a prevention; *silent*: it fires in none of them.\n\n")
	return b.String()
}

// signalTables has one table per scenario, quickest signal first. Arms of one
// scenario share their incident, so their readings are folded together.
func signalTables(p *pages, v *view.Run) {
	for _, sc := range v.Scenarios {
		var b bytes.Buffer
		if len(v.On) > 0 {
			signalsByImage(&b, sc, v.On)
		} else {
			signalTable(&b, sc)
		}
		if b.Len() > 0 {
			p.add("## What the signals read", folded(sc.Name, b.String()+"\n"))
		}
	}
}

func signalTable(b *bytes.Buffer, sc result.Scenario) {
	type line struct {
		cells   []string
		fastest float64
	}
	var lines []line
	live := view.Live(sc)
	for _, name := range view.SignalNames(sc.Arms) {
		read, all := view.Read(live, name), view.Read(sc.Arms, name)
		one := read.Last
		if one.Name == "" { // no arm had the failure
			one = all.First
		}
		in, cleared := fmt.Sprintf("%d of %d", read.Fired, read.Of), "-"
		if one.Unavailable != "" {
			in = one.Silence()
		}
		if all.Cured > 0 {
			cleared = fmt.Sprintf("%d of %d", all.Cleared, all.Cured)
		}
		lines = append(lines, line{[]string{name, text.Dash(one.Claim), one.Expected, in, read.Detect,
			fmt.Sprint(all.Alarms), cleared, view.Figures(sc.Arms[0].Figures(name))}, all.Fastest})
	}
	if len(lines) == 0 {
		return
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.fastest, b.fastest) })
	table(b, "signal", "claim", "expected", "fired in", "time to detect", "false alarms before", "cleared after a cure",
		"what it read")
	for _, l := range lines {
		table(b, l.cells...)
	}
}

// signalsByImage has a line for each signal and a column for each image: in how many
// arms it fired there, after how long, and what else it did.
func signalsByImage(b *bytes.Buffer, sc result.Scenario, images []string) {
	table(b, append(append([]string{"signal", "claim", "expected"}, images...), view.Differs)...)
	for _, name := range view.SignalNames(sc.Arms) {
		var cells, kinds []string
		var s result.Signal
		for _, image := range images {
			read := view.Read(view.Live(sc.On(image)), name)
			cells = append(cells, read.Words())
			if kind := read.Kind(); kind != "" {
				kinds = append(kinds, kind)
				s = read.Last
			}
		}
		table(b, append(append([]string{name, text.Dash(s.Claim), s.Expected}, cells...), view.Mark(kinds))...)
	}
}
