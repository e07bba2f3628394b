package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness"
)

// sightings decodes the output of watch --json. The last one is the sum.
func sightings(t *testing.T, out string) []harness.Sighting {
	t.Helper()
	var all []harness.Sighting
	for line := range strings.Lines(out) {
		var s struct {
			Event string `json:"event"`
			harness.Sighting
		}
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, s.Sighting)
	}
	if len(all) == 0 {
		t.Fatal("nothing was seen")
	}
	return all
}

func sighted(t *testing.T, s harness.Sighting, name string) harness.SignalSighted {
	t.Helper()
	i := slices.IndexFunc(s.Signals, func(x harness.SignalSighted) bool { return x.Name == name })
	if i < 0 {
		t.Fatalf("%s is not in %+v", name, s.Signals)
	}
	return s.Signals[i]
}

// A quiet server: nothing fires, nothing is written, one connection is opened.
func TestWatchQuietServer(t *testing.T) {
	h, o := newHouse(t), theirs(t, "50")
	ctx := context.Background()
	// A user who can do nothing but read, so that a write would show.
	if err := o.client.Do(ctx, "ACL", "SETUSER", "reader", "on", ">secret", "~*", "+@read", "+info", "+ping", "+client", "+hello").Err(); err != nil {
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
	if a, b := field(before, "total_connections_received"), field(after, "total_connections_received"); b-a != 2 { // one is the test's own
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
	if fired := last.Fired(); !slices.Contains(fired, "client-saturation") || !slices.Contains(fired, "rejected-connections") || slices.Contains(fired, "command-latency-server") {
		t.Errorf("fired: %v", fired)
	}
	s := sighted(t, last, "client-saturation")
	if s.Firing || *s.FiredAtMS < 1000 || *s.FiredAtMS > 4000 || s.FiringMS < 500 || s.FiringMS > 4000 {
		t.Errorf("%+v at %v ms for %v ms", s, *s.FiredAtMS, s.FiringMS)
	}
	if s := sighted(t, last, "deadlock"); s.Unavailable == "" {
		t.Errorf("deadlock says something without the workers: %+v", s)
	}
	if s := sighted(t, last, "lock-set-retries"); s.Unavailable == "" {
		t.Errorf("MONITOR was not asked for: %+v", s)
	}
}

// MONITOR and the canary are there for who asks.
func TestWatchWithMonitorAndCanary(t *testing.T) {
	h, o := newHouse(t), theirs(t, "50")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { // tries a lock, again and again, that nobody releases
		for ctx.Err() == nil {
			o.client.SetNX(ctx, "lock:a", "me", 0)
			time.Sleep(5 * time.Millisecond)
		}
	}()
	out, _ := h.lockjam(1, "watch", o.url, "--for", "3s", "--baseline", "500ms", "--monitor", "--canary")
	if !strings.Contains(out, "FIRING lock-set-retries") || strings.Contains(out, "refused-clients (") || !strings.Contains(out, "2 without TTL") || !strings.Contains(out, "yes") {
		t.Errorf("%s", out)
	}
}

// A server that stalls, and one that goes away and comes back, are said to do so.
func TestWatchServerStalls(t *testing.T) {
	h, o := newHouse(t), theirs(t, "50")
	cmd := h.command("watch", o.url, "--for", "5s", "--json", "--baseline", "1m") // a stall is a loss of throughput
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond)
	o.freeze()
	time.Sleep(2 * time.Second)
	if err := o.process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	h.ends(cmd.Wait(), 0, "%s", &out)
	silent := 0
	for _, s := range sightings(t, out.String()) {
		if s.Connected == nil && s.Error != "" {
			silent++
		}
	}
	if silent == 0 || silent == len(sightings(t, out.String())) {
		t.Errorf("%d seconds without an answer:\n%s", silent, &out)
	}
}

func TestWatchServerGoesAway(t *testing.T) {
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
	if !strings.Contains(out.String(), "NO ANSWER: the connection was lost") || strings.Count(log.String(), "\n") != 1 ||
		!strings.Contains(log.String(), "was lost and did not come back") {
		t.Errorf("%s\n%s", &out, &log)
	}
}

// Who may not ask is told so, by name of what is missing; where nothing at all can
// be said, that is no pass.
func TestWatchWithoutRights(t *testing.T) {
	h, o := newHouse(t), theirs(t, "50")
	ctx := context.Background()
	for user, rights := range map[string][]string{
		"noscan": {"+ping", "+info", "+client"},
		"noinfo": {"+ping", "+client"},
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
	if !strings.Contains(flat, "not available here: lock-key-count") || !strings.Contains(flat, "'scan' command") || !strings.Contains(flat, "'monitor' command") {
		t.Errorf("%s", out)
	}
	out, log := h.lockjam(2, "watch", as("noinfo"), "--for", "2s")
	if !strings.Contains(out, "'info' command") || !strings.Contains(log, "no signal could say anything") {
		t.Errorf("%s\n%s", out, log)
	}
}

// A full server lets nobody in: the words are the server's, and what to do about it.
func TestWatchTooLate(t *testing.T) {
	h, o := newHouse(t), theirs(t, "2")
	addr := strings.TrimPrefix(o.url, "redis://")
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	time.Sleep(100 * time.Millisecond)
	_, log := h.lockjam(69, "watch", o.url, "--for", "2s")
	if strings.Count(log, "\n") != 1 || !strings.Contains(log, "max number of clients reached") || !strings.Contains(log, "begin to watch before the incident") {
		t.Errorf("%s", log)
	}
}

// Ctrl-C is how a watch without --for ends.
func TestWatchInterrupt(t *testing.T) {
	h, o := newHouse(t), theirs(t, "50")
	u := h.start("watch", o.url)
	time.Sleep(1500 * time.Millisecond)
	u.signal(syscall.SIGINT)
	if took := u.wait(0); took > 2*time.Second || !strings.Contains(u.out.String(), "no signal fired") {
		t.Errorf("after %v: %s", took, u.out.String())
	}
}
