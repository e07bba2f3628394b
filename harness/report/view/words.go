package view

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// MaxNames is how many arms a line names of a kind.
const MaxNames = 16

// Short says in a line what to do about a scenario, and what not to.
type Short struct {
	Images  []string // on which it holds, where the images do not agree
	Effects []Effect
}

// Effect is the arms that came to the same. Their names are as Name makes them.
type Effect struct {
	Words string
	Arms  []string
}

// effects are the ways in which arms come out, in the order in which they are said.
var effects = []struct {
	words   string
	verdict result.Verdict
	when    safety
}{
	{"prevented by", result.Prevented, safe},
	{"prevented, at the price of safety, by", result.Prevented, broken},
	{"mitigated by", result.Mitigated, either},
	{"not prevented by", result.NotPrevented, either},
	{"cured by", result.Cured, safe},
	{"cured, at the price of safety, by", result.Cured, broken},
	{"better but not cured with", result.Partial, either},
	{"briefly recovered after", result.Relapsed, either},
	{"no help:", result.NoEffect, either},
	{"could not be carried out:", result.Blocked, either},
}

// safety is which arms an effect is about.
type safety int

const (
	either safety = iota
	safe
	broken
)

func inShort(rows []Row, image string) []Effect {
	var all []Effect
	for _, e := range effects {
		var names []string
		for _, r := range rows {
			a := r.Repeats[0]
			if a.Image == image && !a.Control() && a.Verdict == e.verdict &&
				(e.when == either || a.Unsafe == (e.when == broken)) {
				names = append(names, Name(r.Arm))
			}
		}
		if len(names) > 0 {
			all = append(all, Effect{e.words, names})
		}
	}
	return all
}

// inShortOn says a scenario in short: once where all images agree, else for each
// group that does.
func inShortOn(images []string, rows []Row) []Short {
	if len(images) == 0 {
		images = []string{""}
	}
	var groups []Short
	for _, image := range images {
		said := inShort(rows, image)
		if len(said) == 0 {
			continue
		}
		i := slices.IndexFunc(groups, func(s Short) bool { return reflect.DeepEqual(s.Effects, said) })
		if i < 0 {
			groups = append(groups, Short{Effects: said})
			i = len(groups) - 1
		}
		groups[i].Images = append(groups[i].Images, Name(image))
	}
	if len(groups) == 1 {
		groups[0].Images = nil
	}
	return groups
}

// Left says for whom there was nothing, where goodput alone would not show it.
func Left(a result.Arm) string {
	if a.Served == nil || a.Served.Workers >= a.Served.Of || a.Verdict == result.NotPrevented {
		return ""
	}
	return fmt.Sprintf(" At the end %d of %d workers got anything done.", a.Served.Workers, a.Served.Of)
}

// Refusals says what Redis answered the workers with an error; "" for nothing.
func Refusals(a result.Arm) string {
	if said := a.Answered(); said != "" {
		return " " + said + "."
	}
	return ""
}

// Violations are the kinds of what must not happen.
var Violations = []struct {
	one, Many string
	Of        func(result.Safety) int64
}{
	{"double grant", "double grants", func(s result.Safety) int64 { return s.Overlaps }},
	{"lost update", "lost updates", func(s result.Safety) int64 { return s.LostUpdates }},
	{"request admitted over the limit", "requests admitted over the limit",
		func(s result.Safety) int64 { return s.OverAdmitted }},
	{"lock gone from under its holder", "locks gone from under their holders",
		func(s result.Safety) int64 { return s.ForeignReleases }},
	{"fencing token that did not rise", "fencing tokens that did not rise",
		func(s result.Safety) int64 { return s.FencingRegressions }},
}

// Broken puts the safety counts that are not zero into words.
func Broken(a result.Arm) string {
	var found []string
	for _, v := range Violations {
		switch n := v.Of(a.Safety); {
		case n == 1:
			found = append(found, "1 "+v.one)
		case n > 1:
			found = append(found, fmt.Sprintf("%d %s", n, v.Many))
		}
	}
	return strings.Join(found, ", ")
}

// Company names the clients on the server that are not part of the run.
func Company(a result.Arm) string {
	if len(a.Foreign) == 0 {
		return ""
	}
	var names []string
	for _, f := range a.Foreign {
		names = append(names, fmt.Sprintf("%v (%s)", f, text.Plural(f.Connections, "connection")))
	}
	return " Other clients were on the server: " + text.FirstOf(names, ", ", MaxNames) + "."
}

// Standstill is the deadlock that speaks for arms: of the first with a proof, or else of the
// first of which anything is known; nil if nothing is.
func Standstill(arms []result.Arm) *result.Deadlock {
	var known *result.Deadlock
	for _, a := range arms {
		if a.Deadlock != nil && a.Deadlock.Proved {
			return a.Deadlock
		}
		known = cmp.Or(known, a.Deadlock)
	}
	return known
}

// Unproved is what the wait-for graph shows where it proves nothing.
func Unproved(d *result.Deadlock) string {
	said := d.Sentence
	if said == "" { // of a run that an earlier lockjam recorded
		said = strings.Join(append([]string{d.Kind + "."}, d.Reasons...), " ")
	}
	if strings.Contains(said, "nothing is proved") {
		return said
	}
	return said + " This is no proof of a deadlock."
}

// Late ends the sentence on a proof: when it stood, after the rules first allow it, and
// whether Redis was asked as well.
func Late(d *result.Deadlock) string {
	said := fmt.Sprintf("%.0f ms after the rules first allow it", d.LateMS)
	if d.Checked {
		said += "; the locks' tokens and CLIENT LIST in Redis agree"
	}
	return said + "."
}

// Measured is the figures of one piece of evidence; "" for a sentence, which stands in
// because.
func Measured(e result.Evidence) string {
	switch v := e.Value.(type) {
	case string:
		return ""
	case map[string]float64:
		return Figures(v)
	case map[string]any: // as it is read back from run.json
		read := map[string]float64{}
		for name, x := range v {
			read[name], _ = x.(float64)
		}
		return Figures(read)
	}
	return fmt.Sprintf("%s %v", spaced(e.Field[strings.LastIndex(e.Field, ".")+1:]), e.Value)
}
