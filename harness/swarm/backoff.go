package swarm

import (
	"math/rand/v2"
	"time"
)

// pause is how long to wait after the given number of failed tries (1 and up).
func (l LockSettings) pause(tries int32, rng *rand.Rand) time.Duration {
	base := l.PollMS.Duration()
	if l.Backoff == BackoffNone {
		return base
	}
	// 2^20 times any sensible base is past any sensible cap, and does not overflow.
	grown := base << min(tries-1, 20)
	if limit := l.BackoffMaxMS.Duration(); grown > limit {
		grown = limit
	}
	if l.Backoff == BackoffFullJitter {
		return time.Duration(rng.Int64N(int64(grown) + 1))
	}
	return grown
}

// spread is a pause and up to so much more.
func spread(pause, jitter Millis, rng *rand.Rand) time.Duration {
	if jitter <= 0 {
		return pause.Duration()
	}
	return pause.Duration() + time.Duration(rng.Int64N(int64(jitter.Duration())))
}
