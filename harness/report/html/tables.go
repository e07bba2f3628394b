package html

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// Tones are classes of the style sheet: good, mid, poor and harm. Harm is for what
// breaks safety or an expectation; that nothing helped is a finding like any other.
var verdictChips = map[result.Verdict]chip{
	result.Cured:        {"✓", "cured", "good"},
	result.Relapsed:     {"↻", "relapsed", "poor"},
	result.Partial:      {"◐", "partial", "mid"},
	result.NoEffect:     {"✕", "no-effect", "poor"},
	result.Blocked:      {"⊘", "blocked", "poor"},
	result.Prevented:    {"✓", "prevented", "good"},
	result.Mitigated:    {"◐", "mitigated", "mid"},
	result.NotPrevented: {"✕", "not-prevented", "poor"},
}

var claimChips = map[string]chip{
	result.Confirmed:   {"✓", result.Confirmed, "good"},
	result.Conditional: {"◐", result.Conditional, "mid"},
	result.Refuted:     {"✕", result.Refuted, "poor"},
	result.Untested:    {"–", result.Untested, "none"},
}

func outcomeChip(o result.Outcome) chip {
	switch o {
	case result.Pass:
		return chip{"✓", "pass", "good"}
	case result.Fail:
		return chip{"✕", "fail", "harm"}
	}
	return chip{"?", cmp.Or(string(o), "no outcome"), "mid"}
}

// foundChip is what an arm without a verdict shows.
func foundChip(a result.Arm) chip {
	switch {
	case a.Outcome == result.Inconclusive:
		return chip{"?", a.Finding(), "mid"}
	case a.Reproduced != nil:
		return chip{"●", a.Finding(), "poor"}
	}
	return chip{"–", a.Finding(), "none"}
}

// worse is the outcome to look at first.
func worse(a, b chip) chip {
	order := []string{"good", "mid", "harm"}
	if slices.Index(order, b.Tone) > slices.Index(order, a.Tone) {
		return b
	}
	return a
}

// chips are the verdicts of an arm's repeats, most frequent first, then whether any of
// them did harm. An arm without a verdict has what was found in it: that it met its
// expectations says nothing about what was done there.
func chips(r view.Row) []chip {
	counts := map[chip]int{}
	var all []chip
	for _, a := range r.Repeats {
		c, known := verdictChips[a.Verdict]
		switch {
		case a.Verdict == "":
			c = foundChip(a)
		case !known:
			c = chip{"?", string(a.Verdict), "mid"}
		}
		if counts[c] == 0 {
			all = append(all, c)
		}
		counts[c]++
	}
	slices.SortStableFunc(all, func(a, b chip) int { return counts[b] - counts[a] })
	if len(r.Repeats) > 1 {
		for i, c := range all {
			all[i].Words = fmt.Sprintf("%s %d/%d", c.Words, counts[c], len(r.Repeats))
		}
	}
	if r.Unsafe {
		all = append(all, chip{"⚠", "UNSAFE", "harm"})
	}
	return all
}

var captions = map[view.Kind]string{
	view.ByImage: "What came of each arm, image by image", view.ByRemedy: "Remedies and results",
	view.ByPrevention: "Preventions",
}

// matrix makes every arm in a cell a link to its part of the page.
func (b *builder) matrix(m view.Matrix) grid {
	g := grid{ID: string(m.By), Caption: captions[m.By], Columns: append([]string{"scenario"}, m.Columns...)}
	for _, l := range m.Lines {
		line := []field{{Text: l.Scenario, Code: true}}
		for i, said := range l.Cells {
			line = append(line, b.matrixCell(m.Columns[i], said, l.Arms[i]))
		}
		g.Lines = append(g.Lines, line)
	}
	return g
}

// keepUnits keeps a number and its unit on one line of a narrow cell.
var keepUnits = strings.NewReplacer(" s", "\u00a0s", " violations", "\u00a0violations", "after ", "after\u00a0")

func (b *builder) matrixCell(column, said string, arms []view.Row) field {
	var f field
	for _, a := range arms {
		if len(a.Repeats) == 0 {
			continue
		}
		name := a.Within(column)
		if a.Image != "" { // its name stands in the line
			name = ""
		}
		f.Entries = append(f.Entries, entry{
			Arm:   b.armLink(a.Scenario, a.Arm, a.Image, name),
			Chips: chips(a), Gains: keepUnits.Replace(strings.Join(a.Gains(), ", ")),
		})
	}
	if len(f.Entries) == 0 {
		f.Text = strings.Trim(said, "*")
	}
	return f
}

// claims is the scorecard of the runbook.
func (b *builder) claims() grid {
	g := grid{ID: "claims-table", Caption: "The runbook's claims",
		Columns: []string{"claim", "the runbook", "verdict", "what was measured", "shown by"}}
	for _, c := range b.run.Tested {
		because := field{Text: c.Because, Wide: true}
		if c.Instead != "" {
			because.Entries = []entry{{Chips: []chip{{"→", "instead", "plain"}}, Gains: c.Instead}}
		}
		g.Lines = append(g.Lines, []field{
			{Text: c.ID}, {Text: c.Words, Wide: true}, {Chips: []chip{claimChip(c.Verdict)}}, because, b.shown(c),
		})
	}
	return g
}

func claimChip(verdict string) chip {
	if c, ok := claimChips[verdict]; ok {
		return c
	}
	return chip{"?", verdict, "mid"}
}

// shown links the evidence of a claim to the arms that it is from.
func (b *builder) shown(c result.Claim) field {
	var items []entry
	add := func(image string, evidence []result.Evidence) {
		for _, e := range evidence {
			items = append(items, entry{Arm: b.armLink(e.Scenario, e.Arm, image, e.Scenario+"/"+e.Arm+view.On(image)),
				Gains: brieflyMeasured(e)})
		}
	}
	add("", c.Evidence)
	for _, on := range c.Images {
		items = append(items, entry{Chips: []chip{claimChip(on.Verdict)}, Gains: "on " + on.Image})
		add(on.Image, on.Evidence)
	}
	if len(items) == 0 {
		return field{Text: "-"}
	}
	return field{Sort: fmt.Sprint(len(items)), More: &more{Summary: text.Plural(len(items), "figure"), Items: items}}
}

// wordLong is how long a text is that is a word and no sentence, in bytes.
const wordLong = 40

func brieflyMeasured(e result.Evidence) string {
	if s, ok := e.Value.(string); ok && len(s) <= wordLong {
		return s
	}
	return view.Measured(e)
}

// signals says which signal fires in which failure, and after how long. Preventions are
// left out: there the incident may not have come.
func signals(v *view.Run) grid {
	names := slices.Sorted(slices.Values(v.Signals))
	g := grid{ID: "signals-table", Caption: "Signals by failure: the median time to detect, and silence",
		Columns: append([]string{"scenario"}, names...)}
	images := v.On
	if len(images) == 0 {
		images = []string{""}
	}
	for _, sc := range v.Scenarios {
		for _, image := range images {
			failing := view.Live(sc.On(image))
			if len(failing) == 0 {
				continue
			}
			line := []field{{Text: sc.Name + view.On(image), Code: true}}
			for _, name := range names {
				line = append(line, sees(failing, name))
			}
			g.Lines = append(g.Lines, line)
		}
	}
	return g
}

// sees is what one signal did in the arms of a failure.
func sees(failing []result.Arm, name string) field {
	read := view.Read(failing, name)
	c := chip{"●", read.Detect, "fires"}
	switch kind := read.Kind(); kind {
	case "":
		return field{Text: "-"}
	case "not available":
		return field{Text: kind}
	case "silent":
		c = chip{"○", kind, "quiet"}
	}
	f := field{Chips: []chip{c}, Sort: strings.TrimSuffix(read.Detect, " ms")}
	if read.Fired > 0 && read.Fired < len(failing) {
		f.Beside = fmt.Sprintf("%d of %d", read.Fired, len(failing))
	}
	if read.Alarms > 0 {
		f.Chips = append(f.Chips, chip{"⚠", "false alarm", "harm"})
	}
	return f
}
