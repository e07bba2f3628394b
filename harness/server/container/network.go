package container

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"

	"github.com/lockjam/lockjam/harness/server"
)

// networkMode is how a container listens on 127.0.0.1. environment.json records the value.
type networkMode string

const (
	// publishedNetwork gives the container a network of its own, and Docker publishes two of its
	// ports. Connections to loopback go through docker-proxy, a process that copies every byte:
	// with some dozens of clients that poll and redial it takes more of two cores than Redis and
	// the swarm together, and may be the cause of a loss of goodput.
	publishedNetwork networkMode = "published"

	// sharedNetwork lets the container listen on this machine's own loopback address: no proxy is
	// involved, and a container takes half as long to start.
	sharedNetwork networkMode = "shared"
)

// The ports inside a container whose ports are published.
const (
	publishedPort = 6379
	publishedGate = 16379
)

// networkOf picks the shared network if the container's loopback addresses are this machine's. They
// are not if Docker runs on another machine, in a virtual one (Docker Desktop, recognised by
// another host name or kernel), or in a network namespace of its own (rootless). A Docker that
// remaps users refuses to share the network.
func networkOf(ctx context.Context, docker *client.Client) networkMode {
	answer, err := docker.Info(ctx, client.InfoOptions{})
	if err != nil {
		return publishedNetwork // the next request to Docker reports the error
	}
	name, err := os.Hostname()
	if err != nil {
		return publishedNetwork
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil { // not Linux
		return publishedNetwork
	}
	return networkFor(answer.Info, name, strings.TrimSpace(string(kernel)))
}

// networkFor decides from Docker's description of itself, and from this machine's host name and
// kernel.
func networkFor(docker system.Info, name, kernel string) networkMode {
	separate := slices.ContainsFunc(docker.SecurityOptions, func(option string) bool {
		return strings.HasPrefix(option, "name=rootless") || strings.HasPrefix(option, "name=userns")
	})
	if separate || docker.Name != name || docker.KernelVersion != kernel {
		return publishedNetwork
	}
	return sharedNetwork
}

// inside returns the ports in the container for clients that dial port and for clients that dial
// gate.
func (n networkMode) inside(port, gate int) (int, int) {
	if n == sharedNetwork {
		return port, gate
	}
	return publishedPort, publishedGate
}

// bind returns the address that Redis listens on in the container.
func (n networkMode) bind() string {
	if n == sharedNetwork {
		return "127.0.0.1"
	}
	return "0.0.0.0" // of a network of its own, of which two ports are published on loopback only
}

// exposed lists the ports to publish.
func (n networkMode) exposed() []string {
	if n == sharedNetwork {
		return nil
	}
	return []string{tcp(publishedPort).String(), tcp(publishedGate).String()}
}

// join connects the container to the network, reachable at these ports of 127.0.0.1.
func (n networkMode) join(host *container.HostConfig, port, gate int) {
	if n == sharedNetwork {
		host.NetworkMode = network.NetworkHost
		return
	}
	publish := func(port int) []network.PortBinding {
		return []network.PortBinding{{HostIP: netip.AddrFrom4([4]byte{127, 0, 0, 1}), HostPort: strconv.Itoa(port)}}
	}
	host.PortBindings = network.PortMap{tcp(publishedPort): publish(port), tcp(publishedGate): publish(gate)}
}

// supports returns an ErrTopology unless containers with this network can form the topology: its
// servers dial each other at the same addresses as clients do.
func (n networkMode) supports(t server.Topology) error {
	if t.Several() && n != sharedNetwork {
		return t.Refuse("containers with published ports cannot reach each other at the addresses that clients use")
	}
	return nil
}

// check returns an error unless a running container has this network. It is called before the first
// dial, because Docker may have published other addresses than it was asked to.
func (n networkMode) check(found container.InspectResponse, port, gate int) error {
	if n == sharedNetwork {
		if mode := found.HostConfig.NetworkMode; !mode.IsHost() {
			return fmt.Errorf("has the network %q instead of this machine's", mode)
		}
		return nil
	}
	for inner, want := range map[int]int{publishedPort: port, publishedGate: gate} {
		bindings := found.NetworkSettings.Ports[tcp(inner)]
		if len(bindings) != 1 || !bindings[0].HostIP.IsLoopback() || bindings[0].HostPort != strconv.Itoa(want) {
			return fmt.Errorf("publishes its port %d on %v instead of %s", inner, bindings, server.Loopback(want))
		}
	}
	return nil
}

// tcp returns Docker's notation of a TCP port.
func tcp(port int) network.Port { return network.MustParsePort(strconv.Itoa(port) + "/tcp") }
