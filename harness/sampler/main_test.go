package sampler

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startRedis starts a redis-server process that ends with the test. It skips
// the test where there is none on PATH.
func startRedis(t testing.TB, c server.Config) server.Server {
	t.Helper()
	w, err := server.NewWorkspace("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	s, err := process.Start(t.Context(), server.Spec{
		Config: server.Config{"save": `""`}.With(c), Workspace: w, Name: "watch",
	})
	if errors.Is(err, server.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// openControl opens the two connections that the harness keeps.
func openControl(t testing.TB, e server.Endpoint) *server.Control {
	t.Helper()
	c, err := server.OpenControl(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// do runs one command that has to succeed.
func do(t testing.TB, c *redis.Client, arguments ...any) {
	t.Helper()
	if err := c.Do(t.Context(), arguments...).Err(); err != nil {
		t.Fatalf("%v: %v", arguments, err)
	}
}

// rawConn is a connection without a client library, open until the end of the
// test.
type rawConn struct {
	net.Conn
	lines *bufio.Reader
}

func dialRaw(t testing.TB, e server.Endpoint) *rawConn {
	t.Helper()
	conn, err := net.Dial("tcp", e.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &rawConn{conn, bufio.NewReader(conn)}
}

// say sends a command and returns the first line of the answer.
func (c *rawConn) say(t testing.TB, arguments ...string) string {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(encode(nil, arguments...)); err != nil {
		t.Fatalf("%v: %v", arguments, err)
	}
	line, err := c.lines.ReadString('\n')
	if err != nil {
		t.Fatalf("%v: %v", arguments, err)
	}
	return strings.TrimSpace(line)
}

// fill takes every slot that the server has left.
func fill(t testing.TB, e server.Endpoint) {
	t.Helper()
	for range 1000 {
		if answer := dialRaw(t, e).say(t, "PING"); answer != "+PONG" {
			if !strings.HasPrefix(answer, fullWords) {
				t.Fatal(answer)
			}
			return
		}
	}
	t.Fatal("the server has no limit")
}

// eventually waits for something that other processes are about to do.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after 10 s, not yet: %s", what)
		}
	}
}

// listenTCP accepts connections of a peer that is no Redis, one after the other.
func listenTCP(t testing.TB, serve func(net.Conn)) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			serve(conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
	return listener.Addr().String()
}
