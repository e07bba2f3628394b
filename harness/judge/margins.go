package judge

import (
	"maps"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/signals"
	"github.com/lockjam/lockjam/harness/swarm"
	"github.com/lockjam/lockjam/harness/text"
	"github.com/lockjam/lockjam/harness/triggers"
)

// Narrow judges a history once, and then with each number a share off. The scenario is
// the arm's.
func Narrow(sc *scenario.Scenario, arm scenario.Arm, h *history.History, share float64) (passed bool,
	found []result.Margin) {
	e := Gather(sc, arm, h)
	if under(e, sc).Outcome != result.Pass {
		return false, nil
	}
	for _, n := range numbersOf(sc, arm) {
		for _, to := range n.around(share) {
			other := *sc
			n.set(&other, to)
			if r := under(e, &other); r.Outcome != result.Pass {
				found = append(found, result.Margin{
					Key: n.key, From: n.value, To: to, Outcome: r.Outcome, Reason: strings.Join(r.Reasons, "; "),
				})
			}
		}
	}
	return true, found
}

// under is the result of an arm, had its scenario other numbers.
func under(e Evidence, sc *scenario.Scenario) result.Arm {
	e.Scenario = sc
	out := begin(e)
	if assumptions(e, out) == forVerdicts {
		verdicts(e, out)
	}
	return out.Arm
}

// around are a number's two neighbours, none of them less than a file may say. Of
// nothing there is no share, and its neighbour is one.
func (n number) around(share float64) []float64 {
	if n.value == 0 {
		return []float64{1}
	}
	higher := text.Round(n.value*(1+share), 6)
	if lower := max(text.Round(n.value*(1-share), 6), n.least); lower < n.value {
		return []float64{lower, higher}
	}
	return []float64{higher}
}

// number is one that the judge compares a recording with. It is changed in a
// scenario of its own.
type number struct {
	key          string
	value, least float64
	set          func(sc *scenario.Scenario, to float64)
}

// numbersOf are those that have a say in what is expected of an arm.
func numbersOf(sc *scenario.Scenario, arm scenario.Arm) (all []number) {
	if arm.Expect.Verdict != "" {
		all = append(all, cureNumbers(sc)...)
	}
	if arm.Prevention != "" {
		return all // nothing is to be reproduced, and no signal to fire
	}
	if sc.Trigger.Kind != triggers.None {
		all = append(all, incidentNumbers(sc)...)
	}
	for _, name := range slices.Sorted(maps.Keys(sc.Signals)) {
		all = append(all, signalNumbers(name, sc.Signals[name])...)
	}
	return all
}

func cureNumbers(sc *scenario.Scenario) []number {
	return []number{
		{"cure.ratio", sc.Cure.Ratio, 0, func(sc *scenario.Scenario, to float64) { sc.Cure.Ratio = to }},
		{"cure.relapse_ratio", sc.Cure.RelapseRatio, 0,
			func(sc *scenario.Scenario, to float64) { sc.Cure.RelapseRatio = to }},
		{"cure.relapse_window_ms", float64(sc.Cure.RelapseWindowMS), scenario.MinWindowMS,
			func(sc *scenario.Scenario, to float64) { sc.Cure.RelapseWindowMS = swarm.Millis(to) }},
		{"cure.hold_ms", float64(sc.Cure.HoldMS), 0,
			func(sc *scenario.Scenario, to float64) { sc.Cure.HoldMS = swarm.Millis(to) }},
	}
}

func incidentNumbers(sc *scenario.Scenario) []number {
	lost := number{"incident.goodput_ratio", sc.Incident.GoodputRatio, 0,
		func(sc *scenario.Scenario, to float64) { sc.Incident.GoodputRatio = to }}
	if sc.Incident.Faults > 0 {
		lost = number{"incident.faults", float64(sc.Incident.Faults), 1,
			func(sc *scenario.Scenario, to float64) { sc.Incident.Faults = int64(to) }}
	}
	return []number{lost, {"incident.for_ms", float64(sc.Incident.ForMS), scenario.MinWindowMS,
		func(sc *scenario.Scenario, to float64) { sc.Incident.ForMS = swarm.Millis(to) }}}
}

// signalNumbers are a signal's parameters, and the time that it has to fire in.
func signalNumbers(name string, want scenario.Signal) (all []number) {
	s, ok := signals.Find(name)
	if !ok || want.Expect == scenario.Any || want.Expect == "" {
		return nil
	}
	add := func(key string, value float64, set func(want *scenario.Signal, to float64)) {
		all = append(all, number{"signals." + name + "." + key, value, 0, func(sc *scenario.Scenario, to float64) {
			other := want
			set(&other, to)
			sc.Signals = maps.Clone(sc.Signals)
			sc.Signals[name] = other
		}})
	}
	if want.Expect == scenario.Fire && want.WithinMS > 0 {
		add("within_ms", float64(want.WithinMS),
			func(want *scenario.Signal, to float64) { want.WithinMS = swarm.Millis(to) })
	}
	params := s.Params.With(want.Params)
	for _, p := range slices.Sorted(maps.Keys(params)) {
		add("params."+p, params[p], func(want *scenario.Signal, to float64) {
			want.Params = maps.Clone(params)
			want.Params[p] = to
		})
	}
	return all
}
