package server

import (
	"context"
	"errors"
	"fmt"
)

// Topology names the nodes that a Redis consists of.
type Topology string

const (
	Single   Topology = "single"   // one server; "" is the same
	Sentinel Topology = "sentinel" // a primary and a replica, and a Sentinel that fails over from one to the other
	Cluster  Topology = "cluster"  // three primaries that share the hash slots
)

// Topologies lists them all.
var Topologies = []Topology{Single, Sentinel, Cluster}

// Several reports whether the topology has more than one server.
func (t Topology) Several() bool { return t != Single && t != "" }

// ErrTopology is the answer of a starter that cannot start the requested topology.
var ErrTopology = errors.New("not supported by this kind of server")

// Refuse returns an ErrTopology that says why, and which kind of server has the topology.
func (t Topology) Refuse(why string) error {
	return fmt.Errorf("topology %s is %w: it needs several servers, and %s: "+
		"use --server process, with redis-server or valkey-server on PATH", t, ErrTopology, why)
}

// Group is implemented by servers with several nodes that hold data.
type Group interface {
	// Others returns the endpoints of all such nodes except the one that Endpoint returns, by role.
	Others() map[string]Endpoint
}

// Sharded is implemented by servers that distribute their keys over several shards. Endpoint, Kill,
// Pause, Resume and RedisCLI refer to the first shard.
type Sharded interface {
	Server

	// Shards returns the endpoints of all shards: of n, shard i has the hash slots from i*16384/n
	// on.
	Shards() []Endpoint
}

// BusLinks returns how many of a shard's client slots are taken by its links to the other shards:
// two for each (networking.c, acceptCommonHandler, and cluster.c, getClusterConnectionsCount).
// CLIENT LIST does not show them.
func BusLinks(shards int) int { return 2 * max(shards-1, 0) }

// PrimaryName is the name under which the Sentinel monitors the primary.
const PrimaryName = "lockjam"

// Failover is implemented by servers that a Sentinel monitors. Endpoint returns the primary's,
// which changes with a failover.
type Failover interface {
	Server

	// Sentinels returns the addresses of the Sentinels, which name the current primary.
	Sentinels() []string

	// HoldBack makes the replica lag: it still receives the primary's writes but applies none of
	// them. FailOver ends that.
	HoldBack(ctx context.Context) error

	// FailOver kills the primary and returns once the Sentinel names the replica. The writes that
	// the replica held back are lost.
	FailOver(ctx context.Context) error

	// Rejoin restarts the killed primary as a replica of the new one. It has the data a second or
	// two later.
	Rejoin(ctx context.Context) error
}
