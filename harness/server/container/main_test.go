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
	"github.com/lockjam/lockjam/harness/server/process"
)

// helperVariable makes the test binary act as the run that the sweep test kills.
const helperVariable = "LOCKJAM_TEST_HELPER"

func TestMain(m *testing.M) {
	if os.Getenv(helperVariable) != "" {
		runHelper()
		return
	}
	goleak.VerifyTestMain(m)
}

// small is a recognisable configuration: few slots, nothing saved, and a value that is no default.
var small = server.Config{"maxclients": "20", "save": `""`, "slowlog-max-len": "77"}

// newWorkspace creates a workspace and closes it at the end of the test, which proves that no
// server in it is running.
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

// start starts a server and stops it at the end of the test, unless the test has done so.
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

// needProcess skips the test if no server is on PATH.
func needProcess(t *testing.T) {
	t.Helper()
	if _, err := process.Find(); err != nil {
		t.Skip(err)
	}
}

// needImage returns the image to start containers from, and skips the test if there is none.
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

// docker returns a client with which a test inspects what the package has left behind.
func docker(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New(client.FromEnv)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// containers returns the number of containers, running or not, with a label.
func containers(t *testing.T, label string) int {
	t.Helper()
	options := client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", label)}
	found, err := docker(t).ContainerList(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	return len(found.Items)
}

// within returns a context that ends a step if it hangs.
func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), limit, fmt.Errorf("the test gave it %v", limit))
	t.Cleanup(cancel)
	return ctx
}

// folderIsEmpty checks that a server has removed its folder from the workspace.
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

// lookPath returns the path of a program, and skips the test if it is missing.
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
