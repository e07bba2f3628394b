package swarm

import (
	"context"

	"github.com/lockjam/lockjam/harness/history"
)

// takeBoth takes the locks of a tenant and its partner, in the order that the
// settings have. A worker that is told to stop, or gives up, lets go of the first.
func (w *worker) takeBoth(ctx context.Context, op *history.Op, t *trying, partner int32) bool {
	first, second := op.Tenant, partner
	if w.settings.Lock.Pair == PairOrdered {
		first, second = min(first, second), max(first, second)
	}
	for round := int32(1); ; round++ {
		if !w.take(ctx, op, t, first) {
			return false
		}
		w.tally.grants.Add(1)
		w.stand(Holding, first)
		since := w.standing().since
		if !sleep(ctx, w.settings.Lock.PairGapMS.Duration()) {
			return false
		}
		w.other = other{held: true, tenant: first, since: since}
		granted, more := w.takeSecond(ctx, op, t, second)
		if granted {
			// From here on it stands for its own lock, and holds its partner's beside it.
			if first == op.Tenant {
				w.other = other{held: true, tenant: second, since: w.elapsed()}
			}
			return true
		}
		w.other = other{}
		if w.unlock(ctx, op, first, first) != done || !more {
			return false
		}
		if !w.pauseBetween(ctx, op, t, round) {
			return false
		}
	}
}

// takeSecond tries for the second lock of a pair, for as long as the first is kept.
// Where it is not granted it reports whether there is more to try.
func (w *worker) takeSecond(ctx context.Context, op *history.Op, t *trying, tenant int32) (granted, more bool) {
	keep := w.settings.Lock.PairWaitMS.Duration()
	if keep == 0 {
		return w.take(ctx, op, t, tenant), false
	}
	w.stand(Waiting, tenant)
	for begun := w.elapsed(); ; {
		granted, class := w.try(ctx, op, tenant)
		if granted {
			return true, true
		}
		pause := w.settings.Lock.PollMS.Duration()
		if class != history.None {
			pause = w.settings.RedialMS.Duration()
			op.Class, t.lost = class, t.lost || mayHaveRun(class)
		}
		if !sleep(w.term, min(pause, begun+keep-w.elapsed())) {
			w.stop(ctx, op, t)
			return false, false
		}
		if w.elapsed() >= begun+keep {
			return false, true
		}
	}
}

// pauseBetween waits before a worker that let go of its first lock begins again.
func (w *worker) pauseBetween(ctx context.Context, op *history.Op, t *trying, round int32) bool {
	w.stand(Waiting, op.Tenant)
	pause := w.settings.Lock.pause(round, w.rng)
	if timeout := w.settings.Lock.AcquireTimeoutMS.Duration(); timeout > 0 && w.elapsed()+pause-t.since > timeout {
		op.Outcome, op.Class = history.Fail, history.Deadline
		return false
	}
	if sleep(w.term, pause) {
		return true
	}
	w.stop(ctx, op, t)
	return false
}

// stop settles the request of a waiter that is told to stop: see again.
func (w *worker) stop(ctx context.Context, op *history.Op, t *trying) {
	if ctx.Err() == nil && !t.lost {
		op.Outcome = history.Fail
	}
}
