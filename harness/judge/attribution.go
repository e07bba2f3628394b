package judge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// attribute says of every arm that was cured or prevented what it owes that to,
// within the same repeat and image, and denies the credit where the control arm did as well.
func attribute(arms []result.Arm) {
	for k := range arms {
		selfSustained(&arms[k])
	}
	for i := range arms {
		a := &arms[i]
		if a.Control() || !succeeded(a.Verdict) {
			continue
		}
		beside := func(name string) *result.Arm {
			k := slices.IndexFunc(arms, func(b result.Arm) bool { return b.Name == name && sameLot(&b, a) })
			if k < 0 {
				return nil
			}
			return &arms[k]
		}
		k := slices.IndexFunc(arms, func(b result.Arm) bool { return b.Control() && sameLot(&b, a) })
		switch {
		case k < 0:
			a.Credit = &result.Credit{Because: "No control arm ran beside it: whether it was its doing is not proved."}
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

// sameLot reports whether two arms ran for one comparison: in the same repeat, on the
// same image.
func sameLot(a, b *result.Arm) bool { return a.Repeat == b.Repeat && a.Image == b.Image }

// succeeded is whether there is any credit to earn.
func succeeded(v result.Verdict) bool {
	return v == result.Cured || v == result.Partial || v == result.Prevented || v == result.Mitigated
}

// selfSustained doubts a scenario whose incident ends with nothing done about it,
// unless its control arm says that it does.
func selfSustained(control *result.Arm) {
	if !control.Control() || control.Verdict == "" || control.Verdict == result.NoEffect || control.Expected != "" {
		return
	}
	control.Outcome = result.Worse(control.Outcome, result.Inconclusive)
	control.Reasons = append(control.Reasons,
		fmt.Sprintf("the incident was %s with nothing done about it: it does not sustain itself", control.Verdict))
}

// creditRemedy compares a cure with doing nothing. Where the incident is known to
// relapse by itself, or to be over after a while, there is something left to earn.
func creditRemedy(a, control *result.Arm) *result.Credit {
	c := &result.Credit{Against: []result.Comparison{{Arm: control.Name, Verdict: control.Verdict}}}
	known := control.Expected == control.Verdict
	switch {
	case control.Verdict == result.NoEffect:
		c.Earned, c.Because = true, fmt.Sprintf("Without it (%s) nothing came back.", control.Name)
	case control.Verdict == "":
		c.Because = fmt.Sprintf("Of %s nothing can be said, so whether it was the remedy's doing is not proved.",
			control.Name)
	case known && a.Verdict == result.Cured && control.Verdict != result.Cured:
		c.Earned, c.Because = true, fmt.Sprintf("Without it (%s) the incident was %s and no more.", control.Name,
			control.Verdict)
	case known && sooner(a, control):
		c.Earned, c.Because = true, fmt.Sprintf("Without it (%s) the incident was over as well, after %.1f s.",
			control.Name, *control.Recovery.RestoredAfterMS/1000)
	default:
		c.Because = fmt.Sprintf("With no remedy at all (%s) the incident was %s as well: it earns no credit.",
			control.Name, control.Verdict)
		if a.Verdict == result.Cured && !known {
			a.Outcome = result.Worse(a.Outcome, result.Inconclusive)
			a.Reasons = append(a.Reasons, fmt.Sprintf("the control arm was %s with no remedy at all, so the remedy earns no credit", control.Verdict))
		}
	}
	return c
}

// sooner reports whether a cure was quicker than doing nothing, by half of the time at
// least. Where an incident has an end of its own there is no other credit to earn.
func sooner(a, control *result.Arm) bool {
	if a.Verdict != result.Cured || control.Verdict != result.Cured || a.Recovery == nil || control.Recovery == nil ||
		a.Recovery.RestoredAfterMS == nil || control.Recovery.RestoredAfterMS == nil {
		return false
	}
	return *a.Recovery.RestoredAfterMS <= *control.Recovery.RestoredAfterMS/2
}

// creditPrevention asks whether there was anything to prevent.
func creditPrevention(a, control *result.Arm) *result.Credit {
	c := &result.Credit{Against: []result.Comparison{{Arm: control.Name, Verdict: control.Verdict}}}
	switch {
	case control.Reproduced == nil:
		c.Because = fmt.Sprintf("Of %s nothing can be said, so whether there was anything to prevent is not proved.",
			control.Name)
	case *control.Reproduced:
		c.Earned, c.Because = true, fmt.Sprintf("Without it (%s) the same trigger brought the incident about.",
			control.Name)
	default:
		c.Because = fmt.Sprintf("Without it (%s) the same trigger did no harm either: it earns no credit.",
			control.Name)
		a.Outcome = result.Worse(a.Outcome, result.Inconclusive)
		a.Reasons = append(a.Reasons, "the incident was not reproduced in the control arm either, so the prevention earns no credit")
	}
	return c
}

// compareParts looks at the arms that do a part of what this one does: the scenario
// names them in against.
func compareParts(c *result.Credit, a *result.Arm, beside func(string) *result.Arm) {
	var same, better, short []string
	for _, name := range a.Against {
		part := beside(name)
		if part == nil || part.Verdict == "" {
			continue
		}
		c.Against = append(c.Against, result.Comparison{Arm: name, Verdict: part.Verdict})
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
		said = append(said, fmt.Sprintf("%s alone did as much", text.List(same)))
	}
	if len(better) > 0 {
		said = append(said, fmt.Sprintf("%s alone did as much, safely", text.List(better)))
	}
	if len(short) > 0 {
		said = append(said, fmt.Sprintf("%s did not", text.List(short)))
	}
	switch as := append(better, same...); {
	case len(said) == 0:
	case len(as) > 0:
		c.Because += fmt.Sprintf(" Of what it consists of, %s: the credit is due to %s.", strings.Join(said, "; "),
			text.List(as))
	default:
		c.Because += fmt.Sprintf(" %s: the credit is due to what this arm has beyond that.", strings.Join(said, "; "))
	}
}

// Conclude draws what follows from the arms of a run taken together: credits, and the run's outcome.
func Conclude(r *result.Run) {
	r.Outcome = result.Pass
	for i := range r.Scenarios {
		attribute(r.Scenarios[i].Arms)
		for _, arm := range r.Scenarios[i].Arms {
			r.Outcome = result.Worse(r.Outcome, arm.Outcome)
		}
	}
	if r.Status != result.Completed || len(r.Scenarios) == 0 {
		r.Outcome = result.Worse(r.Outcome, result.Inconclusive)
	}
}
