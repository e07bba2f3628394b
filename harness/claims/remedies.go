package claims

import (
	"fmt"

	"github.com/lockjam/lockjam/harness/remedies"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// action: does the remedy cure every failure it was tried on?
func action(card *result.Claim, on []result.Scenario) {
	var cures, harms, fails []string
	for _, sc := range on {
		for _, a := range sc.Arms {
			remedy, _ := remedies.Find(a.Remedy)
			// Repeats agree, or the run does not pass; the first speaks for them.
			if remedy.Claim != card.ID || a.Verdict == "" || a.Repeat > 1 || a.Name != a.Remedy || !conclusive(&a) {
				continue
			}
			card.Evidence = append(card.Evidence,
				result.Evidence{Scenario: sc.Name, Arm: a.Name, Field: "verdict", Value: a.Verdict})
			switch {
			case a.Verdict == result.Cured && a.Unsafe:
				harms = append(harms, sc.Name)
			case a.Verdict == result.Cured:
				cures = append(cures, sc.Name)
			default:
				fails = append(fails, fmt.Sprintf("%s (%s)", sc.Name, a.Verdict))
			}
		}
	}
	if len(card.Evidence) == 0 {
		return
	}
	card.Because = sentence("cures", cures, "cures, and breaks mutual exclusion, in", harms, "does not cure", fails)
	card.Verdict = verdictOf(len(cures), len(harms)+len(fails))
	if len(harms) > 0 && len(fails)+len(cures) > 0 || len(cures)+len(harms) > 0 && len(fails) > 0 {
		card.Verdict = result.Conditional
	}
}

// settled: after option 2, do steady connections mean that it has worked?
func settled(card *result.Claim, on []result.Scenario) {
	var right, wrong []string
	for i := range on {
		sc := &on[i]
		for k := range sc.Arms {
			a := &sc.Arms[k]
			if a.Remedy != "raise-maxclients-restart" || a.Verdict == "" || a.Verdict == result.Blocked ||
				a.Repeat > 1 || !conclusive(a) {
				continue
			}
			connected, rejected := readAfter(a, "client-saturation"), readAfter(a, "rejected-connections")
			if connected == nil || rejected == nil {
				continue
			}
			settles := a.Connections != nil && a.Connections.SettledAfterMS != nil
			steady := settles && connected["ratio_max"] <= 0.8 && rejected["rejected_count"] == 0
			card.Evidence = append(card.Evidence,
				result.Evidence{Scenario: sc.Name, Arm: a.Name, Field: "signals.client-saturation.figures_after",
					Value: connected})
			said := fmt.Sprintf("%s/%s (%s, %s)", sc.Name, a.Name, settledAt(a, connected), a.Verdict)
			if steady == (a.Verdict == result.Cured) {
				right = append(right, said)
			} else {
				wrong = append(wrong, said)
			}
		}
	}
	if len(right)+len(wrong) == 0 {
		return
	}
	card.Because = sentence("tells right in", right, "tells wrong in", wrong)
	card.Verdict = verdictOf(len(right), len(wrong))
}

// settledAt is "67 clients of 10000 after 1.2 s".
func settledAt(a *result.Arm, connected map[string]float64) string {
	if a.Connections == nil || a.Connections.SettledAfterMS == nil {
		taken, beyond := result.SlotsTaken(int64(connected["connected_max"]), int64(connected["maxclients"]))
		return fmt.Sprintf("up to %d clients%s of %.0f, never steady", taken, beyond, connected["maxclients"])
	}
	taken, beyond := result.SlotsTaken(a.Connections.Clients, int64(connected["maxclients"]))
	return fmt.Sprintf("%d clients%s of %.0f after %.1f s", taken, beyond, connected["maxclients"],
		*a.Connections.SettledAfterMS/1000)
}

// warning: did deleting locks hurt a live holder, and with which consequences?
func warning(card *result.Claim, on []result.Scenario) {
	var harmed []string
	for _, sc := range on {
		for _, a := range sc.Arms {
			if a.Remedy != "release-stale-locks" || a.Verdict == "" || a.Verdict == result.Blocked || a.Repeat > 1 ||
				!conclusive(&a) {
				continue
			}
			card.Evidence = append(card.Evidence,
				result.Evidence{Scenario: sc.Name, Arm: a.Name, Field: "safety.overlaps", Value: a.Safety.Overlaps})
			if a.Safety.Overlaps == 0 {
				continue
			}
			card.Evidence = append(card.Evidence,
				result.Evidence{Scenario: sc.Name, Arm: a.Name, Field: "safety.over_admitted",
					Value: a.Safety.OverAdmitted})
			harmed = append(harmed, fmt.Sprintf("%s (%s overrun, %s lost, %s admitted over the limit)", sc.Name,
				text.Plural(a.Safety.Overlaps, "holder"), text.Plural(a.Safety.LostUpdates, "update"),
				text.Plural(a.Safety.OverAdmitted, "request")))
		}
	}
	switch {
	case len(harmed) > 0:
		card.Verdict, card.Because = result.Confirmed, sentence("deletes locks that are still in use in", harmed)
	case len(card.Evidence) > 0:
		card.Because = "No holder was overrun where locks were deleted: nothing can be said."
	}
}
