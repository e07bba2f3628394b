package container

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/node"
)

// dataDir is the server's folder in the container. It is not one of the image's: /data belongs to
// one user there, and the server may run as another.
const dataDir = "/lockjam"

// box is one Docker container.
type box struct {
	docker    *client.Client
	container *testcontainers.DockerContainer
	name      string
	image     string
	port      int
	gate      int
	network   networkMode
	lastEnd   string // when the life before this one ended, by Docker's clock; "" in the first one
}

// create makes the container. redis.conf is copied in because a bind mount may fail with SELinux,
// with a rootless Docker, and with a Docker in a virtual machine.
func (b *box) create(ctx context.Context, p plan) error {
	prepareTestcontainers()
	provider, err := testcontainers.ProviderDefault.GetProvider(testcontainers.WithLogger(log.NewNoopLogger()))
	if err != nil {
		return server.OneLine(err)
	}
	dockerProvider, ok := provider.(*testcontainers.DockerProvider)
	if !ok {
		return fmt.Errorf("testcontainers-go provides containers through %T instead of Docker", provider)
	}
	// Our own client is known to reach the requested Docker, and closing it closes every idle
	// connection.
	dockerProvider.SetClient(b.docker)

	labels, err := labelsOf(p.spec.Workspace)
	if err != nil {
		return err
	}
	// Docker completes a request even if the caller has given up: a cancelled create would leave a
	// container that appears only after the search for one to remove.
	creating, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	created, err := dockerProvider.CreateContainer(creating, testcontainers.ContainerRequest{
		Name:  p.name,
		Image: canonical(p.image),
		// Instead of the image's entrypoint: those of the official images start as root, change the
		// owner of the data, and then change the user, which needs capabilities (CHOWN, SETUID,
		// SETGID) that the container does not have.
		Entrypoint:         []string{p.binary},
		Cmd:                append([]string{b.conf()}, p.flags...),
		ExposedPorts:       p.network.exposed(),
		Labels:             labels,
		HostConfigModifier: p.limit,
	})
	if err != nil {
		return b.fail("create", err)
	}
	b.container = created.(*testcontainers.DockerContainer)
	if err := context.Cause(ctx); err != nil {
		return err
	}
	port, _ := b.inside()
	return b.configure(ctx, p.spec.Config, port)
}

func labelsOf(w *server.Workspace) (map[string]string, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	return map[string]string{labelRun: w.RunID(), labelHost: host, labelWorkspace: w.Dir()}, nil
}

// conf is the path of redis.conf in the container. It identifies this server: no other has the same
// name.
func (b *box) conf() string { return dataDir + "/" + b.name + ".conf" }

// inside returns the port and the gate that Redis listens on in the container.
func (b *box) inside() (port, gate int) { return b.network.inside(b.port, b.gate) }

// configure copies redis.conf, with the directives that the starter adds, into the container, which
// need not run. protected-mode would reject connections from a published port. The folder and the
// file are accessible to every user of the container: the image determines the user that the server
// runs as, and without capabilities root has no privileges.
func (b *box) configure(ctx context.Context, c server.Config, port int) error {
	content := c.With(server.Config{
		"bind": b.network.bind(), "protected-mode": "no", "port": strconv.Itoa(port), "dir": dataDir,
		"daemonize": "no", "supervised": "no", "logfile": `""`,
	}).File()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	err := errors.Join(
		w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dataDir[1:] + "/", Mode: 0o777}),
		w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: b.conf()[1:], Mode: 0o666, Size: int64(len(content))}))
	if err == nil {
		_, err = w.Write(content)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	_, err = b.docker.CopyToContainer(ctx, b.name,
		client.CopyToContainerOptions{DestinationPath: "/", Content: &archive})
	if err != nil {
		return b.fail("copy redis.conf into", err)
	}
	return nil
}

// start starts the container, which is not running.
func (b *box) start(ctx context.Context) error {
	found, err := b.inspect(ctx)
	if err != nil {
		return b.fail("inspect", err)
	}
	b.lastEnd = ""
	// The zero time means that it has never run (moby, container/state.go, FinishedAt).
	if at, err := time.Parse(time.RFC3339Nano, found.State.FinishedAt); err == nil && !at.IsZero() {
		b.lastEnd = found.State.FinishedAt
	}
	if err := b.container.Start(ctx); err != nil {
		return b.fail("start", err)
	}
	return nil
}

func (b *box) inspect(ctx context.Context) (container.InspectResponse, error) {
	found, err := b.docker.ContainerInspect(ctx, b.name, client.ContainerInspectOptions{})
	return found.Container, err
}

// died returns an error with the reason from the log if the container does not run.
func (b *box) died(ctx context.Context) error {
	found, err := b.inspect(ctx)
	if err != nil {
		return b.fail("inspect", err)
	}
	if found.State.Running {
		return nil
	}
	// From the previous end on, not from the start: a server that ends at once has logged the
	// reason before Docker notes the start.
	output, err := b.log(ctx, b.lastEnd)
	if err != nil {
		return err
	}
	if bytes.Contains(output, []byte("Address already in use")) {
		return node.PortTaken(b.port)
	}
	cause := fmt.Sprintf("exit code %d", found.State.ExitCode)
	if found.State.OOMKilled {
		cause = fmt.Sprintf("out of memory, the limit is %d MiB", memory>>20)
	}
	return &server.Ended{How: cause, Words: server.LastWords(output)}
}

// terminate stops the container gracefully, as docker stop does, unless Redis logs that it will not
// end: then it keeps running, and the error is ErrWillNotStop. A container that has not ended
// within the time allowed is killed.
func (b *box) terminate(ctx context.Context, found container.InspectResponse) error {
	if found.State.Running {
		signal := cmp.Or(found.Config.StopSignal, "SIGTERM")
		asked := time.Now().UTC().Format(time.RFC3339Nano)
		if _, err := b.docker.ContainerKill(ctx, b.name, client.ContainerKillOptions{Signal: signal}); err != nil {
			return err
		}
		if err := b.awaitEnd(ctx, asked); err != nil {
			return err
		}
	}
	return b.stop(ctx)
}

// awaitEnd waits until the container has ended, or until its log, from a time on, reports that it
// will not end, which is an ErrWillNotStop. It also returns nil if neither happens within the time
// allowed.
func (b *box) awaitEnd(ctx context.Context, since string) error {
	for end := time.Now().Add(node.Remaining(ctx, node.TermGrace)); time.Now().Before(end); {
		found, err := b.inspect(ctx)
		if err != nil || !found.State.Running {
			return err
		}
		output, err := b.log(ctx, since)
		if err != nil {
			return err
		}
		if why := server.RefusalToStop(output); why != "" {
			return fmt.Errorf("%w: %s", server.ErrWillNotStop, why)
		}
		select {
		case <-time.After(node.LogInterval):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// stop kills the container if it still runs.
func (b *box) stop(ctx context.Context) error { return b.container.Stop(ctx, new(time.Duration)) }

// log reads the output that Docker has kept of all lives, or from a time on, at most its first
// node.LogLimit bytes.
func (b *box) log(ctx context.Context, since string) ([]byte, error) {
	options := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Since: since}
	stream, err := b.docker.ContainerLogs(ctx, b.name, options)
	if err != nil {
		return nil, b.fail("read the log of", err)
	}
	defer stream.Close()
	var output bytes.Buffer
	_, err = stdcopy.StdCopy(&output, &output, io.LimitReader(stream, node.LogLimit))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, b.fail("read the log of", err)
	}
	return output.Bytes(), nil
}

// exec runs a command in the container and copies its output to w until it ends or ctx does.
func (b *box) exec(ctx context.Context, w io.Writer, env, command []string) error {
	created, err := b.docker.ExecCreate(ctx, b.name, client.ExecCreateOptions{
		Cmd: command, AttachStdout: true, AttachStderr: true, Env: env,
	})
	if err != nil {
		return b.fail("run "+command[0]+" in", err)
	}
	attached, err := b.docker.ExecAttach(ctx, created.ID, client.ExecAttachOptions{})
	if err != nil {
		if strings.Contains(err.Error(), "executable file not found") {
			return server.ErrNoConsole
		}
		return b.fail("run "+command[0]+" in", err)
	}
	defer attached.Close()
	stop := context.AfterFunc(ctx, attached.Close)
	defer stop()
	output := &programOutput{w: w}
	_, err = stdcopy.StdCopy(output, output, attached.Reader)
	if output.missing {
		return server.ErrNoConsole
	}
	if err != nil && ctx.Err() == nil {
		return b.fail("read the output of "+command[0]+" in", err)
	}
	return nil
}

// programOutput passes on a program's output. If the program is missing, Docker reports that in
// place of the output, in one piece (engine 20.10; newer ones refuse to start): it must not be
// mistaken for the output of redis-cli.
type programOutput struct {
	w       io.Writer
	started bool
	missing bool
}

func (o *programOutput) Write(p []byte) (int, error) {
	if !o.started {
		o.started = true
		o.missing = bytes.HasPrefix(p, []byte("OCI runtime exec failed")) &&
			bytes.Contains(p, []byte("executable file not found"))
	}
	if o.missing {
		return len(p), nil
	}
	return o.w.Write(p)
}

// fail names the attempted action and the container in an error of Docker's.
func (b *box) fail(verb string, err error) error { return containerError(verb, b.name, err) }

// containerError puts an error of Docker's on one line, and adds that Docker itself no longer
// answers if that is so.
func containerError(verb, name string, err error) error {
	if client.IsErrConnectionFailed(err) {
		return fmt.Errorf("%s container %s: Docker no longer answers: %w", verb, name, server.OneLine(err))
	}
	return fmt.Errorf("%s container %s: %w", verb, name, server.OneLine(err))
}

// removeContainer kills and removes a container with its volumes, in any state. It is no error if
// there is none.
func removeContainer(ctx context.Context, docker *client.Client, name string) error {
	ctx, cancel := server.Within(ctx, cleanupLimit)
	defer cancel()
	_, err := docker.ContainerRemove(ctx, name, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err == nil || errdefs.IsNotFound(err) {
		return nil
	}
	return containerError("remove", name, err)
}
