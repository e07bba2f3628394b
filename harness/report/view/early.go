package view

import (
	"fmt"
	"strings"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// Early is how an arm ended before the scenario's time was over, in a sentence: what was not
// waited for, which arm answers for it, and at which look the verdict was decided. "" if every
// phase took its time.
func Early(a result.Arm) string {
	e := a.Early
	if e == nil {
		return ""
	}
	var parts []string
	if e.IncidentSavedMS > 0 {
		part := fmt.Sprintf("the incident %.1f s early, once it was shown", e.IncidentSavedMS/1000)
		if names := answered(a); len(names) > 0 {
			part += fmt.Sprintf(" (%s answers for %s)", e.AnsweredBy, text.List(names))
		}
		parts = append(parts, part)
	}
	if e.VerdictSavedMS > 0 {
		parts = append(parts, fmt.Sprintf("the verdict %.1f s early, at look %d", e.VerdictSavedMS/1000, e.Looks))
	}
	if len(parts) == 0 {
		return ""
	}
	return "Decided: " + strings.Join(parts, "; ") + "."
}

// answered names the signals that another arm answers for.
func answered(a result.Arm) (names []string) {
	for _, s := range a.Signals {
		if s.AnsweredBy != "" {
			names = append(names, s.Name)
		}
	}
	return names
}

// Saved sums up what looks have saved of the scenarios' time; "" if that is nothing.
func Saved(r *result.Run) string {
	var arms, ended int
	var ms float64
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			arms++
			if e := a.Early; e != nil && e.IncidentSavedMS+e.VerdictSavedMS > 0 {
				ended++
				ms += e.IncidentSavedMS + e.VerdictSavedMS
			}
		}
	}
	if ended == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %s ended as soon as what they show was decided, %.0f s before their time together; "+
		"`--thorough` waits for every phase.",
		ended, text.Plural(arms, "arm"), ms/1000)
}
