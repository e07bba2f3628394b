package swarm

import (
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

// nested is workers that share a pool, and take two of its connections for a decision.
func nested(workers, pool int) Settings {
	set := Defaults()
	set.WorkersPerInstance, set.Client.PoolSize, set.Client.PoolTimeoutMS = workers, pool, 20
	set.Checkout, set.Limiter.Decision = CheckoutNested, DecisionScript
	return set
}

func outer(census []history.WorkerState) (n int) {
	for _, w := range census {
		if w.Outer {
			n++
		}
	}
	return n
}

// With one connection more than there are workers all get their second, however
// decisions are made, and give both back.
func TestNestedCheckout(t *testing.T) {
	for _, how := range []Decision{DecisionLocked, DecisionTransaction, DecisionScript} {
		t.Run(string(how), func(t *testing.T) {
			b := newBench(t, 32)
			set := nested(4, 5)
			set.Limiter.Decision = how
			s := b.start(set)
			b.eventually("decisions", func() bool { return s.Snapshot().Decisions > 20 })
			s.Stop()
			for _, op := range b.ops {
				if op.Outcome == history.Fail {
					t.Errorf("%+v failed", op)
				}
			}
			b.eventually("all connections are closed", func() bool { return b.connections(anyName) == 0 })
		})
	}
}

// With as many connections as workers they all take one, and none gets its second;
// a worker that gives up gives the first one back.
func TestNestedCheckoutDeadlocks(t *testing.T) {
	b := newBench(t, 32)
	set := nested(2, 3)
	s := b.start(set)
	defer s.Stop()
	b.eventually("decisions", func() bool { return s.Snapshot().Decisions > 5 })
	s.Staff(8)
	b.eventually("all turns are outer ones", func() bool { return outer(s.Census()) == 3 && s.Snapshot().Waiting == 8 })
	was := s.Snapshot()
	first := s.Census()
	time.Sleep(100 * time.Millisecond)
	if is := s.Snapshot(); is.Decisions != was.Decisions ||
		is.Errors[history.PoolTimeout] <= was.Errors[history.PoolTimeout] {
		t.Errorf("%+v became %+v: want pool timeouts and no decision", was, is)
	}
	for i, w := range s.Census() {
		if w != first[i] || w.Lock != "" || w.Kept || w.Outer != (w.OuterSince != 0) || !w.Shared {
			t.Errorf("%+v became %+v", first[i], w)
		}
	}
	if n := b.connections(anyName); n != 3 {
		t.Errorf("%d connections, of a pool of three", n)
	}
}

func TestNestedCheckoutGivesUp(t *testing.T) {
	b := newBench(t, 32)
	set := nested(4, 3)
	set.Lock.AcquireTimeoutMS, set.Arrivals.ThinkMS = 15, 100
	s := b.start(set)
	defer s.Stop()
	b.eventually("all have given up", func() bool { x := s.Snapshot(); return x.Failed > 0 && x.Idle == 4 })
	if n := outer(s.Census()); n != 0 {
		t.Errorf("%d connections are kept by workers that decide nothing", n)
	}
}

// More workers share the clients that are there, also those of instances that come
// later.
func TestStaff(t *testing.T) {
	b := newBench(t, 64)
	set := Defaults()
	set.Instances, set.WorkersPerInstance, set.ClientsPerInstance, set.Client.PoolSize = 2, 4, 2, 4
	s := b.start(set)
	defer s.Stop()
	s.Staff(3) // fewer than there are: nothing
	s.Staff(7)
	s.Scale(3)
	if err := s.Rollout(t.Context(), set, 1, 0, nil); err != nil {
		t.Fatal(err)
	}
	perClient := map[string]int{}
	for _, w := range s.Census() {
		perClient[w.Client]++
	}
	if len(perClient) != 6 || perClient["lockjam-0-0-g1"] != 4 || perClient["lockjam-2-1-g1"] != 3 {
		t.Errorf("workers per client: %v", perClient)
	}
	was := s.Snapshot().Decisions
	b.eventually("decisions", func() bool { return s.Snapshot().Decisions > was+50 })
}
