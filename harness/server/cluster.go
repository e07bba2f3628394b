package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Sharded is offered by a server whose keys are shared out to several. Its Endpoint is the first of its shards, and so is
// what Kill, Pause, Resume and RedisCLI are about.
type Sharded interface {
	Server

	// Shards are the endpoints of all of them: of n, shard i has the hash slots from i*16384/n on.
	Shards() []Endpoint
}

const (
	shards    = 3     // the least that a cluster of Redis has
	hashSlots = 16384 // cluster.h, CLUSTER_SLOTS

	// joinLimit is how long the nodes may take to agree. A primary does not call the cluster whole in its first two seconds
	// (cluster.c, CLUSTER_WRITABLE_DELAY).
	joinLimit = 20 * time.Second
)

// BusLinks is how many of a shard's client slots its links to the other shards take: two for each (networking.c,
// acceptCommonHandler, and cluster.c, getClusterConnectionsCount). No list of clients shows them.
func BusLinks(shards int) int { return 2 * max(shards-1, 0) }

// clusterServer is three primaries on 127.0.0.1 without replicas: nothing fails over here.
type clusterServer struct{ group }

func startCluster(ctx context.Context, spec Spec, start nodeStarter) (Server, error) {
	s := &clusterServer{group{topology: Cluster, start: start}}
	c := spec.Config.With(Config{
		"cluster-enabled": "yes",
		// A node that does not answer for so long is taken for failed, and then the whole cluster answers nobody. Without a
		// replica there is no gain in being quick, and on a busy machine a danger.
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

// addShard starts a node on a free port, at most three times if somebody else was faster.
func (s *clusterServer) addShard(ctx context.Context, spec Spec, role string, c Config) error {
	var errs []error
	for range 3 {
		port, err := freePortWithBus()
		if err != nil {
			return err
		}
		spec.Port = port
		if _, err = s.add(ctx, spec, role, c); !errors.Is(err, errPortTaken) {
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// join gives each node its slots and makes every two of them meet: gossip would bring
// them together as well, some seconds later.
func (s *clusterServer) join(ctx context.Context) error {
	for i, node := range s.nodes {
		if err := ask(ctx, node, func(ctx context.Context, c *redis.Client) error {
			if err := c.ClusterAddSlotsRange(ctx, i*hashSlots/shards, (i+1)*hashSlots/shards-1).Err(); err != nil {
				return err
			}
			// An epoch each, or they would have to settle who takes which first.
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
		}); err != nil {
			return err
		}
	}
	for i, node := range s.nodes {
		if err := eventually(ctx, node, joinLimit, fmt.Sprintf("shard %d: the cluster is whole", i+1), s.whole); err != nil {
			return err
		}
	}
	return nil
}

// whole says whether a node knows all others and their slots.
func (s *clusterServer) whole(ctx context.Context, c *redis.Client) (bool, error) {
	info, err := c.ClusterInfo(ctx).Result()
	for _, line := range []string{"cluster_state:ok", fmt.Sprintf("cluster_slots_ok:%d", hashSlots), fmt.Sprintf("cluster_known_nodes:%d", shards)} {
		if !strings.Contains(info, line+"\r\n") {
			return false, err
		}
	}
	// What was said at the meeting may not have reached everybody: clients are told of the slots one by one.
	ranges, err := c.Do(ctx, "CLUSTER", "SLOTS").Slice()
	return err == nil && len(ranges) == shards, err
}

func (s *clusterServer) Endpoint() Endpoint { return s.nodes[0].Endpoint() }

func (s *clusterServer) Info() Info {
	info := s.nodes[0].Info()
	info.Topology = Cluster
	return info
}

func (s *clusterServer) Shards() []Endpoint {
	var all []Endpoint
	for _, node := range s.nodes {
		all = append(all, node.Endpoint())
	}
	return all
}

func (s *clusterServer) Kill(ctx context.Context) error   { return s.nodes[0].Kill(ctx) }
func (s *clusterServer) Pause(ctx context.Context) error  { return s.nodes[0].Pause(ctx) }
func (s *clusterServer) Resume(ctx context.Context) error { return s.nodes[0].Resume(ctx) }

// RedisCLI runs it against the first shard.
func (s *clusterServer) RedisCLI(ctx context.Context, w io.Writer, arguments ...string) (string, error) {
	return s.nodes[0].RedisCLI(ctx, w, arguments...)
}
