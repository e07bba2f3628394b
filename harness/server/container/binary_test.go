package container_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/container"
)

// programs creates a folder with programs of these names, each of which runs the real server.
func programs(t *testing.T, names ...string) string {
	t.Helper()
	real := ""
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil && real == "" {
			real = path
		}
	}
	dir := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\nexec "+real+" \"$@\"\n"),
			0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// binaryOf starts a server of a kind and returns the path of its program.
func binaryOf(t *testing.T, kind string, topology server.Topology) string {
	t.Helper()
	starter, _, err := container.Choose(t.Context(), kind, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	spec := server.Spec{Config: small, Workspace: newWorkspace(t), Name: "chosen", Topology: topology}
	return start(t, starter, spec).Info().Binary
}

// The first server on PATH is taken, be it Redis or Valkey.
func TestProcessIsTheFirstOnPath(t *testing.T) {
	needProcess(t)
	valkey, redis := programs(t, "valkey-server"), programs(t, "redis-server")
	both, none := programs(t, "valkey-server", "redis-server"), t.TempDir()
	if err := os.WriteFile(filepath.Join(none, "redis-server"), []byte("not executable"), 0o600); err != nil {
		t.Fatal(err)
	}
	rest := os.Getenv("PATH")
	for _, c := range []struct {
		path []string
		want string
	}{
		{[]string{valkey, redis}, filepath.Join(valkey, "valkey-server")},
		{[]string{redis, valkey}, filepath.Join(redis, "redis-server")},
		{[]string{both, valkey}, filepath.Join(both, "redis-server")},
		{[]string{none, "relative", valkey, redis}, filepath.Join(valkey, "valkey-server")},
	} {
		t.Setenv("PATH", strings.Join(append(c.path, rest), string(os.PathListSeparator)))
		if got := binaryOf(t, server.KindProcess, server.Single); got != c.want {
			t.Errorf("PATH %q: got %s, want %s", c.path, got, c.want)
		}
	}
}

// A named program is used for every node, whatever is on PATH.
func TestNamedProgram(t *testing.T) {
	needProcess(t)
	named := filepath.Join(programs(t, "my-server"), "my-server")
	t.Setenv("PATH", "/nonexistent:/bin:/usr/bin")
	for _, topology := range server.Topologies {
		if got := binaryOf(t, "process:"+named, topology); got != named {
			t.Errorf("%s: got %s", topology, got)
		}
	}
}

func TestNamedProgramThatIsNoServer(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for kind, words := range map[string]string{
		"process:" + dir + "/missing": "missing: no such file or directory",
		"process:" + file + "/below":  "not a directory",
		"process:" + dir:              "not an executable file",
		"process:" + file:             "not an executable file",
		"process:/bin/true":           "its answer to --version is not that of a Redis or Valkey server",
	} {
		_, _, err := container.Choose(t.Context(), kind, "", nil)
		if !errors.Is(err, server.ErrUnavailable) {
			t.Errorf("%s: not ErrUnavailable: %v", kind, err)
		}
		wantOneLine(t, err, words)
	}
	if _, _, err := container.Choose(t.Context(), "process:", "", nil); !errors.Is(err, server.ErrUsage) {
		t.Errorf("no program: %v", err)
	}
}
