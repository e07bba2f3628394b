package swarm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/server"
)

func ping(ctx context.Context) func(session) error {
	return func(s session) error { return s.ping(ctx) }
}

// go-redis never tells its caller that the server was full. The class must say
// so all the same, every time, over kept and returned connections alike.
func TestRefusedByAFullServer(t *testing.T) {
	b := newBench(t, 10+server.ControlConnections)
	if n := b.fill(); n != 10 {
		t.Fatalf("%d slots were free beside the control connections, want 10", n)
	}
	for _, keeps := range []bool{false, true} {
		l := b.oneLink(nil)
		l.keeps = keeps
		for i := range 200 {
			if class := l.do(ping(t.Context())); class != history.Refused {
				t.Fatalf("keeps %v, try %d: %v, want refused", keeps, i, class)
			}
		}
		var sum history.Swarm
		l.tally.addTo(&sum)
		if sum.Errors[history.Refused] != 200 || sum.MaxClientsErrors != 0 {
			t.Errorf("keeps %v: refused %d times, and told so %d times, want 200 and 0", keeps,
				sum.Errors[history.Refused], sum.MaxClientsErrors)
		}
		if l.keptSince.Load() != 0 {
			t.Error("a connection that was refused is kept")
		}
	}
}

// said is an error with a text, as a client library that passes the server's
// words on would return it.
type said string

func (s said) Error() string { return string(s) }
func (said) RedisError()     {}

// An alert that looks for the server's words counts what a caller can see of
// them, however they are wrapped, and nothing else.
func TestTold(t *testing.T) {
	for text, want := range map[string]int64{
		"ERR max number of clients reached":                       1,
		"ERR max number of clients + cluster connections reached": 1,
		"dial: ERR max number of clients reached (try 3)":         1,
		"write: broken pipe":                                      0,
		"OOM command not allowed when used memory > 'maxmemory'.": 0,
	} {
		l := &link{client: &client{dial: &dialer{elapsed: func() time.Duration { return 0 }}}, tally: &tally{}}
		class := l.do(func(session) error { return fmt.Errorf("decide: %w", said(text)) })
		var sum history.Swarm
		l.tally.addTo(&sum)
		if sum.MaxClientsErrors != want || class != history.Rejected || sum.Errors[class] != 1 {
			t.Errorf("%q: %v, told %d times, want %d", text, class, sum.MaxClientsErrors, want)
		}
	}
}

func TestClassesOfOtherFailures(t *testing.T) {
	t.Run("pool timeout", func(t *testing.T) {
		b := newBench(t, 32)
		l := b.oneLink(func(s *Settings) { s.Client.PoolTimeoutMS = 20 })
		only := l.client.lib.conn() // the pool's single connection
		if err := only.session().ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		if class := l.do(ping(t.Context())); class != history.PoolTimeout {
			t.Errorf("%v, want pool timeout", class)
		}
		only.close()
	})
	t.Run("deadline", func(t *testing.T) {
		b := newBench(t, 32)
		l := b.oneLink(func(s *Settings) { s.Client.ReadTimeoutMS = 50 })
		if class := l.do(ping(t.Context())); class != history.None {
			t.Fatal(class)
		}
		if err := b.server.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		if class := l.do(ping(t.Context())); class != history.Deadline {
			t.Errorf("%v, want deadline", class)
		}
		if err := b.server.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("reset", func(t *testing.T) {
		b := newBench(t, 32)
		l := b.oneLink(nil)
		classes := make(chan history.Class)
		go func() {
			classes <- l.do(func(s session) error { return s.c.BLPop(context.Background(), 0, "nothing").Err() })
		}()
		b.eventually("a client blocks, and is cut off", func() bool { return killBlocked(t, b) })
		if class := <-classes; class != history.Reset {
			t.Errorf("%v, want reset", class)
		}
	})
	t.Run("unreachable", func(t *testing.T) {
		b := newBench(t, 32)
		l := b.oneLink(nil)
		if err := b.server.Kill(t.Context()); err != nil {
			t.Fatal(err)
		}
		if class := l.do(ping(t.Context())); class != history.Unreachable {
			t.Errorf("%v, want unreachable", class)
		}
	})
	t.Run("rejected", func(t *testing.T) {
		b := newBench(t, 32)
		l := b.oneLink(nil)
		if class := l.do(func(s session) error {
			return s.c.Eval(t.Context(), "this is no Lua",
				nil).Err()
		}); class != history.Rejected {
			t.Errorf("%v, want rejected", class)
		}
	})
	t.Run("conflict", func(t *testing.T) {
		b := newBench(t, 32)
		set := Defaults()
		set.Lock.HoldMS = 20
		s := b.startWith(set, func(int) { b.control.Admin.Del(context.Background(), "lock:t:0") })
		b.eventually("a decision whose lock was deleted",
			func() bool { return s.Snapshot().Errors[history.Conflict] > 0 })
		s.Stop()
		if op := b.ops[0]; op.Outcome != history.OK || op.Class != history.Conflict || op.Released == history.Never {
			t.Errorf("%+v, want a completed decision with a conflict at release", op)
		}
	})
}

// killBlocked cuts the connection of a client that is waiting in BLPOP.
func killBlocked(t *testing.T, b *bench) bool {
	t.Helper()
	list, err := b.control.Admin.ClientList(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(list) {
		if id, ok := strings.CutPrefix(strings.Fields(line)[0], "id="); ok && strings.Contains(line, "cmd=blpop") {
			return b.control.Admin.ClientKillByFilter(t.Context(), "ID", id).Err() == nil
		}
	}
	return false
}

// Behind a shut gate a dial fails as it does at a server that is down.
func TestGate(t *testing.T) {
	b := newBench(t, 32)
	set := Defaults()
	set.Instances = 4
	set.Holder = HolderRedials
	s := b.start(set)
	defer s.Stop()
	b.eventually("decisions", func() bool { return s.Snapshot().Decisions > 5 })
	s.Shut()
	b.eventually("unreachable", func() bool { return s.Snapshot().Errors[history.Unreachable] > 0 })
	s.Open()
	was := s.Snapshot().Decisions
	b.eventually("decisions again", func() bool { return s.Snapshot().Decisions > was })
}

func TestBackoff(t *testing.T) {
	l := LockSettings{PollMS: 10, BackoffMaxMS: 50, Backoff: BackoffExponential}
	for try, want := range map[int32]time.Duration{1: 10, 2: 20, 3: 40, 4: 50, 5: 50, 1 << 30: 50} {
		if got := l.pause(try, nil); got != want*time.Millisecond {
			t.Errorf("exponential, try %d: %v, want %v ms", try, got, int64(want))
		}
	}
	l.Backoff = BackoffNone
	if got := l.pause(9, nil); got != 10*time.Millisecond {
		t.Errorf("none: %v", got)
	}
	l.Backoff = BackoffFullJitter
	rng := rand.New(rand.NewPCG(1, 2))
	var low, high int
	for range 1000 {
		got := l.pause(3, rng)
		if got < 0 || got > 40*time.Millisecond {
			t.Fatalf("full jitter, try 3: %v is not in 0..40 ms", got)
		}
		if got < 20*time.Millisecond {
			low++
		} else {
			high++
		}
	}
	if low < 400 || high < 400 {
		t.Errorf("full jitter is not spread evenly: %d low, %d high", low, high)
	}
}
