package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// Topology is of what nodes a Redis consists.
type Topology string

const (
	Single   Topology = "single"   // one server; "" is the same
	Sentinel Topology = "sentinel" // a primary and a replica, and a Sentinel that fails over from one to the other
	Cluster  Topology = "cluster"  // three primaries that share the hash slots
)

// Topologies lists them all.
var Topologies = []Topology{Single, Sentinel, Cluster}

// Several says whether it takes more than one server.
func (t Topology) Several() bool { return t != Single && t != "" }

// ErrTopology is what a starter answers that cannot start the topology that is asked for.
var ErrTopology = errors.New("not with this kind of server")

// refuse says why a topology cannot be had, and from what it can.
func (t Topology) refuse(why string) error {
	return fmt.Errorf("%w: topology %s takes several servers, and %s: use --server process, with redis-server or valkey-server on PATH", ErrTopology, t, why)
}

// orProcesses starts with processes what start has not.
func orProcesses(start Starter) Starter {
	return func(ctx context.Context, spec Spec) (Server, error) {
		s, refused := start(ctx, spec)
		if !errors.Is(refused, ErrTopology) {
			return s, refused
		}
		if _, err := findBinary(); err != nil {
			return nil, refused // which says what to do about it
		}
		return StartProcess(ctx, spec)
	}
}

// node is one of the servers that a topology consists of: a process, or a container that shares this machine's network.
type node interface {
	Server
	Console

	addr() string

	// revive starts it again after Kill, at its address, with nothing reserved.
	revive(ctx context.Context, c Config) error
}

// nodeStarter starts one node. The flags follow redis.conf on its command line.
type nodeStarter func(ctx context.Context, spec Spec, flags ...string) (node, error)

// startSeveral starts a topology. It is made of the same nodes that a single server is, so that each of them is recorded
// in the workspace, and swept, as a single one would be.
func startSeveral(ctx context.Context, spec Spec, start nodeStarter) (Server, error) {
	switch spec.Topology {
	case Sentinel:
		return startSentinel(ctx, spec, start)
	case Cluster:
		return startCluster(ctx, spec, start)
	}
	return nil, fmt.Errorf("%w: there is no topology %q", ErrUsage, spec.Topology)
}

// Group is offered by a server of several nodes that hold data.
type Group interface {
	// Others are the endpoints of those beside Endpoint, by their roles.
	Others() map[string]Endpoint
}

// group is the nodes of one topology, in the order of their start.
type group struct {
	topology Topology
	start    nodeStarter
	nodes    []node
	roles    []string // of the nodes, for their folders and the log
}

// add starts one more node.
func (g *group) add(ctx context.Context, spec Spec, role string, c Config, flags ...string) (node, error) {
	spec.Name += "-" + role
	spec.Config = c
	n, err := g.start(ctx, spec, flags...)
	if err != nil {
		return nil, err
	}
	g.nodes, g.roles = append(g.nodes, n), append(g.roles, role)
	return n, nil
}

// Others are all nodes that hold data, except the first: a Sentinel holds none.
func (g *group) Others() map[string]Endpoint {
	others := map[string]Endpoint{}
	for i, node := range g.nodes {
		if i > 0 && g.roles[i] != sentinelRole {
			others[g.roles[i]] = node.Endpoint()
		}
	}
	return others
}

// hostPort is a node's address in the two words that Redis's commands take.
func hostPort(n node) (host, port string) {
	host, port, _ = net.SplitHostPort(n.addr()) // which loopback has put together
	return host, port
}

// Stop ends all nodes, the last first.
func (g *group) Stop(ctx context.Context) error {
	var errs []error
	for _, node := range slices.Backward(g.nodes) {
		errs = append(errs, node.Stop(ctx))
	}
	return errors.Join(errs...)
}

// Log is one log after the other, each under a line that says whose it is.
func (g *group) Log(ctx context.Context) ([]byte, error) {
	var all []byte
	var errs []error
	for i, node := range g.nodes {
		log, err := node.Log(ctx)
		errs = append(errs, err)
		all = fmt.Appendf(all, "==> %s, %s <==\n%s\n", g.roles[i], node.addr(), log)
	}
	return all, errors.Join(errs...)
}

// Restart is not offered: a node that restarts is a failover or a part of the cluster lost, each an incident of its own.
func (g *group) Restart(context.Context, Config) error {
	return fmt.Errorf("restart: %w: topology %s", ErrTopology, g.topology)
}

// abandon stops what has been started when the rest could not be.
func (g *group) abandon(ctx context.Context, err error) error {
	return errors.Join(err, g.Stop(context.WithoutCancel(ctx)))
}

// askLimit bounds one question to a node. The nodes are idle, or at their start.
const askLimit = 5 * time.Second

// ask puts a question to a node over a connection of its own.
func ask(ctx context.Context, node node, do func(context.Context, *redis.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	client, connection, err := OpenWatch(ctx, node.Endpoint())
	if err != nil {
		return err
	}
	defer connection.Close()
	defer client.Close()
	if err := do(ctx, client); err != nil {
		return fmt.Errorf("ask %s: %w", node.addr(), err)
	}
	return nil
}

// eventually asks until the answer is yes. The error of a limit that has passed says what was waited for.
func eventually(ctx context.Context, node node, limit time.Duration, what string, yes func(context.Context, *redis.Client) (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s: not within %v", what, limit))
	defer cancel()
	for {
		var there bool
		err := ask(ctx, node, func(ctx context.Context, c *redis.Client) (err error) {
			there, err = yes(ctx, c)
			return err
		})
		if there {
			return nil
		}
		select {
		case <-time.After(askEvery):
		case <-ctx.Done():
			return fmt.Errorf("%w (last answer: %v)", context.Cause(ctx), err)
		}
	}
}

// askEvery is the time between two questions.
const askEvery = 20 * time.Millisecond
