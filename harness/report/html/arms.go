package html

import (
	"encoding/json"
	"fmt"
	"html/template"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/lockjam/lockjam/harness/remedies"
	"github.com/lockjam/lockjam/harness/report/chart"
	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
)

// armView is one arm, its repeats folded together. What cannot be folded (charts, the
// remedy's log, the residue) is the first repeat's.
type armView struct {
	ID, Scenario, Name string
	Kind               string // remedy or prevention, with its name
	Chips              []chip
	Outcome            chip
	Odd, Unsafe        bool // for the filter; odd arms are open
	Keys               string
	Expected           string
	Why                string
	Said               []fact
	Doubts             []doubt
	Facts              []fact
	Safety             grid
	Repeats            grid
	Charts             []charts
	Signals            grid
	Phases             grid
	Steps              grid
	Probes             grid
	Graph              template.HTML
	GraphSays          string
	NoGraph            string
	Server             string
	Files              []link

	row view.Row
}

// charts are of one repeat.
type charts struct {
	Of      string
	Figures []figureView
	Missing string // why there are none
	Partial string // what is missing in them
}

type figureView struct {
	Title, Alt string
	SVG        template.HTML
	Hover      template.JS // JSON
}

func (b *builder) arm(one view.Row) *armView {
	a := one.Repeats[0]
	v := &armView{
		ID: b.id(one.Scenario, one.Name()), Scenario: one.Scenario, Name: one.Name(), Kind: kind(a), Chips: chips(one),
		Outcome: outcomeChip(result.Pass),
		Unsafe:  unsafe(one), Keys: keys(one), Expected: one.AsExpected(), Why: a.Why, row: one,
		Server: b.folder.serverOf(a.Folder), Files: b.folder.links(a.Folder),
	}
	if key := (armKey{one.Scenario, one.Arm, one.Image}); b.arms[key] == "" {
		b.arms[key] = v.ID
	}
	for _, x := range one.Repeats {
		v.Outcome = worse(v.Outcome, outcomeChip(x.Outcome))
		for _, why := range x.Reasons {
			v.Doubts = append(v.Doubts, doubt{Chip: outcomeChip(x.Outcome), Why: why,
				RepeatOne: view.RepeatOf(x, b.run)})
		}
	}
	v.Odd = v.Outcome != outcomeChip(result.Pass)
	v.Said, v.Facts = said(a, view.RepeatOf(a, b.run)), facts(one)
	v.Safety, v.Signals, v.Phases = b.safety(one), b.signalsOf(one), b.phases(a)
	v.Repeats, v.Steps, v.Probes = b.repeats(one), b.steps(a), b.probes(a)
	b.residue(v)
	return v
}

// kind is what was done in an arm, in the words of the catalogue; "" for nothing.
func kind(a result.Arm) string {
	switch {
	case a.Prevention != "" && a.Claim != "":
		return "Prevention " + a.Prevention + ", for " + a.Claim
	case a.Prevention != "":
		return "Prevention " + a.Prevention
	case a.Remedy == "" || a.Remedy == remedies.NoRemedy:
		return ""
	}
	return "Remedy " + a.Remedy
}

// keys are the figures that stand in an arm's summary.
func keys(r view.Row) string {
	parts := []string{fmt.Sprintf("%s → %s → %s", r.Before(), r.During(), r.After())}
	if ratio := r.Ratio(); ratio != "-" {
		parts = append(parts, ratio+" of the baseline")
	}
	if back := r.Restored(); back != "-" {
		parts = append(parts, "back after "+back)
	}
	if faults := r.Faults(); (unsafe(r) || view.BrokenIncident(r.Repeats[0])) && faults != "-" {
		parts = append(parts, faults+" safety faults")
	}
	return strings.Join(parts, " · ")
}

// said is the judge's word in sentences.
func said(a result.Arm, repeat string) []fact {
	var all []fact
	add := func(name, text string) {
		if text != "" {
			all = append(all, fact{name, strings.TrimSpace(text)})
		}
	}
	add("Because"+repeat, a.Because+view.Left(a))
	if a.Credit != nil {
		add("Credit", a.Credit.Because)
	}
	if a.Unsafe {
		add("Unsafe", view.Broken(a)+".")
	}
	add("Error replies", strings.TrimSpace(view.Refusals(a)))
	if a.Truncated {
		add("Missing", "The history ends in the middle: what came after is not in here.")
	}
	return all
}

func facts(r view.Row) []fact {
	a := r.Repeats[0]
	all := []fact{
		{"goodput before", r.Before()}, {"during", r.During()}, {"after", r.After()}, {"of the baseline", r.Ratio()},
		{"back after", r.Restored()}, {"reproduced", r.Reproduced()},
	}
	if a.Expected != "" {
		all = append(all, fact{"expected", string(a.Expected)})
	}
	if a.Attempts > 1 {
		all = append(all, fact{"attempts", fmt.Sprint(a.Attempts)})
	}
	if others := view.Company(a); others != "" {
		all = append(all, fact{"others", strings.TrimSpace(others)})
	}
	if c := a.Connections; c != nil {
		words := fmt.Sprintf("%d clients at the end", c.Clients)
		if c.SettledAfterMS != nil {
			words += fmt.Sprintf(", steady after %.1f s", *c.SettledAfterMS/1000)
		}
		all = append(all, fact{"connections", words})
	}
	return all
}

// safety counts what must not happen, as medians over the repeats.
func (b *builder) safety(one view.Row) grid {
	g := grid{Caption: "Safety faults", Columns: []string{"fault", "count"}}
	for _, f := range []struct {
		what string
		of   func(result.Safety) int64
	}{
		{"double grants", func(s result.Safety) int64 { return s.Overlaps }},
		{"lost updates", func(s result.Safety) int64 { return s.LostUpdates }},
		{"requests admitted over the limit", func(s result.Safety) int64 { return s.OverAdmitted }},
		{"locks gone from under their holders", func(s result.Safety) int64 { return s.ForeignReleases }},
		{"fencing tokens that did not rise", func(s result.Safety) int64 { return s.FencingRegressions }},
	} {
		count := one.Median("%.0f", func(a result.Arm) (float64, bool) { return float64(f.of(a.Safety)), true })
		g.Lines = append(g.Lines, []field{{Text: f.what}, {Text: count}})
	}
	return g
}

func (b *builder) signalsOf(one view.Row) grid {
	g := grid{Caption: "Signals", Columns: []string{"signal", "claim", "expected", "fired", "time to detect",
		"cleared after the cure", "false alarms", "as expected", "what it read"}}
	for _, name := range view.SignalNames(result.Scenario{Arms: one.Repeats}) {
		s, fired, detect := one.Signal(name)
		alarms, met, cleared, cured, of := 0, 0, 0, 0, 0
		for _, a := range one.Repeats {
			for _, x := range a.Signals {
				if x.Name == name {
					of, alarms = of+1, alarms+x.BaselineFirings
					met += count(x.Met)
					if x.Fired && a.Verdict == result.Cured { // else there was nothing that it could clear after
						cured, cleared = cured+1, cleared+count(x.Cleared)
					}
				}
			}
		}
		for _, a := range slices.Backward(one.Repeats) { // what it read is the first repeat's
			for _, x := range a.Signals {
				if x.Name == name {
					s = x
				}
			}
		}
		line := []field{{Text: name, Code: true}, {Text: view.OrDash(s.Claim)}, {Text: s.Expected}}
		if s.Unavailable != "" {
			line = append(line, field{Text: "not available: " + s.Unavailable, Wide: true}, field{Text: "-"},
				field{Text: "-"})
		} else {
			line = append(line, fires(fired, of), field{Text: detect, Sort: strings.TrimSuffix(detect, " ms")},
				field{Text: clearedOf(cleared, cured)})
		}
		ok := chip{"✓", outOf(met, of), "plain"}
		switch {
		case met == of && !s.Checked():
			ok = chip{"–", "not checked", "none"}
		case met < of:
			ok = chip{"✕", strings.Replace(outOf(met, of), "no", "NO", 1), "harm"}
		}
		g.Lines = append(g.Lines, append(line, field{Text: fmt.Sprint(alarms)}, field{Chips: []chip{ok}},
			field{Text: view.Figures(s.Figures), Wide: true}))
	}
	return g
}

func fires(fired, of int) field {
	if fired == 0 {
		return field{Chips: []chip{{"○", outOf(0, of), "quiet"}}}
	}
	return field{Chips: []chip{{"●", outOf(fired, of), "fires"}}}
}

// clearedOf says how often a signal that fired was silent again after a cure.
func clearedOf(cleared, cured int) string {
	if cured == 0 {
		return "-"
	}
	return outOf(cleared, cured)
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// outOf is yes or no of one, else how many.
func outOf(n, of int) string {
	switch {
	case of > 1:
		return fmt.Sprintf("%d of %d", n, of)
	case n == 1:
		return "yes"
	}
	return "no"
}

func (b *builder) phases(a result.Arm) grid {
	g := grid{Caption: "Phases", Columns: []string{"phase", "from", "to", "goodput", "p50", "p99", "slowest", "ok",
		"failed", "unknown", "failed attempts", "error replies"}}
	seconds := func(ms float64) field { return field{Text: fmt.Sprintf("%.1f s", ms/1000), Sort: fmt.Sprint(ms)} }
	millis := func(ms float64, n int64) field {
		if n == 0 {
			return field{Text: "-"}
		}
		return field{Text: fmt.Sprintf("%.0f ms", ms), Sort: fmt.Sprint(ms)}
	}
	for _, p := range a.Phases {
		classes := map[string]float64{}
		for class, n := range p.Classes {
			classes[class] = float64(n)
		}
		replies := map[string]float64{}
		for prefix, n := range p.ErrorReplies {
			replies[prefix] = float64(n)
		}
		n := p.Operations.OK
		g.Lines = append(g.Lines, []field{
			{Text: p.Name}, seconds(p.StartMS), seconds(p.EndMS), {Text: fmt.Sprintf("%.0f/s", p.GoodputPerS)},
			millis(p.ResponseMS.P50, n), millis(p.ResponseMS.P99, n), millis(p.ResponseMS.Max, n),
			{Text: fmt.Sprint(n)}, {Text: fmt.Sprint(p.Operations.Fail)}, {Text: fmt.Sprint(p.Operations.Unknown)},
			{Text: view.OrDash(view.Figures(classes)), Wide: true},
			{Text: view.OrDash(view.Figures(replies)), Wide: true},
		})
	}
	return g
}

func (b *builder) repeats(one view.Row) grid {
	if len(one.Repeats) < 2 {
		return grid{}
	}
	g := grid{Caption: "Repeats", Columns: []string{"repeat", "outcome", "verdict", "before", "during", "after",
		"of the baseline", "safety faults", "history"}}
	for _, a := range one.Repeats {
		single := view.Row{Repeats: []result.Arm{a}}
		history := field{Text: b.folder.missing(a.Folder, chart.HistoryFile)}
		if history.Text == "" {
			history = field{Text: a.Folder, Href: hrefTo(a.Folder, chart.HistoryFile)}
		}
		g.Lines = append(g.Lines, []field{
			{Text: fmt.Sprint(a.Repeat)}, {Chips: []chip{outcomeChip(a.Outcome)}}, {Chips: chips(single)},
			{Text: single.Before()}, {Text: single.During()}, {Text: single.After()}, {Text: single.Ratio()},
			{Text: single.Faults()}, history,
		})
	}
	return g
}

func (b *builder) steps(a result.Arm) grid {
	g := grid{Caption: "What the remedy did", Columns: []string{"at", "did", "answer"}}
	for _, s := range a.Steps {
		g.Lines = append(g.Lines, []field{{Text: fmt.Sprintf("%.1f s", s.AtMS/1000), Sort: fmt.Sprint(s.AtMS)},
			{Text: s.Did, Code: true, Wide: true}, {Text: s.Answer, Code: true, Wide: true}})
	}
	return g
}

func (b *builder) probes(a result.Arm) grid {
	g := grid{Caption: "What was asked afterwards; none of it counts for a verdict",
		Columns: []string{"at", "asked", "what it shows"}}
	for _, p := range a.Probes {
		g.Lines = append(g.Lines, []field{{Text: fmt.Sprintf("%.1f s", p.AtMS/1000), Sort: fmt.Sprint(p.AtMS)},
			{Text: p.Did, Code: true, Wide: true}, {Text: p.Because, Wide: true}})
	}
	return g
}

// residue draws what is stuck in the first repeat that has a proof.
func (b *builder) residue(v *armView) {
	for _, a := range v.row.Repeats {
		d := a.Deadlock
		if d == nil {
			continue
		}
		if !d.Proved {
			if v.GraphSays == "" {
				v.GraphSays = view.Unproved(d)
			}
			continue
		}
		v.GraphSays = fmt.Sprintf("%s Proved %.1f s after the trigger, %.0f ms after the rules first allow it",
			d.Sentence, d.AfterMS/1000, d.LateMS)
		if d.Checked {
			v.GraphSays += "; the locks' tokens and CLIENT LIST in Redis agree"
		}
		v.GraphSays += "."
		g, err := parseGraph(d.Graph)
		if err != nil {
			v.NoGraph = err.Error()
			return
		}
		v.Graph = g.svg("Wait-for graph of what stands still")
		return
	}
}

// drawAll draws the charts of all arms, on all cores.
func (b *builder) drawAll(arms []*armView) {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, v := range arms {
		g.Go(func() error {
			v.Charts = b.charts(v.row)
			return nil // what could not be drawn is said in its place
		})
	}
	_ = g.Wait()
}

// oddCharted bounds how many repeats of one arm have charts for not being as expected.
const oddCharted = 3

func (b *builder) charts(one view.Row) []charts {
	all := []charts{b.chartsOf(one.Repeats[0])}
	for _, a := range one.Repeats[1:] {
		if a.Outcome != result.Pass && len(all) <= oddCharted {
			all = append(all, b.chartsOf(a))
		}
	}
	if len(one.Repeats) > 1 {
		all[0].Of = fmt.Sprintf("repeat %d", one.Repeats[0].Repeat)
	}
	return all
}

func (b *builder) chartsOf(a result.Arm) charts {
	c := charts{}
	if a.Repeat > 1 {
		c.Of = fmt.Sprintf("repeat %d", a.Repeat)
	}
	if c.Missing = b.folder.missing(a.Folder, chart.HistoryFile); c.Missing != "" {
		return c
	}
	all, err := chart.FiguresOf(b.folder.path, a)
	switch {
	case err != nil && len(all) > 0:
		c.Partial = err.Error()
	case err != nil:
		c.Missing = err.Error()
	}
	for _, f := range all {
		v := figureView{Title: f.Title, Alt: f.Alt, SVG: f.SVG}
		if f.Hover != nil {
			if data, err := json.Marshal(f.Hover); err == nil { // escapes what would end a script
				v.Hover = template.JS(data)
			}
		}
		c.Figures = append(c.Figures, v)
	}
	return c
}
