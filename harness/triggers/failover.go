package triggers

import (
	"context"
	"fmt"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/swarm"
)

// failover kills the primary of a pair while its replica lags behind. The replica
// lags by lag_ms and lags no longer once the primary is dead; the dead one comes
// back as a replica. All of that is over when Fire returns. What stays is that the
// service has scaled out: other workers ask for every lock then.
var failover = Trigger{
	Name:       "failover",
	Summary:    "Kills the primary of a pair whose replica lags behind by lag_ms. Sentinel promotes the replica, and what it lagged behind by is lost. Then the service scales out.",
	Uses:       []string{"lag_ms", "instances"},
	Topologies: []server.Topology{server.Sentinel},
	Check:      surge.Check,
	Say: func(s Settings, of swarm.Settings) string {
		return fmt.Sprintf("the replica lags, %v later the primary is killed, and after the failover %s",
			s.LagMS.Duration(), surge.Say(s, of))
	},
	Fire: func(ctx context.Context, in *Handle) error {
		if err := in.Failover(ctx, in.Settings.LagMS.Duration()); err != nil {
			return err
		}
		return surge.Fire(ctx, in)
	},
}
