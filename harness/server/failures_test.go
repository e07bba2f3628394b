package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/api/types/system"

	"github.com/lockjam/lockjam/harness/server"
)

// oneLine checks that an error is one line and says all that it has to.
func oneLine(t *testing.T, err error, words ...string) {
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

// starters are the kinds that start something, with what they need to do so.
func starters(t *testing.T, test func(t *testing.T, starter server.Starter, spec server.Spec)) {
	t.Run(server.KindProcess, func(t *testing.T) {
		needProcess(t)
		test(t, server.StartProcess, server.Spec{Config: small, Workspace: newWorkspace(t), Name: "failures"})
	})
	t.Run(server.KindContainer, func(t *testing.T) {
		image := needImage(t)
		test(t, server.StartContainer, server.Spec{Config: small, Image: image, Workspace: newWorkspace(t), Name: "failures"})
	})
}

// nothingLeft checks that a failed start has cleaned up after itself.
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
	starters(t, func(t *testing.T, starter server.Starter, spec server.Spec) {
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		spec.Port = taken.Addr().(*net.TCPAddr).Port
		_, err = starter(t.Context(), spec)
		oneLine(t, err, fmt.Sprintf("port %d on 127.0.0.1", spec.Port), "already in use")
		nothingLeft(t, spec.Workspace)
	})
}

// A Redis of somebody else answers on the port: it must not be taken for ours, which would be flushed in the end.
func TestPortOfAnotherRedis(t *testing.T) {
	starters(t, func(t *testing.T, starter server.Starter, spec server.Spec) {
		needProcess(t)
		theirs := start(t, server.StartProcess, server.Spec{Config: small, Workspace: newWorkspace(t), Name: "theirs"})
		_, port, err := net.SplitHostPort(theirs.Endpoint().Addr)
		if err != nil {
			t.Fatal(err)
		}
		if spec.Port, err = strconv.Atoi(port); err != nil {
			t.Fatal(err)
		}
		_, err = starter(t.Context(), spec)
		oneLine(t, err, fmt.Sprintf("port %d on 127.0.0.1", spec.Port), "already in use")
		nothingLeft(t, spec.Workspace)
	})
}

func TestNetworkOfAContainer(t *testing.T) {
	here := system.Info{Name: "box", KernelVersion: "6.1.0-13-amd64", SecurityOptions: []string{"name=seccomp,profile=builtin", "name=cgroupns"}}
	for _, c := range []struct {
		name   string
		change func(*system.Info)
		shares bool
	}{
		{"Docker on this machine", func(*system.Info) {}, true},
		{"Docker Desktop on WSL has this machine's kernel", func(i *system.Info) { i.Name = "docker-desktop" }, false},
		{"a virtual machine may copy the name", func(i *system.Info) { i.KernelVersion = "6.6.12-linuxkit" }, false},
		{"rootless", func(i *system.Info) { i.SecurityOptions = append(i.SecurityOptions, "name=rootless") }, false},
		{"users are remapped", func(i *system.Info) { i.SecurityOptions = append(i.SecurityOptions, "name=userns") }, false},
	} {
		info := here
		info.SecurityOptions = slices.Clone(here.SecurityOptions)
		c.change(&info)
		if got := server.Shares(info, "box", "6.1.0-13-amd64"); got != c.shares {
			t.Errorf("%s: shares the network: %t", c.name, got)
		}
	}
}

func TestGivenPort(t *testing.T) {
	starters(t, func(t *testing.T, starter server.Starter, spec server.Spec) {
		spec.Port = 19379
		if s := start(t, starter, spec); s.Endpoint().Addr != "127.0.0.1:19379" {
			t.Errorf("it listens on %s", s.Endpoint().Addr)
		}
	})
}

func TestBadDirective(t *testing.T) {
	starters(t, func(t *testing.T, starter server.Starter, spec server.Spec) {
		spec.Config = small.With(server.Config{"no-such-directive": "1"})
		_, err := starter(t.Context(), spec)
		oneLine(t, err, "no-such-directive", "Bad directive")
		nothingLeft(t, spec.Workspace)
	})
}

// A restart that fails leaves a server that is down, and that another restart brings back.
// What ends at once is heard as well where several start side by side: Docker notes late then that they have started.
func TestBadDirectiveSideBySide(t *testing.T) {
	starters(t, func(t *testing.T, starter server.Starter, spec server.Spec) {
		spec.Config = small.With(server.Config{"no-such-directive": "1"})
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				for range 2 {
					if _, err := starter(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "no-such-directive") {
						t.Errorf("it does not say what it does not take: %v", err)
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestRestartAfterBadDirective(t *testing.T) {
	starters(t, func(t *testing.T, starter server.Starter, spec server.Spec) {
		s := start(t, starter, spec)
		oneLine(t, s.Restart(t.Context(), small.With(server.Config{"no-such-directive": "1"})), "no-such-directive", "Bad directive")
		if err := s.Pause(t.Context()); err == nil {
			t.Error("a server that is down can be paused")
		}
		if err := s.Restart(t.Context(), small); err != nil {
			t.Fatal(err)
		}
		openControl(t, s)
	})
}

// Redis before 7.0 cannot change its port while it runs, and no Redis can without CONFIG: then the restart has no gate.
func TestRestartWithoutGate(t *testing.T) {
	starters(t, func(t *testing.T, starter server.Starter, spec server.Spec) {
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
	starters(t, func(t *testing.T, starter server.Starter, spec server.Spec) {
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

// The swarm's largest scenario has 10,000 slots, which takes 10,032 file descriptors. The soft limit is often 1,024: Redis
// raises it by itself, up to the hard limit.
func TestTenThousandSlots(t *testing.T) {
	starters(t, func(t *testing.T, starter server.Starter, spec server.Spec) {
		spec.Config = small.With(server.Config{"maxclients": "10000"})
		if err := server.VerifyMaxClients(t.Context(), openControl(t, start(t, starter, spec)), 10000); err != nil {
			t.Error(err)
		}
	})
}

func TestTooFewFileDescriptors(t *testing.T) {
	needProcess(t)
	real := lookPath(t, "redis-server")
	wrapper := "ulimit -n 200\nexec " + real
	if os.Getuid() == 0 {
		// Root may raise the hard limit again, unless it has lost that capability.
		wrapper = "ulimit -n 200\nexec " + lookPath(t, "setpriv") + " --bounding-set=-sys_resource --inh-caps=-sys_resource " + real
	}
	onlyOnPath(t, "redis-server", wrapper)
	s := start(t, server.StartProcess, server.Spec{
		Config: small.With(server.Config{"maxclients": "1000"}), Workspace: newWorkspace(t), Name: "few-files",
	})
	control := openControl(t, s)
	if got, err := control.MaxClients(t.Context()); err != nil || got != 200-32 {
		t.Errorf("maxclients is %d, %v", got, err)
	}
	oneLine(t, server.VerifyMaxClients(t.Context(), control, 1000), "168 instead of 1000", "1032 file descriptors", "ulimit")
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

func TestMissingImage(t *testing.T) {
	needImage(t)
	const image = "127.0.0.1:9/lockjam/no-such-image:1" // a registry that refuses at once, and is never left for another
	var said []string
	say := func(s string) { said = append(said, s) }
	_, _, err := server.Choose(t.Context(), server.KindContainer, image, say)
	oneLine(t, err, image, "cannot be pulled", "refused")
	if !errors.Is(err, server.ErrUnavailable) {
		t.Errorf("not ErrUnavailable: %v", err)
	}
	if len(said) != 1 || !strings.Contains(said[0], "pulling image "+image) {
		t.Errorf("said %q", said)
	}
	w := newWorkspace(t)
	_, err = server.StartContainer(t.Context(), server.Spec{Config: small, Image: image, Workspace: w, Name: "missing"})
	oneLine(t, err, image)
	nothingLeft(t, w)
}

func TestUnknownKind(t *testing.T) {
	for kind, words := range map[string][]string{
		"":                                  {"unknown kind", "auto, container, process"},
		"podman":                            {`"podman"`},
		"redis://127.0.0.1:port":            {"redis://"},
		"redis://127.0.0.1:6379/0?bogus=1":  {"bogus"},
		"redis://u:secret@127.0.0.1:port":   {"not repeated"},
		"redis://u:secret@h:1/x?read_time=": {"not repeated"},

		// What is special in a password belongs percent-encoded.
		"redis://:sec/secret@h:1":       {"%2F", "not repeated"},
		"redis://:secret?x@h:1":         {"%3F", "not repeated"},
		"redis://:secret#x@h:1":         {"%23", "not repeated"},
		"redis://u:6379#secret@h:1":     {"%23", "not repeated"},
		"redis://u:12/secret@h:1":       {"%2F", "not repeated"},
		"redis://:secret%x@h:1":         {"%25", "not repeated"},
		"redis://:secret x@h:1":         {"percent-encode"},
		"redis://:a@secret/x@h:1":       {"percent-encode"},
		"u:secret@h:1":                  {"redis://HOST:PORT"},
		"unix:///run/redis.sock":        {"Unix sockets", "redis://HOST:PORT"},
		"unix://u:secret@/x.sock":       {"Unix sockets"},
		"valkey://u:secret@h:1":         {`"valkey"`, "write redis://"},
		"valkeys://h:1":                 {`"valkeys"`, "write rediss://"},
		"https://h:1":                   {`"https"`, "write rediss://"},
		"redis-sentinel://u:secret@h:1": {"write redis://"},
		"redis://h:1/-1":                {"no database has the number -1"},
		"redis://h:99999":               {"no port has the number 99999"},
		"redis://h:0":                   {"no port has the number 0"},
	} {
		_, _, err := server.Choose(t.Context(), kind, "", nil)
		oneLine(t, err, words...)
		if !errors.Is(err, server.ErrUsage) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", kind, err)
		}
	}
}

func TestAddressWithoutServer(t *testing.T) {
	starter, image, err := server.Choose(t.Context(), "redis://127.0.0.1:9", "", nil)
	if err != nil || image != "" {
		t.Fatal(image, err)
	}
	_, err = starter(t.Context(), server.Spec{})
	oneLine(t, err, "127.0.0.1:9", "refused")
	if !errors.Is(err, server.ErrUnavailable) {
		t.Errorf("not ErrUnavailable: %v", err)
	}
}

func TestWithoutDocker(t *testing.T) {
	for name, host := range map[string]string{
		"gone":            "unix:///nonexistent/docker.sock",
		"another machine": "tcp://192.0.2.1:2375", // never dialled
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("DOCKER_HOST", host)
			_, _, err := server.Choose(t.Context(), server.KindContainer, "", nil)
			oneLine(t, err, host)
			if !errors.Is(err, server.ErrUnavailable) {
				t.Errorf("not ErrUnavailable: %v", err)
			}
			_, err = server.StartContainer(t.Context(), server.Spec{Config: small, Workspace: newWorkspace(t), Name: "no-docker"})
			oneLine(t, err, host)

			t.Run("auto is a process", func(t *testing.T) {
				needProcess(t)
				var said []string
				starter, image, err := server.Choose(t.Context(), server.KindAuto, "", func(s string) { said = append(said, s) })
				if err != nil || image != "" {
					t.Fatal(image, err)
				}
				s := start(t, starter, server.Spec{Config: small, Workspace: newWorkspace(t), Name: "auto"})
				if s.Info().Kind != server.KindProcess {
					t.Errorf("auto has started %+v", s.Info())
				}
				if len(said) != 1 || !strings.Contains(said[0], host) {
					t.Errorf("said %q", said)
				}
			})
			t.Run("auto without a server on PATH", func(t *testing.T) {
				onlyOnPath(t, "", "")
				for _, kind := range []string{server.KindAuto, server.KindProcess} {
					_, _, err := server.Choose(t.Context(), kind, "", nil)
					oneLine(t, err, "apt-get install redis-server", "brew install redis", "on PATH")
					if !errors.Is(err, server.ErrUnavailable) {
						t.Errorf("not ErrUnavailable: %v", err)
					}
				}
			})
		})
	}
}

func TestAutoIsAContainer(t *testing.T) {
	image := needImage(t)
	_, got, err := server.Choose(t.Context(), server.KindAuto, os.Getenv("LOCKJAM_REDIS_IMAGE"), nil)
	if err != nil || got != image {
		t.Errorf("auto takes image %q instead of %q: %v", got, image, err)
	}
}

// Docker that ends in the middle of a run: the test puts a door in front of it, and shuts it.
func TestDockerGoneInMidRun(t *testing.T) {
	image := needImage(t)
	door := openDoor(t)
	t.Setenv("DOCKER_HOST", "unix://"+door.path)
	s, err := server.StartContainer(t.Context(), server.Spec{Config: small, Image: image, Workspace: newWorkspace(t), Name: "gone"})
	if err != nil {
		t.Fatal(err)
	}
	door.shut()
	for verb, err := range map[string]error{
		"kill": s.Kill(t.Context()), "pause": s.Pause(t.Context()), "restart": s.Restart(t.Context(), small), "remove": s.Stop(t.Context()),
	} {
		oneLine(t, err, verb+" container lockjam-test-gone-", "Docker does not answer any more")
	}
	door.open(t)
	defer door.shut()
	if err := s.Stop(t.Context()); err != nil {
		t.Errorf("stop once Docker is back: %v", err)
	}
}

// A start that is cancelled half-way leaves nothing, wherever it was.
func TestCancelledStart(t *testing.T) {
	starters(t, func(t *testing.T, starter server.Starter, spec server.Spec) {
		for _, after := range []time.Duration{0, 2 * time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond} {
			ctx, cancel := context.WithTimeout(t.Context(), after)
			s, err := starter(ctx, spec)
			cancel()
			if err == nil {
				err = s.Stop(context.Background()) // it was faster
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

// The calls of a control wait for a server that hangs. Close ends them.
func TestCloseEndsTheWait(t *testing.T) {
	needProcess(t)
	s := start(t, server.StartProcess, server.Spec{Config: small, Workspace: newWorkspace(t), Name: "hangs"})
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
	// Opening one waits as well, and its context ends it.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := server.OpenControl(ctx, s.Endpoint()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("open on a paused server: %v", err)
	}
}

// A workspace does not go while something in it runs.
func TestWorkspaceInUse(t *testing.T) {
	needProcess(t)
	w, err := server.NewWorkspace("in-use")
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.StartProcess(t.Context(), server.Spec{Config: small, Workspace: w, Name: "in-use"})
	if err != nil {
		t.Fatal(err)
	}
	oneLine(t, w.Close(), w.Dir(), "not stopped", "in-use-")
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(w.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is left: %v", err)
	}
	_, err = server.NewWorkspace("../escape")
	oneLine(t, err, "../escape")
}

// A user who may not run CLIENT gets connections without a name, not none.
func TestControlWithoutAName(t *testing.T) {
	needProcess(t)
	s := start(t, server.StartProcess, server.Spec{Config: small, Workspace: newWorkspace(t), Name: "nameless"})
	admin := openControl(t, s).Admin
	if err := admin.Do(t.Context(), "ACL", "SETUSER", "looker", "on", ">secret", "~*", "+ping", "+info").Err(); err != nil {
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

// What became of a connection is told by whoever looks over it, not that there is none.
func TestWatchConnectionSaysWhyItWasLost(t *testing.T) {
	needProcess(t)
	s := start(t, server.StartProcess, server.Spec{Config: small, Workspace: newWorkspace(t), Name: "lost"})
	client, raw, err := server.OpenWatch(t.Context(), s.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer raw.Close()
	if err := s.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := client.Ping(t.Context()).Err(); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("the cause is %v", err)
	}
}

// Every image that is missing is named, each on a line of its own; one that is there is not.
func TestMissingImages(t *testing.T) {
	there := needImage(t)
	const one, other = "127.0.0.1:9/lockjam/no-such-image:1", "127.0.0.1:9/lockjam/no-such-image:2"
	for _, kind := range []string{server.KindContainer, server.KindAuto} {
		_, _, err := server.ChooseAll(t.Context(), kind, []string{one, there, other}, nil)
		if err == nil || !errors.Is(err, server.ErrUnavailable) {
			t.Fatalf("not ErrUnavailable: %v", err)
		}
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], one) || !strings.Contains(lines[1], other) {
			t.Errorf("%q", lines)
		}
	}
	t.Setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
	_, _, err := server.ChooseAll(t.Context(), server.KindAuto, []string{one, other}, nil)
	oneLine(t, err, "/nonexistent/docker.sock")
}

// Several images are for containers. Other kinds have none, and a single one is chosen as ever.
func TestChooseAll(t *testing.T) {
	_, images, err := server.ChooseAll(t.Context(), "redis://127.0.0.1:9", []string{"redis:7", "redis:8"}, nil)
	if err != nil || !slices.Equal(images, []string{""}) {
		t.Errorf("an address has images %q: %v", images, err)
	}
	there := needImage(t)
	for _, asked := range [][]string{nil, {there}} {
		_, images, err := server.ChooseAll(t.Context(), server.KindContainer, asked, nil)
		if err != nil || len(images) != 1 || images[0] == "" {
			t.Errorf("%q: %q, %v", asked, images, err)
		}
	}
}

func TestTwice(t *testing.T) {
	for _, c := range []struct {
		images []string
		want   string
	}{
		{nil, ""},
		{[]string{"redis:7", "redis:8", "valkey/valkey:8", "mirror.example/redis:7"}, ""},
		{[]string{"redis:7", "redis:8", "redis:7"}, "redis:7"},
		{[]string{"redis", "docker.io/library/redis:latest"}, "docker.io/library/redis:latest"},
		// No name of an image, and the same twice all the same.
		{[]string{"No!", "No!"}, "No!"},
	} {
		if got := server.Twice(c.images); got != c.want {
			t.Errorf("%q: got %q, want %q", c.images, got, c.want)
		}
	}
}
