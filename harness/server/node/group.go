package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/server"
)

func startSeveral(ctx context.Context, spec server.Spec, start Starter) (server.Server, error) {
	switch spec.Topology {
	case server.Sentinel:
		return startSentinel(ctx, spec, start)
	case server.Cluster:
		return startCluster(ctx, spec, start)
	}
	return nil, fmt.Errorf("%w: unknown topology %q", server.ErrUsage, spec.Topology)
}

// group is the nodes of one topology, in the order of their start.
type group struct {
	topology server.Topology
	start    Starter
	nodes    []Node
	roles    []string // of the nodes, for their folders and the log
}

// add starts one more node.
func (g *group) add(
	ctx context.Context, spec server.Spec, role string, c server.Config, flags ...string,
) (Node, error) {
	spec.Name += "-" + role
	spec.Config = c
	n, err := g.start(ctx, spec, flags...)
	if err != nil {
		return nil, err
	}
	g.nodes, g.roles = append(g.nodes, n), append(g.roles, role)
	return n, nil
}

// Others implements server.Group. A Sentinel holds no data.
func (g *group) Others() map[string]server.Endpoint {
	others := map[string]server.Endpoint{}
	for i, node := range g.nodes {
		if i > 0 && g.roles[i] != sentinelRole {
			others[g.roles[i]] = node.Endpoint()
		}
	}
	return others
}

// hostPort splits a node's address as Redis's commands expect it.
func hostPort(n Node) (host, port string) {
	host, port, _ = net.SplitHostPort(n.Addr()) // from server.Loopback, so always valid
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

// Log returns the logs of all nodes, each below a line with the node's role and address.
func (g *group) Log(ctx context.Context) ([]byte, error) {
	var all []byte
	var errs []error
	for i, node := range g.nodes {
		log, err := node.Log(ctx)
		errs = append(errs, err)
		all = fmt.Appendf(all, "==> %s, %s <==\n%s\n", g.roles[i], node.Addr(), log)
	}
	return all, errors.Join(errs...)
}

// Restart is not supported: restarting a node is a failover, or the loss of a part of the cluster,
// each an incident of its own.
func (g *group) Restart(context.Context, server.Config) error {
	return fmt.Errorf("restart: %w with topology %s", server.ErrTopology, g.topology)
}

// abandon stops the nodes that have started after another could not be.
func (g *group) abandon(ctx context.Context, err error) error {
	return errors.Join(err, g.Stop(context.WithoutCancel(ctx)))
}

const (
	// askLimit bounds one question to a node, which is idle or starting.
	askLimit = 5 * time.Second

	// askInterval is the time between two questions.
	askInterval = 20 * time.Millisecond
)

// ask sends commands to a node over a connection of its own.
func ask(ctx context.Context, node Node, do func(context.Context, *redis.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	client, connection, err := server.OpenWatch(ctx, node.Endpoint())
	if err != nil {
		return err
	}
	defer connection.Close()
	defer client.Close()
	if err := do(ctx, client); err != nil {
		return fmt.Errorf("ask %s: %w", node.Addr(), err)
	}
	return nil
}

// condition asks a node whether something holds.
type condition func(context.Context, *redis.Client) (bool, error)

// eventually asks until the condition holds. The error after the limit names the condition by its
// label.
func eventually(ctx context.Context, node Node, limit time.Duration, label string, holds condition) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("waited %v for %s", limit, label))
	defer cancel()
	for {
		var met bool
		err := ask(ctx, node, func(ctx context.Context, c *redis.Client) (err error) {
			met, err = holds(ctx, c)
			return err
		})
		if met {
			return nil
		}
		select {
		case <-time.After(askInterval):
		case <-ctx.Done():
			return fmt.Errorf("%w (last answer: %v)", context.Cause(ctx), err)
		}
	}
}
