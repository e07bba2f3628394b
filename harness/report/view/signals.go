package view

import (
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/result"
)

// Brief is what a signal did, in a cell.
func (d did) Brief() string {
	switch d.Kind {
	case "fires":
		return strings.TrimPrefix(d.Words[strings.Index(d.Words, ",")+1:], " ")
	case "silent", "not available":
		return d.Kind
	}
	return d.Words
}

// AlarmsOfQuiet counts the runs in which nothing was wrong, and those of them in which a
// signal fired.
func AlarmsOfQuiet(r *result.Run) (alarmed, quiet int) {
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

func SignalNames(sc result.Scenario) []string {
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
