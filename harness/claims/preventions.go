package claims

import (
	"fmt"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// prevents: does what the claim asks for keep the failure from happening, each way
// of reading it that was tried?
func prevents(card *result.Claim, on []result.Scenario) {
	said := map[result.Verdict][]string{}
	var good, bad int
	var harms []string
	for _, sc := range on {
		for _, a := range sc.Arms {
			if a.Claim != card.ID || a.Prevention == "" || a.Verdict == "" || a.Repeat > 1 || !conclusive(&a) {
				continue
			}
			card.Evidence = append(card.Evidence,
				result.Evidence{Scenario: sc.Name, Arm: a.Name, Field: "verdict", Value: a.Verdict})
			name := a.Name + " in " + sc.Name
			said[a.Verdict] = append(said[a.Verdict], name)
			if a.Unsafe {
				harms = append(harms, fmt.Sprintf("%s (%s)", name, text.Plural(a.Safety.Total(), "violation")))
			}
			if a.Verdict == result.Prevented && !a.Unsafe {
				good++
			} else {
				bad++
			}
		}
	}
	if good+bad == 0 {
		return
	}
	card.Because = sentence("prevents with", said[result.Prevented], "mitigates with", said[result.Mitigated],
		"does not prevent with", said[result.NotPrevented],
		"breaks mutual exclusion with", harms)
	card.Verdict = verdictOf(good, bad)
	if good == 0 && len(said[result.Mitigated]) > 0 {
		card.Verdict = result.Conditional
	}
}
