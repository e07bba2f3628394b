package swarm

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/server"
)

func TestPartner(t *testing.T) {
	l := LockSettings{Tenants: 4, Pair: PairOwnFirst}
	for tenant, want := range []int32{2, 3, 0, 1} {
		if got, ok := l.Partner(int32(tenant)); got != want || !ok {
			t.Errorf("the partner of %d is %d, %v, want %d", tenant, got, ok, want)
		}
	}
	l.Pair = PairNone
	if _, ok := l.Partner(1); ok {
		t.Error("a lock alone has a partner")
	}
}

// pairs are eight workers on two pairs of tenants, with connections enough.
func pairs(order Pair) Settings {
	set := Defaults()
	set.WorkersPerInstance, set.Client.PoolSize, set.Arrivals.Tenant = 8, 8, TenantByWorker
	set.Lock.Tenants, set.Lock.Pair, set.Lock.PairGapMS = 4, order, 5
	return set
}

// In one order all come through, and no worker is at work while another is at work
// under either of the two locks.
func TestPairInOneOrder(t *testing.T) {
	b := newBench(t, 32)
	s := b.start(pairs(PairOrdered))
	b.eventually("decisions", func() bool { return s.Snapshot().Decisions > 60 })
	s.Stop()
	checkGrants(t, b.ops)
	worked := map[int32]time.Duration{} // by pair: ops are in the order of their ends
	for _, op := range b.ops {
		if op.Worked == history.Never {
			continue
		}
		if op.Granted < worked[op.Tenant%2] {
			t.Errorf("%+v was granted while somebody was at work on the same pair until %v", op, worked[op.Tenant%2])
		}
		worked[op.Tenant%2] = op.Worked
	}
	if x := s.Snapshot(); x.Grants < 2*x.Decisions || x.Releases < 2*x.Decisions {
		t.Errorf("%+v: want two grants and two releases for every decision", x)
	}
}

// In opposite orders they come to a stop, each with one lock in its hands.
func TestPairInOppositeOrders(t *testing.T) {
	b := newBench(t, 32)
	s := b.start(pairs(PairOwnFirst))
	defer s.Stop()
	holding := func() (n int) {
		for _, w := range s.Census() {
			if w.Other != "" {
				n++
			}
		}
		return n
	}
	b.eventually("both pairs are stuck, and every worker has a connection", func() bool {
		x := s.Snapshot()
		return holding() == 4 && x.Waiting == 8 && s.Census()[0].Connected == 8
	})
	was, first := s.Snapshot(), s.Census()
	time.Sleep(100 * time.Millisecond)
	if is := s.Snapshot(); is.Grants != was.Grants || is.Releases != was.Releases {
		t.Fatalf("%+v became %+v", was, is)
	}
	for i, w := range s.Census() {
		if w != first[i] || w.Other == w.Lock {
			t.Errorf("%+v became %+v", first[i], w)
		}
		if w.Other != "" && (w.OtherSince == 0 || b.control.Admin.Get(t.Context(), w.Other).Val() != w.Token) {
			t.Errorf("%+v: Redis knows of another owner", w)
		}
	}
}

// A worker that lets go of its first lock, to begin again or to give up, leaves nothing behind.
func TestPairLetsGo(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Settings)
		enough func(history.Swarm) bool
	}{
		"and begins again": {func(s *Settings) {
			s.Lock.PairWaitMS, s.Lock.Backoff, s.Lock.BackoffMaxMS = 5, BackoffFullJitter, 80
		}, func(x history.Swarm) bool { return x.Decisions > 30 && x.Grants > 2*x.Decisions+10 }},
		"and gives up": {func(s *Settings) { s.Lock.AcquireTimeoutMS = 40 },
			func(x history.Swarm) bool { return x.Failed > 50 && x.Grants > 20 }},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 32)
			set := pairs(PairOwnFirst)
			c.change(&set)
			s := b.start(set)
			b.eventually("enough of it", func() bool { return c.enough(s.Snapshot()) })
			s.Stop()
			checkGrants(t, b.ops)
			// Two for each of the two pairs are held at the end, at most, and one answer in
			// each worker's hands.
			if x := s.Snapshot(); x.Grants-x.Releases > 4+8 {
				t.Errorf("%d grants and %d releases", x.Grants, x.Releases)
			}
		})
	}
}

// A worker that is told to stop while it waits for its second lock releases the first.
func TestPairThatIsToldToStop(t *testing.T) {
	for _, keep := range []Millis{0, 60_000} {
		b := newBench(t, 32)
		set := pairs(PairOrdered)
		set.WorkersPerInstance, set.Lock.PairWaitMS = 1, keep
		b.control.Admin.Set(t.Context(), "lock:t:2", "somebody", 0)
		s := b.start(set)
		b.eventually("it waits for the second", func() bool { return s.Census()[0].Lock == "lock:t:2" })
		if err := s.Rollout(t.Context(), set, 1, 0, nil); err != nil {
			t.Fatal(err)
		}
		op := b.recorded()[0]
		if op.Outcome != history.Fail || op.Granted != history.Never {
			t.Errorf("%+v, want a failure without a grant", op)
		}
		if x := s.Snapshot(); x.Crashes != 0 || x.Releases != 1 {
			t.Errorf("%+v, want the first lock released and nobody killed", x)
		}
		s.Stop()
	}
}

// A release that was not answered may have released. Its second try finding nothing
// is no sign that the lock was another worker's.
func TestReleaseWithoutAnAnswer(t *testing.T) {
	b := newBench(t, 4+server.ControlConnections)
	l := b.oneLink(func(s *Settings) { s.Client.ReadTimeoutMS = 100 })
	set := Defaults()
	set.RedialMS = 5
	w := &worker{settings: &set, keys: []keys{Target{}.keys("t", 0)}, link: l, rng: rand.New(rand.NewPCG(1, 1)),
		elapsed: b.elapsed, token: "1:1:a"}
	if err := releaseScript.Load(t.Context(), b.control.Admin).Err(); err != nil {
		t.Fatal(err)
	}
	b.control.Admin.Set(t.Context(), "lock:t:0", "1:1:a", 0)
	if class := l.ask(l.client.lib.session(), ping(t.Context())); class != history.None {
		t.Fatal(class)
	}
	if err := b.server.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(250*time.Millisecond, func() { _ = b.server.Resume(t.Context()) })
	op := history.Op{}
	if w.unlock(t.Context(), &op, 0, 0) != done || op.Class != history.Deadline ||
		w.tally.errors[history.Conflict].Load() != 0 {
		t.Errorf("%+v: want a deadline, and no conflict", op)
	}
	if n := b.control.Admin.Exists(t.Context(), "lock:t:0").Val(); n != 0 {
		t.Error("the lock is still there")
	}
	// Where every try was answered it is one.
	if w.unlock(t.Context(), &op, 0, 0) != done || op.Class != history.Conflict {
		t.Errorf("%+v: want a conflict", op)
	}
}
