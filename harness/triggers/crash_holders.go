package triggers

import (
	"context"
	"fmt"

	"github.com/lockjam/lockjam/harness/swarm"
)

// crashHolders kills one holder of every lock in the middle of its work.
var crashHolders = Trigger{
	Name:    "crash-holders",
	Summary: "Crashes one holder of every lock in the middle of its work, as the OOM killer does. Replacements come after replace_after_ms.",
	Check:   needsHolders,
	Say: func(_ Settings, of swarm.Settings) string {
		return fmt.Sprintf("one holder of each of %d locks crashes", of.Lock.Tenants)
	},
	Fire: func(ctx context.Context, in *Handle) error {
		bounded, cancel := context.WithTimeout(ctx, FireWithin)
		defer cancel()
		if err := in.Swarm.CrashHolders(bounded); err != nil && ctx.Err() == nil {
			in.Note(fmt.Sprintf("not every lock had a holder to crash within %v", FireWithin))
		}
		return ctx.Err()
	},
}
