package remedies

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/server"
)

// confPath is where the server's redis.conf stands. A process server starts in its
// own folder, with the file in it.
func (b *bench) confPath() string {
	b.Helper()
	dir := b.control.Admin.ConfigGet(b.Context(), "dir").Val()["dir"]
	if dir == "" {
		b.Fatal("the server does not say where its folder is")
	}
	return filepath.Join(dir, "redis.conf")
}

// ownFile is what the server's redis.conf says, read as a restart would.
func (b *bench) ownFile() server.Config {
	b.Helper()
	content, err := os.ReadFile(b.confPath())
	if err != nil {
		b.Fatal(err)
	}
	c := server.Config{}
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if directive, value, ok := strings.Cut(line, " "); ok && !strings.HasPrefix(line, "#") {
			c[directive] = value
		}
	}
	return c
}

// The harness writes redis.conf anew at every restart. An operator does not: so the
// file that the server left is what it is restarted with.
func TestRaiseMaxclientsLiveOutlivesARestart(t *testing.T) {
	b := newBench(t, nil)
	b.fill()
	if err := b.apply("raise-maxclients-live", map[string]string{"maxclients": "100"}); err != nil {
		t.Fatal(err)
	}
	b.logged("CONFIG SET maxclients 100, over a control connection: OK", "CONFIG GET maxclients: 100",
		"CONFIG REWRITE: OK: the raise outlives the next restart")
	if err := b.Restart(t.Context(), b.ownFile()); err != nil || b.maxclients() != "100" {
		t.Errorf("after a restart with the server's own file: %v, maxclients %s", err, b.maxclients())
	}
	// Without the rewrite it would not have: this is what the step is for.
	if err := b.Restart(t.Context(), b.Config); err != nil || b.maxclients() != "12" {
		t.Errorf("after a restart with the old file: %v, maxclients %s", err, b.maxclients())
	}
}

// The incident is over whether or not the file can be written.
func TestRaiseMaxclientsLiveWhereTheFileCannotBeWritten(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		spoil        func(*bench)
	}{
		{"a folder stands where the file was", "ERR Rewriting config file: ", func(b *bench) {
			path := b.confPath()
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
				b.Fatal(err)
			}
		}},
		{"a managed service forbids it", "NOPERM", func(b *bench) { b.forbid("-config|rewrite") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, nil)
			c.spoil(b)
			if err := b.apply("raise-maxclients-live", map[string]string{"maxclients": "100"}); err != nil ||
				b.maxclients() != "100" {
				t.Errorf("%v, maxclients %s", err, b.maxclients())
			}
			b.logged("CONFIG REWRITE: the raise is lost with the next restart: " + c.answer)
		})
	}
}

// Servers in containers are often started with arguments alone.
func TestRaiseMaxclientsLiveWithoutAConfigFile(t *testing.T) {
	startWith(t, `exec %s - < "$1"`)
	b := newBench(t, nil)
	if err := b.apply("raise-maxclients-live", map[string]string{"maxclients": "100"}); err != nil ||
		b.maxclients() != "100" {
		t.Errorf("%v, maxclients %s", err, b.maxclients())
	}
	b.logged("CONFIG REWRITE: the raise is lost with the next restart: ERR The server is running without a config file")
}

// The redis.conf of a server that lockjam did not start cannot be put back when the run is over.
func TestRaiseMaxclientsLiveLeavesSomebodyElsesFileAlone(t *testing.T) {
	b := newBench(t, nil)
	attached, err := server.Attach("redis://"+b.Server.Endpoint().Addr)(t.Context(), server.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	theirs := b.Server
	b.Server = attached // and Reconfigurable is nil: --allow-destructive
	err = b.apply("raise-maxclients-live", map[string]string{"maxclients": "100"})
	b.Server = theirs
	if err != nil || b.maxclients() != "100" || b.ownFile()["maxclients"] != "12" {
		t.Errorf("%v, maxclients %s, in the file %s; want 100, and 12 in the file", err, b.maxclients(),
			b.ownFile()["maxclients"])
	}
	b.logged("CONFIG REWRITE: not carried out")
}

// A server that may open 100 files has no room for 10,000 clients. Live it says so;
// at a start it lowers the limit without a word to its clients.
func TestRaisesWithTooFewFileDescriptors(t *testing.T) {
	startWith(t, `ulimit -n 100 && exec %s "$@"`)
	b := newBench(t, nil)
	err := b.apply("raise-maxclients-live", nil)
	if err == nil {
		t.Skip("this user may raise the limit of open files (CAP_SYS_RESOURCE), and so may the server: it cannot be made to fail here")
	}
	const words = "The operating system is not able to handle the specified number of clients, try with "
	if !errors.Is(err, ErrBlocked) || !strings.Contains(err.Error(), words) {
		t.Errorf("%v; want blocked, with the server's words", err)
	}
	b.logged(words)
	if b.maxclients() != "12" {
		t.Errorf("maxclients is %s after a raise that failed", b.maxclients())
	}
	err = b.apply("raise-maxclients-restart", nil)
	if !errors.Is(err, ErrBlocked) ||
		!strings.Contains(err.Error(), "after it was set to 10000: raise the server's limit of open files (nofile)") {
		t.Errorf("with a restart: %v; want blocked, with what to raise", err)
	}
	b.logged("CONFIG GET maxclients: " + b.maxclients())
}

// startWith puts a script in the place of redis-server, with the real one's path
// filled in.
func startWith(t *testing.T, script string) {
	t.Helper()
	for _, name := range []string{"redis-server", "valkey-server"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		dir := t.TempDir()
		content := "#!/bin/sh\n" + fmt.Sprintf(script, path) + "\n"
		if err := os.WriteFile(filepath.Join(dir, "redis-server"), []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
		return
	}
	// Without one newBench skips the test, and says what to install.
}
