package triggers

import (
	"context"
	"fmt"
	"time"

	"github.com/lockjam/lockjam/harness/swarm"
)

// severHolders cuts connections in the middle of a surge, as a NAT or a load
// balancer does that has forgotten idle ones: holders' are idle while they work.
var severHolders = Trigger{
	Name:    "sever-holders",
	Summary: "Scales out to more instances, waits until the server has no slot left, and cuts the connections of one holder of every lock once, in the middle of its work.",
	Uses:    []string{"instances"},
	Check: func(s Settings, of swarm.Settings) []Problem {
		problems := surge.Check(s, of)
		if of.Holder == swarm.HolderRedials {
			problems = append(problems, Problem{[]string{"trigger.kind", "swarm.holder"},
				s.Kind + " needs holders that have a connection to lose, and one that redials has none"})
		}
		if of.ClientsPerInstance < of.WorkersPerInstance {
			problems = append(problems, Problem{[]string{"trigger.kind", "swarm.clients_per_instance",
				"swarm.workers_per_instance"},
				s.Kind + " cuts the connections of a holder's client, so each worker needs its own"})
		}
		return problems
	},
	Say: func(s Settings, of swarm.Settings) string {
		return fmt.Sprintf("%d instances become %d; once the slots are taken, one holder of each of %d locks loses its connection",
			of.Instances, s.Instances, of.Lock.Tenants)
	},
	Fire: func(ctx context.Context, in *Handle) error {
		bounded, cancel := context.WithTimeout(ctx, FireWithin)
		defer cancel()
		in.Swarm.Scale(in.Settings.Instances)
		// As often as there are workers: not in one moment only, in which a connection
		// that comes and goes had the last slot.
		if !in.Swarm.AwaitRefusals(bounded, in.Settings.Instances*in.Of.WorkersPerInstance) {
			if ctx.Err() == nil {
				in.Note(fmt.Sprintf("the server was not full within %v, so no connection was cut", FireWithin))
			}
			return ctx.Err()
		}
		if in.Swarm.SeverHolders(bounded, cutWithin) == 0 && ctx.Err() == nil {
			in.Note("there was no holder to cut")
		}
		return ctx.Err()
	},
}

// cutWithin is how long to wait for the next lock to be taken.
const cutWithin = 300 * time.Millisecond
