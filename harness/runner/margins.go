package runner

import (
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/lockjam/lockjam/harness/judge"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
)

// Margins judges the arms of a recorded run that passed once more for each number
// that the judge compares with, a share of it lower and as much higher, all else
// being as it was: a sensitivity analysis, one at a time (Saltelli et al., Global
// Sensitivity Analysis, 2008). What turns at a small share flaps on the next machine,
// or in the hundredth run. Nothing is written. Arms that cannot be read are left out;
// Rejudge says which those are.
func Margins(folder string, share float64) ([]result.Margin, error) {
	r, err := rundir.Load(folder)
	if err != nil {
		return nil, err
	}
	root, err := rundir.Open(folder)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", result.ErrUsage, err)
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
					turned.passed, turned.found = judge.Narrow(sc.For(arm), arm, h, share)
				}
				return nil
			})
		}
	}
	_ = arms.Wait() // none of them fails
	return all.merged(), nil
}

// marginTally gathers what the repeats of each arm have to say, in the order in which
// they stand in the run.
type marginTally []*armMargins

type armMargins struct {
	scenario, arm, image string
	passed               bool
	found                []result.Margin
}

func (t *marginTally) arm(scenario string, a result.Arm) *armMargins {
	m := &armMargins{scenario: scenario, arm: a.Name, image: a.Image}
	*t = append(*t, m)
	return m
}

// merged has a margin once for all repeats of an arm.
func (t marginTally) merged() (all []result.Margin) {
	for _, one := range t {
		for _, m := range one.found {
			m.Scenario, m.Arm, m.Image = one.scenario, one.arm, one.image
			same := func(b result.Margin) bool {
				return b.Scenario == m.Scenario && b.Arm == m.Arm && b.Image == m.Image && b.Key == m.Key &&
					b.To == m.To
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
