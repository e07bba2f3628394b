package triggers

import (
	"context"
	"fmt"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/swarm"
)

// leak has the service check connections out and forget them. It goes on through
// whatever is done about it, as a fault in the code does, until it has leaked count
// or the arm is over.
var leak = Trigger{
	Name:    "leak",
	Summary: "The service checks per_s connections a second out of its pools and never gives them back, until it has leaked count.",
	Uses:    []string{"per_s", "count", "pool_size"},
	// Its connections are taken out of one pool, and a cluster has several.
	Topologies: []server.Topology{server.Single, server.Sentinel},
	Say: func(s Settings, _ swarm.Settings) string {
		words := fmt.Sprintf("%g connections a second are leaked, up to %d", s.PerS, s.Count)
		if s.PoolSize > 0 {
			words += fmt.Sprintf(", from pools of %d", s.PoolSize)
		}
		return words
	},
	Fire: func(_ context.Context, in *Incident) error {
		in.Swarm.Leak(swarm.Leak{PerS: in.Settings.PerS, Count: in.Settings.Count, PoolSize: in.Settings.PoolSize})
		return nil
	},
}
