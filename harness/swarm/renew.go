package swarm

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/history"
)

// renew extends the lock's TTL if the lock still holds our token.
var renew = redis.NewScript(`if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("PEXPIRE", KEYS[1], ARGV[2]) else return 0 end`)

// toil lets the time pass that the work takes, and renews the lock meanwhile, if it is
// to be renewed. What becomes of the renewals does not change the work: it is another
// thread's. It is false if the context ended first.
func (w *worker) toil(ctx context.Context, op *history.Op, takes time.Duration) bool {
	next := w.settings.Lock.RenewMS.Duration()
	if w.token == "" { // a decision without a lock
		next = 0
	}
	for until := w.elapsed() + takes; ; {
		left := until - w.elapsed()
		if next == 0 || left <= next {
			return sleep(ctx, left)
		}
		if !sleep(ctx, next) {
			return false
		}
		next = w.renew(ctx, op)
	}
}

// renew is one try. It returns when to try next, 0 for never: the lock is gone.
func (w *worker) renew(ctx context.Context, op *history.Op) time.Duration {
	l := w.settings.Lock
	var extended int64
	class := w.link.do(func(c redis.Cmdable) (err error) {
		extended, err = renew.Run(ctx, c, []string{w.keys[op.Tenant].lock}, w.token, l.TTLMS.Duration().Milliseconds()).Int64()
		return err
	})
	if class != history.None {
		op.Class = class
		return w.settings.RedialMS.Duration()
	}
	if w.settings.Holder == HolderRedials {
		w.link.hangUp()
	}
	if extended == 0 {
		return 0
	}
	return l.RenewMS.Duration()
}
