package container_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"go.uber.org/goleak"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/container"
)

// helperVariable turns the test binary into the run that the sweep test kills.
const helperVariable = "LOCKJAM_TEST_HELPER"

func TestMain(m *testing.M) {
	if os.Getenv(helperVariable) != "" {
		runHelper()
		return
	}
	goleak.VerifyTestMain(m)
}

// small is a configuration that shows: few slots, nothing saved, and a value that no default has.
var small = server.Config{"maxclients": "20", "save": `""`, "slowlog-max-len": "77"}

// newWorkspace makes a workspace that the test closes: that proves that nothing in it runs any
// more.
func newWorkspace(t *testing.T) *server.Workspace {
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
	return w
}

// start starts a server that is stopped at the end of the test, unless the test does so itself.
func start(t *testing.T, starter server.Starter, spec server.Spec) server.Server {
	t.Helper()
	s, err := starter(t.Context(), spec)
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

// needProcess skips the test where no server is on PATH.
func needProcess(t *testing.T) {
	t.Helper()
	if _, _, err := container.Choose(t.Context(), server.KindProcess, "", nil); err != nil {
		t.Skip(err)
	}
}

// needImage skips the test where there is no image to start a container from, and returns the
// image.
func needImage(t *testing.T) string {
	t.Helper()
	_, image, err := container.Choose(t.Context(), server.KindContainer, os.Getenv("LOCKJAM_REDIS_IMAGE"), nil)
	if errors.Is(err, server.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// docker is a client of the test's own, to look at what the package has left behind.
func docker(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New(client.FromEnv)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// containers counts the containers, running or not, with a label.
func containers(t *testing.T, label string) int {
	t.Helper()
	found, err := docker(t).ContainerList(t.Context(), client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", label)})
	if err != nil {
		t.Fatal(err)
	}
	return len(found.Items)
}

// within is a context that ends a test step which hangs.
func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), limit, fmt.Errorf("the test gave it %v", limit))
	t.Cleanup(cancel)
	return ctx
}

// folderIsEmpty checks that a server has removed what it made in the workspace.
func folderIsEmpty(t *testing.T, w *server.Workspace) {
	t.Helper()
	entries, err := os.ReadDir(w.Dir())
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.IsDir() {
			t.Errorf("%s is left in the workspace", entry.Name())
		}
	}
}

// lookPath skips the test where a program that it is built on is missing.
func lookPath(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip(err)
	}
	return path
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
