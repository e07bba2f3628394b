package compare

import (
	"slices"

	"github.com/lockjam/lockjam/harness/result"
)

// rank orders the verdicts, the best first.
var rank = [][]result.Verdict{
	{result.Cured, result.Partial, result.Relapsed, result.NoEffect, result.Blocked},
	{result.Prevented, result.Mitigated, result.NotPrevented},
}

// rows are what both runs say of one arm. It sees nothing where one of them has no
// conclusive repeat; those that are not are left out of everything but the outcome.
func (p *pair) rows() (rows []Row, sees bool) {
	open := pair{Place: p.Place, before: conclusive(p.before), after: conclusive(p.after)}
	if len(open.before) == 0 || len(open.after) == 0 {
		return []Row{p.blind()}, false
	}
	rows = append(rows, open.verdict()...)
	rows = append(rows, p.outcome()...)
	rows = append(rows, open.unsafe()...)
	rows = append(rows, open.state("", "proof", 0, proof)...)
	for _, name := range open.signals() {
		rows = append(rows, open.signal(name)...)
	}
	return append(rows, open.figures()...), true
}

func conclusive(arms []result.Arm) []result.Arm {
	return slices.DeleteFunc(slices.Clone(arms), func(a result.Arm) bool { return a.Outcome == result.Inconclusive })
}

// blind is the only row of an arm of which nothing can be said, and why.
func (p *pair) blind() Row {
	r := Row{Place: p.Place, Rule: Outcome, What: "outcome", Finding: Unclear}
	r.Before, _ = tally(p.before, outcomeOf)
	r.After, _ = tally(p.after, outcomeOf)
	for _, arms := range [][]result.Arm{p.after, p.before} {
		if len(conclusive(arms)) == 0 && len(arms[0].Reasons) > 0 {
			r.Because = arms[0].Reasons[0]
			break
		}
	}
	return r
}

// verdict compares verdicts of one kind: an arm whose remedy became a prevention has
// changed, and is neither better nor worse.
func (p *pair) verdict() []Row {
	scale := func(v result.Verdict) (scale, place int) {
		for i, verdicts := range rank {
			if k := slices.Index(verdicts, v); k >= 0 {
				return i, k
			}
		}
		return len(rank), 0
	}
	better := 1
	was, _ := scale(p.before[0].Verdict)
	is, _ := scale(p.after[0].Verdict)
	if was != is {
		better = 0
	}
	return p.state(Verdict, "verdict", better, func(a result.Arm) (string, float64, bool) {
		of, place := scale(a.Verdict)
		return string(a.Verdict), float64(-10*of - place), a.Verdict != ""
	})
}

// outcome counts all repeats and weighs the conclusive ones.
func (p *pair) outcome() []Row {
	rows := (&pair{p.Place, conclusive(p.before), conclusive(p.after)}).state(Outcome, "outcome", 1, outcomeOf)
	for i := range rows {
		rows[i].Before, _ = tally(p.before, outcomeOf)
		rows[i].After, _ = tally(p.after, outcomeOf)
		if len(p.after[0].Reasons) > 0 {
			rows[i].Because = p.after[0].Reasons[0]
		}
	}
	return rows
}

func outcomeOf(a result.Arm) (string, float64, bool) {
	return string(a.Outcome), map[bool]float64{true: 1}[a.Outcome == result.Pass], true
}

// unsafe needs no statistics in one direction: broken safety is a counterexample, and
// one is enough where there was none.
func (p *pair) unsafe() []Row {
	rows := p.state(Unsafe, "safety", -1, func(a result.Arm) (string, float64, bool) {
		if a.Unsafe {
			return "unsafe", 1, true
		}
		return "safe", 0, true
	})
	for i, r := range rows {
		if slices.Max(r.before) == 0 && slices.Max(r.after) > 0 {
			rows[i].Finding, rows[i].Because = Worse, "one counterexample is enough where there was none"
		}
	}
	return rows
}

// proof is what the incident was proved to be.
func proof(a result.Arm) (string, float64, bool) {
	switch d := a.Deadlock; {
	case d == nil:
		return "", 0, false
	case !d.Proved:
		return "nothing proved", 0, true
	default:
		rank := 1.0 // for being told apart, not for being ordered
		for _, c := range d.Kind {
			rank = 31*rank + float64(c)
		}
		return d.Kind, rank, true
	}
}

func (p *pair) signals() []string {
	var names []string
	for _, a := range slices.Concat(p.before, p.after) {
		for _, s := range a.Signals {
			if !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
		}
	}
	return names
}

// signal compares whether a signal fires, raises false alarms, and clears after a cure.
// Only what its scenario expects is weighed by a rule: that was measured not to waver.
// Everything else is shown where repeats tell it from chance.
func (p *pair) signal(name string) []Row {
	of := func(a result.Arm) *result.Signal {
		i := slices.IndexFunc(a.Signals, func(s result.Signal) bool { return s.Name == name })
		if i < 0 || a.Signals[i].Unavailable != "" {
			return nil
		}
		return &a.Signals[i]
	}
	what := "signal " + name
	better := p.wanted(of)
	rule := Signal
	if better == 0 {
		rule = ""
	}
	rows := p.state(rule, what, better,
		answer(of, "fires", "silent", func(_ result.Arm, s *result.Signal) (bool, bool) { return s.Fired, true }))
	rows = append(rows, p.state(rule, what+": false alarms", -1,
		answer(of, "some", "none", func(_ result.Arm, s *result.Signal) (bool, bool) {
			return s.BaselineFirings > 0,
				true
		}))...)
	rows = append(rows, p.state("", what+": clears", 1,
		answer(of, "yes", "no", func(a result.Arm, s *result.Signal) (bool, bool) {
			return s.Cleared, s.Fired && a.Verdict == result.Cured
		}))...)
	return append(rows, p.figure(figure{Detection, what + ": time to detect", "ms", -1,
		func(a result.Arm) (float64, bool) {
			s := of(a)
			if s == nil || s.Expected == silent || !s.Fired {
				return 0, false
			}
			return value(s.DetectMS)
		}})...)
}

// What scenarios expect of a signal.
const (
	fire   = "fire"
	silent = "silent"
)

// wanted is whether firing is good, which all arms must agree on.
func (p *pair) wanted(of func(result.Arm) *result.Signal) int {
	expected := ""
	for _, a := range slices.Concat(p.before, p.after) {
		s := of(a)
		if s == nil {
			continue
		}
		if expected != "" && expected != s.Expected {
			return 0
		}
		expected = s.Expected
	}
	return map[string]int{fire: 1, silent: -1}[expected]
}

// answer makes a question with two answers one that state can ask.
func answer(of func(result.Arm) *result.Signal, yes, no string,
	ask func(result.Arm, *result.Signal) (is, asked bool),
) func(result.Arm) (string, float64, bool) {
	return func(a result.Arm) (string, float64, bool) {
		s := of(a)
		if s == nil {
			return "", 0, false
		}
		is, asked := ask(a, s)
		if is {
			return yes, 1, asked
		}
		return no, 0, asked
	}
}
