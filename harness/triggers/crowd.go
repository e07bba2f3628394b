package triggers

import (
	"context"
	"fmt"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/swarm"
)

// crowd fills the server for a moment with clients that have nothing to do with the
// service.
var crowd = Trigger{
	Name:    "crowd",
	Summary: "Others open count connections at once, trying again where they are refused, and leave after for_ms.",
	Uses:    []string{"count", "for_ms"},
	// Its connections are taken out of one pool, and a cluster has several.
	Topologies: []server.Topology{server.Single, server.Sentinel},
	Say: func(s Settings, _ swarm.Settings) string {
		return fmt.Sprintf("a crowd of %d connections comes for %g ms", s.Count, float64(s.ForMS))
	},
	Fire: func(_ context.Context, in *Handle) error {
		in.Swarm.Crowd(in.Settings.Count, in.Settings.ForMS.Duration())
		return nil
	},
}
