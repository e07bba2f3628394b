package harness

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/signals"
	"github.com/lockjam/lockjam/harness/swarm"
	"github.com/lockjam/lockjam/harness/triggers"
)

// Margin is a number of a scenario's that decided narrowly: with a value a little
// off, arms that passed would not have.
type Margin struct {
	Scenario, Arm, Image string
	Key                  string  // the number's, as in the scenario file: "cure.ratio"
	From, To             float64 // what it is, and what it would be
	Outcome              Outcome // that the arm would have then, and why
	Reason               string
	Turned, Of           int // so many of the arm's repeats that passed
}

// Margins judges the arms of a recorded run that passed once more for each number
// that the judge compares with, a share of it lower and as much higher, all else
// being as it was: a sensitivity analysis, one at a time (Saltelli et al., Global
// Sensitivity Analysis, 2008). What turns at a small share flaps on the next machine,
// or in the hundredth run. Nothing is written. Arms that cannot be read are left out;
// Rejudge says which those are.
func Margins(folder string, share float64) ([]Margin, error) {
	r, err := LoadRun(folder)
	if err != nil {
		return nil, err
	}
	root, err := OpenFolder(folder)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	defer root.Close()
	var all marginTally
	var arms errgroup.Group
	arms.SetLimit(runtime.GOMAXPROCS(0))
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			turned := all.arm(sc.Name, a)
			arms.Go(func() error {
				sc, arm, h, err := recordedArm(root, &a)
				if err == nil {
					turned.passed, turned.found = narrow(sc.For(arm), arm, h, share)
				}
				return nil
			})
		}
	}
	_ = arms.Wait() // none of them fails
	return all.merged(), nil
}

// narrow judges a history once, and then with each number a share off. The scenario is
// the arm's.
func narrow(sc *scenario.Scenario, arm scenario.Arm, h *history.History, share float64) (passed bool, found []Margin) {
	j := newJudge(sc, arm, h)
	fresh := j.r
	if j.look() != forVerdicts {
		return false, nil
	}
	under := func(sc *scenario.Scenario) ArmResult {
		again := j
		again.sc, again.r = sc, fresh
		if again.assumptions() == forVerdicts {
			again.verdicts()
		}
		return again.r
	}
	asIs := *sc
	if under(&asIs).Outcome != Pass {
		return false, nil
	}
	for _, n := range numbersOf(sc, arm) {
		for _, to := range n.around(share) {
			other := *sc
			n.set(&other, to)
			if r := under(&other); r.Outcome != Pass {
				found = append(found, Margin{Key: n.key, From: n.value, To: to, Outcome: r.Outcome, Reason: strings.Join(r.Reasons, "; ")})
			}
		}
	}
	return true, found
}

// around are a number's two neighbours, none of them less than a file may say. Of
// nothing there is no share, and its neighbour is one.
func (n number) around(share float64) []float64 {
	if n.value == 0 {
		return []float64{1}
	}
	higher := round(n.value*(1+share), 6)
	if lower := max(round(n.value*(1-share), 6), n.least); lower < n.value {
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
		{"cure.relapse_ratio", sc.Cure.RelapseRatio, 0, func(sc *scenario.Scenario, to float64) { sc.Cure.RelapseRatio = to }},
		{"cure.relapse_window_ms", float64(sc.Cure.RelapseWindowMS), scenario.MinWindowMS, func(sc *scenario.Scenario, to float64) { sc.Cure.RelapseWindowMS = swarm.Millis(to) }},
		{"cure.hold_ms", float64(sc.Cure.HoldMS), 0, func(sc *scenario.Scenario, to float64) { sc.Cure.HoldMS = swarm.Millis(to) }},
	}
}

func incidentNumbers(sc *scenario.Scenario) []number {
	lost := number{"incident.goodput_ratio", sc.Incident.GoodputRatio, 0, func(sc *scenario.Scenario, to float64) { sc.Incident.GoodputRatio = to }}
	if sc.Incident.Faults > 0 {
		lost = number{"incident.faults", float64(sc.Incident.Faults), 1, func(sc *scenario.Scenario, to float64) { sc.Incident.Faults = int64(to) }}
	}
	return []number{lost, {"incident.for_ms", float64(sc.Incident.ForMS), scenario.MinWindowMS, func(sc *scenario.Scenario, to float64) { sc.Incident.ForMS = swarm.Millis(to) }}}
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
		add("within_ms", float64(want.WithinMS), func(want *scenario.Signal, to float64) { want.WithinMS = swarm.Millis(to) })
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

// marginTally gathers what the repeats of each arm have to say, in the order in which
// they stand in the run.
type marginTally []*armMargins

type armMargins struct {
	scenario, arm, image string
	passed               bool
	found                []Margin
}

func (t *marginTally) arm(scenario string, a ArmResult) *armMargins {
	m := &armMargins{scenario: scenario, arm: a.Name, image: a.Image}
	*t = append(*t, m)
	return m
}

// merged has a margin once for all repeats of an arm.
func (t marginTally) merged() (all []Margin) {
	for _, one := range t {
		for _, m := range one.found {
			m.Scenario, m.Arm, m.Image = one.scenario, one.arm, one.image
			same := func(b Margin) bool {
				return b.Scenario == m.Scenario && b.Arm == m.Arm && b.Image == m.Image && b.Key == m.Key && b.To == m.To
			}
			if i := slices.IndexFunc(all, same); i >= 0 {
				all[i].Turned++
				continue
			}
			m.Turned, m.Of = 1, t.passes(one)
			all = append(all, m)
		}
	}
	return all
}

// passes is how many repeats of an arm passed.
func (t marginTally) passes(of *armMargins) (n int) {
	for _, one := range t {
		if one.passed && one.scenario == of.scenario && one.arm == of.arm && one.image == of.image {
			n++
		}
	}
	return n
}
