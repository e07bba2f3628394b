package swarm

import (
	"context"
	"slices"
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

func (d *dialer) keep(c *watchedConn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conns = append(d.conns, c)
}

func (d *dialer) drop(c *watchedConn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := slices.Index(d.conns, c); i >= 0 {
		d.conns = slices.Delete(d.conns, i, i+1)
	}
}

// sever closes the client's connections under it, as a network does that has
// forgotten them. The next user of one finds out, and dials.
func (d *dialer) sever() {
	d.mu.Lock()
	open := slices.Clone(d.conns)
	d.mu.Unlock()
	for _, c := range open {
		_ = c.Close()
	}
}

// AwaitRefusals returns once so many more commands have failed because the server had
// no slot left. It is false if the context ends first.
func (s *Swarm) AwaitRefusals(ctx context.Context, n int) bool {
	refused := func() int64 { return s.Snapshot().Errors[history.Refused] }
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for enough := refused() + int64(n); refused() < enough; {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// SeverHolders cuts the connections of one holder of every lock as it begins its
// work: the worker lives, keeps its lock, and has to dial again to release it. It
// returns how many were cut once all have been, or once no other has come within
// the given time of the last: where all wait for the workers that lost their connections,
// there may be locks that are not taken any more. After that no worker is cut. When the
// context ends it returns at once.
func (s *Swarm) SeverHolders(ctx context.Context, within time.Duration) (cut int) {
	s.severs.set(1)
	defer s.severs.set(0)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	left, last := s.severs.left(), s.config.Elapsed()
	for left > 0 && s.config.Elapsed()-last < within && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		if n := s.severs.left(); n < left {
			left, last = n, s.config.Elapsed()
		}
	}
	return len(s.severs.due) - left
}
