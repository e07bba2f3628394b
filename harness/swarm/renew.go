package swarm

import (
	"context"
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

// sleepRenewing lets the time pass that the work takes, and renews the lock meanwhile, if it is
// to be renewed. What becomes of the renewals does not change the work: it is another
// thread's. It is false if the context ended first.
func (w *worker) sleepRenewing(ctx context.Context, op *history.Op, takes time.Duration) bool {
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
	var extended bool
	class := w.link.do(func(s session) (err error) {
		extended, err = s.extend(ctx, w.keys[op.Tenant].lock, w.token, l.TTLMS.Duration())
		return err
	})
	if class != history.None {
		op.Class = class
		return w.settings.RedialMS.Duration()
	}
	if w.settings.Holder == HolderRedials {
		w.link.hangUp()
	}
	if !extended {
		return 0
	}
	return l.RenewMS.Duration()
}
