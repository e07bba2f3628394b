// Package container starts a Redis in a Docker container that listens on 127.0.0.1, or is published
// there. It is the only package of the harness that depends on Docker. So [Choose], which picks a
// container, a process or an address from the word of the user, is here as well.
package container

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/node"
)

const (
	// Labels on everything that is made in Docker. [Leftovers] finds containers by them.
	labelRun       = "dev.lockjam.run"
	labelHost      = "dev.lockjam.host"
	labelWorkspace = "dev.lockjam.workspace"

	// openFiles suffices for a maxclients of 10,000. A scenario that needs more gets more.
	openFiles = 20000

	memory = 512 << 20 // bytes

	// cleanupLimit bounds the removal of a container after everything else has failed or was
	// cancelled.
	cleanupLimit = 20 * time.Second
)

// Start starts the server in a container, from spec.Image (empty: as Choose would pick it). It
// fails with ErrUnavailable if Docker does not answer or the image cannot be obtained. A topology
// of several nodes is several containers; it fails with ErrTopology if they cannot share this
// machine's network.
func Start(ctx context.Context, spec server.Spec) (server.Server, error) {
	return startWith(ctx, spec, networkOf)
}

func startWith(
	ctx context.Context, spec server.Spec, pick func(context.Context, *client.Client) networkMode,
) (server.Server, error) {
	return node.Start(ctx, spec, func(ctx context.Context, spec server.Spec, flags ...string) (node.Node, error) {
		docker, err := dialDocker(ctx)
		if err != nil {
			return nil, err
		}
		n, err := startIn(ctx, docker, spec, pick(ctx, docker), flags)
		if err != nil {
			return nil, errors.Join(err, docker.Close())
		}
		return n, nil
	})
}

func startIn(
	ctx context.Context, docker *client.Client, spec server.Spec, network networkMode, flags []string,
) (node.Node, error) {
	if err := network.supports(spec.Topology); err != nil {
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
	if err := spec.Workspace.RecordContainers(); err != nil {
		return nil, err
	}
	return node.WithPort(spec.Port, func(port int) (node.Node, error) {
		gate, err := node.FreePort()
		if err != nil {
			return nil, err
		}
		return plan{
			spec: spec, image: image, binary: binary, flags: flags, network: network,
			port: port, gate: gate, files: filesFor(spec.Config),
			name: fmt.Sprintf("lockjam-%s-%s-%08x", spec.Workspace.RunID(), server.SafeName(spec.Name), rand.Uint32()),
		}.startAnyhow(ctx, docker)
	})
}

// binaryOf returns the server program of the image: valkey-server if the image's own command
// mentions Valkey.
func binaryOf(ctx context.Context, docker *client.Client, image string) (string, error) {
	found, err := docker.ImageInspect(ctx, image)
	if err != nil {
		return "", fmt.Errorf("inspect image %s: %w", image, server.OneLine(err))
	}
	if found.Config == nil {
		return server.Binaries[0], nil
	}
	for _, word := range slices.Concat(found.Config.Entrypoint, found.Config.Cmd) {
		if strings.Contains(word, "valkey") {
			return "valkey-server", nil
		}
	}
	return server.Binaries[0], nil
}

// filesFor returns the limit of open files for a container.
func filesFor(c server.Config) int64 {
	maxclients, err := strconv.ParseInt(c["maxclients"], 10, 64)
	if err != nil {
		return openFiles
	}
	return max(openFiles, maxclients+1000)
}

// plan describes a container to start.
type plan struct {
	spec    server.Spec
	name    string
	image   string
	binary  string
	flags   []string // after redis.conf on its command line
	port    int
	gate    int // where a restarted Redis listens first; see server.Endpoint.Reserve
	network networkMode
	files   int64 // 0: Docker's default
}

// startAnyhow starts the container, with published ports or fewer open files if Docker requires it.
func (p plan) startAnyhow(ctx context.Context, docker *client.Client) (node.Node, error) {
	s, err := p.start(ctx, docker)
	if errors.Is(err, node.ErrNoAnswer) && p.network == sharedNetwork {
		// The container's loopback addresses are not this machine's after all.
		p.network = publishedNetwork
		if err := p.network.supports(p.spec.Topology); err != nil {
			return nil, err
		}
		s, err = p.start(ctx, docker)
	}
	if err != nil && strings.Contains(err.Error(), "rlimit") {
		// A rootless Docker may not raise the limit. Its default may suffice; VerifyMaxClients
		// checks.
		p.files = 0
		s, err = p.start(ctx, docker)
	}
	return s, err
}

// start creates and starts the container. After an error no container is left.
func (p plan) start(ctx context.Context, docker *client.Client) (node.Node, error) {
	s := &instance{supervisor: supervisor{
		box:       box{docker: docker, name: p.name, image: p.image, port: p.port, gate: p.gate, network: p.network},
		workspace: p.spec.Workspace,
	}}
	s.workspace.Enter(s.box.name)
	endpoint := server.LocalEndpoint(p.port, p.spec.Config.Password())
	s.endpoint.Store(&endpoint)
	err := s.box.create(ctx, p)
	if err == nil {
		_, err = s.launch(ctx, endpoint, 0)
	}
	if err == nil {
		return s, nil
	}
	for _, taken := range []string{"address already in use", "port is already allocated"} {
		if strings.Contains(err.Error(), taken) {
			err = node.PortTaken(p.port)
			break
		}
	}
	return nil, errors.Join(fmt.Errorf("start a container of %s for %s: %w", p.image, p.spec.Name, err), s.remove(ctx))
}

// limit restricts what the container may use of this machine: two ports on loopback, files, memory,
// and no capabilities.
func (p plan) limit(host *container.HostConfig) {
	p.network.join(host, p.port, p.gate)
	host.Memory = memory
	host.CapDrop = []string{"ALL"}
	host.SecurityOpt = []string{"no-new-privileges"}
	if p.files > 0 {
		host.Ulimits = []*container.Ulimit{{Name: "nofile", Soft: p.files, Hard: p.files}}
	}
}
