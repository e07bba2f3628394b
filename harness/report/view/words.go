package view

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// MaxNames is how many arms a line names of a kind.
const MaxNames = 16

// inShort says in a line what to do about a scenario, and what not to.
func inShort(arms []Row) string {
	groups := []struct {
		words string
		is    func(verdict result.Verdict, unsafe bool) bool
	}{
		{"prevented by", func(v result.Verdict, unsafe bool) bool { return v == result.Prevented && !unsafe }},
		{"prevented, at the price of safety, by",
			func(v result.Verdict, unsafe bool) bool { return v == result.Prevented && unsafe }},
		{"mitigated by", func(v result.Verdict, _ bool) bool { return v == result.Mitigated }},
		{"not prevented by", func(v result.Verdict, _ bool) bool { return v == result.NotPrevented }},
		{"cured by", func(v result.Verdict, unsafe bool) bool { return v == result.Cured && !unsafe }},
		{"cured, at the price of safety, by",
			func(v result.Verdict, unsafe bool) bool { return v == result.Cured && unsafe }},
		{"better but not cured with", func(v result.Verdict, _ bool) bool { return v == result.Partial }},
		{"briefly recovered after", func(v result.Verdict, _ bool) bool { return v == result.Relapsed }},
		{"no help:", func(v result.Verdict, _ bool) bool { return v == result.NoEffect }},
		{"could not be carried out:", func(v result.Verdict, _ bool) bool { return v == result.Blocked }},
	}
	var parts []string
	for _, g := range groups {
		var names []string
		for _, arm := range arms {
			a := arm.Repeats[0]
			if !a.Control() && g.is(a.Verdict, a.Unsafe) {
				names = append(names, "`"+Code(arm.Arm)+"`")
			}
		}
		if len(names) > 0 {
			parts = append(parts, g.words+" "+text.FirstOf(names, ", ", MaxNames))
		}
	}
	return strings.Join(parts, "; ")
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

// Broken puts the safety counts that are not zero into words.
func Broken(a result.Arm) string {
	var found []string
	for _, c := range []struct {
		n         int64
		one, many string
	}{
		{a.Safety.Overlaps, "double grant", "double grants"},
		{a.Safety.LostUpdates, "lost update", "lost updates"},
		{a.Safety.OverAdmitted, "request admitted over the limit", "requests admitted over the limit"},
		{a.Safety.ForeignReleases, "lock gone from under its holder", "locks gone from under their holders"},
		{a.Safety.FencingRegressions, "fencing token that did not rise", "fencing tokens that did not rise"},
	} {
		switch {
		case c.n == 1:
			found = append(found, "1 "+c.one)
		case c.n > 1:
			found = append(found, fmt.Sprintf("%d %s", c.n, c.many))
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
		names = append(names, fmt.Sprintf("%v (%d %s)", f, f.Connections, text.Noun(int(f.Connections), "connection")))
	}
	return " Other clients were on the server: " + text.FirstOf(names, ", ", MaxNames) + "."
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

func RepeatOf(a result.Arm, r *result.Run) string {
	if r.Repeat < 2 {
		return ""
	}
	return fmt.Sprintf(" (repeat %d)", a.Repeat)
}

// Distinct counts the verdicts of an arm's repeats, none at all being one.
func Distinct(r Row) int {
	seen := map[string]bool{}
	for _, a := range r.Repeats {
		seen[fmt.Sprint(a.Verdict, a.Unsafe)] = true
	}
	return len(seen)
}

func OrDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
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
	field := e.Field[strings.LastIndex(e.Field, ".")+1:]
	return fmt.Sprintf("%s %v", strings.ReplaceAll(field, "_", " "), e.Value)
}

// Figures is "name value, name value", with the names' underscores as spaces.
// What is there for others to pool is left out.
func Figures(f map[string]float64) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if strings.HasSuffix(name, "monitored_ms") || strings.HasSuffix(name, "_decisions") {
			continue
		}
		all = append(all, fmt.Sprintf("%s %s", strings.ReplaceAll(name, "_", " "),
			strconv.FormatFloat(f[name], 'f', -1, 64)))
	}
	return strings.Join(all, ", ")
}
