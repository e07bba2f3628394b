package remedies

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/text"
)

// releaseOrphanedLocks is what the runbook's option 1 could have been: it deletes
// the locks of the dead and leaves those of the living.
var releaseOrphanedLocks = Remedy{
	Name:    "release-orphaned-locks",
	Summary: "Deletes the locks whose owner is proved dead, each only if it still holds the dead owner's token, over a control connection.",
	Apply: func(ctx context.Context, in *Handle) error {
		did := "look for locks whose owner is dead"
		tokens, err := in.Orphans(ctx)
		if err != nil {
			in.Step(did, "nothing can be known: "+oneLine(err))
			return blocked("%s: %w", did, err)
		}
		if len(tokens) == 0 {
			in.Step(did, "no lock has a dead owner: nothing to release")
			return nil
		}
		locks := slices.Sorted(maps.Keys(tokens))
		in.Step(did, text.Plural(len(locks), "lock")+": "+text.FirstOf(locks, ", ", mostListed))
		return releaseEach(ctx, in, locks, tokens)
	},
}

// deleteIfHolds is the release of a lock by its owner. Between the proof and the
// deletion the lock may have got another owner, which is alive: GET and DEL from here
// would delete his. Redis before 8.4 and Valkey before 9.0 have no command for
// it, so it is a script everywhere.
var deleteIfHolds = redis.NewScript(`if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) else return 0 end`)

// releaseEach goes lock by lock, so that every answer stands in the log beside its
// lock. Of many locks the log gets the first, then one line for the rest.
func releaseEach(ctx context.Context, in *Handle, locks []string, tokens map[string]string) error {
	deleted, beyond, beyondDeleted := 0, 0, 0
	for i, lock := range locks {
		did := fmt.Sprintf("delete %s if it still holds %s", lock, tokens[lock])
		n, err := deleteIfHolds.Run(ctx, in.Admin(), []string{lock}, tokens[lock]).Int()
		if err != nil {
			in.Step(did, err.Error())
			return blocked("%s (a script; %d of %d were deleted before): %w", did, deleted, len(locks), err)
		}
		deleted += n
		if i < mostListed {
			in.Step(did, answerOf(n))
			continue
		}
		beyond, beyondDeleted = beyond+1, beyondDeleted+n
	}
	if beyond > 0 {
		in.Step(fmt.Sprintf("the same with the other %s", text.Plural(beyond, "lock")),
			fmt.Sprintf("%d deleted, %d left alone", beyondDeleted, beyond-beyondDeleted))
	}
	return nil
}

// answerOf says what the script's number means. It does not tell a lock that is
// gone from one with another token: both were done by a live client.
func answerOf(n int) string {
	if n == 0 {
		return "0: it is gone or has another token by now, and was left alone"
	}
	return fmt.Sprintf("%d: deleted", n)
}
