package server

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
)

// containerNetwork is how a container comes to listen on 127.0.0.1; its word stands in environment.json.
type containerNetwork string

const (
	// publishedNetwork gives the container a network of its own, and Docker publishes two of its ports. What is dialled on
	// loopback goes through a process of Docker's, docker-proxy, which copies every byte: with some dozens of clients that
	// poll and redial it takes more of two cores than Redis and the swarm together, and a loss of goodput may be its doing.
	publishedNetwork containerNetwork = "published"

	// sharedNetwork lets the container listen on this machine's own loopback address: nothing stands in between, and a
	// container takes half as long to start.
	sharedNetwork containerNetwork = "shared"
)

// The ports inside of a container whose ports are published.
const (
	publishedPort = 6379
	publishedGate = 16379
)

// networkOf picks the network: the shared one wherever this machine's loopback addresses are the container's as well. They
// are not where Docker runs on another machine, in a virtual one (Docker Desktop, recognised by another host name or kernel),
// or in a network namespace of its own (rootless); where Docker remaps users, it refuses to share the network.
func networkOf(ctx context.Context, docker *client.Client) containerNetwork {
	answer, err := docker.Info(ctx, client.InfoOptions{})
	if err != nil {
		return publishedNetwork // what is wrong with Docker, the next request will say
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

// networkFor decides by what Docker says of itself, and this machine's host name and kernel.
func networkFor(docker system.Info, name, kernel string) containerNetwork {
	apart := slices.ContainsFunc(docker.SecurityOptions, func(option string) bool {
		return strings.HasPrefix(option, "name=rootless") || strings.HasPrefix(option, "name=userns")
	})
	if apart || docker.Name != name || docker.KernelVersion != kernel {
		return publishedNetwork
	}
	return sharedNetwork
}

// inside returns what Redis listens on in the container: for clients that dial port, and for those that dial gate.
func (n containerNetwork) inside(port, gate int) (int, int) {
	if n == sharedNetwork {
		return port, gate
	}
	return publishedPort, publishedGate
}

// bind is the address that Redis listens on in the container.
func (n containerNetwork) bind() string {
	if n == sharedNetwork {
		return "127.0.0.1"
	}
	return "0.0.0.0" // of a network of its own, of which two ports are published on loopback alone
}

// exposed lists the ports that have to be published.
func (n containerNetwork) exposed() []string {
	if n == sharedNetwork {
		return nil
	}
	return []string{tcp(publishedPort).String(), tcp(publishedGate).String()}
}

// join makes the container part of the network, reached at these ports of 127.0.0.1.
func (n containerNetwork) join(host *container.HostConfig, port, gate int) {
	if n == sharedNetwork {
		host.NetworkMode = network.NetworkHost
		return
	}
	publish := func(port int) []network.PortBinding {
		return []network.PortBinding{{HostIP: netip.AddrFrom4([4]byte{127, 0, 0, 1}), HostPort: strconv.Itoa(port)}}
	}
	host.PortBindings = network.PortMap{tcp(publishedPort): publish(port), tcp(publishedGate): publish(gate)}
}

// carries says whether containers with this network can be a topology: its servers dial each other at the addresses that
// clients dial as well.
func (n containerNetwork) carries(t Topology) error {
	if t.Several() && n != sharedNetwork {
		return t.refuse("here containers do not reach each other where clients reach them: their ports are published")
	}
	return nil
}

// check says what is wrong with the network that a running container has, before anybody dials it: Docker may have published
// something else than it was asked to.
func (n containerNetwork) check(found container.InspectResponse, port, gate int) error {
	if n == sharedNetwork {
		if mode := found.HostConfig.NetworkMode; !mode.IsHost() {
			return fmt.Errorf("has the network %q instead of this machine's", mode)
		}
		return nil
	}
	for inner, want := range map[int]int{publishedPort: port, publishedGate: gate} {
		bindings := found.NetworkSettings.Ports[tcp(inner)]
		if len(bindings) != 1 || !bindings[0].HostIP.IsLoopback() || bindings[0].HostPort != strconv.Itoa(want) {
			return fmt.Errorf("publishes its port %d on %v instead of %s", inner, bindings, loopback(want))
		}
	}
	return nil
}

// tcp names a port.
func tcp(port int) network.Port { return network.MustParsePort(strconv.Itoa(port) + "/tcp") }
