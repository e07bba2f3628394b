package swarm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/history"
)

// keys are where one tenant's lock, fencing counter and request counter live.
// Lock keys begin with "lock:", as the runbook's pattern expects.
type keys struct{ lock, fence, counter string }

func (t Target) keys(prefix string, tenant int32) keys {
	tag := t.tag(fmt.Sprintf("%s:%d", prefix, tenant), tenant)
	return keys{lock: "lock:" + tag, fence: "fence:" + tag, counter: "count:" + tag}
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

// try is one try at a tenant's lock.
func (w *worker) try(ctx context.Context, op *history.Op, tenant int32) (granted bool, class history.Class) {
	op.Tries++
	class = w.link.do(func(c redis.Cmdable) (err error) {
		granted, err = w.set(ctx, c, w.keys[tenant].lock)
		return err
	})
	if class == history.None && !granted && w.settings.Lock.Verify {
		granted, class = w.ours(ctx, tenant)
	}
	return granted, class
}

// set is SET NX. With WaitReplicas the lock counts once so many replicas have it,
// and is given back where they do not say so in time. WAIT is about what its own
// connection has written, so both go in one pipeline.
func (w *worker) set(ctx context.Context, c redis.Cmdable, lock string) (granted bool, err error) {
	l := w.settings.Lock
	if l.WaitReplicas == 0 {
		return c.SetNX(ctx, lock, w.token, l.TTLMS.Duration()).Result()
	}
	var set *redis.BoolCmd
	var acknowledged *redis.Cmd
	if _, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		set = p.SetNX(ctx, lock, w.token, l.TTLMS.Duration())
		acknowledged = w.askReplicas(ctx, p)
		return nil
	}); err != nil || !set.Val() {
		return false, err
	}
	if there, err := w.onReplicas(acknowledged); err != nil || there {
		return there, err
	}
	return false, release.Run(ctx, c, []string{lock}, w.token).Err()
}

// ours says whether the lock has this worker's token, though nobody told it so.
func (w *worker) ours(ctx context.Context, tenant int32) (ours bool, class history.Class) {
	class = w.link.do(func(c redis.Cmdable) error {
		token, err := c.Get(ctx, w.keys[tenant].lock).Result()
		ours = err == nil && token == w.token
		return err
	})
	return ours, class
}

// errUnacknowledged says that what was written is on too few replicas.
var errUnacknowledged = errors.New("not acknowledged by the replicas in time")

// askReplicas puts WAIT behind what the pipeline writes, where the settings ask for it.
func (w *worker) askReplicas(ctx context.Context, p redis.Pipeliner) *redis.Cmd {
	l := w.settings.Lock
	if l.WaitReplicas == 0 {
		return nil
	}
	return p.Do(ctx, "WAIT", l.WaitReplicas, l.WaitReplicasMS.Duration().Milliseconds())
}

// onReplicas says whether enough of them have acknowledged.
func (w *worker) onReplicas(acknowledged *redis.Cmd) (bool, error) {
	if acknowledged == nil {
		return true, nil
	}
	n, err := acknowledged.Int()
	return err == nil && n >= w.settings.Lock.WaitReplicas, err
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
	wait := w.redial()
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

// redial is how long to wait after a command that failed.
func (w *worker) redial() time.Duration {
	return spread(w.settings.RedialMS, w.settings.RedialJitterMS, w.rng)
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
		var acknowledged *redis.Cmd
		_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			fence = p.Incr(ctx, k.fence)
			read = p.Get(ctx, w.counter(op))
			acknowledged = w.askReplicas(ctx, p)
			return nil
		})
		if err != nil && err != redis.Nil {
			return err
		}
		// A token that a failover loses would be given out a second time.
		if there, err := w.onReplicas(acknowledged); err != nil || !there {
			return cmp.Or(err, errUnacknowledged)
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

// labour takes HoldMS, unless a trigger says otherwise, without Redis. A worker whose
// connection is to be cut loses it as it begins, when no command is under way; one that
// was told to crash does so in the middle of it.
func (w *worker) labour(ctx context.Context, op *history.Op) bool {
	if w.hook != nil {
		w.hook(w.id)
	}
	if w.severs.take(op.Tenant) {
		w.link.client.dial.sever()
	}
	alive := w.toil(ctx, op, w.slow.takes(op.Tenant, w.settings.Lock.HoldMS.Duration()))
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
// somebody else deleted it, or it expired, while we worked under it. Who deletes
// without looking learns of it only where there is nothing to delete. If a connection
// broke meanwhile, it may as well be that an earlier try deleted it, of go-redis's or
// of ours, and that its answer was lost.
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
	brokenBefore := w.link.client.dial.broken.Load()
	ok, lost := w.persistHolding(ctx, op, holding, func(c redis.Cmdable) (err error) {
		lock := w.keys[tenant].lock
		if w.settings.Lock.Release == ReleaseBlind {
			deleted, err = c.Del(ctx, lock).Result()
			return err
		}
		deleted, err = release.Run(ctx, c, []string{lock}, w.token).Int64()
		return err
	})
	if !ok {
		return false
	}
	w.tally.releases.Add(1)
	if deleted == 0 && !lost && w.link.client.dial.broken.Load() == brokenBefore {
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
	timeout := w.settings.Lock.ReleaseTimeoutMS.Duration()
	for begun := w.elapsed(); ; {
		class := w.link.do(send)
		if class == history.None {
			w.stand(Holding, tenant)
			return true, lost
		}
		op.Class, lost = class, lost || mayHaveRun(class)
		w.stand(Dialing, tenant)
		pause := w.redial()
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
