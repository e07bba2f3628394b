package triggers

import (
	"context"
	"fmt"

	"github.com/lockjam/lockjam/harness/swarm"
)

// slowWork is a dependency that has become slow: nothing about Redis or its clients
// changes.
var slowWork = Trigger{
	Name:    "slow-work",
	Summary: "Makes the work under every lock take hold_ms from then on, as when something that it depends on becomes slow.",
	Uses:    []string{"hold_ms"},
	Check: func(s Settings, of swarm.Settings) []Problem {
		if s.HoldMS > of.Lock.HoldMS {
			return nil
		}
		return []Problem{{[]string{"trigger.hold_ms", "swarm.lock.hold_ms"},
			fmt.Sprintf("%g: want more than the %g that the work takes before", s.HoldMS, of.Lock.HoldMS)}}
	},
	Say: func(s Settings, of swarm.Settings) string {
		return fmt.Sprintf("the work under a lock takes %v instead of %v", s.HoldMS.Duration(),
			of.Lock.HoldMS.Duration())
	},
	Fire: func(_ context.Context, in *Handle) error {
		in.Swarm.SlowWork(in.Settings.HoldMS.Duration())
		return nil
	},
}
