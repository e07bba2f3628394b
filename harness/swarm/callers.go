package swarm

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// call is one try of a caller, and whether it has had its answer.
type call struct {
	deadline time.Duration // since the run's start
	answered atomic.Bool
}

// callers wait for open arrivals to be answered. They give up at a
// deadline that the service does not know, and ask again: what they gave up on is
// still in the queue, and is worked on in vain. Enough of that, and the service
// does nothing else (metastable failure: Bronson et al., HotOS 2021).
type callers struct {
	mu     sync.Mutex
	policy ArrivalSettings
	tokens float64 // retries that the budget allows now
}

// fewTokens is how many retries a budget allows at the start, and saves up at the
// most: now and then a request is unlucky, and may be asked again at once.
const fewTokens = 5

func (c *callers) set(policy ArrivalSettings) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.policy, c.tokens = policy, fewTokens
}

// entitled counts a try, and says how long its caller waits and how often it may be
// repeated.
func (c *callers) entitled(tries int) (deadline time.Duration, retries int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if tries == 0 {
		c.tokens = min(c.tokens+c.policy.RetryBudget, fewTokens)
	}
	return c.policy.DeadlineMS.Duration(), c.policy.Retries
}

// spend takes a retry out of the budget, if there is one.
func (c *callers) spend() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.policy.RetryBudget == 0 {
		return true
	}
	if c.tokens < 1 {
		return false
	}
	c.tokens--
	return true
}

// call offers a request, and sees to it that it is offered again if it is not
// answered in time. tries is how often it was before.
func (a *arrivals) call(ctx context.Context, r request, tries int, elapsed func() time.Duration) {
	deadline, retries := a.callers.entitled(tries)
	if deadline == 0 {
		a.offer(r)
		return
	}
	c := &call{deadline: r.intended + deadline}
	r.call = c
	a.offer(r)
	if tries >= retries {
		return
	}
	// The timer is not stopped when the answer comes: there are as many as requests in
	// one deadline, and each is gone when it is due.
	time.AfterFunc(c.deadline-elapsed(), func() {
		if ctx.Err() == nil && !c.answered.Load() && a.callers.spend() {
			a.call(ctx, request{tenant: r.tenant, intended: elapsed()}, tries+1, elapsed)
		}
	})
}

// late tells the caller of a request that it is answered, and reports whether it has
// gone by then.
func (r request) late(now time.Duration) bool {
	if r.call == nil {
		return false
	}
	r.call.answered.Store(true)
	return now > r.call.deadline
}
