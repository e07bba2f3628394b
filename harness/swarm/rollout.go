package swarm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Grace is how long an instance has from SIGTERM to SIGKILL.
const Grace = time.Second

// ErrNotRolledOut says that settings cannot be rolled out over the running ones.
var ErrNotRolledOut = errors.New("these settings cannot be rolled out")

var (
	errKilled  = errors.New("the instance was killed")
	errStopped = errors.New("the swarm has stopped")
)

// Rollout replaces every instance by one with other settings, as an orchestrator
// does with a rolling update: in so many groups of about the same size, by the
// instances' numbers, with a pause between one group and the next. There are never
// more groups than instances. After each it calls wave (unless it is nil) with how
// many are done and how many there are in all.
//
// An instance is told to stop (SIGTERM). Its workers take up nothing new, give up
// waiting, and finish the decision whose lock they hold if they can. After Grace
// those that are left are killed (SIGKILL): their operations end as crashed, with
// an unknown outcome, and the locks that they hold stay behind. Once the whole group
// is gone its connections are closed, and new instances start in the old ones'
// places, with the same places for their workers, and a generation at the end of
// their clients' names. In one wave that is what orchestrators call to recreate.
//
// Instances that Scale adds after the beginning have the new settings already. What
// the service is asked for cannot change, or before and after could not be compared:
// a difference there is ErrNotRolledOut, and so is a second rollout before the first
// has ended. When ctx or the swarm ends, the group under way is killed without
// grace, and no other follows; while the swarm lives, the killed are replaced, and
// the rest goes on with the old settings.
func (s *Swarm) Rollout(ctx context.Context, to Settings, waves int, pause time.Duration,
	wave func(done, of int)) error {
	old, err := s.beginRollout(to, waves)
	if err != nil {
		return err
	}
	defer s.endRollout()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.life, func() { cancel(errStopped) })()
	waves = min(waves, len(old))
	for i := range waves {
		if i > 0 && !sleep(ctx, pause) {
			break
		}
		var group sync.WaitGroup
		these := old[i*len(old)/waves : (i+1)*len(old)/waves]
		for _, in := range these {
			group.Go(func() { in.retire(ctx) })
		}
		group.Wait()
		s.succeed(these)
		if s.life.Err() != nil {
			cancel(errStopped) // it may be known here before ctx knows of it
		}
		if ctx.Err() != nil {
			break
		}
		if wave != nil {
			wave(i+1, waves)
		}
	}
	if ctx.Err() == nil {
		s.arrivals.callers.set(to.Arrivals)
	}
	return context.Cause(ctx)
}

// beginRollout puts the new settings in force for whatever starts from now on, and
// returns the instances that run with the old ones.
func (s *Swarm) beginRollout(to Settings, waves int) ([]*instance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped || s.life.Err() != nil:
		return nil, errStopped
	case s.rolling:
		return nil, fmt.Errorf("%w: another rollout is under way", ErrNotRolledOut)
	case waves < 1:
		return nil, fmt.Errorf("%w in %d waves", ErrNotRolledOut, waves)
	}
	if err := replaceable(*s.settings, to); err != nil {
		return nil, err
	}
	s.settings, s.rolling = &to, true
	s.running.Add(1) // Stop waits for it
	return append([]*instance(nil), s.instances...), nil
}

func (s *Swarm) endRollout() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rolling = false
	s.running.Done()
}

// replaceable refuses settings under which an instance could not take another's
// place, or would be asked for something else.
func replaceable(from, to Settings) error {
	for _, same := range []struct {
		what     string
		from, to int
	}{
		{"instances", from.Instances, to.Instances},
		{"workers_per_instance", from.WorkersPerInstance, to.WorkersPerInstance},
		{"clients_per_instance", from.ClientsPerInstance, to.ClientsPerInstance},
		{"lock.tenants", from.Lock.Tenants, to.Lock.Tenants},
	} {
		if same.from != same.to {
			return fmt.Errorf("%w: %s is %d, and would be %d", ErrNotRolledOut, same.what, same.from, same.to)
		}
	}
	was, will := from.Arrivals, to.Arrivals
	// How callers ask again is a library's setting, and is rolled out like any other.
	was.Retries, was.RetryBudget = will.Retries, will.RetryBudget
	if was != will {
		return fmt.Errorf("%w: arrivals differ, and these are not the service's to change", ErrNotRolledOut)
	}
	if from.Limiter.WindowMS != to.Limiter.WindowMS || from.Limiter.Limit != to.Limiter.Limit {
		return fmt.Errorf("%w: the limiter would have another window or limit", ErrNotRolledOut)
	}
	return nil
}

// succeed starts others in the places of instances that have ended.
func (s *Swarm) succeed(old []*instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range old {
		in.closeClients()
	}
	defer s.together()()
	for _, in := range old {
		if s.life.Err() == nil {
			s.startInstance(in.number, in.generation+1)
		}
	}
}

// retire returns when no worker of the instance runs any more.
func (in *instance) retire(ctx context.Context) {
	in.terminate()
	gone := make(chan struct{})
	go func() { in.working.Wait(); close(gone) }()
	grace := time.NewTimer(Grace)
	defer grace.Stop()
	select {
	case <-gone:
	case <-grace.C:
	case <-ctx.Done():
	}
	in.kill(errKilled) // of an instance that has ended it only closes connections
	<-gone
}
