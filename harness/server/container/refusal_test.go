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

// unsaveable is a file name that is too long for any file system: Redis cannot save, and refuses to
// stop gracefully. With an append-only file it does not look for this file at the start.
var unsaveable = strings.Repeat("d", 300)

func TestRefusedRestart(t *testing.T) {
	forEachKind(t, func(t *testing.T, starter server.Starter, spec server.Spec) {
		spec.Config = spec.Config.With(server.Config{
			"appendonly": "yes", "save": "3600 1", "dbfilename": unsaveable, "stop-writes-on-bgsave-error": "no",
		})
		s := start(t, starter, spec)
		c, err := server.OpenControl(t.Context(), s.Endpoint())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Admin.Set(t.Context(), "k", "v", 0).Err(); err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		err = s.Restart(within(t, 20*time.Second), spec.Config)
		if !errors.Is(err, server.ErrWillNotStop) {
			t.Fatalf("after %v: %v", time.Since(started), err)
		}
		wantOneLine(t, err, "Error trying to save the DB, can't exit")
		// It keeps running, with all of its connections.
		if got, err := c.Admin.Get(context.Background(), "k").Result(); got != "v" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// A server that refuses writes because it cannot save answers even a PING with that error, and is
// up.
func TestMisconfiguredServerIsUp(t *testing.T) {
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
	end := time.Now().Add(10 * time.Second)
	for ; c.Admin.Ping(t.Context()).Err() == nil; time.Sleep(10 * time.Millisecond) {
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

func TestPortThatCannotBeListenedOn(t *testing.T) {
	needProcess(t)
	// A port that cannot be listened on for another reason is not reported as taken.
	spec := server.Spec{Config: small, Workspace: newWorkspace(t), Name: "port", Port: 1 << 17}
	_, err := process.Start(t.Context(), spec)
	if err == nil || strings.Contains(err.Error(), "already in use") {
		t.Error(err)
	}
}
