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

// decide answers one request: take the tenant's lock, read the window's
// counter, do the work, write the counter back, release. It returns false when
// the worker is to end.
func (w *worker) decide(ctx context.Context, op *history.Op) bool {
	if !w.acquire(ctx, op) {
		return op.Outcome != history.Unknown
	}
	w.tally.grants.Add(1)
	w.stand(Holding, op.Tenant)
	count, ok := w.enter(ctx, op)
	if !ok || !w.work(ctx, op) {
		return false
	}
	op.Admitted = count < w.settings.Limiter.Limit
	if op.Admitted {
		if !w.write(ctx, op, count+1) {
			return false
		}
		op.Count = count + 1
	}
	op.Worked = w.elapsed()
	if !w.release(ctx, op) {
		return false
	}
	op.Outcome = history.OK
	return true
}

// acquire tries SET NX until the lock is granted, the acquire timeout passes
// (Fail) or the run ends (Unknown: the last try may have taken effect).
func (w *worker) acquire(ctx context.Context, op *history.Op) bool {
	w.seq++
	w.token = fmt.Sprintf("%d:%d:%08x", w.id, w.seq, w.rng.Uint32())
	w.stand(Waiting, op.Tenant)
	l := w.settings.Lock
	w.link.keeps = w.settings.Waiter == WaiterKeeps
	defer func() { w.endWait(op.Granted != history.Never) }()
	for {
		op.Tries++
		var granted bool
		class := w.link.do(func(c redis.Cmdable) (err error) {
			granted, err = c.SetNX(ctx, w.keys[op.Tenant].lock, w.token, l.TTLMS.Duration()).Result()
			return err
		})
		if granted {
			op.Granted = w.elapsed()
			return true
		}
		if class != history.None {
			op.Class = class
		}
		wait := w.settings.RedialMS.Duration()
		if class == history.None {
			wait = l.pause(op.Tries, w.rng)
		}
		timeout := l.AcquireTimeoutMS.Duration()
		if timeout > 0 && w.elapsed()+wait-op.Begun > timeout {
			op.Outcome, op.Class = history.Fail, history.Deadline
			return false
		}
		if !sleep(ctx, wait) {
			op.Outcome = history.Unknown
			return false
		}
	}
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
	window := w.settings.Limiter.WindowMS.Duration()
	ok = w.persist(ctx, op, func(c redis.Cmdable) error {
		op.Window = int64(w.elapsed() / window)
		var fence *redis.IntCmd
		var read *redis.StringCmd
		_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			fence = p.Incr(ctx, k.fence)
			read = p.Get(ctx, k.counter+":"+strconv.FormatInt(op.Window, 10))
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

// work is what the lock protects: it takes HoldMS, without Redis. A worker
// that was told to crash does so in the middle of it.
func (w *worker) work(ctx context.Context, op *history.Op) bool {
	if w.settings.Holder == HolderRedials {
		w.link.hangUp()
	}
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
	k := w.keys[op.Tenant].counter + ":" + strconv.FormatInt(op.Window, 10)
	keep := max(2*w.settings.Limiter.WindowMS.Duration(), time.Second)
	return w.persist(ctx, op, func(c redis.Cmdable) error {
		return c.Set(ctx, k, count, keep).Err()
	})
}

// release deletes the lock if it is still ours. That it is not is a conflict:
// somebody else deleted it, or it expired, while we worked under it.
func (w *worker) release(ctx context.Context, op *history.Op) bool {
	var deleted int64
	if !w.persist(ctx, op, func(c redis.Cmdable) (err error) {
		deleted, err = release.Run(ctx, c, []string{w.keys[op.Tenant].lock}, w.token).Int64()
		return err
	}) {
		return false
	}
	op.Released = w.elapsed()
	w.tally.releases.Add(1)
	if deleted == 0 {
		op.Class = history.Conflict
		w.tally.errors[history.Conflict].Add(1)
	}
	w.link.keeps = false
	w.link.letGo()
	return true
}

// persist repeats a command of a lock holder until it is answered or the run
// ends: a holder that gave up would leave its lock behind.
func (w *worker) persist(ctx context.Context, op *history.Op, send func(redis.Cmdable) error) bool {
	for {
		class := w.link.do(send)
		if class == history.None {
			w.stand(Holding, op.Tenant)
			return true
		}
		op.Class = class
		w.stand(Dialing, op.Tenant)
		if !sleep(ctx, w.settings.RedialMS.Duration()) {
			return false
		}
	}
}
