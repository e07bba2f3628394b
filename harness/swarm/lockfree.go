package swarm

import (
	"context"

	"github.com/lockjam/lockjam/harness/history"
)

// Decisions without a lock. No worker holds anything, so an operation has no grant, no
// fencing token and no release. In the swarm's own counts each decision stands for
// one grant and one release all the same: progress is read from those.
//
// Whether a command took effect whose answer was lost is not known. Clients try
// again then, as these do: a request may be counted twice, so that the limiter
// admits less than its limit, and never more.

// transact decides in a transaction, and begins again for as long as others write
// the counter between its read and its EXEC.
func (w *worker) transact(ctx context.Context, op *history.Op) progress {
	w.token = ""
	for t := (trying{since: op.Begun}); ; {
		op.Tries++
		w.stand(Waiting, op.Tenant)
		try := w.attempt(ctx, op)
		switch {
		case try.died:
			return cutOff
		case try.decided:
			return w.decided(op, try.count)
		}
		if !w.again(ctx, op, &t, try.class) {
			return settled(op)
		}
	}
}

// tried is what came of one transaction. All of it is zero if another worker wrote
// the counter first: that is an answer and no error, as it is of a SET NX that was
// not granted.
type tried struct {
	died    bool // the worker was cut off or crashed in the middle of its work
	decided bool
	count   int64 // what it wrote; 0: the request was turned down
	class   history.Class
}

// attempt runs one transaction, all of it over one connection, since WATCH is a
// state of the connection. The work is done between the read and the write, as it
// is under a lock; it is no part of any command's time.
func (w *worker) attempt(ctx context.Context, op *history.Op) (try tried) {
	op.Window = w.window()
	key, limit := w.counter(op), w.settings.Limiter
	w.link.client.lib.transact(ctx, func(tx transaction) {
		if try.class = w.link.ask(tx.session(),
			func(session) error { return tx.watch(ctx, key) }); try.class != history.None {
			return
		}
		var count int64
		if try.class = w.link.ask(tx.session(), func(session) (err error) {
			count, err = tx.count(ctx, key)
			return err
		}); try.class != history.None {
			return
		}
		w.stand(Holding, op.Tenant)
		if try.died = w.simulateWork(ctx, op) == cutOff; try.died {
			return
		}
		w.stand(Waiting, op.Tenant)
		if count >= limit.Limit {
			try.decided = true // a read needs no EXEC to be true
			return
		}
		try.class = w.link.ask(tx.session(), func(session) (err error) {
			try.decided, err = tx.store(ctx, key, count+1, limit.keep())
			if try.decided {
				try.count = count + 1
			}
			return err
		})
	})
	return try
}

// evaluate works first, while it holds nothing that anybody waits for, and then
// decides by one script.
func (w *worker) evaluate(ctx context.Context, op *history.Op) progress {
	w.token = ""
	w.stand(Holding, op.Tenant)
	if came := w.doWork(ctx, op); came != done {
		return came
	}
	w.stand(Waiting, op.Tenant)
	limit := w.settings.Limiter
	for t := (trying{since: w.elapsed()}); ; {
		op.Tries++
		op.Window = w.window()
		var count int64
		class := w.link.do(func(s session) (err error) {
			count, err = s.admit(ctx, w.counter(op), limit.Limit, limit.keep())
			return err
		})
		if class == history.None {
			return w.decided(op, count)
		}
		if !w.again(ctx, op, &t, class) {
			return settled(op)
		}
	}
}

// decided notes a decision that stands, and the count that it wrote, 0 for none.
func (w *worker) decided(op *history.Op, count int64) progress {
	w.tally.grants.Add(1)
	w.tally.releases.Add(1)
	op.Worked = w.elapsed()
	op.Admitted, op.Count = count > 0, count
	op.Outcome = history.OK
	return done
}
