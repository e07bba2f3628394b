package html

import (
	"encoding/json"
	"fmt"
	"html/template"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/lockjam/lockjam/harness/remedies"
	"github.com/lockjam/lockjam/harness/report/chart"
	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
	"github.com/lockjam/lockjam/harness/text"
)

// armView is one arm, its repeats folded together. What cannot be folded (charts, the
// remedy's log, the residue) is the first repeat's.
type armView struct {
	Row       view.Row
	ID        string
	Kind      string // remedy or prevention, with its name
	Chips     []chip
	Outcome   chip
	Odd       bool // not as expected: it is open
	Keys      string
	Why       string
	Said      []view.Fact
	Doubts    []doubt
	Facts     []view.Fact
	Safety    grid
	Repeats   grid
	Charts    []charts
	Signals   grid
	Phases    grid
	Steps     grid
	Probes    grid
	Graph     template.HTML
	GraphSays string
	NoGraph   string
	Server    string
	Files     []link
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
		Row: one, ID: b.id(one.Scenario, one.Name), Kind: kind(a), Chips: chips(one), Outcome: outcomeChip(result.Pass),
		Keys: keys(one), Why: a.Why,
		Said: said(a, b.run.RepeatOf(&a)), Facts: armFacts(one), Safety: safety(one), Repeats: repeats(b.folder, one),
		Signals: signalsOf(one), Phases: phases(a), Steps: steps(a), Probes: probes(a),
		Server: b.folder.serverOf(a.Folder), Files: b.folder.links(a.Folder),
	}
	if key := (armKey{one.Scenario, one.Arm, one.Image}); b.arms[key] == "" {
		b.arms[key] = v.ID
	}
	for _, x := range one.Repeats {
		v.Outcome = worse(v.Outcome, outcomeChip(x.Outcome))
		for _, why := range x.Reasons {
			v.Doubts = append(v.Doubts, doubt{Chip: outcomeChip(x.Outcome), Why: why, RepeatOne: b.run.RepeatOf(&x)})
		}
	}
	v.Odd = v.Outcome != outcomeChip(result.Pass)
	v.residue()
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
	parts := []string{fmt.Sprintf("%s → %s → %s", r.Before, r.During, r.After)}
	if ratio := r.Ratio; ratio != "-" {
		parts = append(parts, ratio+" of the baseline")
	}
	if back := r.Restored; back != "-" {
		parts = append(parts, "back after "+back)
	}
	if faults := r.Violations; (r.Unsafe || view.BrokenIncident(r.Repeats[0])) && faults != "-" {
		parts = append(parts, faults+" safety violations")
	}
	return strings.Join(parts, " · ")
}

// said is the judge's word in sentences.
func said(a result.Arm, repeat string) facts {
	var all facts
	all.add("Because"+repeat, a.Because+view.Left(a))
	if a.Credit != nil {
		all.add("Credit", a.Credit.Because)
	}
	if a.Unsafe {
		all.add("Unsafe", view.Broken(a)+".")
	}
	all.add("Time", view.Early(a))
	all.add("Error replies", strings.TrimSpace(view.Refusals(a)))
	if a.Truncated {
		all.add("Missing", "The history ends in the middle: what came after is not in here.")
	}
	return all
}

func armFacts(r view.Row) facts {
	a := r.Repeats[0]
	all := facts{{Name: "goodput before", Text: r.Before}, {Name: "during", Text: r.During},
		{Name: "after", Text: r.After}, {Name: "of the baseline", Text: r.Ratio}, {Name: "back after", Text: r.Restored},
		{Name: "reproduced", Text: r.Reproduced}}
	all.add("expected", string(a.Expected))
	if a.Attempts > 1 {
		all.add("attempts", fmt.Sprint(a.Attempts))
	}
	all.add("others", view.Company(a))
	if c := a.Connections; c != nil {
		words := fmt.Sprintf("%d clients at the end", c.Clients)
		if c.SettledAfterMS != nil {
			words += fmt.Sprintf(", steady after %.1f s", *c.SettledAfterMS/1000)
		}
		all.add("connections", words)
	}
	return all
}

// safety counts what must not happen, as medians over the repeats.
func safety(one view.Row) grid {
	g := grid{Caption: "Safety violations", Columns: []string{"violation", "count"}}
	for _, v := range view.Violations {
		count := view.Median(one.Repeats, "%.0f",
			func(a result.Arm) (float64, bool) { return float64(v.Of(a.Safety)), true })
		g.Lines = append(g.Lines, []field{{Text: v.Many}, {Text: count}})
	}
	return g
}

func signalsOf(one view.Row) grid {
	g := grid{Caption: "Signals", Columns: []string{"signal", "claim", "expected", "fired", "time to detect",
		"cleared after the cure", "false alarms", "as expected", "what it read"}}
	for _, name := range view.SignalNames(one.Repeats) {
		read := view.Read(one.Repeats, name)
		s := read.First
		line := []field{{Text: name, Code: true}, {Text: text.Dash(s.Claim)}, {Text: s.Expected}}
		if s.Unavailable != "" {
			line = append(line, field{Text: s.Silence(), Wide: true}, field{Text: "-"},
				field{Text: "-"})
		} else {
			line = append(line, fires(read.Fired, read.Of),
				field{Text: read.Detect, Sort: strings.TrimSuffix(read.Detect, " ms")},
				field{Text: clearedOf(read.Cleared, read.Cured)})
		}
		ok := chip{"✓", outOf(read.Met, read.Of), "plain"}
		switch {
		case read.Met == read.Of && !s.Checked():
			ok = chip{"–", "not checked", "none"}
		case read.Met < read.Of:
			ok = chip{"✕", strings.Replace(outOf(read.Met, read.Of), "no", "NO", 1), "harm"}
		}
		g.Lines = append(g.Lines, append(line, field{Text: fmt.Sprint(read.Alarms)}, field{Chips: []chip{ok}},
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

// seconds is a moment or a length of time.
func seconds(ms float64) field {
	return field{Text: fmt.Sprintf("%.1f s", ms/1000), Sort: fmt.Sprint(ms)}
}

func phases(a result.Arm) grid {
	g := grid{Caption: "Phases", Columns: []string{"phase", "from", "to", "goodput", "p50", "p99", "slowest", "ok",
		"failed", "unknown", "failed attempts", "error replies"}}
	millis := func(ms float64, n int64) field {
		if n == 0 {
			return field{Text: "-"}
		}
		return field{Text: fmt.Sprintf("%.0f ms", ms), Sort: fmt.Sprint(ms)}
	}
	for _, p := range a.Phases {
		n := p.Operations.OK
		g.Lines = append(g.Lines, []field{
			{Text: p.Name}, seconds(p.StartMS), seconds(p.EndMS), {Text: fmt.Sprintf("%.0f/s", p.GoodputPerS)},
			millis(p.ResponseMS.P50, n), millis(p.ResponseMS.P99, n), millis(p.ResponseMS.Max, n),
			{Text: fmt.Sprint(n)}, {Text: fmt.Sprint(p.Operations.Fail)}, {Text: fmt.Sprint(p.Operations.Unknown)},
			{Text: text.Dash(view.Figures(p.Classes)), Wide: true},
			{Text: text.Dash(view.Figures(p.ErrorReplies)), Wide: true},
		})
	}
	return g
}

func repeats(folder *runFolder, one view.Row) grid {
	if len(one.Repeats) < 2 {
		return grid{}
	}
	g := grid{Caption: "Repeats", Columns: []string{"repeat", "outcome", "verdict", "before", "during", "after",
		"of the baseline", "safety violations", "history"}}
	for _, a := range one.Repeats {
		single := view.NewRow(one.Scenario, []result.Arm{a})
		history := field{Text: folder.missing(a.Folder, rundir.HistoryFile)}
		if history.Text == "" {
			history = field{Text: a.Folder, Href: hrefTo(a.Folder, rundir.HistoryFile)}
		}
		g.Lines = append(g.Lines, []field{
			{Text: fmt.Sprint(a.Repeat)}, {Chips: []chip{outcomeChip(a.Outcome)}}, {Chips: chips(single)},
			{Text: single.Before}, {Text: single.During}, {Text: single.After}, {Text: single.Ratio},
			{Text: single.Violations}, history,
		})
	}
	return g
}

func steps(a result.Arm) grid {
	g := grid{Caption: "What the remedy did", Columns: []string{"at", "did", "answer"}}
	for _, s := range a.Steps {
		g.Lines = append(g.Lines, []field{seconds(s.AtMS), {Text: s.Did, Code: true, Wide: true},
			{Text: s.Answer, Code: true, Wide: true}})
	}
	return g
}

func probes(a result.Arm) grid {
	g := grid{Caption: "What was asked afterwards; none of it counts for a verdict",
		Columns: []string{"at", "asked", "what it shows"}}
	for _, p := range a.Probes {
		g.Lines = append(g.Lines, []field{seconds(p.AtMS), {Text: p.Did, Code: true, Wide: true}, {Text: p.Because, Wide: true}})
	}
	return g
}

// residue draws what is stuck in the first repeat that has a proof.
func (v *armView) residue() {
	d := view.Standstill(v.Row.Repeats)
	switch {
	case d == nil:
		return
	case !d.Proved:
		v.GraphSays = view.Unproved(d)
		return
	}
	v.GraphSays = fmt.Sprintf("%s Proved %.1f s after the trigger, %s", d.Sentence, d.AfterMS/1000, view.Late(d))
	if g, err := parseGraph(d.Graph); err != nil {
		v.NoGraph = err.Error()
	} else {
		v.Graph = g.svg("Wait-for graph of what stands still")
	}
}

// drawAll draws the charts of all arms, on all cores.
func drawAll(folder *runFolder, arms []*armView) {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, v := range arms {
		g.Go(func() error {
			v.Charts = chartsOf(folder, v.Row.Repeats)
			return nil // what could not be drawn is said in its place
		})
	}
	_ = g.Wait()
}

// oddCharted bounds how many repeats of one arm have charts for not being as expected.
const oddCharted = 3

func chartsOf(folder *runFolder, repeats []result.Arm) []charts {
	all := []charts{folder.charts(repeats[0])}
	for _, a := range repeats[1:] {
		if a.Outcome != result.Pass && len(all) <= oddCharted {
			all = append(all, folder.charts(a))
		}
	}
	if len(repeats) > 1 {
		all[0].Of = fmt.Sprintf("repeat %d", repeats[0].Repeat)
	}
	return all
}

// charts draws one repeat.
func (f *runFolder) charts(a result.Arm) charts {
	c := charts{}
	if a.Repeat > 1 {
		c.Of = fmt.Sprintf("repeat %d", a.Repeat)
	}
	if c.Missing = f.missing(a.Folder, rundir.HistoryFile); c.Missing != "" {
		return c
	}
	all, err := chart.FiguresOf(f.path, a)
	switch {
	case err != nil && len(all) > 0:
		c.Partial = err.Error()
	case err != nil:
		c.Missing = err.Error()
	}
	for _, x := range all {
		v := figureView{Title: x.Title, Alt: x.Alt, SVG: x.SVG}
		if x.Hover != nil {
			if data, err := json.Marshal(x.Hover); err == nil { // escapes what would end a script
				v.Hover = template.JS(data)
			}
		}
		c.Figures = append(c.Figures, v)
	}
	return c
}
