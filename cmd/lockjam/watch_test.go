package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/observe"
)

// sightings decodes the output of watch --json. The last one is the sum.
func sightings(t *testing.T, out string) []observe.Reading {
	t.Helper()
	var all []observe.Reading
	for line := range strings.Lines(out) {
		var s struct {
			Event string `json:"event"`
			observe.Reading
		}
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, s.Reading)
	}
	if len(all) == 0 {
		t.Fatal("nothing was seen")
	}
	return all
}

func sighted(t *testing.T, s observe.Reading, name string) observe.SignalReading {
	t.Helper()
	i := slices.IndexFunc(s.Signals, func(x observe.SignalReading) bool { return x.Name == name })
	if i < 0 {
		t.Fatalf("%s is not in %+v", name, s.Signals)
	}
	return s.Signals[i]
}

// A quiet server: nothing fires, nothing is written, one connection is opened.
func TestWatchQuietServer(t *testing.T) {
	t.Parallel() // it waits, most of the time
	h, o := newHouse(t), theirs(t, "50")
	ctx := context.Background()
	// A user who can do nothing but read, so that a write would show.
	if err := o.client.Do(ctx, "ACL", "SETUSER", "reader", "on", ">secret", "~*", "+@read", "+info", "+ping", "+client",
		"+hello").Err(); err != nil {
		t.Fatal(err)
	}
	before := o.client.Info(ctx, "stats").Val()
	url := strings.Replace(o.url, "redis://", "redis://reader:secret@", 1)
	out, _ := h.lockjam(0, "watch", url, "--for", "2500ms", "--baseline", "500ms")
	for _, want := range []string{
		"watching client-saturation,", "not available here: client-errors,", "(the workers' own view is not",
		"/50 (", "locks 1 (1 without TTL)", "no signal fired in",
	} {
		if !strings.Contains(strings.ReplaceAll(out, "\n", " "), want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
	after := o.client.Info(ctx, "stats").Val()
	if a, b := field(before, "total_connections_received"), field(after, "total_connections_received"); b-a != 2 {
		// one is the test's own
		t.Errorf("%d connections were opened", b-a-1)
	}
	if n := field(o.client.Info(ctx, "stats").Val(), "acl_access_denied_cmd"); n > 0 {
		t.Errorf("%d commands were denied", n)
	}
	o.untouched("50")
}

func field(info, name string) (n int64) {
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			for _, c := range v {
				n = n*10 + int64(c-'0')
			}
		}
	}
	return n
}

// A server that fills up and turns clients away: the signals fire, and clear when
// it is over.
func TestWatchFullServer(t *testing.T) {
	t.Parallel() // it waits, most of the time
	h, o := newHouse(t), theirs(t, "10")
	// theirs has one connection, watch takes one.
	cmd := h.command("watch", o.url, "--for", "6s", "--baseline", "500ms", "--json")
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond)
	var open []net.Conn
	for range 12 {
		c, err := net.Dial("tcp", strings.TrimPrefix(o.url, "redis://"))
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	time.Sleep(1500 * time.Millisecond)
	for _, c := range open {
		_ = c.Close()
	}
	h.ends(cmd.Wait(), 1, "%s", &out)
	all := sightings(t, out.String())
	last := all[len(all)-1]
	if fired := last.Fired(); !slices.Contains(fired, "client-saturation") ||
		!slices.Contains(fired, "rejected-connections") || slices.Contains(fired, "command-latency-server") {
		t.Errorf("fired: %v", fired)
	}
	s := sighted(t, last, "client-saturation")
	if s.Firing == nil || *s.Firing || *s.FiredAtMS < 1000 || *s.FiredAtMS > 4000 || s.FiringMS < 500 ||
		s.FiringMS > 4000 {
		t.Errorf("%+v at %v ms for %v ms", s, *s.FiredAtMS, s.FiringMS)
	}
	if s := sighted(t, last, "deadlock"); s.Unavailable == "" || s.Firing != nil {
		t.Errorf("deadlock says something without the workers: %+v", s)
	}
	if s := sighted(t, last, "lock-set-retries"); s.Unavailable == "" {
		t.Errorf("MONITOR was not asked for: %+v", s)
	}
}

// MONITOR and the canary are optional.
func TestWatchWithMonitorAndCanary(t *testing.T) {
	t.Parallel() // it waits, most of the time
	h, o := newHouse(t), theirs(t, "50")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { // tries a lock, again and again, that is never released
		for ctx.Err() == nil {
			o.client.SetNX(ctx, "lock:a", "me", 0)
			time.Sleep(5 * time.Millisecond)
		}
	}()
	out, _ := h.lockjam(1, "watch", o.url, "--for", "3s", "--baseline", "500ms", "--monitor", "--canary")
	for _, part := range []string{"canary admitted (", "releases 0/s  lock:a tried "} {
		if !strings.Contains(out, part) {
			t.Errorf("%q is missing in:\n%s", part, out)
		}
	}
	lines, _ := h.lockjam(1, "watch", o.url, "--for", "2500ms", "--json", "--monitor", "--canary")
	all := sightings(t, lines)
	last := all[len(all)-1]
	if m := last.Monitor; m == nil || m.AttemptsPerS < 50 || m.AttemptsPerS > 250 || m.ReleasesPerS != 0 ||
		m.StuckLock != "lock:a" || m.StuckAttempts < 5 {
		t.Errorf("MONITOR: %+v", m)
	}
	if c := last.Canary; c == nil || c.Last != "admitted" || c.Dials < 5 || c.Admitted != c.Dials {
		t.Errorf("canary: %+v", c)
	}
	if !strings.Contains(out, "FIRING lock-set-retries") || strings.Contains(out, "refused-clients (") ||
		!strings.Contains(out, "2 without TTL") || !strings.Contains(out, "yes") {
		t.Errorf("%s", out)
	}
}

// frozenWatch starts lockjam watch and freezes the server after a while.
func frozenWatch(t *testing.T, h *house, o *otherServer, after time.Duration,
	args ...string) (wait func(code int) (all []observe.Reading, log string)) {
	t.Helper()
	cmd := h.command(append([]string{"watch", o.url, "--json"}, args...)...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(after)
	o.freeze()
	return func(code int) ([]observe.Reading, string) {
		t.Helper()
		h.ends(cmd.Wait(), code, "%s%s", &out, &log)
		if strings.Contains(out.String()+log.String(), "context deadline exceeded") ||
			strings.Contains(out.String(), "restarted") {
			t.Errorf("that is no state of the server:\n%s%s", &out, &log)
		}
		return sightings(t, out.String()), log.String()
	}
}

// While a server stalls nothing is known, and that is neither firing nor silence.
// What comes after it is known again.
func TestWatchServerStalls(t *testing.T) {
	t.Parallel() // it waits, most of the time
	h, o := newHouse(t), theirs(t, "50")
	wait := frozenWatch(t, h, o, 1500*time.Millisecond, "--for", "8s", "--baseline", "1s")
	time.Sleep(4 * time.Second)
	if err := o.process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	all, _ := wait(2)
	unanswered := 0
	for _, s := range all {
		x := sighted(t, s, "client-saturation")
		if s.UnansweredMS == 0 {
			if x.Firing == nil || *x.Firing || x.Unavailable != "" {
				t.Errorf("after %v ms: %+v", s.AtMS, x)
			}
			continue
		}
		unanswered++
		if s.Connected != nil || !strings.HasPrefix(s.Error, "the server has not answered for ") || x.Firing != nil ||
			!strings.HasPrefix(x.Unavailable, "the server has not answered for ") {
			t.Errorf("after %v ms: %q, %+v", s.AtMS, s.Error, x)
		}
	}
	if unanswered < 1 || unanswered > 4 || len(all) < 8 {
		t.Errorf("%d of %d sightings without an answer", unanswered, len(all))
	}
}

// A watch that ends in a stall is no pass.
func TestWatchEndsInAStall(t *testing.T) {
	t.Parallel() // it waits, most of the time
	h, o := newHouse(t), theirs(t, "50")
	all, log := frozenWatch(t, h, o, 1500*time.Millisecond, "--for", "5s")(2)
	if strings.Count(log, "\n") != 1 || !strings.Contains(log, "the server did not answer in the last ") ||
		!strings.Contains(log, " s: nothing can be said of them") {
		t.Errorf("%s", log)
	}
	if last := all[len(all)-1]; last.UnansweredMS < 2000 || last.Connected != nil || last.LockKeys != nil {
		t.Errorf("%+v", last)
	}
}

// What fires on the last answer does not go on firing without one.
func TestWatchStallsWhileFiring(t *testing.T) {
	t.Parallel() // it waits, most of the time
	h, o := newHouse(t), theirs(t, "10")
	var open []net.Conn
	for range 7 { // and theirs, and the watch
		c, err := net.Dial("tcp", strings.TrimPrefix(o.url, "redis://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		open = append(open, c)
	}
	all, _ := frozenWatch(t, h, o, 1500*time.Millisecond, "--for", "5s", "--set", "client-saturation.ratio=0.5")(1)
	x := sighted(t, all[len(all)-1], "client-saturation")
	if x.FiredAtMS == nil || x.Firing != nil || x.FiringMS > 2500 {
		t.Errorf("%+v for %v ms", x, x.FiringMS)
	}
	if x := sighted(t, all[0], "client-saturation"); x.Firing == nil || !*x.Firing {
		t.Errorf("at first: %+v with %d connections", x, len(open))
	}
}

// lock:0 to lock:n-1, and as many other keys as are asked for.
func (o *otherServer) fill(prefix string, n int) {
	o.t.Helper()
	if err := o.client.Eval(context.Background(),
		`for i = 0, ARGV[1]-1 do redis.call("set", ARGV[2] .. i, "1") end return 1`, nil, n, prefix).Err(); err != nil {
		o.t.Fatal(err)
	}
}

// On a server where nothing else happens there is nothing but lockjam itself, and a
// thousand locks to ask about are no traffic.
func TestWatchIsNotItsOwnTraffic(t *testing.T) {
	t.Parallel() // it waits, most of the time
	h, o := newHouse(t), theirs(t, "50")
	o.fill("lock:", 1000)
	time.Sleep(100 * time.Millisecond) // the test's own commands are over
	out, _ := h.lockjam(1, "watch", o.url, "--for", "5s", "--baseline", "2s", "--json")
	all := sightings(t, out)
	last := all[len(all)-1]
	if fired := last.Fired(); !slices.Equal(fired, []string{"lock-key-count"}) {
		t.Errorf("fired: %v", fired)
	}
	if x := sighted(t, last, "command-throughput"); x.Unavailable != "nothing but lockjam's own commands ran in the baseline" {
		t.Errorf("%+v", x)
	}
	if last.CommandsPerS == nil || *last.CommandsPerS > 10 || *last.LockKeys != 1001 || *last.LockKeysAsked != 200 ||
		*last.NoTTL != 200 {
		t.Errorf("%v commands/s, %d locks, %d asked", last.CommandsPerS, *last.LockKeys, *last.LockKeysAsked)
	}
	text, _ := h.lockjam(1, "watch", o.url, "--for", "1500ms")
	if !strings.Contains(text, "locks 1001 (200 of 200 asked without TTL)") {
		t.Errorf("%s", text)
	}
}

// An application of 40 commands a second that stops has stopped, however much
// lockjam goes on asking.
func TestWatchSeesWorkStop(t *testing.T) {
	t.Parallel() // it waits, most of the time
	h, o := newHouse(t), theirs(t, "50")
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	client := redis.NewClient(&redis.Options{Addr: strings.TrimPrefix(o.url, "redis://"), PoolSize: 1})
	defer client.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(25 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			client.Get(ctx, "theirs")
		}
	}()
	out, _ := h.lockjam(1, "watch", o.url, "--for", "7s", "--baseline", "2s")
	<-done
	flat := strings.Join(strings.Fields(out), " ")
	for _, want := range []string{"FIRING command-throughput", "commands 40/s", "commands 0/s",
		"2 s available now: command-throughput"} {
		if !strings.Contains(flat, want) && !(want == "commands 40/s" && strings.Contains(flat, "commands 39/s")) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
}

// Five hundred locks among many other keys are counted all, in a few looks, and
// until then lock-key-count is not silent but not available.
func TestWatchLargeKeyspace(t *testing.T) {
	t.Parallel() // it waits, most of the time
	h, o := newHouse(t), theirs(t, "50")
	o.fill("theirs:", 70_000)
	o.fill("lock:", 90)
	out, _ := h.lockjam(0, "watch", o.url, "--for", "6500ms", "--json")
	all := sightings(t, out)
	first, last := all[0], all[len(all)-1]
	if x := sighted(t, first, "lock-key-count"); !strings.Contains(x.Unavailable,
		"SCAN has not come through the whole keyspace yet: ") || x.Firing != nil || !first.LockKeysPartial {
		t.Errorf("%+v", x)
	}
	if x := sighted(t, last, "lock-key-count"); x.Unavailable != "" || *x.Firing || last.LockKeysPartial ||
		*last.LockKeys != 91 {
		t.Errorf("%+v, %d locks", x, *last.LockKeys)
	}
}

// A server that is gone for a while: a line a second all the time, with what really
// became of the connection, and the signals come back with it.
func TestWatchServerComesBack(t *testing.T) {
	t.Parallel() // it waits, most of the time
	h, o := newHouse(t), theirs(t, "50")
	var gone atomic.Bool
	addr := relay(t, strings.TrimPrefix(o.url, "redis://"), &gone)
	cmd := h.command("watch", "redis://"+addr, "--for", "10s")
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond)
	gone.Store(true)
	time.Sleep(4 * time.Second)
	gone.Store(false)
	h.ends(cmd.Wait(), 2, "%s", &out)
	flat := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{"NO ANSWER: the connection was lost: EOF; trying again",
		"s not available: client-saturation,", "s available now: client-saturation,"} {
		if !strings.Contains(flat, want) {
			t.Errorf("%q is missing in:\n%s", want, &out)
		}
	}
	seconds := regexp.MustCompile(`(?m)^ +\d+ s  (NO ANSWER|clients)`).FindAllString(out.String(), -1)
	if len(seconds) < 8 || strings.Contains(flat, "FIRING") || strings.Contains(flat, "restarted") {
		t.Errorf("%d seconds:\n%s", len(seconds), &out)
	}
}

// relay passes connections on to a server. While it is gone it cuts those there are,
// takes new ones, and says nothing.
func relay(t *testing.T, to string, gone *atomic.Bool) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			if gone.Load() {
				t.Cleanup(func() { _ = from.Close() })
				continue
			}
			on, err := net.Dial("tcp", to)
			if err != nil {
				t.Error(err)
				return
			}
			go func() { _, _ = io.Copy(on, from); _ = on.Close() }()
			go func() { _, _ = io.Copy(from, on); _ = from.Close() }()
			go func() {
				for !gone.Load() {
					time.Sleep(10 * time.Millisecond)
				}
				_, _ = from.Close(), on.Close()
			}()
		}
	}()
	return l.Addr().String()
}

func TestWatchServerGoesAway(t *testing.T) {
	t.Parallel() // it waits, most of the time
	h, o := newHouse(t), theirs(t, "50")
	cmd := h.command("watch", o.url, "--for", "4s")
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond)
	_ = o.process.Kill()
	h.ends(cmd.Wait(), 69, "%s%s", &out, &log)
	if !strings.Contains(out.String(), "NO ANSWER: the connection was lost: EOF; trying again") ||
		strings.Count(log.String(), "\n") != 1 ||
		!strings.Contains(log.String(), "was lost and did not come back") {
		t.Errorf("%s\n%s", &out, &log)
	}
}

// A user who may not ask is told so, by name of what is missing; where nothing at all can
// be said, that is no pass.
func TestWatchWithoutRights(t *testing.T) {
	t.Parallel() // it waits, most of the time
	h, o := newHouse(t), theirs(t, "50")
	ctx := context.Background()
	for user, rights := range map[string][]string{
		"noscan": {"+ping", "+info", "+client"},
		"noinfo": {"+ping", "+client"},
		"noname": {"+ping", "+info", "+scan", "+pttl", "+object|idletime"},
	} {
		args := []any{"ACL", "SETUSER", user, "on", ">secret", "~*"}
		for _, r := range rights {
			args = append(args, r)
		}
		if err := o.client.Do(ctx, args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	as := func(user string) string { return strings.Replace(o.url, "redis://", "redis://"+user+":secret@", 1) }
	out, _ := h.lockjam(0, "watch", as("noscan"), "--for", "2s", "--monitor")
	flat := strings.Join(strings.Fields(out), " ")
	if !strings.Contains(flat, "not available here: lock-key-count") || !strings.Contains(flat, "'scan' command") ||
		!strings.Contains(flat, "'monitor' command") {
		t.Errorf("%s", out)
	}
	denied := field(o.client.Info(ctx, "stats").Val(), "acl_access_denied_cmd")
	if out, _ := h.lockjam(0, "watch", as("noname"), "--for", "2s"); !strings.Contains(out, "locks 1 (1 without TTL)") {
		t.Errorf("without CLIENT: %s", out)
	}
	if n := field(o.client.Info(ctx, "stats").Val(), "acl_access_denied_cmd") - denied; n > 2 { // HELLO, CLIENT SETNAME
		t.Errorf("%d commands were denied", n)
	}
	out, log := h.lockjam(2, "watch", as("noinfo"), "--for", "2s")
	if !strings.Contains(out, "'info' command") || !strings.Contains(log, "no signal could say anything") {
		t.Errorf("%s\n%s", out, log)
	}
}

// A user who may not ask any more is not told what was true before.
func TestWatchRightsAreTakenAway(t *testing.T) {
	t.Parallel() // it waits, most of the time
	h, o := newHouse(t), theirs(t, "50")
	ctx := context.Background()
	if err := o.client.Do(ctx, "ACL", "SETUSER", "looker", "on", ">secret", "~*", "+@all").Err(); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(1500*time.Millisecond, func() { o.client.Do(ctx, "ACL", "SETUSER", "looker", "-info") })
	out, log := h.lockjam(2, "watch", strings.Replace(o.url, "redis://", "redis://looker:secret@", 1), "--for", "5s",
		"--json", "--canary")
	all := sightings(t, out)
	if x := sighted(t, all[0], "client-saturation"); x.Unavailable != "" {
		t.Errorf("%+v", x)
	}
	for _, name := range []string{"client-saturation", "lock-key-count"} {
		if x := sighted(t, all[len(all)-1], name); !strings.Contains(x.Unavailable, "INFO has told nothing for ") ||
			!strings.Contains(x.Unavailable, "NOPERM") {
			t.Errorf("%+v\n%s", x, log)
		}
	}
	if x := sighted(t, all[len(all)-1], "refused-clients"); x.Firing == nil || *x.Firing {
		t.Errorf("the canary needs no INFO: %+v", x)
	}
}

// A full server lets no client in: the words are the server's, and what to do about it.
func TestWatchTooLate(t *testing.T) {
	t.Parallel() // it waits, most of the time
	h, o := newHouse(t), theirs(t, "2")
	addr := strings.TrimPrefix(o.url, "redis://")
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	time.Sleep(100 * time.Millisecond)
	_, log := h.lockjam(69, "watch", o.url, "--for", "2s")
	if strings.Count(log, "\n") != 1 || !strings.Contains(log, "max number of clients reached") ||
		!strings.Contains(log, "start watching before the incident") {
		t.Errorf("%s", log)
	}
}

// Ctrl-C is how a watch without --for ends.
func TestWatchInterrupt(t *testing.T) {
	t.Parallel() // it waits, most of the time
	h, o := newHouse(t), theirs(t, "50")
	u := h.start("watch", o.url)
	time.Sleep(1500 * time.Millisecond)
	u.signal(syscall.SIGINT)
	if took := u.wait(0); took > 2*time.Second || !strings.Contains(u.out.String(), "no signal fired") {
		t.Errorf("after %v: %s", took, u.out.String())
	}
}
