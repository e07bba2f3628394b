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

// Reading is what one signal did in some arms: the repeats of one, or those of a scenario.
type Reading struct {
	First, Last result.Signal // of the arms that have it; no name if none has

	Of, Fired      int // arms that have it, and that it fired in
	Alarms, Met    int
	Cured, Cleared int     // of the arms in which it fired: cured ones, and those in which it then fell silent
	Detect         string  // the median time to detect; "-" if it never fired
	Fastest        float64 // the least, in ms
}

// never is later than any signal fires, in ms.
const never = 1e12

// Read answers for all of the arms.
func Read(arms []result.Arm, name string) Reading {
	r := Reading{Fastest: never}
	count := func(yes bool) int { return map[bool]int{true: 1}[yes] }
	r.Detect = Median(arms, "%.0f ms", func(a result.Arm) (after float64, fired bool) {
		for _, x := range a.Signals {
			if x.Name != name || x.AnsweredBy != "" { // another of the arms has the answer
				continue
			}
			if r.Of == 0 {
				r.First = x
			}
			r.Of, r.Alarms, r.Met, r.Last = r.Of+1, r.Alarms+x.BaselineFirings, r.Met+count(x.Met), x
			if x.Fired && a.Verdict == result.Cured { // else there was nothing that it could clear after
				r.Cured, r.Cleared = r.Cured+1, r.Cleared+count(x.Cleared)
			}
			if x.DetectMS != nil {
				r.Fired, after, fired = r.Fired+1, *x.DetectMS, true
				r.Fastest = min(r.Fastest, after)
			}
		}
		return after, fired
	})
	return r
}

// Kind is what a signal did, in a word; "" where no arm has it. Images agree where the kind
// is the same.
func (r Reading) Kind() string {
	switch {
	case r.Last.Name == "":
		return ""
	case r.Last.Unavailable != "":
		return "not available"
	case r.Fired == 0:
		return "silent"
	case r.Fired == r.Of:
		return "fires"
	}
	return "fires now and then"
}

// Words are in how many arms a signal fired, after how long, and what else it did.
func (r Reading) Words() string {
	switch r.Kind() {
	case "":
		return "-"
	case "not available":
		return r.Last.Silence()
	}
	words := fmt.Sprintf("%d of %d", r.Fired, r.Of)
	if r.Fired > 0 {
		words += ", " + r.Detect
	}
	return words + r.falseAlarms()
}

// Brief is what a signal did, in a cell.
func (r Reading) Brief() string {
	switch kind := r.Kind(); kind {
	case "fires":
		return r.Detect + r.falseAlarms()
	case "silent", "not available":
		return kind
	}
	return r.Words()
}

func (r Reading) falseAlarms() string {
	if r.Alarms == 0 {
		return ""
	}
	return fmt.Sprintf(", %d false %s before", r.Alarms, text.Noun(r.Alarms, "alarm"))
}

// Live is a scenario's arms by which a signal is told: those with the failure, and those
// in which nothing is to go wrong. Behind a prevention the incident may not have come.
func Live(sc result.Scenario) []result.Arm {
	return slices.DeleteFunc(slices.Clone(sc.Arms), func(a result.Arm) bool {
		return a.Prevention != "" || a.Reproduced != nil && !*a.Reproduced
	})
}

// SignalNames are the signals of arms, in the order in which they come.
func SignalNames(arms []result.Arm) []string {
	var names []string
	for _, a := range arms {
		for _, s := range a.Signals {
			if !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
		}
	}
	return names
}

// quiet counts the runs in which nothing was wrong, and those of them in which a signal
// fired.
func quiet(r *result.Run) string {
	alarmed, quiet := 0, 0
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
	if quiet == 0 {
		return ""
	}
	return fmt.Sprintf("Where nothing was wrong, a signal fired in %d of %d runs.", alarmed, quiet)
}

// Figures is "name value, name value", with the names' underscores as spaces.
// What is there for others to pool is left out.
func Figures[N int64 | float64](f map[string]N) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if strings.HasSuffix(name, "monitored_ms") || strings.HasSuffix(name, "_decisions") {
			continue
		}
		all = append(all, spaced(name)+" "+strconv.FormatFloat(float64(f[name]), 'f', -1, 64))
	}
	return strings.Join(all, ", ")
}

func spaced(name string) string { return strings.ReplaceAll(name, "_", " ") }
