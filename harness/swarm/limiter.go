package swarm

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/history"
)

// keys are where one tenant's lock, fencing counter and request counter live.
// Lock keys begin with "lock:", as the runbook's pattern expects.
type keys struct{ lock, fence, counter string }

func tenantKeys(prefix string, tenant int32) keys {
	return keys{
		lock:    fmt.Sprintf("lock:%s:%d", prefix, tenant),
		fence:   fmt.Sprintf("fence:%s:%d", prefix, tenant),
		counter: fmt.Sprintf("count:%s:%d", prefix, tenant),
	}
}

// LockPattern matches every lock of the swarm with this prefix, and no others.
func LockPattern(prefix string) string { return "lock:" + prefix + ":*" }

// Patterns match every key that a swarm with this prefix writes.
func Patterns(prefix string) []string {
	return []string{LockPattern(prefix), "fence:" + prefix + ":*", "count:" + prefix + ":*"}
}

// release deletes the lock if it still holds our token. Redis before 8.4 and
// Valkey before 9.0 have no command for it, so it is a script everywhere.
var release = redis.NewScript(`if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) else return 0 end`)

// decide answers one request, in the way that the settings ask for. It returns
// false when the worker is to end.
func (w *worker) decide(ctx context.Context, op *history.Op) bool {
	if w.settings.Checkout == CheckoutNested {
		if !w.checkOut(ctx, op) {
			return op.Outcome != history.Unknown
		}
		defer w.link.checkIn()
	}
	switch w.settings.Limiter.Decision {
	case DecisionTransaction:
		return w.transact(ctx, op)
	case DecisionScript:
		return w.evaluate(ctx, op)
	default:
		return w.underLock(ctx, op)
	}
}

// underLock takes the tenant's lock, reads the window's counter, does the work,
// writes the counter back, and releases.
func (w *worker) underLock(ctx context.Context, op *history.Op) bool {
	if !w.acquire(ctx, op) {
		return op.Outcome != history.Unknown
	}
	w.tally.grants.Add(1)
	w.stand(Holding, op.Tenant)
	count, ok := w.enter(ctx, op)
	if !ok || !w.work(ctx, op) {
		return w.left
	}
	op.Admitted = count < w.settings.Limiter.Limit
	if op.Admitted {
		if !w.write(ctx, op, count+1) {
			return w.left
		}
		op.Count = count + 1
	}
	op.Worked = w.elapsed()
	if !w.release(ctx, op) && !w.left {
		return false
	}
	op.Outcome = history.OK // also of who could not release: its decision stands
	return true
}

// acquire takes what locks the decision needs. It returns false where there is no
// further try.
func (w *worker) acquire(ctx context.Context, op *history.Op) bool {
	w.seq++
	w.token = fmt.Sprintf("%d:%d:%08x", w.id, w.seq, w.rng.Uint32())
	w.left, w.other = false, other{}
	w.link.keeps = w.settings.Waiter == WaiterKeeps
	defer func() { w.endWait(op.Granted != history.Never) }()
	t := trying{since: op.Begun}
	granted := false
	if partner, ok := w.settings.Lock.Partner(op.Tenant); ok {
		granted = w.takeBoth(ctx, op, &t, partner)
	} else {
		granted = w.take(ctx, op, &t, op.Tenant)
	}
	if granted {
		op.Granted = w.elapsed()
	}
	return granted
}

// take tries SET NX until a tenant's lock is granted or there is no further try.
func (w *worker) take(ctx context.Context, op *history.Op, t *trying, tenant int32) bool {
	w.stand(Waiting, tenant)
	for {
		granted, class := w.try(ctx, op, tenant)
		if granted {
			return true
		}
		if !w.again(ctx, op, t, class) {
			return false
		}
	}
}

func (w *worker) try(ctx context.Context, op *history.Op, tenant int32) (granted bool, class history.Class) {
	op.Tries++
	class = w.link.do(func(c redis.Cmdable) (err error) {
		granted, err = c.SetNX(ctx, w.keys[tenant].lock, w.token, w.settings.Lock.TTLMS.Duration()).Result()
		return err
	})
	return granted, class
}

// trying is a row of tries, at a lock or at a decision without one.
type trying struct {
	since time.Duration // the acquire timeout counts from here
	lost  bool          // some try was not answered, and may have taken effect
}

// again waits for the next try. Where there is none it settles the outcome: the
// acquire timeout would pass first (Fail); the worker or the run is cut off
// (Unknown); or the worker is told to stop. It then gives up at once, since who
// waits has nothing to finish. Between two tries that were answered no command is
// under way, so nothing can have taken effect, and the request has failed. If a
// try was not answered, the lock may be taken or the decision made all the same,
// and nobody is left to find out: Unknown.
func (w *worker) again(ctx context.Context, op *history.Op, t *trying, class history.Class) bool {
	wait := w.settings.RedialMS.Duration()
	if class == history.None {
		wait = w.settings.Lock.pause(op.Tries, w.rng)
	} else {
		op.Class, t.lost = class, t.lost || mayHaveRun(class)
	}
	timeout := w.settings.Lock.AcquireTimeoutMS.Duration()
	if timeout > 0 && w.elapsed()+wait-t.since > timeout {
		op.Outcome, op.Class = history.Fail, history.Deadline
		if w.settings.Lock.OnGiveUp == GiveUpCloses {
			w.link.hangUp()
		}
		return false
	}
	if sleep(w.term, wait) {
		return true
	}
	if ctx.Err() == nil && !t.lost {
		op.Outcome = history.Fail
	}
	return false
}

// mayHaveRun says of a command that failed so whether the server may have carried
// it out: it may, unless it never got there or was answered with an error.
func mayHaveRun(c history.Class) bool {
	switch c {
	case history.Refused, history.Unreachable, history.PoolTimeout, history.Rejected:
		return false
	}
	return true
}

// endWait gives the kept connection back, unless a lock was granted and its
// holder goes on with it.
func (w *worker) endWait(granted bool) {
	if granted && w.settings.Holder == HolderKeeps && w.settings.Waiter == WaiterKeeps {
		return
	}
	w.link.keeps = false
	w.link.letGo()
}

// enter takes the fencing token and reads the counter, in one round trip.
func (w *worker) enter(ctx context.Context, op *history.Op) (count int64, ok bool) {
	k := w.keys[op.Tenant]
	ok = w.persist(ctx, op, func(c redis.Cmdable) error {
		op.Window = w.window()
		var fence *redis.IntCmd
		var read *redis.StringCmd
		_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			fence = p.Incr(ctx, k.fence)
			read = p.Get(ctx, w.counter(op))
			return nil
		})
		if err != nil && err != redis.Nil {
			return err
		}
		op.Fence = fence.Val()
		count, _ = read.Int64()
		return nil
	})
	return count, ok
}

// work is what the lock protects. It needs no connection.
func (w *worker) work(ctx context.Context, op *history.Op) bool {
	if w.settings.Holder == HolderRedials {
		w.link.hangUp()
	}
	return w.labour(ctx, op)
}

// labour takes HoldMS, without Redis. A worker that was told to crash does so in
// the middle of it.
func (w *worker) labour(ctx context.Context, op *history.Op) bool {
	if w.hook != nil {
		w.hook(w.id)
	}
	alive := sleep(ctx, w.settings.Lock.HoldMS.Duration())
	if alive && w.crashes.take(op.Tenant) {
		w.tally.crashes.Add(1)
		op.Class = history.Crashed
		return false
	}
	return alive
}

func (w *worker) write(ctx context.Context, op *history.Op, count int64) bool {
	k := w.counter(op)
	return w.persist(ctx, op, func(c redis.Cmdable) error {
		return c.Set(ctx, k, count, w.settings.Limiter.keep()).Err()
	})
}

// window is the index of the one that runs now.
func (w *worker) window() int64 {
	return int64(w.elapsed() / w.settings.Limiter.WindowMS.Duration())
}

// counter is the key of the window that an operation falls into.
func (w *worker) counter(op *history.Op) string {
	return w.keys[op.Tenant].counter + ":" + strconv.FormatInt(op.Window, 10)
}

// keep is how long a window's counter stays: longer than anybody may still
// decide by it.
func (l LimiterSettings) keep() time.Duration { return max(2*l.WindowMS.Duration(), time.Second) }

// release deletes the lock if it is still ours. That it is not is a conflict:
// somebody else deleted it, or it expired, while we worked under it.
func (w *worker) release(ctx context.Context, op *history.Op) bool {
	if w.other.held {
		if !w.unlock(ctx, op, op.Tenant, w.other.tenant) {
			return false
		}
		w.other = other{}
	}
	if !w.unlock(ctx, op, op.Tenant, op.Tenant) {
		return false
	}
	op.Released = w.elapsed()
	w.link.keeps = false
	w.link.letGo()
	return true
}

// unlock deletes the lock of a tenant, while the worker holds that of another one or
// the same. That it is not there any more proves nothing where an earlier try was not
// answered: that one may have deleted it.
func (w *worker) unlock(ctx context.Context, op *history.Op, holding, tenant int32) bool {
	var deleted int64
	ok, lost := w.persistHolding(ctx, op, holding, func(c redis.Cmdable) (err error) {
		deleted, err = release.Run(ctx, c, []string{w.keys[tenant].lock}, w.token).Int64()
		return err
	})
	if !ok {
		return false
	}
	w.tally.releases.Add(1)
	if deleted == 0 && !lost {
		op.Class = history.Conflict
		w.tally.errors[history.Conflict].Add(1)
	}
	return true
}

// persist repeats a command of a lock holder until it is answered or the run
// ends, or the holder gives up and leaves its lock behind.
func (w *worker) persist(ctx context.Context, op *history.Op, send func(redis.Cmdable) error) bool {
	ok, _ := w.persistHolding(ctx, op, op.Tenant, send)
	return ok
}

// persistHolding is persist for the holder of any tenant's lock. It says as well
// whether some try was not answered, and may have taken effect.
func (w *worker) persistHolding(ctx context.Context, op *history.Op, tenant int32, send func(redis.Cmdable) error) (ok, lost bool) {
	timeout, pause := w.settings.Lock.ReleaseTimeoutMS.Duration(), w.settings.RedialMS.Duration()
	for begun := w.elapsed(); ; {
		class := w.link.do(send)
		if class == history.None {
			w.stand(Holding, tenant)
			return true, lost
		}
		op.Class, lost = class, lost || mayHaveRun(class)
		w.stand(Dialing, tenant)
		if timeout > 0 && w.elapsed()+pause-begun > timeout {
			w.leave(op, lost)
			return false, lost
		}
		if !sleep(ctx, pause) {
			return false, lost
		}
	}
}

// leave settles a request whose holder has given up. The lock stays where it is.
func (w *worker) leave(op *history.Op, lost bool) {
	w.left, w.other = true, other{}
	w.link.keeps = false
	w.link.letGo()
	if !lost {
		op.Outcome = history.Fail
	}
}
