package sampler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
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

// A SCAN that was denied is tried again, ever more rarely, since ACL LOG has each attempt:
// after one in spareOf of the looks for which it has been denied, mostSpared at most.
const (
	spareOf    = 4
	mostSpared = 64
)

// namesKept bounds the memory for the names of locks, which are there to tell a
// key that SCAN returns twice. Past it every key counts.
const namesKept = 100_000

// keys looks for keys that match a pattern. A keyspace that is too large for one
// look is gone through in several: SCAN goes on where it was, and until it has come
// to the end there is a part of the count, and then all of it.
//
// What the user may not ask is asked once: the server's ACL log has an entry for
// every try.
type keys struct {
	pattern string

	runID  string // whose cursor it is
	cursor uint64
	found  map[string]struct{} // since the pass over the keyspace began
	more   int64               // that there was no room for
	looked int64               // keys, about

	noScan, noPTTL, noIdle string              // the server's answer; "" as long as it is not NOPERM
	refused, next          int                 // looks since SCAN was denied first; the one at which it is tried again
	hidden                 map[string]struct{} // keys that the user may not ask about
}

func newKeys(pattern string) *keys {
	return &keys{pattern: pattern, found: map[string]struct{}{}, hidden: map[string]struct{}{}}
}

// look goes on with the pass. What cannot be found out is said in Error and
// IdleError; what is denied is tried again ever more rarely. Neither PTTL nor OBJECT IDLETIME counts as a
// use of the key, so that looking does not change what is seen. The error is for a
// connection that is gone.
func (k *keys) look(ctx context.Context, c *redis.Client, runID string) (history.Locks, error) {
	if k.refused < k.next {
		k.refused++
		return history.Locks{Error: k.noScan}, nil
	}
	if runID != k.runID {
		k.runID = runID
		k.begin()
	}
	if err := k.scan(ctx, c); err != nil {
		k.begin()
		failed := history.Locks{Error: err.Error()}
		if denied(err) {
			k.noScan = failed.Error
			k.refused++
			k.next = k.refused + min(k.refused/spareOf, mostSpared)
		}
		return failed, unanswered(err)
	}
	k.refused, k.next = 0, 0
	names := slices.Sorted(maps.Keys(k.found))
	found := history.Locks{Keys: int64(len(names)) + k.more, Partial: k.cursor != 0}
	if found.Partial {
		found.Scanned = k.looked
	} else {
		k.begin()
	}
	err := k.ask(ctx, c, names[:min(len(names), locksAsked)], &found)
	return found, err
}

// begin starts a pass.
func (k *keys) begin() {
	clear(k.found)
	k.cursor, k.more, k.looked = 0, 0, 0
}

// scan goes on until the end of the keyspace, or until it is enough for once.
func (k *keys) scan(ctx context.Context, c *redis.Client) error {
	for range scanRounds {
		page, next, err := c.Scan(ctx, k.cursor, k.pattern, scanCount).Result()
		if err != nil {
			return fmt.Errorf("SCAN MATCH %s on %s: %w", k.pattern, c.Options().Addr, err)
		}
		for _, key := range page {
			if _, known := k.found[key]; !known && len(k.found) == namesKept {
				k.more++
			} else {
				k.found[key] = struct{}{}
			}
		}
		k.looked += scanCount
		if k.cursor = next; next == 0 {
			break
		}
	}
	return nil
}

// noTTL and noKey are what PTTL answers instead of a time.
const (
	noTTL time.Duration = -1
	noKey time.Duration = -2
)

// ask asks for the TTL and the idle time of each key, in one round trip. The first
// time it asks about one key alone, and then knows what it may ask.
func (k *keys) ask(ctx context.Context, c *redis.Client, names []string, found *history.Locks) (err error) {
	names = slices.DeleteFunc(names, func(key string) bool { _, is := k.hidden[key]; return is })
	var oldest time.Duration
	if len(names) > 1 && k.noPTTL == "" {
		oldest, err = k.askAbout(ctx, c, names[:1], found)
		names = names[1:]
	}
	if len(names) > 0 && k.noPTTL == "" && err == nil {
		var rest time.Duration
		rest, err = k.askAbout(ctx, c, names, found)
		oldest = max(oldest, rest)
	}
	switch {
	case found.IdleError != "" || found.Keys == 0:
	case k.noPTTL+k.noIdle != "":
		found.IdleError = cmp.Or(k.noPTTL, k.noIdle)
	case len(k.hidden) > 0:
		found.IdleError = "PTTL: NOPERM for some of the keys"
	default: // and not that of some keys only
		found.OldestIdle = oldest
	}
	return err
}

// askAbout asks about these keys what the user may ask. The error is for a
// connection that is gone.
func (k *keys) askAbout(ctx context.Context, c *redis.Client, names []string,
	found *history.Locks) (oldest time.Duration, err error) {
	ttls, idles := make([]*redis.DurationCmd, len(names)), make([]*redis.DurationCmd, len(names))
	// The error is that of the first command that has one; each has its own.
	_, _ = c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range names {
			ttls[i] = p.PTTL(ctx, key)
			if k.noIdle == "" {
				idles[i] = p.ObjectIdleTime(ctx, key)
			}
		}
		return nil
	})
	failed := func(what string, refused *string, key string, cause error) {
		text := fmt.Sprintf("%s on %s: %v", what, c.Options().Addr, cause)
		switch {
		case denied(cause) && strings.Contains(cause.Error(), " run the "):
			*refused = text
		case denied(cause) && len(k.hidden) < namesKept:
			k.hidden[key] = struct{}{}
		}
		if found.IdleError == "" {
			found.IdleError = text
		}
		if err == nil {
			err = unanswered(cause)
		}
	}
	for i, key := range names {
		ttl, cause := ttls[i].Result()
		switch {
		case cause != nil:
			failed("PTTL", &k.noPTTL, key, cause)
			continue
		case ttl == noKey: // released since SCAN saw it
			continue
		case ttl == noTTL:
			found.NoTTL++
		}
		found.Asked++
		if idles[i] != nil {
			idle, cause := idles[i].Result()
			if cause != nil && !errors.Is(cause, redis.Nil) { // nil: released between the two questions
				failed("OBJECT IDLETIME", &k.noIdle, key, cause)
			}
			oldest = max(oldest, idle)
		}
	}
	return oldest, err
}

func denied(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer) && strings.HasPrefix(answer.Error(), "NOPERM")
}

// unanswered is nil for an error that is the server's own answer.
func unanswered(err error) error {
	var answer redis.Error
	if err == nil || errors.As(err, &answer) {
		return nil
	}
	return err
}
