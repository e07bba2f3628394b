package swarm

import (
	"context"
	"sync/atomic"
	"time"
)

// crashes tells workers to die while they hold a lock: per tenant, how many
// still have to.
type crashes struct{ due []atomic.Int32 }

func newCrashes(tenants int) *crashes { return &crashes{due: make([]atomic.Int32, tenants)} }

// take reports whether the holder that asks is to crash, and counts it.
func (c *crashes) take(tenant int32) bool {
	due := &c.due[tenant]
	for n := due.Load(); n > 0; n = due.Load() {
		if due.CompareAndSwap(n, n-1) {
			return true
		}
	}
	return false
}

func (c *crashes) pending() bool { return c.left() > 0 }

// left is how many still have to, in total.
func (c *crashes) left() (n int) {
	for i := range c.due {
		n += int(c.due[i].Load())
	}
	return n
}

func (c *crashes) set(perTenant int32) {
	for i := range c.due {
		c.due[i].Store(perTenant)
	}
}

// CrashHolders makes one holder of every lock die in the middle of its work:
// its connection drops, its lock stays, a replacement comes after
// ReplaceAfterMS. It returns once all have, or with the context's error.
func (s *Swarm) CrashHolders(ctx context.Context) error {
	s.crashes.set(1)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for s.crashes.pending() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}
