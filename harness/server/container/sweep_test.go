package container_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	dockercontainer "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/container"
	"github.com/lockjam/lockjam/harness/server/process"
)

var pingOptions = client.PingOptions{NegotiateAPIVersion: true}

// runHelper acts as a run: it starts the requested servers, prints their addresses, and waits to be
// killed.
func runHelper() {
	ctx := context.Background()
	w, err := server.NewWorkspace("helper")
	if err != nil {
		fmt.Println("error", err)
		return
	}
	fmt.Println("workspace", w.Dir())
	for _, kind := range strings.Fields(os.Getenv(helperVariable)) {
		kind, topology, _ := strings.Cut(kind, "+")
		starter, image, err := container.Choose(ctx, kind, os.Getenv("LOCKJAM_REDIS_IMAGE"), nil)
		var s server.Server
		if err == nil {
			s, err = starter(ctx, server.Spec{
				Config: small, Image: image, Workspace: w, Name: kind, Topology: server.Topology(topology),
			})
		}
		if err == nil && kind == server.KindProcess {
			err = s.Pause(ctx) // a stopped process ignores every signal but SIGKILL
		}
		if err != nil {
			fmt.Println("error", err)
			return
		}
		fmt.Println(kind, s.Endpoint().Addr)
	}
	fmt.Println("ready")
	select {}
}

// deadRun starts a helper, kills it, and returns its workspace and the addresses of its servers.
func deadRun(t *testing.T, kinds ...string) (dir string, addrs []string) {
	t.Helper()
	helper := exec.Command(os.Args[0])
	helper.Env = append(os.Environ(), helperVariable+"="+strings.Join(kinds, " "))
	output, err := helper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	helper.Stderr = os.Stderr
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	defer helper.Wait()
	defer helper.Process.Kill()
	for lines := bufio.NewScanner(output); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "workspace":
			dir = rest
		case "ready":
			return dir, addrs
		case "error":
			t.Fatal("helper: ", rest)
		default:
			addrs = append(addrs, rest)
		}
	}
	t.Fatal("the helper has ended")
	return
}

func TestSweep(t *testing.T) {
	needProcess(t)
	// With a TMPDIR of its own the test touches no other run on this machine, and the counts are
	// exact.
	t.Setenv("TMPDIR", t.TempDir())
	kinds, withDocker := []string{server.KindProcess}, false
	image := os.Getenv("LOCKJAM_REDIS_IMAGE")
	if _, _, err := container.Choose(t.Context(), server.KindContainer, image, nil); err == nil {
		kinds, withDocker = append(kinds, server.KindContainer), true
	}
	dir, addrs := deadRun(t, kinds...)
	want := server.Swept{Runs: 1, Processes: 1, Folders: 1}
	bystanders := []func(){foreignFolder(t), foreignServer(t), liveRun(t)}
	if withDocker {
		want.Containers = 1
		bystanders = append(bystanders, foreignContainers(t))
	}

	var notes bytes.Buffer
	got, err := server.Sweep(t.Context(), container.Leftovers, func(s string) { fmt.Fprintln(&notes, s) })
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("swept %+v instead of %+v:\n%s", got, want, &notes)
	}
	if lines := strings.Count(notes.String(), "\n"); lines != want.Processes+want.Containers+want.Folders {
		t.Errorf("notes:\n%s", &notes)
	}
	for _, addr := range addrs {
		if _, err := net.DialTimeout("tcp", addr, time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s is still there: %v", addr, err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
	for _, unharmed := range bystanders {
		unharmed()
	}
	wantSwept(t, server.Swept{}) // nothing is left for a second sweep
}

// wantSwept sweeps, and checks what was removed.
func wantSwept(t *testing.T, want server.Swept) {
	t.Helper()
	if got, err := server.Sweep(t.Context(), container.Leftovers, nil); err != nil || got != want {
		t.Errorf("swept %+v instead of %+v: %v", got, want, err)
	}
}

// A run may be killed between the start of a server and its record, or its record may be wrong
// because the clock was set.
func TestSweepWithoutRecord(t *testing.T) {
	needProcess(t)
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock") // no error, because the run used no Docker
	dir, addrs := deadRun(t, server.KindProcess)
	if err := os.Remove(filepath.Join(dir, "started")); err != nil {
		t.Fatal(err)
	}
	wantSwept(t, server.Swept{Runs: 1, Processes: 1, Folders: 1})
	if _, err := net.Dial("tcp", addrs[0]); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the server is still there: %v", err)
	}
}

// Every process of a topology is recorded, and swept.
func TestSweepOfTopologies(t *testing.T) {
	needProcess(t)
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
	_, addrs := deadRun(t, server.KindProcess+"+"+string(server.Sentinel), server.KindProcess+"+"+
		string(server.Cluster))
	wantSwept(t, server.Swept{Runs: 1, Processes: 6, Folders: 1})
	for _, addr := range addrs {
		if _, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s is still there: %v", addr, err)
		}
	}
}

// A dead run that has used Docker cannot be swept without Docker: its folder stays for a later
// sweep.
func TestSweepWithDockerGone(t *testing.T) {
	needImage(t)
	t.Setenv("TMPDIR", t.TempDir())
	dir, _ := deadRun(t, server.KindContainer)
	t.Run("gone", func(t *testing.T) {
		t.Setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
		got, err := server.Sweep(t.Context(), container.Leftovers, nil)
		wantOneLine(t, err, dir, "containers cannot be removed", "/nonexistent/docker.sock")
		if got != (server.Swept{}) {
			t.Errorf("swept %+v", got)
		}
	})
	wantSwept(t, server.Swept{Runs: 1, Containers: 1, Folders: 1})
}

// The folder of a dead run may be removed by a reboot or a cleaner, and its containers are then
// found by their label. But the folder of a live run may lie in a /tmp of its own: only age
// distinguishes the two.
func TestSweepWithFolderGone(t *testing.T) {
	needImage(t)
	t.Setenv("TMPDIR", t.TempDir())
	dir, _ := deadRun(t, server.KindContainer)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	wantSwept(t, server.Swept{}) // the container is too young
	defer container.SetStrayAge(0)()
	wantSwept(t, server.Swept{Runs: 1, Containers: 1})
}

// foreignFolder creates a folder with the name of a workspace and an owner file without our first
// line.
func foreignFolder(t *testing.T) (unharmed func()) {
	dir := filepath.Join(os.TempDir(), "lockjam-recipes")
	bare := filepath.Join(os.TempDir(), "lockjam-bare")
	for _, d := range []string{dir, bare} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	owner := filepath.Join(dir, "owner")
	if err := os.WriteFile(owner, []byte("Aunt Agatha\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 { // only root can give a folder away
		stranger := filepath.Join(os.TempDir(), "lockjam-stranger")
		if err := os.Mkdir(stranger, 0o700); err != nil {
			t.Fatal(err)
		}
		owned := []byte("lockjam workspace v1\nrun stranger\n")
		if err := os.WriteFile(filepath.Join(stranger, "owner"), owned, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(stranger, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		bare = stranger
	}
	return func() {
		for _, path := range []string{owner, bare} {
			if _, err := os.Stat(path); err != nil {
				t.Error(err)
			}
		}
	}
}

// foreignServer starts a redis-server that is not lockjam's, in a folder whose name begins like
// that of a workspace.
func foreignServer(t *testing.T) (unharmed func()) {
	foreign := exec.Command(lookPath(t, "redis-server"), "--port", "0", "--unixsocket", "redis.sock", "--save", "")
	foreign.Dir = filepath.Join(os.TempDir(), "lockjam-bare")
	if err := foreign.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		foreign.Process.Kill()
		foreign.Wait()
	})
	return func() {
		if err := foreign.Process.Signal(syscall.Signal(0)); err != nil {
			t.Errorf("the foreign redis-server: %v", err)
		}
	}
}

// liveRun starts a server in a workspace of this very process.
func liveRun(t *testing.T) (unharmed func()) {
	w := newWorkspace(t)
	s := start(t, process.Start, server.Spec{Config: small, Workspace: w, Name: "live"})
	return func() { openControl(t, s) }
}

// foreignContainers creates one container without labels, and one of a run on another machine that
// shares this Docker.
func foreignContainers(t *testing.T) (unharmed func()) {
	image, c := needImage(t), docker(t)
	var ids []string
	for _, labels := range []map[string]string{
		nil,
		{"dev.lockjam.run": "remote", "dev.lockjam.host": "another.example", "dev.lockjam.workspace": "/nonexistent"},
	} {
		created, err := c.ContainerCreate(t.Context(), client.ContainerCreateOptions{
			Config: &dockercontainer.Config{Image: image, Cmd: []string{"redis-server"}, Labels: labels},
		})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, created.ID)
		t.Cleanup(func() {
			c.ContainerRemove(context.Background(), created.ID,
				client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		})
	}
	return func() {
		for _, id := range ids {
			if _, err := c.ContainerInspect(t.Context(), id, client.ContainerInspectOptions{}); err != nil {
				t.Error(err)
			}
		}
	}
}

// door is a socket in front of Docker's that can be closed.
type door struct {
	path, docker string
	listener     net.Listener
	inside       chan net.Conn
}

func openDoor(t *testing.T) *door {
	t.Helper()
	host := docker(t).DaemonHost()
	socket, ok := strings.CutPrefix(host, "unix://")
	if !ok {
		t.Skipf("Docker is at %s, not at a socket", host)
	}
	dir, err := os.MkdirTemp("", "door") // t.TempDir is too long for a socket on some systems
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &door{path: filepath.Join(dir, "docker.sock"), docker: socket, inside: make(chan net.Conn, 1000)}
	d.open(t)
	return d
}

func (d *door) open(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("unix", d.path)
	if err != nil {
		t.Fatal(err)
	}
	d.listener = listener
	go func() {
		for {
			outer, err := listener.Accept()
			if err != nil {
				return
			}
			inner, err := net.Dial("unix", d.docker)
			if err != nil {
				outer.Close()
				continue
			}
			d.inside <- outer
			d.inside <- inner
			go func() {
				io.Copy(inner, outer)
				inner.Close()
			}()
			go func() {
				io.Copy(outer, inner)
				outer.Close()
			}()
		}
	}()
}

// shut closes the socket and every connection through it.
func (d *door) shut() {
	d.listener.Close()
	for {
		select {
		case connection := <-d.inside:
			connection.Close()
		default:
			return
		}
	}
}
