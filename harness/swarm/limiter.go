package swarm

import (
	"context"
	"fmt"
	"strconv"
	"time"

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

// progress is how far a worker came with a request, or with a step of it.
type progress uint8

const (
	done   progress = iota // as far as it goes
	gaveUp                 // the request is settled without it; the worker goes on with its next
	cutOff                 // the worker ends: it crashed, or the run or its instance is over
)

// settled is how a request that got no further leaves its worker.
func settled(op *history.Op) progress {
	if op.Outcome == history.Unknown {
		return cutOff
	}
	return gaveUp
}

// decide answers one request, in the way that the settings ask for.
func (w *worker) decide(ctx context.Context, op *history.Op) progress {
	if w.settings.Checkout == CheckoutNested {
		if !w.checkOut(ctx, op) {
			return settled(op)
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
func (w *worker) underLock(ctx context.Context, op *history.Op) progress {
	if !w.acquire(ctx, op) {
		return settled(op)
	}
	w.tally.grants.Add(1)
	w.stand(Holding, op.Tenant)
	count, came := w.enter(ctx, op)
	if came == done {
		came = w.doWork(ctx, op)
	}
	if came != done {
		return came
	}
	op.Admitted = count < w.settings.Limiter.Limit
	if op.Admitted {
		if came := w.write(ctx, op, count+1); came != done {
			return came
		}
		op.Count = count + 1
	}
	op.Worked = w.elapsed()
	if w.release(ctx, op) == cutOff {
		return cutOff
	}
	op.Outcome = history.OK // a decision stands even if its lock could not be released
	return done
}

// acquire takes what locks the decision needs. It returns false where there is no
// further try.
func (w *worker) acquire(ctx context.Context, op *history.Op) bool {
	w.seq++
	w.token = fmt.Sprintf("%d:%d:%08x", w.id, w.seq, w.rng.Uint32())
	w.other = other{}
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
	class = w.link.do(func(s session) (err error) {
		granted, err = s.acquire(ctx, w.keys[tenant].lock, w.token, &w.settings.Lock)
		return err
	})
	if class == history.None && !granted && w.settings.Lock.Verify {
		granted, class = w.ours(ctx, tenant)
	}
	return granted, class
}

// ours reports whether the lock has this worker's token, though the grant was not answered.
func (w *worker) ours(ctx context.Context, tenant int32) (ours bool, class history.Class) {
	class = w.link.do(func(s session) (err error) {
		ours, err = s.holds(ctx, w.keys[tenant].lock, w.token)
		return err
	})
	return ours, class
}

// trying is a row of tries, at a lock or at a decision without one.
type trying struct {
	since time.Duration // the acquire timeout counts from here
	lost  bool          // some try was not answered, and may have taken effect
}

// again waits for the next try. Where there is none it settles the outcome: the
// acquire timeout would pass first (Fail); the worker or the run is cut off
// (Unknown); or the worker is told to stop. It then gives up at once, since a
// waiter has nothing to finish. Between two tries that were answered no command is
// under way, so nothing can have taken effect, and the request has failed. If a
// try was not answered, the lock may be taken or the decision made all the same,
// and no one finds out: Unknown.
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
func (w *worker) enter(ctx context.Context, op *history.Op) (count int64, came progress) {
	came = w.persist(ctx, op, func(s session) (err error) {
		op.Window = w.window()
		var fence int64
		if fence, count, err = s.enter(ctx, w.keys[op.Tenant].fence, w.counter(op), &w.settings.Lock); err == nil {
			op.Fence = fence
		}
		return err
	})
	return count, came
}

// doWork is what the lock protects. It needs no connection.
func (w *worker) doWork(ctx context.Context, op *history.Op) progress {
	if w.settings.Holder == HolderRedials {
		w.link.hangUp()
	}
	return w.simulateWork(ctx, op)
}

// simulateWork takes HoldMS, unless a trigger says otherwise, without Redis. A worker whose
// connection is to be cut loses it as it begins, when no command is under way; one that
// was told to crash does so in the middle of it.
func (w *worker) simulateWork(ctx context.Context, op *history.Op) progress {
	if w.hook != nil {
		w.hook(w.id)
	}
	if w.severs.take(op.Tenant) {
		w.link.client.dial.sever()
	}
	if !w.sleepRenewing(ctx, op, w.slow.takes(op.Tenant, w.settings.Lock.HoldMS.Duration())) {
		return cutOff
	}
	if w.crashes.take(op.Tenant) {
		w.tally.crashes.Add(1)
		op.Class = history.Crashed
		return cutOff
	}
	return done
}

func (w *worker) write(ctx context.Context, op *history.Op, count int64) progress {
	return w.persist(ctx, op, func(s session) error {
		return s.store(ctx, w.counter(op), count, w.settings.Limiter.keep())
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
// another client deleted it, or it expired, while we worked under it. A worker that deletes
// without looking learns of it only where there is nothing to delete. If a connection
// broke meanwhile, it may as well be that an earlier try deleted it, of go-redis's or
// of ours, and that its answer was lost.
func (w *worker) release(ctx context.Context, op *history.Op) progress {
	if w.other.held {
		if came := w.unlock(ctx, op, op.Tenant, w.other.tenant); came != done {
			return came
		}
		w.other = other{}
	}
	if came := w.unlock(ctx, op, op.Tenant, op.Tenant); came != done {
		return came
	}
	op.Released = w.elapsed()
	w.link.keeps = false
	w.link.letGo()
	return done
}

// unlock deletes the lock of a tenant, while the worker holds that of another one or
// the same. That it is not there any more proves nothing where an earlier try was not
// answered: that one may have deleted it.
func (w *worker) unlock(ctx context.Context, op *history.Op, holding, tenant int32) progress {
	var deleted int64
	brokenBefore := w.link.client.dial.broken.Load()
	came, lost := w.persistHolding(ctx, op, holding, func(s session) (err error) {
		lock := w.keys[tenant].lock
		if w.settings.Lock.Release == ReleaseBlind {
			deleted, err = s.releaseBlindly(ctx, lock)
		} else {
			deleted, err = s.release(ctx, lock, w.token)
		}
		return err
	})
	if came != done {
		return came
	}
	w.tally.releases.Add(1)
	if deleted == 0 && !lost && w.link.client.dial.broken.Load() == brokenBefore {
		op.Class = history.Conflict
		w.tally.errors[history.Conflict].Add(1)
	}
	return done
}

// persist repeats a command of a lock holder until it is answered or the run
// ends, or the holder gives up and leaves its lock behind.
func (w *worker) persist(ctx context.Context, op *history.Op, send func(session) error) progress {
	came, _ := w.persistHolding(ctx, op, op.Tenant, send)
	return came
}

// persistHolding is persist for the holder of any tenant's lock. It says as well
// whether some try was not answered, and may have taken effect.
func (w *worker) persistHolding(ctx context.Context, op *history.Op, tenant int32,
	send func(session) error) (came progress, lost bool) {
	timeout := w.settings.Lock.ReleaseTimeoutMS.Duration()
	for begun := w.elapsed(); ; {
		class := w.link.do(send)
		if class == history.None {
			w.stand(Holding, tenant)
			return done, lost
		}
		op.Class, lost = class, lost || mayHaveRun(class)
		w.stand(Dialing, tenant)
		pause := w.redial()
		if timeout > 0 && w.elapsed()+pause-begun > timeout {
			w.leave(op, lost)
			return gaveUp, lost
		}
		if !sleep(ctx, pause) {
			return cutOff, lost
		}
	}
}

// leave settles a request whose holder has given up. The lock stays where it is.
func (w *worker) leave(op *history.Op, lost bool) {
	w.other = other{}
	w.link.keeps = false
	w.link.letGo()
	if !lost {
		op.Outcome = history.Fail
	}
}
