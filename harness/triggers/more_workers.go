package triggers

import (
	"context"
	"fmt"

	"github.com/lockjam/lockjam/harness/swarm"
)

// moreWorkers raises how much a process does at once, and leaves its pools as they
// are.
var moreWorkers = Trigger{
	Name:    "more-workers",
	Summary: "Each instance runs more workers over the clients that it has, as when the number of threads is raised.",
	Uses:    []string{"workers"},
	Check: func(s Settings, of swarm.Settings) []Problem {
		switch {
		case s.Workers <= of.WorkersPerInstance:
			return []Problem{{[]string{"trigger.workers", "swarm.workers_per_instance"},
				fmt.Sprintf("%d: want more than the %d that each instance has before", s.Workers,
					of.WorkersPerInstance)}}
		case of.WorkersPerInstance <= of.ClientsPerInstance:
			return []Problem{{[]string{"trigger.kind", "swarm.clients_per_instance"},
				"workers with a client each have nothing to share with others"}}
		}
		return nil
	},
	Say: func(s Settings, of swarm.Settings) string {
		return fmt.Sprintf("%d workers in each instance become %d", of.WorkersPerInstance, s.Workers)
	},
	Fire: func(_ context.Context, in *Handle) error {
		in.Swarm.Staff(in.Settings.Workers)
		return nil
	},
}
