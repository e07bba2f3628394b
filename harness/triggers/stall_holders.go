package triggers

import (
	"context"
	"fmt"

	"github.com/lockjam/lockjam/harness/swarm"
)

// stallHolders is a long garbage collection, a page fault or a virtual machine that is
// moved: it comes once and is over.
var stallHolders = Trigger{
	Name:    "stall-holders",
	Summary: "Stalls one holder of each of count locks in its work, once, so that it takes hold_ms; as a long garbage collection does.",
	Uses:    []string{"count", "hold_ms"},
	Check: func(s Settings, of swarm.Settings) []Problem {
		problems := append(slowWork.Check(s, of), needsHolders(s, of)...)
		if s.Count > of.Lock.Tenants {
			problems = append(problems, Problem{[]string{"trigger.count", "swarm.lock.tenants"},
				fmt.Sprintf("%d: there are %d locks", s.Count, of.Lock.Tenants)})
		}
		return problems
	},
	Say: func(s Settings, of swarm.Settings) string {
		return fmt.Sprintf("one holder of each of %d locks of %d works for %v instead of %v, once",
			s.Count, of.Lock.Tenants, s.HoldMS.Duration(), of.Lock.HoldMS.Duration())
	},
	Fire: func(ctx context.Context, in *Handle) error {
		bounded, cancel := context.WithTimeout(ctx, FireWithin)
		defer cancel()
		if err := in.Swarm.StallHolders(bounded, in.Settings.Count, in.Settings.HoldMS.Duration()); err != nil &&
			ctx.Err() == nil {
			in.Note(fmt.Sprintf("not every lock had a holder to stall within %v", FireWithin))
		}
		return ctx.Err()
	},
}
