package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/resp"
	"github.com/lockjam/lockjam/harness/server"
)

// A command ends with its context and closes the connection, so that a late answer cannot be taken
// for the answer to the next command. A command that waits for its turn ends with its own context,
// without closing the connection.
func TestCommandEndsWithItsContext(t *testing.T) {
	s := startProcess(t, "silent", nil)
	control := openControl(t, s)
	if err := s.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { first <- control.Admin.Set(ctx, "late", "1", 0).Err() }()
	time.Sleep(50 * time.Millisecond) // until the command is under way
	behind, done := server.Within(t.Context(), 50*time.Millisecond)
	defer done()
	err := control.Admin.Get(behind, "late").Err()
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, server.ErrControlLost) ||
		!strings.Contains(err.Error(), "no answer to GET: timed out after 50ms") {
		t.Errorf("a command that waits for its turn: %v", err)
	}
	select {
	case err := <-first:
		t.Fatalf("the command under way ended with another's context: %v", err)
	default:
	}
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) || !errors.Is(err, server.ErrControlLost) {
		t.Errorf("a command whose context ended: %v", err)
	}
	if err := s.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if answer, err := control.Admin.Ping(t.Context()).Result(); !errors.Is(err, server.ErrControlLost) {
		t.Errorf("the next command was answered %q, %v", answer, err)
	}
	if err := control.Sampler.Ping(t.Context()).Err(); err != nil {
		t.Errorf("the other connection: %v", err)
	}
}

// OpenControl ends within its limit and uses little memory, however the peer behaves.
func TestPeersThatAreNoRedis(t *testing.T) {
	for name, does := range map[string]func(net.Conn, string) bool{
		"answers one PING and nothing more": func(c net.Conn, words string) bool {
			if strings.Contains(words, "PING") {
				_, _ = io.WriteString(c, "+PONG\r\n")
			}
			return true
		},
		"floods without a newline": func(c net.Conn, _ string) bool { return flood(c, strings.Repeat("x", 1<<20)) },
		"announces a long string":  likeRedisUpTo("$9999999999\r\n"),
		"announces a large array":  likeRedisUpTo("*100000000\r\n"),
		"nests arrays":             likeRedisUpTo(strings.Repeat("*1\r\n", 1000)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := peer(t, does)
			started := time.Now()
			control, err := server.OpenControl(t.Context(), e)
			if err == nil {
				t.Error(errors.Join(errors.New("it is taken for a Redis"), control.Close()))
			}
			silent := errors.Is(err, context.DeadlineExceeded)
			wantSilent := name == "answers one PING and nothing more"
			took := time.Since(started)
			if took > 11*time.Second || silent != wantSilent || !silent && !errors.Is(err, resp.ErrTooLong) {
				t.Errorf("%v after %v", err, took)
			}
			wantOneLine(t, err, e.Addr)
		})
	}
}

// likeRedisUpTo answers raw commands as Redis does, and go-redis's first command with reply.
func likeRedisUpTo(reply string) func(net.Conn, string) bool {
	return func(c net.Conn, words string) bool {
		switch {
		case strings.Contains(words, "PING"):
			_, _ = io.WriteString(c, "+PONG\r\n")
		case strings.Contains(words, "SETNAME"):
			_, _ = io.WriteString(c, "+OK\r\n")
		default:
			_, _ = io.WriteString(c, reply)
		}
		return true
	}
}

func flood(c net.Conn, reply string) bool {
	for {
		if _, err := io.WriteString(c, reply); err != nil {
			return false
		}
	}
}

// peer listens on loopback and calls does with each read, until that returns false.
func peer(t *testing.T, does func(c net.Conn, words string) bool) server.Endpoint {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				words := make([]byte, 4096)
				for {
					n, err := c.Read(words)
					if err != nil || !does(c, string(words[:n])) {
						return
					}
				}
			}()
		}
	}()
	return server.Endpoint{Addr: listener.Addr().String()}
}
