package harness

import (
	"fmt"
	"slices"
	"strings"
)

// Credit says by which comparisons a cure or a prevention earned its verdict. An
// incident that ends by itself cures with any remedy, and a remedy that consists of
// two may owe its cure to one of them.
type Credit struct {
	Earned  bool         `json:"earned"`
	Because string       `json:"because"`
	Against []Comparison `json:"against"` // arms of the same repeat and image
}

// Comparison is an arm that another is compared with.
type Comparison struct {
	Arm     string  `json:"arm"`
	Verdict Verdict `json:"verdict"`
}

// attribute says of every arm that was cured or prevented what it owes that to,
// within the same repeat and image, and denies the credit where the control arm did as well.
func attribute(arms []ArmResult) {
	for k := range arms {
		selfSustained(&arms[k])
	}
	for i := range arms {
		a := &arms[i]
		if a.Control() || !succeeded(a.Verdict) {
			continue
		}
		beside := func(name string) *ArmResult {
			k := slices.IndexFunc(arms, func(b ArmResult) bool { return b.Name == name && sameLot(&b, a) })
			if k < 0 {
				return nil
			}
			return &arms[k]
		}
		k := slices.IndexFunc(arms, func(b ArmResult) bool { return b.Control() && sameLot(&b, a) })
		switch {
		case k < 0:
			a.Credit = &Credit{Because: "No control arm ran beside it: whether it was its doing is not proved."}
		case a.Prevention != "":
			a.Credit = creditPrevention(a, &arms[k])
		default:
			a.Credit = creditRemedy(a, &arms[k])
		}
		if a.Credit.Earned {
			compareParts(a.Credit, a, beside)
		}
	}
}

// sameLot says whether two arms ran for one comparison: in the same repeat, on the
// same image.
func sameLot(a, b *ArmResult) bool { return a.Repeat == b.Repeat && a.Image == b.Image }

// succeeded is whether there is any credit to earn.
func succeeded(v Verdict) bool {
	return v == Cured || v == Partial || v == Prevented || v == Mitigated
}

// selfSustained doubts a scenario whose incident ends with nothing done about it,
// unless its control arm says that it does.
func selfSustained(control *ArmResult) {
	if !control.Control() || control.Verdict == "" || control.Verdict == NoEffect || control.Expected != "" {
		return
	}
	control.Outcome = worse(control.Outcome, Inconclusive)
	control.Reasons = append(control.Reasons, fmt.Sprintf("the incident was %s with nothing done about it: it does not sustain itself", control.Verdict))
}

// creditRemedy compares a cure with doing nothing. Where the incident is known to
// relapse by itself, or to be over after a while, there is something left to earn.
func creditRemedy(a, control *ArmResult) *Credit {
	c := &Credit{Against: []Comparison{{control.Name, control.Verdict}}}
	known := control.Expected == control.Verdict
	switch {
	case control.Verdict == NoEffect:
		c.Earned, c.Because = true, fmt.Sprintf("Without it (%s) nothing came back.", control.Name)
	case control.Verdict == "":
		c.Because = fmt.Sprintf("Of %s nothing can be said, so whether it was the remedy's doing is not proved.", control.Name)
	case known && a.Verdict == Cured && control.Verdict != Cured:
		c.Earned, c.Because = true, fmt.Sprintf("Without it (%s) the incident was %s and no more.", control.Name, control.Verdict)
	case known && sooner(a, control):
		c.Earned, c.Because = true, fmt.Sprintf("Without it (%s) the incident was over as well, after %.1f s.", control.Name, *control.Recovery.RestoredAfterMS/1000)
	default:
		c.Because = fmt.Sprintf("With no remedy at all (%s) the incident was %s as well: it earns no credit.", control.Name, control.Verdict)
		if a.Verdict == Cured && !known {
			a.Outcome = worse(a.Outcome, Inconclusive)
			a.Reasons = append(a.Reasons, fmt.Sprintf("the control arm was %s with no remedy at all, so the remedy earns no credit", control.Verdict))
		}
	}
	return c
}

// sooner says whether a cure was quicker than doing nothing, by half of the time at
// least. Where an incident has an end of its own there is no other credit to earn.
func sooner(a, control *ArmResult) bool {
	if a.Verdict != Cured || control.Verdict != Cured || a.Recovery == nil || control.Recovery == nil ||
		a.Recovery.RestoredAfterMS == nil || control.Recovery.RestoredAfterMS == nil {
		return false
	}
	return *a.Recovery.RestoredAfterMS <= *control.Recovery.RestoredAfterMS/2
}

// creditPrevention asks whether there was anything to prevent.
func creditPrevention(a, control *ArmResult) *Credit {
	c := &Credit{Against: []Comparison{{control.Name, control.Verdict}}}
	switch {
	case control.Reproduced == nil:
		c.Because = fmt.Sprintf("Of %s nothing can be said, so whether there was anything to prevent is not proved.", control.Name)
	case *control.Reproduced:
		c.Earned, c.Because = true, fmt.Sprintf("Without it (%s) the same trigger brought the incident about.", control.Name)
	default:
		c.Because = fmt.Sprintf("Without it (%s) the same trigger did no harm either: it earns no credit.", control.Name)
		a.Outcome = worse(a.Outcome, Inconclusive)
		a.Reasons = append(a.Reasons, "the incident was not reproduced in the control arm either, so the prevention earns no credit")
	}
	return c
}

// compareParts looks at the arms that do a part of what this one does: the scenario
// names them in against.
func compareParts(c *Credit, a *ArmResult, beside func(string) *ArmResult) {
	var same, better, short []string
	for _, name := range a.Against {
		part := beside(name)
		if part == nil || part.Verdict == "" {
			continue
		}
		c.Against = append(c.Against, Comparison{name, part.Verdict})
		switch {
		case part.Verdict != a.Verdict:
			short = append(short, fmt.Sprintf("%s (%s)", name, part.Verdict))
		case a.Unsafe && !part.Unsafe:
			better = append(better, name)
		default:
			same = append(same, name)
		}
	}
	var said []string
	if len(same) > 0 {
		said = append(said, fmt.Sprintf("%s alone did as much", listed(same)))
	}
	if len(better) > 0 {
		said = append(said, fmt.Sprintf("%s alone did as much, safely", listed(better)))
	}
	if len(short) > 0 {
		said = append(said, fmt.Sprintf("%s did not", listed(short)))
	}
	switch as := append(better, same...); {
	case len(said) == 0:
	case len(as) > 0:
		c.Because += fmt.Sprintf(" Of what it consists of, %s: the credit is due to %s.", strings.Join(said, "; "), listed(as))
	default:
		c.Because += fmt.Sprintf(" %s: the credit is due to what this arm has beyond that.", strings.Join(said, "; "))
	}
}
