package sampler

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/server"
)

const listenerName = "lockjam-monitor"

// newListener opens a connection as the harness does, and hands it over.
func newListener(t testing.TB, e server.Endpoint) *Listener {
	t.Helper()
	conn := dialRaw(t, e)
	if e.Password != "" {
		credentials := []string{"AUTH", e.Password}
		if e.Username != "" {
			credentials = []string{"AUTH", e.Username, e.Password}
		}
		if answer := conn.say(t, credentials...); answer != "+OK" {
			t.Fatal(answer)
		}
	}
	conn.say(t, "CLIENT", "SETNAME", listenerName)
	l := NewListener(conn.Conn, e, listenerName)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// hasReset reports whether the server knows RESET, as Redis does since 6.2.
func hasReset(t *testing.T, admin *redis.Client) bool {
	t.Helper()
	info, err := admin.Do(t.Context(), "COMMAND", "INFO", "RESET").Slice()
	if err != nil {
		t.Fatal(err)
	}
	return len(info) == 1 && info[0] != nil
}

// needReset skips the test where a Listener can listen but once.
func needReset(t *testing.T, admin *redis.Client) {
	t.Helper()
	if !hasReset(t, admin) {
		t.Skip("this server knows no RESET: TestListenWithoutReset is for it")
	}
}

// stopwatch returns the time since now.
func stopwatch() func() time.Duration {
	begun := time.Now()
	return func() time.Duration { return time.Since(begun) }
}

// during listens while something happens: it begins once the server tells, and
// the burst ends when it is done. Nothing of it is missed, then: the server has
// told of a command before it answers it.
func during(t *testing.T, l *Listener, admin *redis.Client, happens func()) history.Monitor {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	heard := make(chan history.Monitor, 1)
	// It asks for the time when it is called, and again when it has heard that MONITOR has
	// begun, which the server knows a moment earlier.
	var asked atomic.Int32
	elapsed := stopwatch()
	counted := func() time.Duration { asked.Add(1); return elapsed() }
	go func() { heard <- l.Listen(ctx, 20*time.Second, counted, "lock:") }()
	defer cancel()
	eventually(t, "the listener has heard", func() bool { return asked.Load() > 1 })
	happens()
	cancel()
	return <-heard
}

// clientLine is what CLIENT LIST says of the listener's connection.
func clientLine(t *testing.T, admin *redis.Client) string {
	t.Helper()
	list, err := admin.ClientList(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(list) {
		if strings.Contains(line, " name="+listenerName+" ") {
			return line
		}
	}
	return ""
}

// ping sees that the connection is in no special state any more.
func ping(t *testing.T, l *Listener) {
	t.Helper()
	conn := &rawConn{l.conn, bufio.NewReader(l.conn)}
	if answer := conn.say(t, "PING"); answer != "+PONG" {
		t.Errorf("PING after MONITOR: %q", answer)
	}
}

func TestListen(t *testing.T) {
	s := startRedis(t, nil)
	e := s.Endpoint()
	control := openControl(t, e)
	needReset(t, control.Admin)
	l := newListener(t, e)
	ctx := t.Context()
	before := clientLine(t, control.Admin)

	first := during(t, l, control.Admin, func() {
		c := control.Sampler
		for range 7 {
			c.SetNX(ctx, "lock:stuck", "token", 0) // a SETNX
		}
		for range 9 {
			c.SetNX(ctx, "lock:moves", "token", time.Minute) // SET ... NX
			c.Eval(ctx, `if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) end`,
				[]string{"lock:moves"}, "token")
		}
		c.Eval(ctx, `return redis.call("set", KEYS[1], "token", "nx")`, []string{"lock:script"})
		c.Set(ctx, "count:1", 1, 0)
		c.Unlink(ctx, "count:1", "lock:script", "lock:\"quoted\"\xff\n")
		c.Get(ctx, "lock:stuck")
	})
	first.From, first.To = 0, 0
	// 7 of stuck; of moves 9 times SET, EVAL, GET, DEL; EVAL, SET; SET, UNLINK, GET.
	want := history.Monitor{Commands: 7 + 36 + 2 + 3, Attempts: 7 + 9 + 1, Releases: 9 + 2, Stuck: 7,
		StuckLock: "lock:stuck"}
	if first != want {
		t.Errorf("%+v, want %+v", first, want)
	}

	second := during(t, l, control.Admin, func() {
		control.Sampler.SetNX(ctx, "lock:b", "token", 0)
		control.Sampler.SetNX(ctx, "lock:a", "token", 0)
	})
	if second.Attempts != 2 || second.Stuck != 1 || second.StuckLock != "lock:a" || second.Error != "" {
		t.Errorf("the second burst counts anew, and names the first of two: %+v", second)
	}

	after := clientLine(t, control.Admin)
	if id(before) == "" || id(before) != id(after) || !strings.Contains(after, " flags=N ") {
		t.Errorf("the connection was %q, and is %q", before, after)
	}
	ping(t, l)
}

func id(line string) string {
	id, _, _ := strings.Cut(line, " ")
	return id
}

// A burst takes the time that it is given, and its offsets say when it was.
func TestListenForATime(t *testing.T) {
	s := startRedis(t, nil)
	needReset(t, openControl(t, s.Endpoint()).Admin)
	l := newListener(t, s.Endpoint())
	elapsed := stopwatch()
	last := time.Duration(0)
	for range 3 {
		got := l.Listen(t.Context(), 30*time.Millisecond, elapsed, "lock:")
		if got.Error != "" || got.From <= last || got.To-got.From < 30*time.Millisecond || got.To > elapsed() {
			t.Errorf("%+v", got)
		}
		last = got.To
	}
	ping(t, l)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := l.Listen(ctx, time.Hour, elapsed, "lock:"); got.Error == "" {
		t.Errorf("after the end: %+v", got)
	}
	ping(t, l)
}

// RESET forgets the password, the user, the name and the database.
func TestListenAsSomebody(t *testing.T) {
	s := startRedis(t, server.Config{"requirepass": "sesame"})
	admin := openControl(t, s.Endpoint()).Admin
	needReset(t, admin)
	do(t, admin, "ACL", "SETUSER", "watcher", "on", ">pass", "~*", "+monitor", "+ping", "+select", "+client|setname")
	// No rule can take RESET away: Redis lets everybody run it, as it does AUTH.
	do(t, admin, "ACL", "SETUSER", "watcher", "-reset")
	user := s.Endpoint()
	user.Username, user.Password, user.DB = "watcher", "pass", 3
	for _, test := range []struct {
		e    server.Endpoint
		says []string
	}{
		{s.Endpoint(), []string{" user=default ", " db=0 "}},
		{user, []string{" user=watcher ", " db=3 "}},
	} {
		t.Run(test.e.Username, func(t *testing.T) {
			l := newListener(t, test.e)
			for range 3 {
				got := during(t, l, admin, func() { do(t, admin, "SET", "lock:a", "1") })
				if got.Error != "" || got.Attempts != 1 {
					t.Errorf("%+v", got)
				}
			}
			line := clientLine(t, admin)
			for _, part := range append(test.says, " flags=N ") {
				if !strings.Contains(line, part) {
					t.Errorf("no%sin %q", part, line)
				}
			}
			ping(t, l)
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			eventually(t, "the connection is gone", func() bool { return clientLine(t, admin) == "" })
		})
	}
	if log, err := admin.ACLLog(t.Context(), 10).Result(); err != nil || len(log) != 0 {
		t.Errorf("the ACL log has %v (%v)", log, err)
	}
}

// A user who may not name connections is asked to once, not in every burst.
func TestListenWithoutAName(t *testing.T) {
	s := startRedis(t, nil)
	admin := openControl(t, s.Endpoint()).Admin
	needReset(t, admin)
	do(t, admin, "ACL", "SETUSER", "watcher", "on", ">pass", "+monitor", "+ping")
	user := s.Endpoint()
	user.Username, user.Password = "watcher", "pass"
	l := newListener(t, user) // asks for the name as well, and is refused
	for range 3 {
		if got := l.Listen(t.Context(), time.Millisecond, stopwatch(), "lock:"); got.Error != "" {
			t.Errorf("%+v", got)
		}
	}
	ping(t, l)
	if got := denials(t, admin); got != 2 {
		t.Errorf("%d denials in the ACL log", got)
	}
}

// denials counts the entries of the ACL log; Redis folds those that are alike.
func denials(t *testing.T, admin *redis.Client) (n int64) {
	t.Helper()
	log, err := admin.ACLLog(t.Context(), 100).Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range log {
		n += entry.Count
	}
	return n
}

// Every further try would be one more entry in the ACL log.
func TestListenIsRefusedOnce(t *testing.T) {
	s := startRedis(t, nil)
	admin := openControl(t, s.Endpoint()).Admin
	do(t, admin, "ACL", "SETUSER", "watcher", "on", ">pass", "+ping", "+client|setname")
	user := s.Endpoint()
	user.Username, user.Password = "watcher", "pass"
	l := newListener(t, user)
	elapsed := stopwatch()
	first := l.Listen(t.Context(), time.Hour, elapsed, "lock:")
	if !says(first.Error, "NOPERM", "MONITOR") || first.To < first.From {
		t.Errorf("%+v", first)
	}
	for range 3 {
		if got := l.Listen(t.Context(), time.Hour, elapsed, "lock:"); got.Error != first.Error {
			t.Errorf("%q, then %q", first.Error, got.Error)
		}
	}
	if got := denials(t, admin); got != 1 {
		t.Errorf("%d denials in the ACL log", got)
	}
	ping(t, l)
}

// A server that is busy refuses everybody, and for a time.
func TestListenToBusyServer(t *testing.T) {
	s := startRedis(t, server.Config{"lua-time-limit": "5"})
	control := openControl(t, s.Endpoint())
	needReset(t, control.Admin)
	l := newListener(t, s.Endpoint())
	done := make(chan struct{})
	go func() {
		defer close(done)
		control.Sampler.Eval(context.Background(), "while true do end", nil)
	}()
	eventually(t, "the server is busy", func() bool {
		err := control.Admin.Ping(t.Context()).Err()
		return err != nil && strings.HasPrefix(err.Error(), "BUSY")
	})
	if got := l.Listen(t.Context(), time.Millisecond, stopwatch(), "lock:"); !says(got.Error, "-BUSY", "MONITOR") {
		t.Errorf("%+v", got)
	}
	do(t, control.Admin, "SCRIPT", "KILL")
	<-done
	if got := l.Listen(t.Context(), time.Millisecond, stopwatch(), "lock:"); got.Error != "" {
		t.Errorf("afterwards: %+v", got)
	}
}

// Redis before 6.2 knows no RESET. Where it does, it is told to forget it.
func TestListenWithoutReset(t *testing.T) {
	s := startRedis(t, nil)
	if hasReset(t, openControl(t, s.Endpoint()).Admin) {
		s = startRedis(t, server.Config{"rename-command": `RESET ""`})
	}
	admin := openControl(t, s.Endpoint()).Admin
	l := newListener(t, s.Endpoint())
	got := during(t, l, admin, func() { do(t, admin, "SET", "lock:a", "1") })
	if !says(got.Error, "this server cannot end MONITOR on a connection that is kept (RESET, Redis 6.2)",
		"unknown command") || got.Attempts != 1 {
		t.Errorf("%+v", got)
	}
	eventually(t, "the connection is closed, and MONITOR ends with it",
		func() bool { return clientLine(t, admin) == "" })
	if again := l.Listen(t.Context(), time.Hour, stopwatch(), "lock:"); again.Error != got.Error ||
		again.Attempts != 0 {
		t.Errorf("%+v, then %+v", got, again)
	}
}

// The password is changed while MONITOR is listened to. The text of the error
// must not have it: an unknown command is repeated with its arguments.
func TestListenAndPasswordIsChanged(t *testing.T) {
	for name, config := range map[string]server.Config{
		"changed":   nil,
		"forgotten": {"rename-command": `AUTH ""`},
	} {
		t.Run(name, func(t *testing.T) {
			s := startRedis(t, config)
			admin := openControl(t, s.Endpoint()).Admin
			needReset(t, admin)
			l := newListener(t, s.Endpoint())
			if config == nil {
				do(t, admin, "ACL", "SETUSER", "default", ">sesame2")
			}
			l.password = "sesame1"
			got := l.Listen(t.Context(), time.Millisecond, stopwatch(), "lock:")
			// WRONGPASS of Redis 7.0 is NOAUTH in later ones; AUTH is unknown to one that forgot it.
			if !strings.Contains(got.Error, "AUTH on "+s.Endpoint().Addr+", after RESET, was answered with -") ||
				strings.Contains(got.Error, "sesame") {
				t.Errorf("%+v", got)
			}
			if again := l.Listen(t.Context(), time.Millisecond, stopwatch(), "lock:"); again.Error != got.Error {
				t.Errorf("%q, then %q", got.Error, again.Error)
			}
		})
	}
}

// A server that stalls holds nothing up, and the connection outlives it: what the
// server owes is read later. It must not go on telling meanwhile.
func TestListenToPausedServer(t *testing.T) {
	s := startRedis(t, nil)
	admin := openControl(t, s.Endpoint()).Admin
	needReset(t, admin)
	l := newListener(t, s.Endpoint())
	const d = 50 * time.Millisecond
	before := id(clientLine(t, admin))

	if err := s.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		begun := time.Now()
		got := l.Listen(t.Context(), d, stopwatch(), "lock:")
		if took := time.Since(begun); !says(got.Error, "no answer", "MONITOR") || took > d+time.Second+
			200*time.Millisecond {
			t.Errorf("after %v: %+v", took, got)
		}
	}
	if err := s.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "MONITOR has ended without our help",
		func() bool { return strings.Contains(clientLine(t, admin), "cmd=client|setname") })
	if line := clientLine(t, admin); !strings.Contains(line, " flags=N ") || id(line) != before {
		t.Errorf("afterwards the connection is %q", line)
	}
	if got := during(t, l, admin, func() { do(t, admin, "SET", "lock:a", "1") }); got.Error != "" || got.Attempts != 1 {
		t.Errorf("afterwards: %+v", got)
	}
	ping(t, l)
}

func TestListenAndServerIsPausedMeanwhile(t *testing.T) {
	s := startRedis(t, nil)
	admin := openControl(t, s.Endpoint()).Admin
	needReset(t, admin)
	l := newListener(t, s.Endpoint())
	got := during(t, l, admin, func() {
		do(t, admin, "SET", "lock:a", "1")
		if err := s.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	if !says(got.Error, "no answer", "RESET") || got.Attempts != 1 {
		t.Errorf("%+v", got)
	}
	if err := s.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	do(t, admin, "SET", "lock:late", "1") // after RESET: not heard
	if got := during(t, l, admin, func() {}); got.Error != "" || got.Attempts != 0 {
		t.Errorf("afterwards: %+v", got)
	}
}

func TestListenAndConnectionIsLost(t *testing.T) {
	s := startRedis(t, nil)
	admin := openControl(t, s.Endpoint()).Admin
	l := newListener(t, s.Endpoint())
	got := during(t, l, admin, func() {
		do(t, admin, "SET", "lock:a", "1")
		do(t, admin, "CLIENT", "KILL", "ID", strings.TrimPrefix(id(clientLine(t, admin)), "id="))
	})
	if got.Error == "" {
		t.Errorf("%+v", got)
	}
	if again := l.Listen(t.Context(), time.Hour, stopwatch(), "lock:"); again.Error == "" {
		t.Errorf("%+v, then %+v", got, again)
	}

	closed := newListener(t, s.Endpoint())
	got = during(t, closed, admin, func() {
		if err := closed.Close(); err != nil {
			t.Error(err)
		}
	})
	if got.Error == "" {
		t.Errorf("closed in the middle: %+v", got)
	}
}

// Peers that do not keep to the protocol cost a burst, not the program.
func TestListenToBrokenPeer(t *testing.T) {
	for _, test := range []struct {
		why    string
		answer string // to MONITOR
		says   string
	}{
		{"an answer of another command", "+PONG\r\n", "MONITOR"},
		{"words in the middle of it", "+OK\r\n-ERR you are too slow\r\n", "too slow"},
		{"lines that are none, then nothing", "\r\n+\r\nhello\r\n$3\r\n+1 nonsense\r\n", "no answer"},
	} {
		t.Run(test.why, func(t *testing.T) {
			addr := listenTCP(t, func(conn net.Conn) {
				_, _ = bufio.NewReader(conn).ReadString('\n')
				_, _ = io.WriteString(conn, test.answer)
				_, _ = io.Copy(io.Discard, conn)
			})
			e := server.Endpoint{Addr: addr}
			conn := dialRaw(t, e)
			l := NewListener(conn.Conn, e, "")
			got := l.Listen(t.Context(), 50*time.Millisecond, stopwatch(), "lock:")
			if !strings.Contains(got.Error, test.says) {
				t.Errorf("%+v", got)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A line that does not fit is read as far as it fits, and the next is whole.
func TestListenToLongLines(t *testing.T) {
	s := startRedis(t, nil)
	control := openControl(t, s.Endpoint())
	needReset(t, control.Admin)
	l := newListener(t, s.Endpoint())
	got := during(t, l, control.Admin, func() {
		long := strings.Repeat("\x00", 1<<20) // without quotes: Valkey 8.1 does not escape them
		do(t, control.Sampler, "SET", "lock:a", long)
		do(t, control.Sampler, "SET", "lock:"+long, "1")
		do(t, control.Sampler, "DEL", "lock:b", "lock:"+long, "lock:c")
		do(t, control.Sampler, "SET", "lock:d", "1")
	})
	if got.Error != "" || got.Commands != 4 || got.Attempts != 2 || got.Releases != 1 {
		t.Errorf("%+v", got)
	}
	ping(t, l)
}
