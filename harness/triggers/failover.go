package triggers

import (
	"context"
	"fmt"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/swarm"
)

// failover kills the primary of a pair while its replica lags behind. The replica
// lags by lag_ms and lags no longer once the primary is dead; the dead one comes
// back as a replica. All of that is over when Fire returns.
var failover = Trigger{
	Name:     "failover",
	Summary:  "Kills the primary of a pair whose replica lags behind by lag_ms. Sentinel promotes the replica, and what it lagged behind by is lost.",
	Uses:     []string{"lag_ms"},
	Topology: server.Sentinel,
	Say: func(s Settings, _ swarm.Settings) string {
		return fmt.Sprintf("the replica lags, and %v later the primary is killed", s.LagMS.Duration())
	},
	Fire: func(ctx context.Context, in *Incident) error {
		return in.Failover(ctx, in.Settings.LagMS.Duration())
	},
}
