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
	"unicode/utf8"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/server"
)

func dialer(addr string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	}
}

// fly runs a canary until the end of the test.
func fly(t *testing.T, dial func(context.Context) (net.Conn, error)) *canary {
	t.Helper()
	c := newCanary(dial, 5*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			t.Error("the canary flies on after the end")
		}
		if n := c.counts(); n.Dials != n.Admitted+n.Refused+n.Cut+n.Silent+n.Unreachable {
			t.Errorf("%+v do not add up", n)
		}
	})
	return c
}

// more waits until the count has grown by n.
func more(t *testing.T, c *canary, n int64, count func(history.Canary) int64) {
	t.Helper()
	before := count(c.counts())
	eventually(t, "the count grows", func() bool { return count(c.counts()) >= before+n })
}

func admittedOf(c history.Canary) int64    { return c.Admitted }
func refusedOf(c history.Canary) int64     { return c.Refused }
func cutOf(c history.Canary) int64         { return c.Cut }
func silentOf(c history.Canary) int64      { return c.Silent }
func unreachableOf(c history.Canary) int64 { return c.Unreachable }

func TestCanaryAtFullServer(t *testing.T) {
	s := startRedis(t, server.Config{"maxclients": "8"})
	control := openControl(t, s.Endpoint())
	fill(t, s.Endpoint()) // before the canary flies, which would take a slot for a moment
	c := fly(t, dialer(s.Endpoint().Addr))
	more(t, c, 40, refusedOf)
	if got := c.counts(); got.Refused != got.Dials || got.LastRefusal != "-ERR max number of clients reached" {
		t.Errorf("full: %+v", got)
	}
	do(t, control.Admin, "CONFIG", "SET", "maxclients", "20")
	more(t, c, 3, admittedOf)
	before := c.counts()
	more(t, c, 3, admittedOf)
	if got := c.counts(); got.Admitted-before.Admitted != got.Dials-before.Dials {
		t.Errorf("with room: %+v, then %+v", before, got)
	}
}

// The canary has given its slot back before it asks for the next.
func TestCanaryNeverOverlaps(t *testing.T) {
	s := startRedis(t, nil)
	var open, most atomic.Int64
	c := fly(t, func(ctx context.Context) (net.Conn, error) {
		conn, err := dialer(s.Endpoint().Addr)(ctx)
		if err != nil {
			return nil, err
		}
		most.Store(max(most.Load(), open.Add(1)))
		return &closeCounter{Conn: conn, open: &open}, nil
	})
	more(t, c, 10, admittedOf)
	if most.Load() != 1 {
		t.Errorf("%d connections at once", most.Load())
	}
}

type closeCounter struct {
	net.Conn
	open   *atomic.Int64
	closed atomic.Bool
}

func (c *closeCounter) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.open.Add(-1)
	}
	return c.Conn.Close()
}

func TestCanaryWhileServerIsPausedAndKilled(t *testing.T) {
	s := startRedis(t, nil)
	c := fly(t, dialer(s.Endpoint().Addr))
	more(t, c, 2, admittedOf)
	if err := s.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	more(t, c, 3, silentOf)
	if err := s.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	more(t, c, 3, admittedOf)
	if err := s.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	more(t, c, 3, unreachableOf)
}

// NOAUTH is an answer: the canary needs no password.
func TestCanaryWithoutPassword(t *testing.T) {
	s := startRedis(t, server.Config{"requirepass": "sesame"})
	c := fly(t, dialer(s.Endpoint().Addr))
	more(t, c, 3, admittedOf)
	if got := c.counts(); got.Dials != got.Admitted {
		t.Errorf("%+v", got)
	}
}

func TestCanaryAndPeersThatHangUp(t *testing.T) {
	afterPing := func(words string) func(net.Conn) {
		return func(conn net.Conn) {
			_, _ = bufio.NewReader(conn).ReadString('\n')
			_, _ = io.WriteString(conn, words)
		}
	}
	for _, test := range []struct {
		why   string
		serve func(net.Conn)
		count func(history.Canary) int64
		words string
	}{
		{"a proxy whose backend is gone", func(net.Conn) {}, cutOf, ""},
		{"the same, with a reset", func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }, cutOf, ""},
		{"protected mode", func(c net.Conn) { _, _ = io.WriteString(c, "-DENIED Redis is running\r\n") }, cutOf,
			"-DENIED Redis is running"},
		{"a peer that is no Redis, and its terminal codes",
			func(c net.Conn) { _, _ = io.WriteString(c, "220 \x1b[31mmail\xff\r\n") }, cutOf, "220 ?[31mmail?"},
		{"a text without its end", func(c net.Conn) {
			_,
				_ = io.WriteString(c, "-ERR max number of clients + cluster")
		}, refusedOf, "-ERR max number of clients + cluster"},
		{"a full server that is slow", afterPing("-ERR max number of clients reached\r\n"), refusedOf,
			"-ERR max number of clients reached"},
		{"protected mode of a slow server", afterPing("-DENIED Redis\r\n"), cutOf, "-DENIED Redis"},
		{"a web server that hears a PING", afterPing("HTTP/1.1 400 Bad Request\r\n"), cutOf,
			"HTTP/1.1 400 Bad Request"},
		{"hanging up at the PING", afterPing(""), cutOf, ""},
		{"a server that loads its data lets clients in",
			afterPing("-LOADING Redis is loading the dataset in memory\r\n"), admittedOf, ""},
	} {
		t.Run(test.why, func(t *testing.T) {
			c := fly(t, dialer(listenTCP(t, test.serve)))
			more(t, c, 3, test.count)
			if got := c.counts(); test.count(got) != got.Dials || got.LastRefusal != test.words {
				t.Errorf("%+v", got)
			}
		})
	}
}

// A dial that does not come to an end is silent after its time, and counts
// nowhere when the canary's own end cuts it short.
func TestCanaryDialHangs(t *testing.T) {
	c := fly(t, func(ctx context.Context) (net.Conn, error) {
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
	})
	more(t, c, 1, silentOf)

	ctx, cancel := context.WithCancel(t.Context())
	short := newCanary(func(ctx context.Context) (net.Conn, error) {
		cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}, time.Hour)
	short.run(ctx)
	if got := short.counts(); got != (history.Canary{}) {
		t.Errorf("cut short, and counted: %+v", got)
	}
}

// The end comes while the canary listens: the connection is closed at once.
func TestCanaryEndsWhileItListens(t *testing.T) {
	heard := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	addr := listenTCP(t, func(conn net.Conn) {
		_, _ = bufio.NewReader(conn).ReadString('\n') // the PING
		cancel()
		_, err := conn.Read(make([]byte, 1))
		heard <- err
	})
	c := newCanary(dialer(addr), time.Hour)
	c.run(ctx)
	if err := <-heard; err == nil || isTimeout(err) {
		t.Errorf("the connection is open: %v", err)
	}
	if got := c.counts(); got.Dials != 0 {
		t.Errorf("%+v", got)
	}
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		" -ERR no\r\n":           "-ERR no",
		"a\x00b\x1b\u202ec":      "a?b??c",
		"überall":                "überall",
		strings.Repeat("x", 300): strings.Repeat("x", 200),
	} {
		if got := printable(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := printable(strings.Repeat("ü", 300)[1:]); len(got) > wordsLimit || !utf8.ValidString(got) {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}
