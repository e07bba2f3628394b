package triggers

import (
	"context"
	"fmt"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/swarm"
)

// maxLeaksPerS is how many connections may be leaked in a second.
const maxLeaksPerS = 1000

// leak has the service check connections out and forget them. It goes on through
// whatever is done about it, as a fault in the code does, until it has leaked count
// or the arm is over.
var leak = Trigger{
	Name:    "leak",
	Summary: "The service checks rate_per_s connections a second out of its pools and never gives them back, until it has leaked count.",
	Uses:    []string{"rate_per_s", "count", "pool_size"},
	Check: func(s Settings, _ swarm.Settings) []Problem {
		if s.RatePerS <= maxLeaksPerS {
			return nil
		}
		return []Problem{{[]string{"trigger.rate_per_s"},
			fmt.Sprintf("%g: want at most %d: a leak is slow, or it is a crowd", s.RatePerS, maxLeaksPerS)}}
	},
	// Its connections are taken out of one pool, and a cluster has several.
	Topologies: []server.Topology{server.Single, server.Sentinel},
	Say: func(s Settings, _ swarm.Settings) string {
		words := fmt.Sprintf("%g connections a second are leaked, up to %d", s.RatePerS, s.Count)
		if s.PoolSize > 0 {
			words += fmt.Sprintf(", from pools of %d", s.PoolSize)
		}
		return words
	},
	Fire: func(_ context.Context, in *Handle) error {
		in.Swarm.Leak(swarm.Leak{PerS: in.Settings.RatePerS, Count: in.Settings.Count, PoolSize: in.Settings.PoolSize})
		return nil
	},
}
