package swarm

import (
	"context"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/server"
)

// Work that takes several leases keeps its lock, whatever the holder does with its
// connection.
func TestRenewal(t *testing.T) {
	for name, change := range map[string]func(*Settings){
		"the connection of the grant":              func(s *Settings) {},
		"a connection that was kept while waiting": func(s *Settings) { s.Waiter = WaiterKeeps },
		"one of a pool": func(s *Settings) {
			s.Instances, s.WorkersPerInstance, s.Client.PoolSize = 1, 4, 4
			s.Waiter, s.Holder = WaiterKeeps, HolderReturns
		},
		"one of its own each time": func(s *Settings) { s.Holder = HolderRedials },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 32)
			set := Defaults()
			set.Instances, set.Lock.HoldMS, set.Lock.TTLMS, set.Lock.RenewMS = 3, 500, 250, 40
			change(&set)
			s := b.start(set)
			b.eventually("three decisions", func() bool { return s.Snapshot().Decisions >= 3 })
			s.Stop()
			checkGrants(t, b.ops)
			for _, op := range b.ops {
				if op.Outcome == history.OK && op.Class != history.None {
					t.Errorf("%+v, want no errors", op)
				}
			}
		})
	}
}

// Without renewals, or with some that find no slot, the lease runs out under the work,
// which goes on.
func TestRenewalThatFails(t *testing.T) {
	for name, c := range map[string]struct {
		renew Millis
		full  bool
		want  history.Class // of the first errors that are counted
	}{
		"none":                       {0, false, history.Conflict},
		"renewals that find no slot": {40, true, history.Refused},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 1+server.ControlConnections)
			set := Defaults()
			set.Holder, set.RedialMS = HolderRedials, 20
			set.Lock.HoldMS, set.Lock.TTLMS, set.Lock.RenewMS = 600, 150, c.renew
			working := make(chan struct{}, 1)
			s := b.startWith(set, func(int) {
				select {
				case working <- struct{}{}:
				default:
				}
			})
			defer s.Stop()
			<-working
			if c.full {
				b.eventually("its slot is taken", func() bool { return b.fill() > 0 })
			}
			begun := b.elapsed()
			b.eventually("the lease runs out",
				func() bool { return b.control.Admin.Exists(t.Context(), "lock:t:0").Val() == 0 })
			if took := b.elapsed() - begun; took > 500*time.Millisecond || s.Snapshot().Holding != 1 {
				t.Errorf("after %v, and %+v: want it to run out under work that goes on", took, s.Snapshot())
			}
			b.eventually("errors", func() bool { return s.Snapshot().Errors[c.want] > 0 })
		})
	}
}

// A worker that has lost its lock leaves the next one's lease as it is, and asks no more.
func TestRenewalOfAnothersLock(t *testing.T) {
	b := newBench(t, 32)
	set := Defaults()
	set.Lock.HoldMS, set.Lock.TTLMS, set.Lock.RenewMS = 400, 200, 30
	working := make(chan struct{}, 1)
	s := b.startWith(set, func(int) {
		b.control.Admin.Set(context.Background(), "lock:t:0", "somebody", 0)
		select {
		case working <- struct{}{}:
		default:
		}
	})
	defer s.Stop()
	<-working
	b.eventually("a release that finds it gone", func() bool { return s.Snapshot().Errors[history.Conflict] > 0 })
	if left := b.control.Admin.PTTL(t.Context(), "lock:t:0").Val(); left != -1 {
		t.Errorf("somebody's lock has a TTL of %v, and had none", left)
	}
	// The grant, the token with the counter, one renewal, the result, the release.
	if n := s.Snapshot().Commands; n > 7 {
		t.Errorf("%d commands: it went on asking", n)
	}
}

// A worker without a lock has none to renew, and one that is stopped in its work stops at once.
func TestRenewalOfNothing(t *testing.T) {
	b := newBench(t, 32)
	set := Defaults()
	set.Limiter.Decision = DecisionScript
	set.Lock.HoldMS, set.Lock.TTLMS, set.Lock.RenewMS = 50, 40, 5
	s := b.start(set)
	b.eventually("decisions", func() bool { return s.Snapshot().Decisions > 3 })
	s.Stop()
	if x := s.Snapshot(); x.Commands > x.Decisions+2 {
		t.Errorf("%d commands for %d decisions: want one each", x.Commands, x.Decisions)
	}
	set = Defaults()
	set.Lock.HoldMS, set.Lock.TTLMS, set.Lock.RenewMS = 3_600_000, 3_600_000, 10
	s = b.start(set)
	b.eventually("renewals", func() bool { return s.Snapshot().Commands > 5 })
	begun := time.Now()
	s.Stop()
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("it took %v to stop", took)
	}
}
