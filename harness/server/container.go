package server

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

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
