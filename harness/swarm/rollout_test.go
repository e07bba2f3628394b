package swarm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

// connections counts those in CLIENT LIST whose client has a name that fits.
func (b *bench) connections(fits func(name string) bool) (n int) {
	b.t.Helper()
	list, err := b.control.Admin.ClientList(context.Background()).Result()
	if err != nil {
		b.t.Fatal(err)
	}
	for line := range strings.Lines(list) {
		for field := range strings.FieldsSeq(line) {
			name, ok := strings.CutPrefix(field, "name=lockjam-")
			if ok && !strings.HasPrefix(name, "control-") && fits(name) {
				n++
			}
		}
	}
	return n
}

// recorded is what is on record while the swarm still runs.
func (b *bench) recorded() []history.Op {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.ops)
}

func anyName(string) bool { return true }

// watchCounters looks at the swarm all the time until the test's own work is done,
// and complains of a count that went back.
func watchCounters(t *testing.T, s *Swarm) (done func()) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		var was history.Swarm
		for {
			select {
			case <-stop:
				return
			default:
			}
			is := s.Snapshot()
			_ = s.Census()
			fell := is.Decisions < was.Decisions || is.Failed < was.Failed || is.Grants < was.Grants ||
				is.Releases < was.Releases ||
				is.Crashes < was.Crashes || is.Dials < was.Dials || is.Commands < was.Commands ||
				is.CommandTime < was.CommandTime
			for i := range is.Errors {
				fell = fell || is.Errors[i] < was.Errors[i]
			}
			if fell {
				t.Errorf("%+v fell to %+v", was, is)
			}
			was = is
			time.Sleep(time.Millisecond)
		}
	})
	return func() { close(stop); wg.Wait() }
}

// While instances are replaced the others go on; afterwards nothing of the old
// ones is left but their counts, and the new settings are in force.
func TestRolloutUnderLoad(t *testing.T) {
	b := newBench(t, 64)
	set := Defaults()
	set.Instances, set.Lock.Tenants, set.Holder, set.Waiter = 8, 2, HolderRedials, WaiterKeeps
	set.Arrivals.Tenant = TenantByWorker
	s := b.start(set)
	b.eventually("decisions", func() bool { return s.Snapshot().Decisions > 20 })
	watched := watchCounters(t, s)

	to := set
	to.Holder = HolderKeeps
	var reached []int64
	err := s.Rollout(t.Context(), to, 3, 100*time.Millisecond, func(done, of int) {
		if of != 3 || done != len(reached)+1 {
			t.Errorf("wave %d of %d, after %d", done, of, len(reached))
		}
		reached = append(reached, s.Snapshot().Decisions)
	})
	if err != nil {
		t.Fatal(err)
	}
	b.eventually("decisions by the new", func() bool { return s.Snapshot().Decisions > reached[2]+50 })
	if len(reached) != 3 || reached[1] < reached[0]+3 || reached[2] < reached[1]+3 {
		t.Errorf("decisions at the end of each wave, 100 ms apart: %v", reached)
	}
	old := func(name string) bool { return !strings.HasSuffix(name, "-g1") }
	b.eventually("no connection of the old", func() bool { return b.connections(old) == 0 })
	dials := s.Snapshot().Dials
	was := s.Snapshot().Decisions
	b.eventually("more decisions", func() bool { return s.Snapshot().Decisions > was+50 })
	if n := s.Snapshot().Dials - dials; n > 8 {
		t.Errorf("%d dials for 50 decisions: want holders that keep their connections", n)
	}
	watched()
	census := s.Census()
	if x := s.Snapshot(); x.Workers != 8 || len(census) != 8 || x.Crashes != 0 {
		t.Errorf("%+v, %d in the census: want 8 workers and nobody killed", x, len(census))
	}
	for i, w := range census {
		if w.Worker <= 8 || !strings.HasSuffix(w.Client, "-0-g1") {
			t.Errorf("place %d: %+v is an old one", i, w)
		}
	}
	s.Stop()
	checkGrants(t, b.ops)
	checkPlaces(t, s, b.ops)
}

// checkPlaces reports whether everybody kept to the tenant of his place.
func checkPlaces(t *testing.T, s *Swarm, ops []history.Op) {
	t.Helper()
	places := map[string]int{}
	for _, w := range s.workers {
		places[fmt.Sprint(w.place, " as ", w.link.client.name)]++
		for _, op := range ops {
			if op.Worker == int32(w.id) && op.Tenant != int32(w.place%len(s.keys)) {
				t.Fatalf("worker %d at place %d served tenant %d", w.id, w.place, op.Tenant)
			}
		}
	}
	if len(places) != len(s.workers) {
		t.Errorf("%d workers have %d places: %v", len(s.workers), len(places), places)
	}
}

// A holder that cannot finish is killed, and its lock stays. Waiters have
// nothing to finish, and fail at once.
func TestRolloutKillsWhoCannotFinish(t *testing.T) {
	b := newBench(t, 32)
	set := Defaults()
	set.Instances, set.Lock.HoldMS, set.ReplaceAfterMS = 6, 60_000, 1
	s := b.start(set)
	b.eventually("one holds, five wait", func() bool { x := s.Snapshot(); return x.Holding == 1 && x.Waiting == 5 })
	token := b.control.Admin.Get(t.Context(), "lock:t:0").Val()
	begun := b.elapsed()
	if err := s.Rollout(t.Context(), set, 1, 0, nil); err != nil {
		t.Fatal(err)
	}
	if took := b.elapsed() - begun; took < Grace || took > Grace+2*time.Second {
		t.Errorf("it took %v, with a grace of %v", took, Grace)
	}
	b.eventually("all wait", func() bool { return s.Snapshot().Waiting == 6 })
	if left := b.control.Admin.Get(t.Context(), "lock:t:0").Val(); left != token {
		t.Errorf("the lock's token was %q and is %q", token, left)
	}
	if x := s.Snapshot(); x.Crashes != 1 || x.Failed != 5 || x.Workers != 6 {
		t.Errorf("%+v: want one that died with its lock, and five that failed", x)
	}
	ops := b.recorded()
	crashed := 0
	for _, op := range ops {
		switch {
		case op.Class == history.Crashed:
			crashed++
			if op.Outcome != history.Unknown || op.Granted == history.Never || op.Released != history.Never ||
				op.Ended < begun+Grace {
				t.Fatalf("killed: %+v", op)
			}
		case op.Outcome != history.Fail || op.Class != history.None || op.Ended > begun+Grace/2:
			t.Fatalf("waited: %+v; want a failure without an error, at once", op)
		}
	}
	if crashed != 1 || len(ops) != 6 {
		t.Errorf("%d crashed of %d operations, want 1 of 6", crashed, len(ops))
	}
	s.Stop()
}

// A holder that can finish within the grace does so.
func TestRolloutLetsHoldersFinish(t *testing.T) {
	b := newBench(t, 32)
	set := Defaults()
	set.Instances, set.Lock.HoldMS, set.Lock.Tenants = 4, 300, 4
	set.Arrivals.Tenant = TenantByWorker
	s := b.start(set)
	defer s.Stop()
	b.eventually("all hold", func() bool { return s.Snapshot().Holding == 4 })
	if err := s.Rollout(t.Context(), set, 2, 0, nil); err != nil {
		t.Fatal(err)
	}
	ops := b.recorded()
	for _, op := range ops {
		if op.Outcome != history.OK || op.Class != history.None {
			t.Errorf("%+v, want it finished", op)
		}
	}
	if len(ops) < 4 || s.Snapshot().Crashes != 0 {
		t.Errorf("%d operations, %d crashes", len(ops), s.Snapshot().Crashes)
	}
}

// A worker that starts after a rollout has its settings: by a surge, in place of the
// crashed, and by the next rollout.
func TestAfterARollout(t *testing.T) {
	b := newBench(t, 64)
	set := Defaults()
	set.Instances, set.WorkersPerInstance, set.Lock.Tenants, set.ReplaceAfterMS = 2, 2, 2, 60_000
	set.ClientsPerInstance = 2
	set.Arrivals.Tenant = TenantByWorker
	s := b.start(set)
	s.Scale(4)
	to := set
	to.ReplaceAfterMS, to.Lock.PollMS, to.Lock.TTLMS = 1, 7, 500
	for range 2 {
		if err := s.Rollout(t.Context(), to, 100, 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	s.Scale(5)
	b.eventually("ten workers", func() bool { return s.Snapshot().Workers == 10 })
	if err := s.CrashHolders(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.eventually("two crashed and ten alive",
		func() bool { x := s.Snapshot(); return x.Crashes == 2 && x.Workers == 10 })
	was := s.Snapshot().Decisions
	b.eventually("decisions, once the locks of the dead have expired",
		func() bool { return s.Snapshot().Decisions > was+20 })
	generations := map[string]bool{}
	for _, w := range s.Census() {
		generations[w.Client[strings.LastIndex(w.Client, "-")+1:]] = true
		if set := *s.workers[w.Worker-1].settings; set != to {
			t.Errorf("worker %d has other settings than the rollout's: %+v", w.Worker, set)
		}
	}
	if !generations["g2"] || generations["g1"] {
		t.Errorf("the generations of those who live: %v", generations)
	}
	s.Stop()
	checkPlaces(t, s, b.ops)
}

// A worker that crashed and is about to be replaced in an instance that is told to stop is
// not waited for.
func TestRolloutDoesNotWaitForReplacements(t *testing.T) {
	b := newBench(t, 32)
	set := Defaults()
	set.Instances, set.Lock.Tenants, set.Lock.TTLMS, set.ReplaceAfterMS = 4, 2, 100, 60_000
	set.Arrivals.Tenant = TenantByWorker
	s := b.start(set)
	defer s.Stop()
	if err := s.CrashHolders(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.eventually("two are gone", func() bool { return s.Snapshot().Workers == 2 })
	begun := b.elapsed()
	if err := s.Rollout(t.Context(), set, 1, 0, nil); err != nil || b.elapsed()-begun > Grace/2 {
		t.Errorf("%v, after %v", err, b.elapsed()-begun)
	}
	b.eventually("all four run", func() bool { return s.Snapshot().Workers == 4 })
}

func TestRolloutRefuses(t *testing.T) {
	b := newBench(t, 32)
	set := Defaults()
	set.Instances = 2
	s := b.start(set)
	for want, change := range map[string]func(*Settings){
		"instances is 2, and would be 3":            func(s *Settings) { s.Instances = 3 },
		"workers_per_instance is 1, and would be 2": func(s *Settings) { s.WorkersPerInstance = 2 },
		"clients_per_instance is 1, and would be 2": func(s *Settings) { s.ClientsPerInstance = 2 },
		"lock.tenants is 1, and would be 2":         func(s *Settings) { s.Lock.Tenants = 2 },
		"arrivals differ":                           func(s *Settings) { s.Arrivals.Kind = Open },
		"another window or limit":                   func(s *Settings) { s.Limiter.Limit = 5 },
	} {
		to := set
		change(&to)
		if err := s.Rollout(t.Context(), to, 1, 0, nil); !errors.Is(err, ErrNotRolledOut) ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if err := s.Rollout(t.Context(), set, 0, 0, nil); !errors.Is(err, ErrNotRolledOut) {
		t.Errorf("no waves: %v", err)
	}
	second := error(nil)
	first := s.Rollout(t.Context(), set, 1, 0, func(int, int) { second = s.Rollout(t.Context(), set, 1, 0, nil) })
	if first != nil || !errors.Is(second, ErrNotRolledOut) {
		t.Errorf("one within the other: %v, %v", first, second)
	}
	s.Stop()
	if err := s.Rollout(t.Context(), set, 1, 0, nil); !errors.Is(err, errStopped) {
		t.Errorf("after the end: %v", err)
	}
}

// However a rollout is cut short, it ends at once, and what it began is whole.
func TestRolloutCutShort(t *testing.T) {
	start := func(t *testing.T) (*bench, *Swarm, Settings) {
		b := newBench(t, 32)
		set := Defaults()
		set.Instances, set.Lock.HoldMS = 4, 60_000
		s := b.start(set)
		b.eventually("one holds", func() bool { x := s.Snapshot(); return x.Holding == 1 && x.Waiting == 3 })
		return b, s, set
	}
	t.Run("by the context, in the grace", func(t *testing.T) {
		b, s, set := start(t)
		defer s.Stop()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		begun := b.elapsed()
		err := s.Rollout(ctx, set, 1, 0, func(int, int) { t.Error("no wave is done") })
		if !errors.Is(err, context.DeadlineExceeded) || b.elapsed()-begun > Grace/2 {
			t.Errorf("%v, after %v", err, b.elapsed()-begun)
		}
		b.eventually("the killed are replaced", func() bool { return s.Snapshot().Workers == 4 })
	})
	t.Run("by the context, between waves", func(t *testing.T) {
		b, s, set := start(t)
		defer s.Stop()
		ctx, cancel := context.WithCancel(t.Context())
		if err := s.Rollout(ctx, set, 4, time.Minute, func(int, int) { cancel() }); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		old := func(name string) bool { return !strings.HasSuffix(name, "-g1") }
		b.eventually("three are old, one is new",
			func() bool { return b.connections(old) == 3 && b.connections(anyName) == 4 })
	})
	for name, waves := range map[string]int{"by the end, in the grace": 1, "by the end, between waves": 4} {
		t.Run(name, func(t *testing.T) {
			b, s, set := start(t)
			got := make(chan error)
			go func() { got <- s.Rollout(context.Background(), set, waves, time.Minute, nil) }()
			b.eventually("it has begun", func() bool { return s.Snapshot().Failed > 0 || s.Snapshot().Crashes > 0 })
			begun := b.elapsed()
			go s.Stop()
			if err := <-got; !errors.Is(err, errStopped) || b.elapsed()-begun > Grace/2 {
				t.Errorf("%v, after %v", err, b.elapsed()-begun)
			}
			s.running.Wait()
			b.eventually("no connection is left", func() bool { return b.connections(anyName) == 0 })
		})
	}
}

// A server that answers no client holds a rollout up for no longer than the grace,
// and what the killed were at is not called a failure.
func TestRolloutAtAFrozenServer(t *testing.T) {
	b := newBench(t, 32)
	set := Defaults()
	set.Instances, set.Client.ReadTimeoutMS = 4, 60_000
	s := b.start(set)
	b.eventually("decisions", func() bool { return s.Snapshot().Decisions > 20 })
	if err := b.server.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.eventually("nobody is idle", func() bool { return s.Snapshot().Idle == 0 })
	failed, begun := s.Snapshot().Failed, b.elapsed()
	if err := s.Rollout(t.Context(), set, 1, 0, nil); err != nil || b.elapsed()-begun > Grace+time.Second {
		t.Errorf("%v, after %v", err, b.elapsed()-begun)
	}
	if err := b.server.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	crashed := 0
	for _, op := range b.ops {
		if op.Class == history.Crashed && op.Outcome == history.Unknown {
			crashed++
		}
	}
	if n := s.Snapshot().Failed - failed; crashed == 0 || int64(crashed)+n != 4 {
		t.Errorf("%d crashed and %d failed, of 4 that were cut off in the middle of a command", crashed, n)
	}
	if x := s.Snapshot(); x.Errors != [history.Classes]int64{} {
		t.Errorf("errors: %v; the killed log none", x.Errors)
	}
}

// What becomes of a request whose worker is told to stop while it waits depends on
// whether all of its tries were answered.
func TestToldToStopWhileWaiting(t *testing.T) {
	for _, c := range []struct {
		name  string
		tries []history.Class
		kill  bool
		want  history.Outcome
	}{
		{"every try was answered", []history.Class{history.None, history.None}, false, history.Fail},
		{"the server turned one away", []history.Class{history.Refused}, false, history.Fail},
		{"one got no answer in time", []history.Class{history.Deadline, history.None}, false, history.Unknown},
		{"one broke off", []history.Class{history.None, history.Reset}, false, history.Unknown},
		{"killed", []history.Class{history.None}, true, history.Unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				life, kill := context.WithCancel(t.Context())
				term, stop := context.WithCancel(life)
				defer kill()
				defer stop()
				begun := time.Now()
				d := Defaults()
				w := &worker{settings: &d, rng: rand.New(rand.NewPCG(1, 1)), term: term,
					elapsed: func() time.Duration { return time.Since(begun) }}
				op, row := history.Op{Outcome: history.Unknown}, trying{}
				for i, class := range c.tries {
					op.Tries++
					last := i == len(c.tries)-1
					if last && c.kill {
						kill()
					} else if last {
						time.AfterFunc(time.Millisecond, stop)
					}
					if goOn := w.again(life, &op, &row, class); goOn == last {
						t.Errorf("try %d: it goes on: %v", i+1, goOn)
					}
				}
				if op.Outcome != c.want {
					t.Errorf("got %v, want %v", op.Outcome, c.want)
				}
			})
		})
	}
}

// A worker that is told to stop takes nothing up, though requests lie there.
func TestToldToStopTakesNothingUp(t *testing.T) {
	set := Defaults()
	set.Arrivals = ArrivalSettings{Kind: Open, RatePerS: 1, Queue: 100}
	a := newArrivals(set)
	for range 100 {
		a.queue <- request{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		if _, ok := a.next(ctx, nil); ok {
			t.Fatal("it took one up")
		}
	}
}
