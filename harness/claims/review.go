package claims

import (
	"fmt"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// reviewed: is it worth it to review and test how locks are taken and released? It is
// where safety is broken and no signal is on, so that nothing else shows it, and where
// what a review would ask for helps.
func reviewed(card *result.Claim, on []result.Scenario) {
	var unseen, seen, helps, not []string
	for _, sc := range on {
		for _, a := range sc.Arms {
			switch {
			case a.Repeat > 1 || !conclusive(&a):
			case a.Control() && a.FaultsPerS != nil && a.Reproduced != nil && *a.Reproduced:
				card.Evidence = append(card.Evidence,
					result.Evidence{Scenario: sc.Name, Arm: a.Name, Field: "faults_per_s.during",
						Value: *a.FaultsPerS.During})
				loud := loud(&a)
				said := fmt.Sprintf("%s (%.0f safety violations a second, and %s fired)", sc.Name, *a.FaultsPerS.During,
					fired(loud, available(&a)))
				if len(loud) == 0 {
					unseen = append(unseen, said)
				} else {
					seen = append(seen, said)
				}
			case a.Claim == card.ID && a.Prevention != "" && a.Verdict != "":
				card.Evidence = append(card.Evidence,
					result.Evidence{Scenario: sc.Name, Arm: a.Name, Field: "verdict", Value: a.Verdict})
				said := fmt.Sprintf("%s in %s (%s, %s)", a.Name, sc.Name, a.Verdict,
					text.Plural(a.Safety.Total(), "violation"))
				if a.Verdict == result.NotPrevented {
					not = append(not, said)
				} else {
					helps = append(helps, said)
				}
			}
		}
	}
	switch {
	case len(unseen)+len(seen) > 0:
	case len(helps)+len(not) > 0:
		card.Because = "No control arm of this run breaks safety: whether a review finds what no signal shows, nothing says."
		return
	default:
		return
	}
	card.Because = sentence("finds what no signal shows in", unseen, "is not the only way to see it in", seen,
		"helps to ask for", helps, "does not help to ask for", not)
	card.Verdict = verdictOf(len(unseen)+len(helps), len(seen)+len(not))
}

// loud are the signals that fired in the incident.
func loud(a *result.Arm) (names []string) {
	for _, s := range a.Signals {
		if s.Fired {
			names = append(names, s.Name)
		}
	}
	return names
}

// available is how many signals could have fired.
func available(a *result.Arm) (n int) {
	for _, s := range a.Signals {
		if s.Unavailable == "" {
			n++
		}
	}
	return n
}

func fired(loud []string, of int) string {
	if len(loud) == 0 {
		return fmt.Sprintf("none of %d signals", of)
	}
	return text.List(loud)
}
