package watch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/history"
)

// What one look at the keys may cost the server: so many rounds of SCAN over so
// many keys each (locks or not), of well under a millisecond a round, with other
// clients served in between; and two questions about each of the first locks.
const (
	scanRounds = 20
	scanCount  = 1000
	locksAsked = 200
)

// readLocks looks at the keys that match the pattern. What cannot be found out
// is said in Error and IdleError; nothing is tried twice. Neither PTTL nor OBJECT
// IDLETIME counts as a use of the key, so that looking does not change what is
// seen.
func readLocks(ctx context.Context, c *redis.Client, pattern string) history.Locks {
	keys, partial, err := scan(ctx, c, pattern)
	if err != nil {
		return history.Locks{Error: err.Error()}
	}
	found := history.Locks{Keys: int64(len(keys)), Partial: partial}
	askLocks(ctx, c, keys[:min(len(keys), locksAsked)], &found)
	return found
}

// scan returns the keys that match, sorted. It is partial where the end of the
// keyspace was not reached.
func scan(ctx context.Context, c *redis.Client, pattern string) (keys []string, partial bool, err error) {
	found := map[string]struct{}{} // SCAN may return a key more than once
	cursor := uint64(0)
	for range scanRounds {
		page, next, err := c.Scan(ctx, cursor, pattern, scanCount).Result()
		if err != nil {
			return nil, false, fmt.Errorf("SCAN MATCH %s on %s: %w", pattern, c.Options().Addr, err)
		}
		for _, key := range page {
			found[key] = struct{}{}
		}
		if cursor = next; cursor == 0 {
			break
		}
	}
	return slices.Sorted(maps.Keys(found)), cursor != 0, nil
}

// noTTL and noKey are what PTTL answers instead of a time.
const (
	noTTL time.Duration = -1
	noKey time.Duration = -2
)

// askLocks asks for the TTL and the idle time of each key, in one round trip.
func askLocks(ctx context.Context, c *redis.Client, keys []string, found *history.Locks) {
	if len(keys) == 0 {
		return
	}
	ttls := make([]*redis.DurationCmd, len(keys))
	idles := make([]*redis.DurationCmd, len(keys))
	// The error is that of the first command that has one; each has its own.
	_, _ = c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range keys {
			ttls[i], idles[i] = p.PTTL(ctx, key), p.ObjectIdleTime(ctx, key)
		}
		return nil
	})
	failed := func(what string, err error) {
		if found.IdleError == "" {
			found.IdleError = fmt.Sprintf("%s on %s: %v", what, c.Options().Addr, err)
		}
	}
	for i := range keys {
		ttl, err := ttls[i].Result()
		if err != nil {
			failed("PTTL", err)
			continue
		}
		if ttl == noKey { // released since SCAN saw it
			continue
		}
		found.Asked++
		if ttl == noTTL {
			found.NoTTL++
		}
		idle, err := idles[i].Result()
		if err != nil && !errors.Is(err, redis.Nil) { // nil: released between the two questions
			failed("OBJECT IDLETIME", err)
		}
		found.OldestIdle = max(found.OldestIdle, idle)
	}
	if found.IdleError != "" {
		found.OldestIdle = 0 // that of some keys is not that of the oldest
	}
}
