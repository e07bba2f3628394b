package triggers

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/swarm"
)

// slowScript keeps the server busy. Redis runs one command at a time: while it runs
// a script everybody else waits, and in between each of them gets one answer.
var slowScript = Trigger{
	Name:     "slow-script",
	Disturbs: true,
	Summary:  "Runs scripts that keep the server busy for script_ms each, one after the other for for_ms, as a KEYS or a report over a large data set does.",
	Uses:     []string{"for_ms", "script_ms"},
	Check: func(s Settings, _ swarm.Settings) []Problem {
		if s.ScriptMS <= s.ForMS {
			return nil
		}
		return []Problem{{[]string{"trigger.script_ms", "trigger.for_ms"},
			"want at most for_ms: a script that has begun cannot be ended"}}
	},
	Say: func(s Settings, _ swarm.Settings) string {
		return fmt.Sprintf("scripts of %v each keep the server busy for %v", s.ScriptMS.Duration(), s.ForMS.Duration())
	},
	Fire: func(ctx context.Context, in *Handle) error {
		if in.spares(ctx) {
			return ctx.Err()
		}
		in.Begin(func(ctx context.Context) {
			if err := keepBusy(ctx, in.Admin(), in.Settings.ForMS.Duration(),
				in.Settings.ScriptMS.Duration()); err != nil && ctx.Err() == nil {
				in.Note(fmt.Sprintf("the server was not kept busy: %v", err))
			}
		})
		return ctx.Err()
	},
}

// spin counts to a number and does nothing else. Scripts have no clock of their own:
// to ask for the TIME is a command, and each would be counted in commandstats as one
// that took no time.
var spin = redis.NewScript(`local n = 0 for i = 1, tonumber(ARGV[1]) do n = n + i % 7 end return n`)

const (
	firstCount = 100_000 // a millisecond or two
	mostFold   = 8       // by how much one script may be longer than the last
	mostCount  = 1 << 31 // half a minute, should nothing ever seem to take time
)

// keepBusy runs scripts that take so long each. How far a script counts in that time
// is found out on the way.
//
// A script that has begun is waited for when ctx ends: nothing ends it, and to give up
// its connection would cost the one that the remedy needs.
func keepBusy(ctx context.Context, c *redis.Client, length, each time.Duration) error {
	answered, cancel := context.WithTimeout(context.WithoutCancel(ctx), length+FireWithin)
	defer cancel()
	count := float64(firstCount)
	for end := time.Now().Add(length); ctx.Err() == nil && time.Now().Before(end); {
		begun := time.Now()
		if err := spin.Run(answered, c, nil, int64(count)).Err(); err != nil {
			return err
		}
		fold := each.Seconds() / max(time.Since(begun).Seconds(), 1e-6)
		count = min(count*min(fold, mostFold), mostCount)
	}
	return nil
}
