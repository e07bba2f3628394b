package container_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/container"
	"github.com/lockjam/lockjam/harness/server/process"
)

// wantOneLine checks that an error is one line and contains all of the words.
func wantOneLine(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; it should say %q", words)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %v", err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not say %q: %v", word, err)
		}
	}
}

// forEachKind runs a test on each kind of server that lockjam starts.
func forEachKind(t *testing.T, test func(t *testing.T, starter server.Starter, spec server.Spec)) {
	t.Run(server.KindProcess, func(t *testing.T) {
		needProcess(t)
		test(t, process.Start, server.Spec{Config: small, Workspace: newWorkspace(t), Name: "failures"})
	})
	t.Run(server.KindContainer, func(t *testing.T) {
		image := needImage(t)
		test(t, container.Start, server.Spec{Config: small, Image: image, Workspace: newWorkspace(t), Name: "failures"})
	})
}

// nothingLeft checks that a failed start has removed everything.
func nothingLeft(t *testing.T, w *server.Workspace) {
	t.Helper()
	folderIsEmpty(t, w)
	if _, err := docker(t).Ping(t.Context(), pingOptions); err == nil {
		if left := containers(t, "dev.lockjam.workspace="+w.Dir()); left != 0 {
			t.Errorf("%d containers are left", left)
		}
	}
}

func TestPortInUse(t *testing.T) {
	forEachKind(t, func(t *testing.T, starter server.Starter, spec server.Spec) {
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		spec.Port = taken.Addr().(*net.TCPAddr).Port
		_, err = starter(t.Context(), spec)
		wantOneLine(t, err, fmt.Sprintf("port %d on 127.0.0.1", spec.Port), "already in use")
		nothingLeft(t, spec.Workspace)
	})
}

// Another program's Redis answers on the port: it must not be mistaken for ours, which may be
// flushed.
func TestPortOfAnotherRedis(t *testing.T) {
	forEachKind(t, func(t *testing.T, starter server.Starter, spec server.Spec) {
		needProcess(t)
		theirs := start(t, process.Start, server.Spec{Config: small, Workspace: newWorkspace(t), Name: "theirs"})
		_, port, err := net.SplitHostPort(theirs.Endpoint().Addr)
		if err != nil {
			t.Fatal(err)
		}
		if spec.Port, err = strconv.Atoi(port); err != nil {
			t.Fatal(err)
		}
		_, err = starter(t.Context(), spec)
		wantOneLine(t, err, fmt.Sprintf("port %d on 127.0.0.1", spec.Port), "already in use")
		nothingLeft(t, spec.Workspace)
	})
}

func TestGivenPort(t *testing.T) {
	forEachKind(t, func(t *testing.T, starter server.Starter, spec server.Spec) {
		spec.Port = 19379
		if s := start(t, starter, spec); s.Endpoint().Addr != "127.0.0.1:19379" {
			t.Errorf("it listens on %s", s.Endpoint().Addr)
		}
	})
}

func TestBadDirective(t *testing.T) {
	forEachKind(t, func(t *testing.T, starter server.Starter, spec server.Spec) {
		spec.Config = small.With(server.Config{"no-such-directive": "1"})
		_, err := starter(t.Context(), spec)
		wantOneLine(t, err, "no-such-directive", "Bad directive")
		nothingLeft(t, spec.Workspace)
	})
}

// The reason of a server that ends at once is also found when several start concurrently: Docker
// then notes late that they have started.
func TestBadDirectiveConcurrently(t *testing.T) {
	forEachKind(t, func(t *testing.T, starter server.Starter, spec server.Spec) {
		spec.Config = small.With(server.Config{"no-such-directive": "1"})
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				for range 2 {
					if _, err := starter(t.Context(), spec); err == nil ||
						!strings.Contains(err.Error(), "no-such-directive") {
						t.Errorf("the error does not name the directive: %v", err)
					}
				}
			})
		}
		wg.Wait()
	})
}

// After a failed restart the server is down, and another restart brings it back.
func TestRestartAfterBadDirective(t *testing.T) {
	forEachKind(t, func(t *testing.T, starter server.Starter, spec server.Spec) {
		s := start(t, starter, spec)
		err := s.Restart(t.Context(), small.With(server.Config{"no-such-directive": "1"}))
		wantOneLine(t, err, "no-such-directive", "Bad directive")
		if err := s.Pause(t.Context()); err == nil {
			t.Error("a server that is down can be paused")
		}
		if err := s.Restart(t.Context(), small); err != nil {
			t.Fatal(err)
		}
		openControl(t, s)
	})
}

// Redis before 7.0 cannot change its port while it runs, and no Redis can without CONFIG. A restart
// then has no gate.
func TestRestartWithoutGate(t *testing.T) {
	forEachKind(t, func(t *testing.T, starter server.Starter, spec server.Spec) {
		spec.Config = small.With(server.Config{"rename-command": `CONFIG ""`})
		s := start(t, starter, spec)
		for range 2 {
			if err := s.Restart(t.Context(), spec.Config); err != nil {
				t.Fatal(err)
			}
			openControl(t, s)
		}
	})
}

func TestPassword(t *testing.T) {
	forEachKind(t, func(t *testing.T, starter server.Starter, spec server.Spec) {
		spec.Config = small.With(server.Config{"requirepass": `"first secret"`})
		s := start(t, starter, spec)
		openControl(t, s)
		if err := s.Restart(t.Context(), small.With(server.Config{"requirepass": "second"})); err != nil {
			t.Fatal(err)
		}
		if got := s.Endpoint().Password; got != "second" {
			t.Errorf("the password is %q", got)
		}
		control := openControl(t, s)
		if err := control.Admin.Ping(t.Context()).Err(); err != nil {
			t.Error(err)
		}
	})
}

// The largest scenario has 10,000 slots, which need 10,032 file descriptors. The soft limit is
// often 1,024: Redis raises it itself, up to the hard limit.
func TestTenThousandSlots(t *testing.T) {
	forEachKind(t, func(t *testing.T, starter server.Starter, spec server.Spec) {
		spec.Config = small.With(server.Config{"maxclients": "10000"})
		control := openControl(t, start(t, starter, spec))
		if err := server.VerifyMaxClients(t.Context(), control, 10000); err != nil {
			t.Error(err)
		}
	})
}

func TestTooFewFileDescriptors(t *testing.T) {
	needProcess(t)
	real := lookPath(t, "redis-server")
	wrapper := "ulimit -n 200\nexec " + real
	if os.Getuid() == 0 {
		// Root could raise the hard limit again, unless it lacks that capability.
		wrapper = "ulimit -n 200\nexec " + lookPath(t, "setpriv") +
			" --bounding-set=-sys_resource --inh-caps=-sys_resource " + real
	}
	onlyOnPath(t, "redis-server", wrapper)
	s := start(t, process.Start, server.Spec{
		Config: small.With(server.Config{"maxclients": "1000"}), Workspace: newWorkspace(t), Name: "few-files",
	})
	control := openControl(t, s)
	if got, err := control.MaxClients(t.Context()); err != nil || got != 200-32 {
		t.Errorf("maxclients is %d, %v", got, err)
	}
	err := server.VerifyMaxClients(t.Context(), control, 1000)
	wantOneLine(t, err, "168 instead of 1000", "1032 file descriptors", "ulimit")
}

// onlyOnPath makes a shell script the only program on PATH.
func onlyOnPath(t *testing.T, name, script string) {
	t.Helper()
	dir := t.TempDir()
	if script != "" {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+` "$@"`+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
}

// Docker stops answering in the middle of a run: the test puts a socket in front of Docker's and
// closes it.
func TestDockerLostInMidRun(t *testing.T) {
	image := needImage(t)
	door := openDoor(t)
	t.Setenv("DOCKER_HOST", "unix://"+door.path)
	spec := server.Spec{Config: small, Image: image, Workspace: newWorkspace(t), Name: "gone"}
	s, err := container.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	door.shut()
	for verb, err := range map[string]error{
		"kill": s.Kill(t.Context()), "pause": s.Pause(t.Context()),
		"restart": s.Restart(t.Context(), small), "remove": s.Stop(t.Context()),
	} {
		wantOneLine(t, err, verb+" container lockjam-test-gone-", "Docker no longer answers")
	}
	door.open(t)
	defer door.shut()
	if err := s.Stop(t.Context()); err != nil {
		t.Errorf("stop once Docker is back: %v", err)
	}
}

// A start that is cancelled at any point leaves nothing behind.
func TestCancelledStart(t *testing.T) {
	forEachKind(t, func(t *testing.T, starter server.Starter, spec server.Spec) {
		for _, milliseconds := range []int{0, 2, 20, 100, 250} {
			after := time.Duration(milliseconds) * time.Millisecond
			ctx, cancel := context.WithTimeout(t.Context(), after)
			s, err := starter(ctx, spec)
			cancel()
			if err == nil {
				err = s.Stop(context.Background()) // the start was faster
			} else if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("cancelled after %v: %v", after, err)
			} else {
				err = nil
			}
			if err != nil {
				t.Error(err)
			}
			nothingLeft(t, spec.Workspace)
		}
	})
}
