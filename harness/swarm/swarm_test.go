package swarm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/server"
)

// Every way to hold and share connections must make decisions and keep the
// lock's promise: fencing tokens rise from grant to grant, and of two holds of
// one lock the first is over before the second begins.
func TestStrategies(t *testing.T) {
	for name, change := range map[string]func(*Settings){
		"one client each, returned":  func(s *Settings) { s.Instances = 8 },
		"one client each, kept":      func(s *Settings) { s.Instances = 8; s.Waiter = WaiterKeeps },
		"one client each, redialled": func(s *Settings) { s.Instances = 8; s.Holder = HolderRedials },
		"shared pool, returned":      func(s *Settings) { s.WorkersPerInstance = 8; s.Client.PoolSize = 4 },
		"shared pool, kept": func(s *Settings) {
			s.WorkersPerInstance = 8
			s.Waiter = WaiterKeeps
			s.Client.PoolSize = 8
		},
		// Seven waiters keep a turn each: the eighth is what the holder goes on with.
		"shared pool, kept and returned by the holder": func(s *Settings) {
			s.WorkersPerInstance = 8
			s.Waiter, s.Holder = WaiterKeeps, HolderReturns
			s.Client.PoolSize = 8
		},
		"open arrivals": func(s *Settings) {
			s.Instances = 8
			s.Arrivals = ArrivalSettings{Kind: Open, RatePerS: 200, Queue: 100}
		},
		"full jitter and a TTL": func(s *Settings) {
			s.Instances = 8
			s.Lock.Backoff = BackoffFullJitter
			s.Lock.TTLMS = 5000
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 64)
			set := Defaults()
			set.Lock.Tenants = 2
			change(&set)
			s := b.start(set)
			b.eventually("50 decisions", func() bool { return s.Snapshot().Decisions >= 50 })
			s.Stop()
			checkGrants(t, b.ops)
			b.eventually("all connections are closed", func() bool {
				list, _ := b.control.Admin.ClientList(t.Context()).Result()
				return strings.Count(list, "\n") == server.ControlConnections
			})
		})
	}
}

func checkGrants(t *testing.T, ops []history.Op) {
	t.Helper()
	fence := map[int32]int64{}
	worked := map[int32]time.Duration{}
	granted := map[string]bool{}
	for _, op := range ops {
		if op.Granted == history.Never || op.Worked == history.Never {
			continue // cut off at the end
		}
		if op.Granted < worked[op.Tenant] {
			t.Errorf("tenant %d: granted at %v while another still worked, until %v", op.Tenant, op.Granted,
				worked[op.Tenant])
		}
		if op.Fence <= fence[op.Tenant] {
			t.Errorf("tenant %d: token %d after %d", op.Tenant, op.Fence, fence[op.Tenant])
		}
		count := fmt.Sprint(op.Tenant, op.Window, op.Count)
		if granted[count] {
			t.Errorf("tenant %d: count %d of window %d was written twice", op.Tenant, op.Count, op.Window)
		}
		granted[count] = true
		fence[op.Tenant], worked[op.Tenant] = op.Fence, op.Worked
	}
}

func TestTTLIsSetOnlyWhereAsked(t *testing.T) {
	for ttl, want := range map[Millis]func(time.Duration) bool{
		0:    func(d time.Duration) bool { return d == -1 },
		5000: func(d time.Duration) bool { return d > 0 && d <= 5*time.Second },
	} {
		b := newBench(t, 32)
		set := Defaults()
		set.Lock.TTLMS, set.Lock.HoldMS = ttl, 10_000
		s := b.start(set)
		b.eventually("a lock", func() bool { return s.Snapshot().Grants == 1 })
		if d := b.control.Admin.PTTL(t.Context(), "lock:t:0").Val(); !want(d) {
			t.Errorf("ttl_ms %v: PTTL is %v", ttl, d)
		}
		s.Stop()
	}
}

func TestAcquireTimeoutFailsTheRequest(t *testing.T) {
	b := newBench(t, 32)
	b.control.Admin.Set(t.Context(), "lock:t:0", "somebody", 0)
	set := Defaults()
	set.Lock.AcquireTimeoutMS = 30
	s := b.start(set)
	b.eventually("failures", func() bool { return s.Snapshot().Failed >= 3 })
	s.Stop()
	if op := b.ops[0]; op.Outcome != history.Fail || op.Class != history.Deadline || op.Tries < 2 ||
		op.Ended-op.Begun > 100*time.Millisecond {
		t.Errorf("%+v, want a failure by deadline after about 30 ms of tries", op)
	}
}

// A crash leaves the lock, drops the connection, and brings a replacement.
func TestCrashHolders(t *testing.T) {
	b := newBench(t, 32)
	set := Defaults()
	set.Instances, set.Lock.Tenants, set.ReplaceAfterMS = 9, 3, 10
	set.Arrivals.Tenant = TenantByWorker
	s := b.start(set)
	b.eventually("decisions", func() bool { return s.Snapshot().Decisions > 20 })
	if err := s.CrashHolders(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.eventually("replacements", func() bool { return s.Snapshot().Workers == 9 })
	b.eventually("everybody waits", func() bool { return s.Snapshot().Waiting == 9 })
	if n := b.control.Admin.Exists(t.Context(), "lock:t:0", "lock:t:1", "lock:t:2").Val(); n != 3 {
		t.Errorf("%d of 3 orphaned locks are there", n)
	}
	if c := s.Snapshot().Crashes; c != 3 {
		t.Errorf("%d crashes, want one per lock", c)
	}
	s.Stop()
	crashed := 0
	for _, op := range b.ops {
		if op.Class == history.Crashed {
			crashed++
			if op.Outcome != history.Unknown || op.Released != history.Never {
				t.Errorf("a crashed operation has an unknown outcome and no release: %+v", op)
			}
		}
	}
	if crashed != 3 {
		t.Errorf("%d crashed operations recorded, want 3", crashed)
	}
}

// What workers say of themselves must agree with Redis once nothing moves: which
// worker holds which lock with which token, and which have a connection.
func TestCensus(t *testing.T) {
	b := newBench(t, 32)
	set := Defaults()
	set.Instances, set.Lock.HoldMS = 6, 60_000
	s := b.start(set)
	defer s.Stop()
	b.eventually("one holds, five wait", func() bool { x := s.Snapshot(); return x.Holding == 1 && x.Waiting == 5 })
	b.eventually("all have settled", func() bool {
		n := int64(0)
		for _, w := range s.Census() {
			n += w.Connected
		}
		return n == 6
	})
	list := b.control.Admin.ClientList(t.Context()).Val()
	for _, w := range s.Census() {
		if w.Connected != 1 || w.Opened == 0 || !strings.Contains(list, "name="+w.Client+" ") {
			t.Errorf("%+v is not in CLIENT LIST:\n%s", w, list)
		}
		if w.Lock != "lock:t:0" || w.Since == 0 {
			t.Errorf("%+v: what does it hold or wait for, and since when?", w)
		}
		if w.State == "holding" {
			if token := b.control.Admin.Get(t.Context(), w.Lock).Val(); token != w.Token {
				t.Errorf("its token is %q, and Redis has %q", w.Token, token)
			}
		}
	}
}

// sharedPool is eight workers and one client with a pool of four, that keep their
// connections while they wait and give them back to work.
func sharedPool() Settings {
	set := Defaults()
	set.WorkersPerInstance, set.Client.PoolSize, set.Client.PoolTimeoutMS = 8, 4, 20
	set.Waiter, set.Holder = WaiterKeeps, HolderReturns
	return set
}

func kept(census []history.WorkerState) (n int) {
	for _, w := range census {
		if w.Kept {
			n++
		}
	}
	return n
}

// A worker that waits for a turn of the pool is not said to have one, and one with a turn is.
func TestCensusOfASharedPool(t *testing.T) {
	b := newBench(t, 32)
	b.control.Admin.Set(t.Context(), "lock:t:0", "somebody", 0)
	s := b.start(sharedPool())
	defer s.Stop()
	b.eventually("all turns are kept, and the other workers know the pool's timeout", func() bool {
		return kept(s.Census()) == 4 && s.Snapshot().Errors[history.PoolTimeout] >= 8
	})
	first := s.Census()
	time.Sleep(50 * time.Millisecond)
	for i, w := range s.Census() {
		if !w.Shared || w.State != "waiting" || w.Connected != 4 || w.Kept != (w.KeptSince != 0) {
			t.Errorf("%+v: want one of eight who wait, over a client that has four connections", w)
		}
		if w != first[i] {
			t.Errorf("%+v became %+v, though nothing was granted", first[i], w)
		}
	}
	if list := b.control.Admin.ClientList(t.Context()).Val(); strings.Count(list, "name=lockjam-0-0 ") != 4 {
		t.Errorf("Redis has other connections than the four that are kept:\n%s", list)
	}
}

// The pool deadlocks by itself, with a server that is all but idle: the holder
// wants a turn, and the workers that have them wait for the holder.
func TestPoolDeadlocksByItself(t *testing.T) {
	b := newBench(t, 1000)
	s := b.start(sharedPool())
	defer s.Stop()
	b.eventually("four wait with a turn, and a holder without", func() bool {
		dialing := 0
		for _, w := range s.Census() {
			if w.State == "dialing" && !w.Kept {
				dialing++
			}
		}
		return dialing == 1 && kept(s.Census()) == 4
	})
	was := s.Snapshot()
	time.Sleep(300 * time.Millisecond)
	if is := s.Snapshot(); is.Grants != was.Grants || is.Releases != was.Releases || is.Commands == was.Commands {
		t.Errorf("%+v became %+v: want waiters that poll, and not one grant", was, is)
	}
}

// A worker that gives up waiting gives the connection back as well, also where a
// holder would have gone on with it.
func TestGivingUpReturnsTheConnection(t *testing.T) {
	b := newBench(t, 32)
	b.control.Admin.Set(t.Context(), "lock:t:0", "somebody", 0)
	set := sharedPool()
	set.Holder, set.Lock.AcquireTimeoutMS, set.Arrivals.ThinkMS = HolderKeeps, 30, 300
	s := b.start(set)
	defer s.Stop()
	b.eventually("four turns are kept", func() bool { return kept(s.Census()) == 4 })
	b.eventually("all have given up", func() bool { x := s.Snapshot(); return x.Failed > 0 && x.Idle == 8 })
	if n := kept(s.Census()); n != 0 {
		t.Errorf("%d turns are kept by workers that wait for nothing", n)
	}
}

// The age of a request counts from when it was meant to start, and
// a worker without one has none.
func TestOldestRequest(t *testing.T) {
	b := newBench(t, 32)
	set := Defaults()
	set.Instances, set.Arrivals.ThinkMS = 3, 200
	b.control.Admin.Set(t.Context(), "lock:t:0", "somebody", 0)
	s := b.start(set)
	defer s.Stop()
	if x := s.Snapshot(); x.Idle == 3 && x.Oldest != 0 {
		t.Errorf("the oldest request of nobody is %v old", x.Oldest)
	}
	b.eventually("three wait", func() bool { return s.Snapshot().Waiting == 3 })
	begun := b.elapsed()
	b.eventually("it grows old", func() bool { return s.Snapshot().Oldest > 150*time.Millisecond })
	if x := s.Snapshot().Oldest; x > b.elapsed()-begun+200*time.Millisecond {
		t.Errorf("%v old, of requests that are %v old", x, b.elapsed()-begun)
	}
	b.control.Admin.Del(t.Context(), "lock:t:0")
	b.eventually("all are served",
		func() bool { x := s.Snapshot(); return x.Decisions >= 3 && x.Idle == 3 && x.Oldest == 0 })

	// One worker, and more requests than it can serve: their wait for the worker counts.
	set.Instances, set.Lock.HoldMS = 1, 20
	set.Arrivals = ArrivalSettings{Kind: Open, RatePerS: 500, Queue: 100}
	open := Start(context.Background(), Config{
		Target: b.target, Settings: set, Prefix: "open", Seed: 1, Elapsed: b.elapsed, Record: func(history.Op) {},
	})
	defer open.Stop()
	b.eventually("a request older than it takes to serve one",
		func() bool { return open.Snapshot().Oldest > 300*time.Millisecond })
}

// A holder whose lock went to another worker must leave it alone.
func TestReleaseLeavesTheLocksOfOthers(t *testing.T) {
	b := newBench(t, 32)
	set := Defaults()
	set.Lock.HoldMS = 20
	s := b.startWith(set, func(int) { b.control.Admin.Set(context.Background(), "lock:t:0", "another's", 0) })
	b.eventually("a release came too late", func() bool { return s.Snapshot().Errors[history.Conflict] > 0 })
	s.Stop()
	if token := b.control.Admin.Get(t.Context(), "lock:t:0").Val(); token != "another's" {
		t.Errorf("the lock of another is %q now", token)
	}
}

// A fault of lockjam's own in a worker is told, and takes nothing else with it.
func TestPanicInAWorker(t *testing.T) {
	b := newBench(t, 32)
	set := Defaults()
	set.Instances = 4
	s := b.startWith(set, func(worker int) {
		if worker == 2 {
			panic("planted")
		}
	})
	select {
	case err := <-s.Failed():
		if !strings.Contains(err.Error(), "worker 2 panicked: planted") {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("nobody was told")
	}
	s.Stop()
}

// What is in flight at the end is recorded, and a server that answers no client
// does not keep the swarm from stopping.
func TestStopAtAFrozenServer(t *testing.T) {
	b := newBench(t, 32)
	set := Defaults()
	set.Instances = 8
	set.Client.ReadTimeoutMS = 60_000
	s := b.start(set)
	b.eventually("decisions", func() bool { return s.Snapshot().Decisions > 20 })
	if err := b.server.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := len(b.ops)
	stopped := make(chan struct{})
	go func() { s.Stop(); close(stopped) }()
	select {
	case <-stopped:
	case <-time.After(5 * time.Second):
		t.Fatal("the swarm waits for a frozen server")
	}
	unknown := 0
	for _, op := range b.ops[min(before, len(b.ops)):] {
		if op.Outcome == history.Unknown {
			unknown++
		}
	}
	if unknown == 0 {
		t.Error("nothing in flight was recorded as unknown")
	}
	if err := b.server.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Open arrivals keep their rate and their intended start whether or not
// anybody is there to serve them.
func TestOpenArrivals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		elapsed := func() time.Duration { return time.Since(begun) }
		set := Defaults()
		set.Arrivals = ArrivalSettings{Kind: Open, RatePerS: 100, Queue: 50}
		a := newArrivals(set)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		a.generate(ctx, rand.New(rand.NewPCG(7, 7)), elapsed)
		if total := int64(len(a.queue)) + a.dropped.Load(); total < 900 || total > 1100 {
			t.Errorf("%d arrivals in 10 s at 100/s", total)
		}
		if len(a.queue) != 50 {
			t.Errorf("the queue holds %d, want it full at 50", len(a.queue))
		}
		first, ok := a.next(t.Context(), nil)
		if !ok || first.intended > time.Second {
			t.Errorf("the oldest request was meant to start at %v; the wait since then must not be lost",
				first.intended)
		}
	})
}
