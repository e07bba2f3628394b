package triggers

import (
	"context"
	"fmt"

	"github.com/lockjam/lockjam/harness/swarm"
)

// hotKey turns all requests to one tenant: as many of them as before, behind one
// lock.
var hotKey = Trigger{
	Name:    "hot-key",
	Summary: "Turns every request to one tenant, and leaves their number as it is.",
	Check: func(_ Settings, of swarm.Settings) []Problem {
		if of.Lock.Tenants > 1 {
			return nil
		}
		return []Problem{{[]string{"trigger.kind", "swarm.lock.tenants"},
			"hot-key needs several tenants, one of which is to be hot"}}
	},
	Say: func(_ Settings, of swarm.Settings) string {
		return fmt.Sprintf("all requests are for one of %d tenants", of.Lock.Tenants)
	},
	Fire: func(_ context.Context, in *Handle) error {
		in.Swarm.Focus(0)
		return nil
	},
}
