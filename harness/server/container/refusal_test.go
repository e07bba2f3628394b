package container_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/process"
)

// A file name that is longer than any file system takes: Redis cannot save, and refuses to stop in
// good order. With an append-only file it does not look for it at the start.
var unsaveable = strings.Repeat("d", 300)

func TestRestartThatIsRefused(t *testing.T) {
	starters(t, func(t *testing.T, starter server.Starter, spec server.Spec) {
		spec.Config = spec.Config.With(server.Config{"appendonly": "yes", "save": "3600 1", "dbfilename": unsaveable, "stop-writes-on-bgsave-error": "no"})
		s := start(t, starter, spec)
		c, err := server.OpenControl(t.Context(), s.Endpoint())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Admin.Set(t.Context(), "k", "v", 0).Err(); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		err = s.Restart(within(t, 20*time.Second), spec.Config)
		if !errors.Is(err, server.ErrWillNotStop) {
			t.Fatalf("after %v: %v", time.Since(begun), err)
		}
		oneLine(t, err, "Error trying to save the DB, can't exit")
		// It goes on as it was, with all of its connections.
		if got, err := c.Admin.Get(context.Background(), "k").Result(); got != "v" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// A server that refuses writes since it cannot save answers a PING with that: it is there.
func TestMisconfiguredServerIsThere(t *testing.T) {
	needProcess(t)
	s := start(t, process.Start, server.Spec{Workspace: newWorkspace(t), Name: "misconf",
		Config: small.With(server.Config{"appendonly": "yes", "save": "3600 1", "dbfilename": unsaveable})})
	c, err := server.OpenControl(t.Context(), s.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Admin.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.Admin.BgSave(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); c.Admin.Ping(t.Context()).Err() == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the snapshot did not fail")
		}
	}
	again, err := server.OpenControl(within(t, 10*time.Second), s.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestPortsWithoutDescriptors(t *testing.T) {
	needProcess(t)
	// What the machine lacks is not told as a port that another program has.
	_, err := process.Start(t.Context(), server.Spec{Config: small, Workspace: newWorkspace(t), Name: "port", Port: 1 << 17})
	if err == nil || strings.Contains(err.Error(), "already in use") {
		t.Error(err)
	}
}
