package runner

import (
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/lockjam/lockjam/harness/judge"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
)

// Replays goes through the looks that the arms of a run recorded with --thorough would have
// had, and compares the verdicts with those of their whole time. Nothing is written. Arms
// that cannot be read, or that have no verdict, are left out.
func Replays(folder string) ([]result.Replay, error) {
	r, err := rundir.Load(folder)
	if err != nil {
		return nil, err
	}
	root, err := rundir.Open(folder)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", result.ErrUsage, err)
	}
	defer root.Close()
	var found []*result.Replay
	var arms errgroup.Group
	arms.SetLimit(runtime.GOMAXPROCS(0))
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			one := &result.Replay{}
			found = append(found, one)
			arms.Go(func() error {
				sc, arm, h, err := recordedArm(root, &a)
				if err != nil {
					return nil
				}
				if replay, ok := judge.Replay(sc, arm, h); ok {
					*one = replay
					one.Scenario, one.Arm, one.Image, one.Repeat = sc.Name, a.Name, a.Image, a.Repeat
				}
				return nil
			})
		}
	}
	_ = arms.Wait() // none of them fails
	var all []result.Replay
	for _, one := range found {
		if one.Full != "" {
			all = append(all, *one)
		}
	}
	return all, nil
}
