// Package node holds what processes and containers have in common: the ports, the wait for the
// first answer, restarts with connections reserved for the next Control, and topologies of several
// nodes.
package node

import (
	"context"
	"time"

	"github.com/lockjam/lockjam/harness/server"
)

const (
	// TermGrace bounds the time that a server may take to save its data after SIGTERM, before a
	// Restart kills it.
	TermGrace = 30 * time.Second

	// LogInterval is the time between two reads of the log of a server that is stopping.
	LogInterval = 20 * time.Millisecond

	// LogLimit bounds how much of a log is kept in memory, in bytes.
	LogLimit = 16 << 20
)

// Node is one server: a single Redis, or one of those that a topology consists of.
type Node interface {
	server.Server
	server.Console

	Addr() string

	// Revive starts the server again after Kill, at its address, and reserves no connections.
	Revive(ctx context.Context, c server.Config) error
}

// Starter starts one node. The flags follow redis.conf on its command line.
type Starter func(ctx context.Context, spec server.Spec, flags ...string) (Node, error)

// Start starts the topology of spec from nodes that start returns. A topology consists of the same
// nodes as a single server, so the workspace records each of them, and a sweep finds each.
func Start(ctx context.Context, spec server.Spec, start Starter) (server.Server, error) {
	if spec.Topology.Several() {
		return startSeveral(ctx, spec, start)
	}
	return start(ctx, spec)
}

// Remaining returns the limit, or the time left of the context if that is shorter.
func Remaining(ctx context.Context, limit time.Duration) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	if deadline, ok := ctx.Deadline(); ok {
		return min(limit, time.Until(deadline))
	}
	return limit
}
