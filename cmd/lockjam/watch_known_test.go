package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/observe"
)

// watching is a lockjam watch --json under way.
type watching struct {
	h        *house
	out, log bytes.Buffer
	wait     func() error
	first    chan time.Time // when the first second was over
	began    time.Time
}

// Write takes what stands on stdout.
func (w *watching) Write(p []byte) (int, error) {
	select {
	case w.first <- time.Now():
	default: // there is no room: it is not the first
	}
	return w.out.Write(p)
}

func (h *house) watch(args ...string) *watching {
	h.t.Helper()
	w := &watching{h: h, first: make(chan time.Time, 1)}
	cmd := h.command(append([]string{"watch", "--json"}, args...)...)
	cmd.Stdout, cmd.Stderr, w.wait = w, &w.log, cmd.Wait
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	return w
}

// until waits for a moment of the watch, after its first second.
func (w *watching) until(at time.Duration) {
	w.h.t.Helper()
	if w.began.IsZero() {
		select {
		case first := <-w.first:
			w.began = first.Add(-time.Second)
		case <-time.After(20 * time.Second):
			w.h.t.Fatal("the watch does not begin")
		}
	}
	time.Sleep(time.Until(w.began.Add(at)))
}

// ends returns the sightings, the last of which is the sum, and what stood on stderr.
func (w *watching) ends(code int) ([]observe.Reading, string) {
	w.h.t.Helper()
	err := w.wait()
	seen := sightings(w.h.t, w.out.String())
	w.h.ends(err, code, "%sfired: %v", &w.log, seen[len(seen)-1].Fired())
	return seen, w.log.String()
}

// work sends GETs at a rate that depends on the time since it began, in commands/s.
func (o *otherServer) work(ctx context.Context, rate func(time.Duration) float64) (done chan struct{}) {
	done = make(chan struct{})
	client := redis.NewClient(&redis.Options{Addr: strings.TrimPrefix(o.url, "redis://"), PoolSize: 1})
	begun := time.Now()
	go func() {
		defer close(done)
		defer client.Close()
		due := 0.0
		for tick := time.NewTicker(10 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			for due += rate(time.Since(begun)) / 100; due >= 1; due-- {
				client.Get(ctx, "theirs")
			}
		}
	}()
	return done
}

func steady(from, to time.Duration, perS float64) func(time.Duration) float64 {
	return func(at time.Duration) float64 {
		if at < from || at >= to {
			return 0
		}
		return perS
	}
}

// A level that is not steady is no baseline: what begins late, ramps up or comes and goes
// is waited for, and what stops meanwhile is not compared. After a steady one an incident
// fires as ever.
func TestWatchComparesWithASteadyBaseline(t *testing.T) {
	t.Parallel() // it waits, most of the time
	const forEver = time.Hour
	for _, c := range []struct {
		why   string
		rate  func(time.Duration) float64
		code  int
		known bool   // at the end
		says  string // where it is not known
	}{
		{"begins 0.7 s late", steady(700*time.Millisecond, forEver, 300), 0, true, ""},
		{"begins after the time of the baseline", steady(2500*time.Millisecond, forEver, 300), 0, true, ""},
		{"begins late, and stops at 6 s", steady(700*time.Millisecond, 6*time.Second, 300), 1, true, ""},
		{"pauses, and goes on", func(at time.Duration) float64 {
			return 300 - steady(800*time.Millisecond, 2*time.Second, 300)(at)
		}, 0, true, ""},
		{"ramps up", func(at time.Duration) float64 { return 1000 * min(at.Seconds()/4, 1) }, 0, true, ""},
		{"stops before there is a baseline", steady(0, 1200*time.Millisecond, 300), 0, false,
			"nothing but lockjam's own"},
		{"comes and goes", func(at time.Duration) float64 {
			return map[bool]float64{true: 600}[at%(1600*time.Millisecond) < 800*time.Millisecond]
		}, 0, false, "no steady baseline yet: from "},
	} {
		t.Run(c.why, func(t *testing.T) {
			t.Parallel()
			h, o := newHouse(t), theirs(t, "50")
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			w := h.watch(o.url, "--for", "9s", "--baseline", "2s")
			done := o.work(ctx, c.rate)
			all, log := w.ends(c.code)
			cancel()
			<-done
			last := all[len(all)-1]
			x := sighted(t, last, "command-throughput")
			if fired := last.Fired(); len(fired) > 0 != (c.code == 1) || c.code == 1 &&
				(!slices.Equal(fired, []string{x.Name}) || *x.FiredAtMS < 6000) {
				t.Errorf("fired: %v, %+v", fired, x)
			}
			if known := x.Unavailable == ""; known != c.known || !strings.Contains(x.Unavailable, c.says) ||
				known != (x.Baseline != nil) {
				t.Errorf("%+v, baseline %+v\n%s", x, x.Baseline, log)
			}
			if x := sighted(t, last, "client-saturation"); x.Unavailable != "" || *x.UnknownMS != 0 {
				t.Errorf("needs no baseline: %+v", x)
			}
		})
	}
}

// Lock keys that become more while the traffic does are what is usual there.
func TestWatchLockKeysRampUp(t *testing.T) {
	t.Parallel() // it waits, most of the time
	h, o := newHouse(t), theirs(t, "50")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	w := h.watch(o.url, "--for", "12s", "--baseline", "3s")
	done := o.work(ctx, steady(0, time.Hour, 300))
	for i := range 50 {
		time.Sleep(100 * time.Millisecond)
		o.fill(fmt.Sprintf("lock:%d:", i), 1)
	}
	all, _ := w.ends(0)
	cancel()
	<-done
	mid, last := sighted(t, all[3], "lock-key-count"), sighted(t, all[len(all)-1], "lock-key-count")
	if mid.Firing != nil || !strings.Contains(mid.Unavailable, "no steady baseline yet") || last.Firing == nil ||
		last.Baseline == nil || last.Baseline.FromMS < 2000 {
		t.Errorf("at 4 s %+v\nat the end %+v, %+v", mid, last, last.Baseline)
	}
}

// What was not known for two seconds is no silence, though the server is well at the end.
func TestWatchSaysWhatItDoesNotKnow(t *testing.T) {
	t.Parallel() // it waits, most of the time
	for _, c := range []struct {
		why     string
		trouble func(context.Context, *otherServer, *redis.Client)
		code    int
		least   float64 // ms, of the gap
		says    string
		of      string // the signal that it is about; "": all
	}{
		{"stopped for 4 s", func(_ context.Context, o *otherServer, _ *redis.Client) {
			o.freeze()
			time.Sleep(4 * time.Second)
			_ = o.process.Signal(syscall.SIGCONT)
		}, 2, 3500, "the server did not answer in time", ""},
		{"a script that blocks for 4 s", func(ctx context.Context, _ *otherServer, c *redis.Client) {
			c.Eval(ctx, `local t = redis.call("TIME")[1] + 4 while tonumber(redis.call("TIME")[1]) < t do end`, nil)
		}, 2, 2500, "the server did not answer in time", ""},
		{"a script for which the server says BUSY", func(ctx context.Context, _ *otherServer, c *redis.Client) {
			c.ConfigSet(ctx, "lua-time-limit", "200")
			c.Eval(ctx, `local t = redis.call("TIME")[1] + 4 while tonumber(redis.call("TIME")[1]) < t do end`, nil)
		}, 2, 2500, "BUSY Redis is busy running a script", ""},
		{"SCAN refused for 4 s", func(ctx context.Context, _ *otherServer, c *redis.Client) {
			c.Do(ctx, "ACL", "SETUSER", "looker", "-scan")
			time.Sleep(4 * time.Second)
			c.Do(ctx, "ACL", "SETUSER", "looker", "+scan")
		}, 2, 2900, "'scan' command", "lock-key-count"},
		{"stopped for 1 s", func(_ context.Context, o *otherServer, _ *redis.Client) {
			o.freeze()
			time.Sleep(time.Second)
			_ = o.process.Signal(syscall.SIGCONT)
		}, 0, 0, "", ""},
		{"SCAN refused for 0.8 s", func(ctx context.Context, _ *otherServer, c *redis.Client) {
			c.Do(ctx, "ACL", "SETUSER", "looker", "-scan")
			time.Sleep(800 * time.Millisecond)
			c.Do(ctx, "ACL", "SETUSER", "looker", "+scan")
		}, 0, 0, "", ""},
	} {
		t.Run(c.why, func(t *testing.T) {
			t.Parallel()
			h, o := newHouse(t), theirs(t, "50")
			if err := o.client.Do(t.Context(), "ACL", "SETUSER", "looker", "on", ">secret", "~*",
				"+@all").Err(); err != nil {
				t.Fatal(err)
			}
			patient := redis.NewClient(&redis.Options{Addr: strings.TrimPrefix(o.url, "redis://"),
				ReadTimeout: time.Minute})
			defer patient.Close()
			if err := patient.Ping(t.Context()).Err(); err != nil {
				// what a library tries when it connects comes before the watch
				t.Fatal(err)
			}
			w := h.watch(strings.Replace(o.url, "redis://", "redis://looker:secret@", 1), "--for", "11s", "--baseline",
				"1s")
			w.until(2300 * time.Millisecond)
			c.trouble(t.Context(), o, patient)
			all, log := w.ends(c.code)
			last := all[len(all)-1]
			gaps, ms := last.Unknown, last.UnknownMS
			if c.of != "" {
				x := sighted(t, last, c.of)
				if len(gaps) > 0 || ms > 0 || *sighted(t, last, "client-saturation").UnknownMS > 0 {
					t.Errorf("more than %s is not known: %+v", c.of, gaps)
				}
				gaps, ms = x.Unknown, *x.UnknownMS
			}
			if c.code == 0 {
				if len(gaps) > 0 || ms > 0 || log != "" {
					t.Errorf("%+v, %v ms\n%s", gaps, ms, log)
				}
				return
			}
			if len(gaps) != 1 || !strings.Contains(gaps[0].Why, c.says) || ms < c.least || ms > c.least+4000 ||
				gaps[0].FromMS < 2000 || gaps[0].ToMS-gaps[0].FromMS < ms-1 {
				t.Errorf("%+v, %v ms", gaps, ms)
			}
			if strings.Count(log, "\n") != 1 || !strings.Contains(log, "no signal fired, but ") ||
				!strings.Contains(log, "s are not known: ") || !strings.Contains(log, c.says) {
				t.Errorf("%s", log)
			}
		})
	}
}

// What was not known stands in the text, too, also where something fired.
func TestWatchTextOfAGap(t *testing.T) {
	t.Parallel() // it waits, most of the time
	h, o := newHouse(t), theirs(t, "50")
	time.AfterFunc(1500*time.Millisecond, o.freeze)
	time.AfterFunc(4500*time.Millisecond, func() { _ = o.process.Signal(syscall.SIGCONT) })
	out, _ := h.lockjam(1, "watch", o.url, "--for", "7s", "--set", "client-saturation.ratio=0.01")
	if flat := strings.Join(strings.Fields(out), " "); !strings.Contains(flat, "FIRED CLAIM") ||
		!strings.Contains(flat, "s are not known: ") ||
		!strings.Contains(flat, "(the server did not answer in time)") {
		t.Errorf("%s", out)
	}
}

// An attempt to connect again that fails says why, which is not why the connection was
// lost. What is secret is not repeated.
func TestWatchSaysWhyItCannotConnectAgain(t *testing.T) {
	t.Parallel() // it waits, most of the time
	const password = "correct-horse"
	for _, c := range []struct {
		why, user string
		trouble   [][]any // commands of the server's owner
		says      string
	}{
		{"another password", "looker:" + password + "@",
			[][]any{{"ACL", "SETUSER", "looker", "resetpass", ">other"}, {"CLIENT", "KILL", "USER", "looker"}},
			"WRONGPASS"},
		{"a password where there was none", "",
			[][]any{{"CONFIG", "SET", "requirepass", "other"}, {"CLIENT", "KILL", "SKIPME", "yes"}}, "NOAUTH"},
		{"no server any more", "", [][]any{{"SHUTDOWN", "NOSAVE"}}, "connection refused"},
		{"no slot any more", "", [][]any{{"CONFIG", "SET", "maxclients", "1"}, {"CLIENT", "KILL", "SKIPME", "yes"}},
			"max number of clients"},
	} {
		t.Run(c.why, func(t *testing.T) {
			t.Parallel()
			h, o := newHouse(t), theirs(t, "50")
			owner := redis.NewClient(&redis.Options{Addr: strings.TrimPrefix(o.url, "redis://"), PoolSize: 1,
				MaxRetries: -1})
			defer owner.Close()
			if err := owner.Do(t.Context(), "ACL", "SETUSER", "looker", "on", ">"+password, "~*",
				"+@all").Err(); err != nil {
				t.Fatal(err)
			}
			w := h.watch(strings.Replace(o.url, "redis://", "redis://"+c.user, 1), "--for", "4500ms")
			w.until(1500 * time.Millisecond)
			for _, command := range c.trouble {
				_ = owner.Do(t.Context(), command...).Err()
			}
			all, log := w.ends(69)
			if last := all[len(all)-2]; !strings.Contains(last.Error, "the connection was lost: ") ||
				!strings.Contains(last.Error, "; trying again: ") || !strings.Contains(last.Error, c.says) {
				t.Errorf("%q", last.Error)
			}
			if strings.Count(log, "\n") != 1 || !strings.Contains(log, "did not come back") ||
				!strings.Contains(log, c.says) {
				t.Errorf("%s", log)
			}
			if said := w.out.String() + log; strings.Contains(said, password) ||
				strings.Contains(said, "deadline exceeded") {
				t.Errorf("%s", said)
			}
		})
	}
}

// peer answers each line that begins a command with the next of some texts, and then no
// more.
func peer(t *testing.T, answers ...string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			go func() {
				read := make([]byte, 4096)
				for _, answer := range answers {
					if _, err := c.Read(read); err != nil {
						return
					}
					_, _ = c.Write([]byte(answer))
				}
				for {
					if _, err := c.Read(read); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// A peer that does not go on, or that refuses, at the start: it is said within ten seconds.
func TestWatchPeersAtTheStart(t *testing.T) {
	t.Parallel() // it waits, most of the time
	for _, c := range []struct {
		why     string
		answers []string
		code    int
		says    string
	}{
		{"one PING", []string{"+PONG\r\n"}, 69, "timed out after 10s"},
		{"the handshake", []string{"+PONG\r\n", "+OK\r\n", "-ERR unknown command\r\n", "+PONG\r\n"}, 2,
			"the server did not answer"},
		{"it loads", []string{"-LOADING Redis is loading the dataset in memory\r\n"}, 69, "LOADING Redis is loading"},
	} {
		t.Run(c.why, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			_, log := newHouse(t).lockjam(c.code, "watch", "redis://"+peer(t, c.answers...), "--for", "4s", "--json")
			if took := time.Since(begun); took > 14*time.Second || strings.Count(log, "\n") != 1 ||
				!strings.Contains(log, c.says) {
				t.Errorf("after %v: %s", took, log)
			}
		})
	}
	addr := peer(t, "-ERR unknown command `AUTH`, with args beginning with: `me`, `hunter2`\r\n")
	if _, log := newHouse(t).lockjam(69, "watch", "redis://me:hunter2@"+addr, "--for", "4s"); strings.Contains(log,
		"hunter2") || !strings.Contains(log, "unknown command") {
		t.Errorf("%s", log)
	}
}

// A watch that ends before its baseline, and signals that could never fire or always
// would, are refused, in flags and in files alike.
func TestWhatCanNeverFireIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, c := range []struct{ args, says string }{
		{"--for 2s --baseline 5s", "--for: a watch of 2s is over before its baseline of 5s"},
		{"--for 5s --baseline 5s", "is over before its baseline"},
		{"--baseline 100ms", "--baseline: 100ms is not between 500ms and 10m0s"},
		{"--set client-saturation.ratio=2",
			"client-saturation.ratio: 2: want more than 0 and less than 1 (connected_clients is at most maxclients: it never fires)"},
		{"--set client-saturation.ratio=0", "it always fires"},
		{"--set client-saturation.ratio=NaN", "client-saturation.ratio: NaN: want more than 0 and less than 1"},
		{"--set rejected-connections.count=-1 --set command-throughput.ratio=0",
			"command-throughput.ratio: 0: want more than 0 and less than 1 (no rate is lower: it never fires); rejected-connections.count: -1: want 0 to"},
		{"--set command-throughput.window_ms=50",
			"command-throughput.window_ms: 50: want 200 to 600000 (the server is read every 100 ms)"},
		{"--for 10s --set client-saturation.for_ms=11000", "want at most 10000"},
		{"--monitor --set lock-set-retries.for_ms=300", "want at most 200: a burst of MONITOR is no longer"},
		{"--canary --set refused-clients.count=50", "the canary dials no more often"},
	} {
		_, log := h.lockjam(64, append([]string{"watch", "redis://127.0.0.1:1"}, strings.Fields(c.args)...)...)
		if !strings.Contains(log, c.says) {
			t.Errorf("%s: %s", c.args, log)
		}
	}
	file := filepath.Join(h.dir, "never.yaml")
	const never = `name: never
title: Thresholds out of reach
server: {maxclients: 32}
swarm: {instances: 2, arrivals: {tenant: by-worker}}
signals:
  client-saturation: {expect: silent, params: {ratio: 3}}
  goodput-collapse: {expect: silent, params: {ratio: 0}}
  command-throughput: {expect: silent, params: {ratio: .inf, window_ms: 0}}
  lock-set-retries: {expect: silent, params: {for_ms: 300}}
  orphaned-locks: {expect: silent, params: {count: 1}}
arms:
  - {name: control, remedy: none}
`
	if err := os.WriteFile(file, []byte(never), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"check", "run"} {
		_, log := h.lockjam(64, command, file)
		for _, want := range []string{
			"never.yaml:6:", "signals.client-saturation.params.ratio: 3: want more than 0 and less than 1",
			"signals.goodput-collapse.params.ratio: 0: want",
			"signals.command-throughput.params.ratio: want a number, not .inf",
			"signals.command-throughput.params.window_ms: 0: want 200 to 600000",
			"signals.lock-set-retries.params.for_ms: 300: want at most 200",
			"signals.orphaned-locks.params.count: 1: want less than 1",
		} {
			if !strings.Contains(log, want) {
				t.Errorf("%s: %q is missing in:\n%s", command, want, log)
			}
		}
	}
}

// What is not as usual with memory, persistence and replication stands in the line.
func TestWatchShowsMemoryPersistenceAndRole(t *testing.T) {
	t.Parallel() // it waits, most of the time
	h, o := newHouse(t), theirs(t, "50")
	ctx := t.Context()
	folder := o.client.ConfigGet(ctx, "dir").Val()["dir"]
	if err := os.Mkdir(filepath.Join(folder, "dump.rdb"), 0o700); err != nil {
		t.Fatal(err)
	}
	u := h.start("watch", o.url, "--for", "6s", "--baseline", "1s")
	time.Sleep(1500 * time.Millisecond)
	do := func(args ...any) {
		t.Helper()
		if err := o.client.Do(ctx, args...).Err(); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
	do("BGSAVE") // dump.rdb is a folder
	do("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
	o.fill("theirs:", 30_000)
	do("CONFIG", "SET", "maxmemory", "2mb")
	time.Sleep(2 * time.Second)
	do("REPLICAOF", "127.0.0.1", "1")
	u.wait(0)
	flat := strings.Join(strings.Fields(u.out.String()), " ")
	for _, want := range []string{"% of maxmemory", "evicted ", "last RDB save: err", "role replica, was master"} {
		if !strings.Contains(flat, want) {
			t.Errorf("%q is missing in:\n%s", want, u.out.String())
		}
	}
	w := h.watch(o.url, "--for", "1500ms")
	all, _ := w.ends(0)
	s := all[len(all)-1].Standing
	if s.UsedMemory == nil || *s.UsedMemory == 0 || s.MaxMemory == nil || *s.MaxMemory != 2<<20 ||
		s.BgsaveStatus == nil || *s.BgsaveStatus != "err" ||
		s.AOFStatus == nil || *s.AOFStatus != "ok" || s.Role == nil || *s.Role != history.Replica ||
		s.RoleBefore != nil || s.EvictedPerS == nil {
		t.Errorf("%+v", s)
	}
}
