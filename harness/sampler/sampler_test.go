package sampler

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/server"
)

// watching is a Watcher that runs, and what it has recorded.
type watching struct {
	*Sampler
	mu      sync.Mutex
	samples []history.Sample
}

func watchOver(t *testing.T, c Config, over Connections) *watching {
	t.Helper()
	w := &watching{}
	c.Elapsed, c.LockPrefix = stopwatch(), "lock:"
	c.Record = func(s history.Sample) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.samples = append(w.samples, s)
	}
	w.Sampler = New(c, over)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait(); w.Wait() })
	return w
}

// answered waits for so many answers that come from now on, and returns them.
func (w *watching) answered(t *testing.T, n int) (got []history.Server) {
	t.Helper()
	w.mu.Lock()
	from := len(w.samples)
	w.mu.Unlock()
	eventually(t, "the server's answers", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		got = got[:0]
		for _, s := range w.samples[from:] {
			if s.Server != nil {
				got = append(got, *s.Server)
			}
		}
		return len(got) >= n
	})
	return got
}

// slow is a connection on which everything takes a while longer.
type slow struct{ net.Conn }

func (c slow) Write(p []byte) (int, error) {
	time.Sleep(patience + (Every-patience)/2)
	return c.Conn.Write(p)
}

// An answer that comes between two samples, when neither waits for it, is the next one's.
func TestLateAnswersAreNotLost(t *testing.T) {
	s := startRedis(t, server.Config{})
	client := redis.NewClient(&redis.Options{
		Addr: s.Endpoint().Addr, Protocol: 2, PoolSize: 1, MaxRetries: -1, ReadTimeout: -1, WriteTimeout: -1,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			connection, err := new(net.Dialer).DialContext(ctx, network, addr)
			return slow{connection}, err
		},
	})
	t.Cleanup(func() { client.Close() })
	w := watchOver(t, Config{}, Connections{Client: client})
	w.answered(t, 5)
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, s := range w.samples {
		if s.Server != nil && (s.Took < patience || i == 0 || w.samples[i-1].Error != NoAnswer) {
			t.Errorf("sample %d: answered after %v, and the one before says %q; this test is about what comes late", i,
				s.Took, w.samples[i-1].Error)
		}
	}
}

// The server's count without our own is that of the others', to the command, with
// everything that can be watched; and so it is after a new connection and a restart.
func TestOwnCommandsAreCounted(t *testing.T) {
	s := startRedis(t, nil)
	control := openControl(t, s.Endpoint())
	needReset(t, control.Admin)
	setKeys(t, control.Admin, "lock:", 1000)
	over := Connections{Client: control.Sampler, Listener: newListener(t, s.Endpoint()), Dial: s.Endpoint().Dial}
	w := watchOver(t, Config{
		LocksEvery: 100 * time.Millisecond, CanaryEvery: 100 * time.Millisecond, MonitorEvery: 100 * time.Millisecond,
		MonitorFor: 20 * time.Millisecond,
	}, over)
	// What runs between our look at our own count and the server's at its own is in
	// the next: the canary's PING, and the end of a burst of MONITOR.
	const early = 4
	others := func(got []history.Server) (commands, calls int64) {
		first, last := got[0], got[len(got)-1]
		return last.Commands - last.Own - (first.Commands - first.Own), last.Calls - first.Calls
	}
	got := w.answered(t, 15)
	if all := got[len(got)-1].Commands - got[0].Commands; all < 1000 {
		t.Errorf("only %d commands: nothing was watched", all)
	}
	if commands, calls := others(got); max(commands, -commands) > early || calls > early {
		t.Errorf("%d commands and %d calls of others, and there are none", commands, calls)
	}

	before := w.answered(t, 1)
	for range 200 {
		do(t, control.Admin, "GET", "lock:000002")
		do(t, control.Admin, "MGET", "lock:000001", "x")
	}
	got = append(before, w.answered(t, 2)...)
	if commands, calls := others(got); commands < 400-early || commands > 400+early || calls < 400-early || calls > 400+
		early {
		t.Errorf("%d commands and %d calls of others, and there were 400", commands, calls)
	}

	if err := s.Restart(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	again := openControl(t, s.Endpoint())
	w.Use(Connections{Client: again.Sampler, Listener: newListener(t, s.Endpoint()), Dial: s.Endpoint().Dial})
	eventually(t, "a sample of the new server", func() bool { return w.answered(t, 1)[0].RunID != got[0].RunID })
	last := w.answered(t, 3)[0]
	const handshakes = 40 // of three connections, and of the server's start
	if rest := last.Commands - last.Own; rest < 0 || rest > handshakes {
		t.Errorf("after the restart %d commands are not ours: %+v", rest, last)
	}
}

// A user who may not is turned down, and what was turned down has not been run.
func TestRefusedCommandsAreNotCounted(t *testing.T) {
	s := startRedis(t, nil)
	admin := openControl(t, s.Endpoint()).Admin
	setKeys(t, admin, "lock:", 10)
	c := clientAs(t, s.Endpoint(), admin, "looker", "~*", "+info", "+scan", "+hello", "+client", "+ping")
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	w := watchOver(t, Config{LocksEvery: time.Millisecond}, Connections{Client: c})
	got := w.answered(t, 5)
	first, last := got[0], got[len(got)-1]
	if last.Commands-last.Own != first.Commands-first.Own {
		t.Errorf("%+v\n%+v", first, last)
	}
}

// The application's use of a command that we use too shows, slow as it is.
func TestLedger(t *testing.T) {
	reading := func(l *ledger, runID string, stats map[string]commandStat, ours tab) history.Server {
		s := history.Server{RunID: runID}
		l.enter(&s, stats, ours, tab{})
		return s
	}
	stat := func(calls, usec int64) commandStat { return commandStat{calls, usec} }
	l := &ledger{}
	first := reading(l, "a", map[string]commandStat{"mget": stat(100, 1000), "info": stat(900, 90_000),
		"get": stat(5, 5)}, tab{})
	if first.Calls != 105 {
		t.Errorf("%+v", first)
	}
	for _, step := range []struct {
		why   string
		stats map[string]commandStat
		ours  map[string]int64
		calls int64
		spent time.Duration
	}{
		{"ours alone are nothing", map[string]commandStat{"mget": stat(110, 1100), "info": stat(940, 99_000),
			"get": stat(5, 5)},
			map[string]int64{"mget": 10}, 0, 0},
		{"of both by number", map[string]commandStat{"mget": stat(120, 61_100), "info": stat(980, 99_000),
			"get": stat(5, 5)},
			map[string]int64{"mget": 14}, 6, 36 * time.Millisecond},
		{"CONFIG RESETSTAT is no step back", map[string]commandStat{"mget": stat(2, 30), "get": stat(1, 2)},
			map[string]int64{"mget": 15}, 2, 17 * time.Microsecond},
	} {
		before := history.Server{Calls: l.calls, CommandTime: l.spent}
		after := reading(l, "a", step.stats, tab{calls: step.ours})
		if calls, spent := after.Calls-before.Calls, after.CommandTime-before.CommandTime; calls != step.calls ||
			spent != step.spent {
			t.Errorf("%s: %d calls in %v, want %d in %v", step.why, calls, spent, step.calls, step.spent)
		}
	}
	if restarted := reading(l, "b", map[string]commandStat{"get": stat(3, 9)}, tab{}); restarted.Calls != 3 ||
		restarted.CommandTime != 9*time.Microsecond {
		t.Errorf("%+v", restarted)
	}
}

func TestExecuted(t *testing.T) {
	s := startRedis(t, nil)
	c := openControl(t, s.Endpoint()).Admin
	do(t, c, "CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
	do(t, c, "SET", "a", "1")
	for _, test := range []struct {
		command []any
		want    bool
	}{
		{[]any{"GET", "a"}, true}, {[]any{"GET", "none"}, true}, {[]any{"OBJECT", "IDLETIME", "a"}, true},
		{[]any{"NOSUCH"}, false}, {[]any{"GET"}, false},
	} {
		count := func() int64 {
			info, err := ReadInfo(t.Context(), c, "stats")
			if err != nil {
				t.Fatal(err)
			}
			n := int64(0)
			for _, digit := range info["total_commands_processed"] {
				n = 10*n + int64(digit-'0')
			}
			return n
		}
		before := count()
		err := c.Do(t.Context(), test.command...).Err()
		if ran := count()-before-1 == 1; ran != test.want || executed(err) != test.want {
			t.Errorf("%v: %v; the server has run it: %t, and we think: %t", test.command, err, ran, executed(err))
		}
	}
	if executed(redis.ErrClosed) || executed(context.Canceled) {
		t.Error("a command that was not answered counts")
	}
}
