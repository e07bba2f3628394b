package swarm

import (
	"cmp"
	"context"
	"sync/atomic"
	"time"
)

// slow is what makes work take longer than the settings say.
type slow struct {
	work    atomic.Int64 // ns that it takes; 0: as the settings say
	stalled atomic.Int64 // ns that it takes once
	once    *crashes     // whom
}

// takes is how long a piece of work takes that begins now.
func (s *slow) takes(tenant int32, usual time.Duration) time.Duration {
	if s.once.take(tenant) {
		return time.Duration(s.stalled.Load())
	}
	return cmp.Or(time.Duration(s.work.Load()), usual)
}

// SlowWork makes the work under a lock take so long from now on, for every worker,
// whatever the settings say; those of a rollout too, for it is what the work depends
// on that has become slow. Work that has begun takes as long as it would have.
func (s *Swarm) SlowWork(hold time.Duration) { s.slow.work.Store(int64(hold)) }

// StallHolders makes one piece of work under each of the first so many locks take so
// long, and those after it as long as ever. It returns once all have begun, or with the
// context's error; then no other worker is stalled any more.
func (s *Swarm) StallHolders(ctx context.Context, locks int, hold time.Duration) error {
	s.slow.stalled.Store(int64(hold))
	defer s.slow.once.set(0)
	for i := range locks {
		s.slow.once.due[i].Store(1)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for s.slow.once.pending() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}
