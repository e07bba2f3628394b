package server_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/server"
)

// The calls of a control wait for a server that hangs. Close ends them.
func TestCloseEndsPendingCalls(t *testing.T) {
	s := startProcess(t, "hangs", nil)
	control, err := server.OpenControl(t.Context(), s.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- control.Admin.Ping(t.Context()).Err() }()
	select {
	case err := <-ended:
		t.Errorf("a paused server answers: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	if err := control.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("no error from a control that was closed")
	}
	// OpenControl waits as well, until its context ends.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := server.OpenControl(ctx, s.Endpoint()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("open on a paused server: %v", err)
	}
}

// A user who may not run CLIENT still gets connections, without a name.
func TestControlWithoutAName(t *testing.T) {
	s := startProcess(t, "nameless", nil)
	admin := openControl(t, s).Admin
	user := []any{"ACL", "SETUSER", "looker", "on", ">secret", "~*", "+ping", "+info"}
	if err := admin.Do(t.Context(), user...).Err(); err != nil {
		t.Fatal(err)
	}
	e := server.Endpoint{Addr: s.Endpoint().Addr, Username: "looker", Password: "secret"}
	control, err := server.OpenControl(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	if err := control.Sampler.Info(t.Context(), "server").Err(); err != nil {
		t.Error(err)
	}
	client, raw, err := server.OpenWatch(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer raw.Close()
	list, err := admin.ClientList(t.Context()).Result()
	if n := strings.Count(list, "user=looker"); err != nil || n != server.ControlConnections+1 {
		t.Errorf("%d connections of the user, %v:\n%s", n, err, list)
	}
}

// A lost connection of OpenWatch reports why it was lost, not merely that there is none.
func TestWatchConnectionReportsWhyItWasLost(t *testing.T) {
	s := startProcess(t, "lost", nil)
	client, raw, err := server.OpenWatch(t.Context(), s.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer raw.Close()
	if err := s.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = client.Ping(t.Context()).Err()
	if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("the cause is %v", err)
	}
}
