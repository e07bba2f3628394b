package node

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/server"
)

const (
	shards    = 3     // the fewest that a Redis cluster has
	hashSlots = 16384 // cluster.h, CLUSTER_SLOTS

	// joinLimit bounds the time until the nodes agree. A primary does not report the cluster as ok
	// in its first two seconds (cluster.c, CLUSTER_WRITABLE_DELAY).
	joinLimit = 20 * time.Second
)

// cluster is three primaries on 127.0.0.1 without replicas: nothing fails over here.
type cluster struct{ group }

func startCluster(ctx context.Context, spec server.Spec, start Starter) (server.Server, error) {
	s := &cluster{group{topology: server.Cluster, start: start}}
	c := spec.Config.With(server.Config{
		"cluster-enabled": "yes",
		// After this many milliseconds without an answer a node counts as failed, and then the
		// whole cluster stops serving. Without replicas nothing is gained by a short timeout, and
		// on a busy machine it is a risk.
		"cluster-node-timeout": "10000",
	})
	for i := range shards {
		if err := s.addShard(ctx, spec, fmt.Sprintf("shard-%d", i+1), c); err != nil {
			return nil, s.abandon(ctx, err)
		}
	}
	if err := s.join(ctx); err != nil {
		return nil, s.abandon(ctx, fmt.Errorf("join the nodes to a cluster: %w", err))
	}
	return s, nil
}

// addShard starts a node on a free port.
func (s *cluster) addShard(ctx context.Context, spec server.Spec, role string, c server.Config) error {
	_, err := retryPort(freePortWithBus, func(port int) (Node, error) {
		spec.Port = port
		return s.add(ctx, spec, role, c)
	})
	return err
}

// join assigns each node its slots and introduces every node to every other: gossip would do the
// same, but some seconds later.
func (s *cluster) join(ctx context.Context) error {
	for i := range s.nodes {
		if err := s.introduce(ctx, i); err != nil {
			return err
		}
	}
	for i, node := range s.nodes {
		label := fmt.Sprintf("shard %d to see the complete cluster", i+1)
		if err := eventually(ctx, node, joinLimit, label, s.complete); err != nil {
			return err
		}
	}
	return nil
}

// introduce assigns node i its slots and introduces it to the nodes before it.
func (s *cluster) introduce(ctx context.Context, i int) error {
	return ask(ctx, s.nodes[i], func(ctx context.Context, c *redis.Client) error {
		if err := c.ClusterAddSlotsRange(ctx, i*hashSlots/shards, (i+1)*hashSlots/shards-1).Err(); err != nil {
			return err
		}
		// With distinct epochs the nodes need not resolve a conflict first.
		if err := c.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil {
			return err
		}
		for _, earlier := range s.nodes[:i] {
			host, port := hostPort(earlier)
			if err := c.Do(ctx, "CLUSTER", "MEET", host, port).Err(); err != nil {
				return err
			}
		}
		return nil
	})
}

// complete reports whether a node knows all others and their slots.
func (s *cluster) complete(ctx context.Context, c *redis.Client) (bool, error) {
	info, err := c.ClusterInfo(ctx).Result()
	for _, line := range []string{
		"cluster_state:ok", fmt.Sprintf("cluster_slots_ok:%d", hashSlots),
		fmt.Sprintf("cluster_known_nodes:%d", shards),
	} {
		if !strings.Contains(info, line+"\r\n") {
			return false, err
		}
	}
	// The other nodes' slots may not have arrived everywhere yet: clients would learn of them one
	// by one.
	ranges, err := c.Do(ctx, "CLUSTER", "SLOTS").Slice()
	return err == nil && len(ranges) == shards, err
}

func (s *cluster) Endpoint() server.Endpoint { return s.nodes[0].Endpoint() }

func (s *cluster) Info() server.Info {
	info := s.nodes[0].Info()
	info.Topology = server.Cluster
	return info
}

func (s *cluster) Shards() []server.Endpoint {
	var all []server.Endpoint
	for _, node := range s.nodes {
		all = append(all, node.Endpoint())
	}
	return all
}

func (s *cluster) Kill(ctx context.Context) error   { return s.nodes[0].Kill(ctx) }
func (s *cluster) Pause(ctx context.Context) error  { return s.nodes[0].Pause(ctx) }
func (s *cluster) Resume(ctx context.Context) error { return s.nodes[0].Resume(ctx) }

// RedisCLI implements server.Console, against the first shard.
func (s *cluster) RedisCLI(ctx context.Context, w io.Writer, arguments ...string) (string, error) {
	return s.nodes[0].RedisCLI(ctx, w, arguments...)
}
