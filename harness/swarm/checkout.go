package swarm

import (
	"context"

	"github.com/lockjam/lockjam/harness/history"
)

// checkOut takes the connection that a nested checkout keeps for the whole decision.
// It tries as long as a waiter for a lock does: a worker that has nothing can give up.
func (w *worker) checkOut(ctx context.Context, op *history.Op) bool {
	w.token = ""
	for t := (trying{since: op.Begun}); ; {
		op.Tries++
		w.stand(Waiting, op.Tenant)
		class := w.link.checkOut(ctx)
		if class == history.None {
			return true
		}
		if !w.again(ctx, op, &t, class) {
			return false
		}
	}
}

// checkOut takes a connection out of the pool and sees it answer.
func (l *link) checkOut(ctx context.Context) history.Class {
	conn := l.client.lib.conn()
	class := l.ask(conn.session(), func(s session) error { return s.ping(ctx) })
	if class != history.None {
		conn.close()
		return class
	}
	l.outer = conn
	l.outerSince.Store(int64(l.client.dial.elapsed()))
	return class
}

// checkIn gives it back.
func (l *link) checkIn() {
	l.outerSince.Store(0)
	l.outer.close()
	l.outer = connection{}
}
