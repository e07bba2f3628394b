package server

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"
)

const (
	// Labels on everything that is made in Docker. Sweep goes by them.
	labelRun       = "dev.lockjam.run"
	labelHost      = "dev.lockjam.host"
	labelWorkspace = "dev.lockjam.workspace"

	// containerFiles suffices for a maxclients of 10,000. A scenario that asks for more gets more.
	containerFiles = 20000

	containerMemory = 512 << 20 // bytes

	// cleanupLimit bounds the removal of a container after everything else has failed or was cancelled.
	cleanupLimit = 20 * time.Second
)

// containerServer is a server in a container of its own, which listens on 127.0.0.1 or is published there.
type containerServer struct {
	usage
	docker    *client.Client
	container *testcontainers.DockerContainer
	workspace *Workspace
	name      string
	image     string
	port      int
	gate      int // where a restarted Redis listens first; see reservation
	network   containerNetwork
	endpoint  atomic.Pointer[Endpoint] // the password may change with a Restart
	lastEnd   string                   // when the life before this one ended, by Docker's clock; "" in the first one

	mu       sync.Mutex
	stopped  bool
	noGate   bool   // see reservation
	finalLog []byte // what Log returns after Stop
}

// StartContainer starts the server in a container, from spec.Image (empty: as Choose would pick it). It fails with
// ErrUnavailable where Docker does not answer or the image is not to be had. A topology of several nodes is several
// containers; it fails with ErrTopology where they cannot share this machine's network.
func StartContainer(ctx context.Context, spec Spec) (Server, error) {
	return startContainer(ctx, spec, networkOf)
}

func startContainer(ctx context.Context, spec Spec, pick func(context.Context, *client.Client) containerNetwork) (Server, error) {
	one := func(ctx context.Context, spec Spec, flags ...string) (node, error) {
		docker, err := dialDocker(ctx)
		if err != nil {
			return nil, err
		}
		n, err := startInDocker(ctx, docker, spec, pick(ctx, docker), flags)
		if err != nil {
			return nil, errors.Join(err, docker.Close())
		}
		return n, nil
	}
	if spec.Topology.Several() {
		return startSeveral(ctx, spec, one)
	}
	return one(ctx, spec)
}

func startInDocker(ctx context.Context, docker *client.Client, spec Spec, network containerNetwork, flags []string) (node, error) {
	if err := network.carries(spec.Topology); err != nil {
		return nil, err
	}
	image, err := ensureImage(ctx, docker, spec.Image, func(string) {})
	if err != nil {
		return nil, err
	}
	binary, err := binaryOf(ctx, docker, image)
	if err != nil {
		return nil, err
	}
	if err := spec.Workspace.recordContainers(); err != nil {
		return nil, err
	}
	return withPort(spec.Port, func(port int) (node, error) {
		gate, err := freePort()
		if err != nil {
			return nil, err
		}
		plan := containerPlan{
			spec: spec, image: image, binary: binary, flags: flags, port: port, gate: gate, files: filesFor(spec.Config),
			name:    fmt.Sprintf("lockjam-%s-%s-%08x", spec.Workspace.RunID(), safeName(spec.Name), rand.Uint32()),
			network: network,
		}
		s, err := plan.start(ctx, docker)
		if errors.Is(err, errNoAnswer) && plan.network == sharedNetwork {
			// Not this machine's loopback addresses after all.
			plan.network = publishedNetwork
			if err := plan.network.carries(spec.Topology); err != nil {
				return nil, err
			}
			s, err = plan.start(ctx, docker)
		}
		if err != nil && strings.Contains(err.Error(), "rlimit") {
			// A rootless Docker may not raise the limit. Its own default may do; VerifyMaxClients will tell.
			plan.files = 0
			s, err = plan.start(ctx, docker)
		}
		return s, err
	})
}

// binaryOf returns the server that the image has: valkey-server where its own command mentions Valkey.
func binaryOf(ctx context.Context, docker *client.Client, image string) (string, error) {
	found, err := docker.ImageInspect(ctx, image)
	if err != nil {
		return "", fmt.Errorf("inspect image %s: %w", image, oneLine(err))
	}
	if found.Config == nil {
		return serverBinaries[0], nil
	}
	for _, word := range slices.Concat(found.Config.Entrypoint, found.Config.Cmd) {
		if strings.Contains(word, "valkey") {
			return "valkey-server", nil
		}
	}
	return serverBinaries[0], nil
}

// filesFor returns the limit of open files for a container.
func filesFor(c Config) int64 {
	maxclients, err := strconv.ParseInt(c["maxclients"], 10, 64)
	if err != nil {
		return containerFiles
	}
	return max(containerFiles, maxclients+1000)
}

// containerPlan is what is to be started.
type containerPlan struct {
	spec    Spec
	name    string
	image   string
	binary  string
	flags   []string // after redis.conf on its command line
	port    int
	gate    int
	network containerNetwork
	files   int64 // 0: Docker's default
}

// start creates and starts the container. After an error there is none.
func (p containerPlan) start(ctx context.Context, docker *client.Client) (node, error) {
	s := &containerServer{docker: docker, workspace: p.spec.Workspace, name: p.name, image: p.image, port: p.port, gate: p.gate, network: p.network}
	s.workspace.enter(s.name)
	s.endpoint.Store(&Endpoint{Addr: loopback(p.port), Password: p.spec.Config.password(), reserved: &reservation{}})
	err := s.create(ctx, p)
	if err == nil {
		_, err = s.launch(ctx, s.Endpoint(), 0)
	}
	if err == nil {
		return s, nil
	}
	if message := err.Error(); strings.Contains(message, "address already in use") || strings.Contains(message, "port is already allocated") {
		err = portTakenError(p.port)
	}
	return nil, errors.Join(fmt.Errorf("start a container of %s for %s: %w", p.image, p.spec.Name, err), s.remove(ctx))
}

// create makes the container. redis.conf is copied in: a bind mount would stumble over SELinux, a rootless Docker, or a
// Docker that runs in a virtual machine.
func (s *containerServer) create(ctx context.Context, p containerPlan) error {
	prepareTestcontainers()
	provider, err := testcontainers.ProviderDefault.GetProvider(testcontainers.WithLogger(log.NewNoopLogger()))
	if err != nil {
		return oneLine(err)
	}
	dockerProvider, ok := provider.(*testcontainers.DockerProvider)
	if !ok {
		return fmt.Errorf("testcontainers-go provides containers through %T instead of Docker", provider)
	}
	// Our own client: it is known to reach the Docker that was asked for, and closing it closes every idle connection.
	dockerProvider.SetClient(s.docker)

	labels, err := labelsOf(p.spec.Workspace)
	if err != nil {
		return err
	}
	// Docker finishes what it has begun, also when nobody waits for it any more: a cancelled create would leave a container
	// that appears only after we have looked for one to remove.
	creating, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	created, err := dockerProvider.CreateContainer(creating, testcontainers.ContainerRequest{
		Name:  p.name,
		Image: canonical(p.image),
		// In place of the image's own entrypoint: the official ones begin as root, change the owner
		// of the data, and then change the user, which takes capabilities (CHOWN, SETUID, SETGID)
		// that the container does not have.
		Entrypoint:         []string{p.binary},
		Cmd:                append([]string{s.conf()}, p.flags...),
		ExposedPorts:       p.network.exposed(),
		Labels:             labels,
		HostConfigModifier: func(host *container.HostConfig) { p.limit(host) },
	})
	if err != nil {
		return s.trouble("create", err)
	}
	s.container = created.(*testcontainers.DockerContainer)
	if err := context.Cause(ctx); err != nil {
		return err
	}
	port, _ := s.inside()
	return s.configure(ctx, p.spec.Config, port)
}

// limit sets what the container may use of this machine: two ports on loopback, files, memory, and
// none of root's rights.
func (p containerPlan) limit(host *container.HostConfig) {
	p.network.join(host, p.port, p.gate)
	host.Memory = containerMemory
	host.CapDrop = []string{"ALL"}
	host.SecurityOpt = []string{"no-new-privileges"}
	if p.files > 0 {
		host.Ulimits = []*container.Ulimit{{Name: "nofile", Soft: p.files, Hard: p.files}}
	}
}

// configuration adds the directives that are the starter's. protected-mode would turn away what comes from a published port.
func (s *containerServer) configuration(c Config, port int) Config {
	return c.With(Config{
		"bind": s.network.bind(), "protected-mode": "no", "port": strconv.Itoa(port), "dir": containerDir,
		"daemonize": "no", "supervised": "no", "logfile": `""`,
	})
}

// containerDir is the server's folder in the container. It is none of the image's: /data belongs to
// one user there, and the server may run as another.
const containerDir = "/lockjam"

// conf is redis.conf inside. No other server's has its name; see isOurs.
func (s *containerServer) conf() string { return containerDir + "/" + s.name + ".conf" }

// inside returns the port and the gate that Redis listens on in the container.
func (s *containerServer) inside() (port, gate int) { return s.network.inside(s.port, s.gate) }

func labelsOf(w *Workspace) (map[string]string, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	return map[string]string{labelRun: w.RunID(), labelHost: host, labelWorkspace: w.Dir()}, nil
}

// launch starts the container, makes sure that it is on loopback alone and waits for its own answer at the endpoint, which is
// its address or its gate. It returns the connections that it was asked to reserve, or fewer.
func (s *containerServer) launch(ctx context.Context, e Endpoint, reserve int) ([]net.Conn, error) {
	var err error
	if s.lastEnd, err = s.end(ctx); err != nil {
		return nil, err
	}
	if err := s.container.Start(ctx); err != nil {
		return nil, s.trouble("start", err)
	}
	if err := s.onLoopback(ctx); err != nil {
		return nil, err
	}
	connections, err := awaitPing(ctx, e, reserve, s.sometimes(s.died))
	if err != nil {
		return nil, err
	}
	if err := identify(ctx, e, connections, s.died, s.isOurs); err != nil {
		closeAll(connections)
		return nil, err
	}
	return connections, nil
}

// end is when the container ended, which is not running; "" if it has never run (moby, container/state.go, FinishedAt).
func (s *containerServer) end(ctx context.Context) (string, error) {
	found, err := s.docker.ContainerInspect(ctx, s.name, client.ContainerInspectOptions{})
	if err != nil {
		return "", s.trouble("inspect", err)
	}
	if at, err := time.Parse(time.RFC3339Nano, found.Container.State.FinishedAt); err != nil || at.IsZero() {
		return "", nil
	}
	return found.Container.State.FinishedAt, nil
}

// isOurs goes by the file that the server was started with.
func (s *containerServer) isOurs(info map[string]string) error {
	if info["config_file"] != s.conf() {
		return portTakenError(s.port)
	}
	return nil
}

// relaunch starts the container, which is down, with connections reserved for the next Control: through the gate, or where
// there can be none by being fast.
func (s *containerServer) relaunch(ctx context.Context, c Config) error {
	before := s.Endpoint()
	s.endpoint.Store(&Endpoint{Addr: before.Addr, Password: c.password(), reserved: before.reserved})
	if !s.noGate {
		err := s.launchGated(ctx, c)
		if !errors.Is(err, errNoGate) {
			return err
		}
		s.noGate = true
		if err := s.container.Stop(ctx, new(time.Duration)); err != nil {
			return err
		}
	}
	port, _ := s.inside()
	if err := s.configure(ctx, c, port); err != nil {
		return err
	}
	connections, err := s.launch(ctx, s.Endpoint(), ControlConnections)
	before.reserved.put(connections)
	return err
}

func (s *containerServer) launchGated(ctx context.Context, c Config) error {
	port, gate := s.inside()
	if err := s.configure(ctx, c, gate); err != nil {
		return err
	}
	connections, err := s.launch(ctx, Endpoint{Addr: loopback(s.gate), Password: c.password()}, ControlConnections)
	if err != nil {
		return err
	}
	if err = openGate(ctx, connections, port); err == nil {
		_, err = awaitPing(ctx, s.Endpoint(), 0, s.sometimes(s.died))
	}
	if err != nil {
		closeAll(connections)
		return err
	}
	s.Endpoint().reserved.put(connections)
	return nil
}

// configure copies redis.conf into the container, which need not run. The folder and the file are for every user of the
// container: which one the server runs as is the image's to say, and without capabilities root is a user like others.
func (s *containerServer) configure(ctx context.Context, c Config, port int) error {
	content := s.configuration(c, port).file()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	err := errors.Join(
		w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: containerDir[1:] + "/", Mode: 0o777}),
		w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: s.conf()[1:], Mode: 0o666, Size: int64(len(content))}))
	if err == nil {
		_, err = w.Write(content)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	_, err = s.docker.CopyToContainer(ctx, s.name, client.CopyToContainerOptions{DestinationPath: "/", Content: &archive})
	if err != nil {
		return s.trouble("copy redis.conf into", err)
	}
	return nil
}

// onLoopback checks the addresses before anybody dials them.
func (s *containerServer) onLoopback(ctx context.Context) error {
	found, err := s.docker.ContainerInspect(ctx, s.name, client.ContainerInspectOptions{})
	if err != nil {
		return s.trouble("inspect", err)
	}
	wrong := s.network.check(found.Container, s.port, s.gate)
	if wrong == nil {
		if s.network == sharedNetwork { // on this very machine: process numbers are this kernel's
			s.pid.Store(int32(found.Container.State.Pid))
		}
		return nil
	}
	// A container that has ended already publishes nothing. What it said is of more use.
	if err := s.died(ctx); err != nil {
		return err
	}
	return fmt.Errorf("container %s %w", s.name, wrong)
}

// sometimes lets a costly question through every 50 ms.
func (s *containerServer) sometimes(ask func(context.Context) error) func(context.Context) error {
	var asked time.Time
	return func(ctx context.Context) error {
		if time.Since(asked) < 50*time.Millisecond {
			return nil
		}
		asked = time.Now()
		return ask(ctx)
	}
}

// died returns an error with the server's last words if the container does not run.
func (s *containerServer) died(ctx context.Context) error {
	found, err := s.docker.ContainerInspect(ctx, s.name, client.ContainerInspectOptions{})
	if err != nil {
		return s.trouble("inspect", err)
	}
	state := found.Container.State
	if state.Running {
		return nil
	}
	// Since the end before, and not since the start: what ends at once has said its last words before Docker notes that it
	// has started.
	output, err := s.log(ctx, s.lastEnd)
	if err != nil {
		return err
	}
	if bytes.Contains(output, []byte("Address already in use")) {
		return portTakenError(s.port)
	}
	cause := fmt.Sprintf("exit code %d", state.ExitCode)
	if state.OOMKilled {
		cause = fmt.Sprintf("out of memory, the limit is %d MiB", containerMemory>>20)
	}
	return &Ended{How: cause, Words: lastWords(output)}
}

func (s *containerServer) Endpoint() Endpoint { return *s.endpoint.Load() }

func (s *containerServer) addr() string { return loopback(s.port) }

func (s *containerServer) Info() Info {
	return Info{Kind: KindContainer, Image: s.image, Addr: s.addr(), Network: string(s.network)}
}

// act does one thing to the container, unless it is gone for good.
func (s *containerServer) act(verb string, do func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return fmt.Errorf("%s: the server at %s is stopped for good", verb, s.addr())
	}
	if err := do(); err != nil {
		return s.trouble(verb, err)
	}
	return nil
}

func (s *containerServer) Kill(ctx context.Context) error {
	return s.act("kill", func() error {
		if _, err := s.docker.ContainerKill(ctx, s.name, client.ContainerKillOptions{Signal: "SIGKILL"}); err != nil {
			return err
		}
		s.Endpoint().reserved.put(nil)
		return s.down(ctx)
	})
}

// down waits until nobody answers at the address: Docker's proxy lets go of the port a little after the container's end.
func (s *containerServer) down(ctx context.Context) error {
	for range 1000 {
		connection, err := s.Endpoint().Dial(ctx)
		if err != nil {
			return ctx.Err()
		}
		connection.Close()
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return fmt.Errorf("%s still accepts connections 5 s after the end of the container", s.addr())
}

func (s *containerServer) Pause(ctx context.Context) error {
	return s.act("pause", func() error {
		_, err := s.docker.ContainerPause(ctx, s.name, client.ContainerPauseOptions{})
		return err
	})
}

func (s *containerServer) Resume(ctx context.Context) error {
	return s.act("unpause", func() error {
		_, err := s.docker.ContainerUnpause(ctx, s.name, client.ContainerUnpauseOptions{})
		return err
	})
}

func (s *containerServer) Restart(ctx context.Context, c Config) error {
	return s.act("restart", func() error {
		found, err := s.docker.ContainerInspect(ctx, s.name, client.ContainerInspectOptions{})
		if err != nil {
			return err
		}
		if found.Container.State.Paused {
			// A paused process does not hear SIGTERM; Docker would wait for it and then kill it.
			if _, err := s.docker.ContainerUnpause(ctx, s.name, client.ContainerUnpauseOptions{}); err != nil {
				return err
			}
		}
		if err := s.terminate(ctx, found.Container); err != nil {
			return err
		}
		s.Endpoint().reserved.put(nil)
		return s.relaunch(ctx, c)
	})
}

// within returns the limit, or what is left of the context where that is less.
func within(ctx context.Context, limit time.Duration) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	if deadline, ok := ctx.Deadline(); ok {
		return min(limit, time.Until(deadline))
	}
	return limit
}

// terminate ends the container in good order, as docker stop does, unless Redis says in its log
// that it will not end: then it goes on, and the error is ErrWillNotStop. What has not ended within
// the time that it has is killed.
func (s *containerServer) terminate(ctx context.Context, found container.InspectResponse) error {
	if found.State.Running {
		signal := cmp.Or(found.Config.StopSignal, "SIGTERM")
		asked := time.Now().UTC().Format(time.RFC3339Nano)
		if _, err := s.docker.ContainerKill(ctx, s.name, client.ContainerKillOptions{Signal: signal}); err != nil {
			return err
		}
		if err := s.refuses(ctx, asked); err != nil {
			return err
		}
	}
	return s.container.Stop(ctx, new(time.Duration))
}

// refuses waits until the container has ended, or its log, from a time on, says that it will not.
// An error is ErrWillNotStop; nil is also of a container that does neither within the time that it
// has.
func (s *containerServer) refuses(ctx context.Context, since string) error {
	for end := time.Now().Add(within(ctx, termGrace)); time.Now().Before(end); {
		found, err := s.docker.ContainerInspect(ctx, s.name, client.ContainerInspectOptions{})
		if err != nil || !found.Container.State.Running {
			return err
		}
		output, err := s.log(ctx, since)
		if err != nil {
			return err
		}
		if why := refusalToStop(output); why != "" {
			return fmt.Errorf("%w: %s", ErrWillNotStop, why)
		}
		select {
		case <-time.After(logInterval):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (s *containerServer) revive(ctx context.Context, c Config) error {
	return s.act("start", func() error {
		port, _ := s.inside()
		if err := s.configure(ctx, c, port); err != nil {
			return err
		}
		_, err := s.launch(ctx, s.Endpoint(), 0)
		return err
	})
}

func (s *containerServer) Log(ctx context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return bytes.Clone(s.finalLog), nil
	}
	return s.log(ctx, "")
}

// log reads what Docker has kept of all lives, or from a time on, at most its first logLimit bytes.
func (s *containerServer) log(ctx context.Context, since string) ([]byte, error) {
	stream, err := s.docker.ContainerLogs(ctx, s.name, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Since: since})
	if err != nil {
		return nil, s.trouble("read the log of", err)
	}
	defer stream.Close()
	var output bytes.Buffer
	if _, err := stdcopy.StdCopy(&output, &output, io.LimitReader(stream, logLimit)); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, s.trouble("read the log of", err)
	}
	return output.Bytes(), nil
}

// Stop kills: nothing of the container is kept, so there is nothing to save.
func (s *containerServer) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	// A log that cannot be read must not keep the container from being removed.
	s.finalLog, _ = s.log(cleanup, "")
	if err := s.remove(cleanup); err != nil {
		return err
	}
	s.stopped = true
	return s.docker.Close()
}

// remove kills and removes the container with its volumes, in any state. That there is none is no error.
func (s *containerServer) remove(ctx context.Context) error {
	s.Endpoint().reserved.put(nil)
	if err := removeContainer(context.WithoutCancel(ctx), s.docker, s.name); err != nil {
		return err
	}
	s.workspace.leave(s.name)
	return nil
}

// removeContainer is shared with Sweep.
func removeContainer(ctx context.Context, docker *client.Client, name string) error {
	ctx, cancel := Within(ctx, cleanupLimit)
	defer cancel()
	_, err := docker.ContainerRemove(ctx, name, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err == nil || errdefs.IsNotFound(err) {
		return nil
	}
	return dockerTrouble("remove", name, err)
}

// trouble says what was tried on the container.
func (s *containerServer) trouble(verb string, err error) error {
	return dockerTrouble(verb, s.name, err)
}

// dockerTrouble puts an error of Docker on one line, and says so where it is Docker itself that is gone.
func dockerTrouble(verb, name string, err error) error {
	if client.IsErrConnectionFailed(err) {
		return fmt.Errorf("%s container %s: Docker does not answer any more: %w", verb, name, oneLine(err))
	}
	return fmt.Errorf("%s container %s: %w", verb, name, oneLine(err))
}
