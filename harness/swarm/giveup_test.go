package swarm

import (
	"testing"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/server"
)

// A worker that gives up and hangs up frees its slot of the server; one that only gives up
// does not.
func TestOnGiveUp(t *testing.T) {
	for what, want := range map[GiveUp]int{GiveUpKeeps: 8, GiveUpCloses: 0} {
		for _, waiter := range []Waiter{WaiterKeeps, WaiterReturns} {
			t.Run(string(what)+", a waiter that "+string(waiter), func(t *testing.T) {
				b := newBench(t, 32)
				b.control.Admin.Set(t.Context(), "lock:t:0", "somebody", 0)
				set := Defaults()
				set.Instances, set.Waiter, set.Arrivals.ThinkMS = 8, waiter, 300
				set.Lock.AcquireTimeoutMS, set.Lock.OnGiveUp = 50, what
				s := b.start(set)
				defer s.Stop()
				b.eventually("all are connected", func() bool { return b.connections(anyName) == 8 })
				b.eventually("all have given up",
					func() bool { x := s.Snapshot(); return x.Failed >= 8 && x.Idle == 8 })
				b.eventually("the connections are as they should be",
					func() bool { return b.connections(anyName) == want })
				b.control.Admin.Del(t.Context(), "lock:t:0")
				b.eventually("they go on to their next requests", func() bool { return s.Snapshot().Decisions >= 8 })
			})
		}
	}
}

// A worker that cannot even get a connection gives up as well, and gets one when there is
// one to be had.
func TestGivingUpWithoutAConnection(t *testing.T) {
	b := newBench(t, 4+server.ControlConnections)
	b.control.Admin.Set(t.Context(), "lock:t:0", "somebody", 0)
	set := Defaults()
	set.Instances, set.Arrivals.ThinkMS = 12, 20
	set.Lock.AcquireTimeoutMS, set.Lock.OnGiveUp = 50, GiveUpCloses
	s := b.start(set)
	b.eventually("many have given up", func() bool { return s.Snapshot().Failed > 60 })
	s.Stop()
	refused := map[int32]bool{}
	for _, op := range b.ops {
		if op.Outcome == history.Fail && (op.Class != history.Deadline || op.Granted != history.Never) {
			t.Errorf("%+v, want a failure by deadline", op)
		}
		refused[op.Worker] = true
	}
	if len(refused) != 12 {
		t.Errorf("%d of 12 workers gave up, though 8 had no connection", len(refused))
	}
	if s.Snapshot().Errors[history.Refused] == 0 {
		t.Error("nobody was refused")
	}
}
