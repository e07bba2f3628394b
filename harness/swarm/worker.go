package swarm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

// State is what a worker is doing. The states of all workers, with the locks
// they are about, are the edges of the wait-for graph.
type State uint8

const (
	Idle    State = iota // between two decisions
	Waiting              // for a lock
	Holding              // a lock, and working
	Dialing              // holding a lock, and waiting for a connection to go on with
	Gone                 // ended
)

var stateNames = [...]string{Idle: "idle", Waiting: "waiting", Holding: "holding", Dialing: "dialing", Gone: "gone"}

// String returns the name that a census has for it.
func (s State) String() string { return stateNames[s] }

// worker makes one decision after the other.
type worker struct {
	id       int
	place    int           // its number in the deployment, which a replacement takes over
	late     time.Duration // before its first request, besides the pause before every one
	settings *Settings     // the instance's
	keys     []keys
	link     *link
	owns     bool // the link's client is this worker's alone
	rng      *rand.Rand
	elapsed  func() time.Duration
	record   func(history.Op)
	hook     func(worker int)
	crashes  *crashes
	severs   *crashes
	slow     *slow
	term     context.Context // ends when the worker is told to stop: it begins nothing then, and waits for nothing
	tally    tally
	seq      int
	token    string
	other    other         // lock that it holds beside the one that it stands for
	intended time.Duration // when the request in hand was meant to start

	mu     sync.Mutex
	stance stance
}

// stance is what a worker is doing, and since when.
type stance struct {
	state  State
	tenant int32
	token  string // of the lock that it waits for or holds
	since  time.Duration
	other  other

	intended time.Duration // when its request was meant to start; of no meaning while it is idle
}

// other is the other lock of a pair, and since when it is held; nothing if it is not.
type other struct {
	held   bool
	tenant int32
	since  time.Duration
}

// stand enters a state. A state that goes on keeps its beginning.
func (w *worker) stand(s State, tenant int32) {
	now := w.elapsed()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stance.state == s && w.stance.tenant == tenant && w.stance.token == w.token && w.stance.other == w.other {
		return
	}
	w.stance = stance{state: s, tenant: tenant, token: w.token, since: now, other: w.other, intended: w.intended}
}

func (w *worker) standing() stance {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stance
}

// run ends when the context does, when the worker was told to stop and is done
// with what it was at, when it crashes, or with an error when there is a fault in
// lockjam itself.
func (w *worker) run(ctx context.Context, next func(context.Context, *worker) (request, bool)) (crashed bool,
	err error) {
	op := history.Op{}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("worker %d panicked: %v\n%s", w.id, r, debug.Stack())
		}
		w.stand(Gone, 0)
		w.link.letGo()
		if w.owns {
			w.link.client.lib.close()
		}
	}()
	for {
		w.stand(Idle, 0)
		req, ok := next(w.term, w)
		if !ok {
			return false, nil
		}
		op = history.Op{
			Worker: int32(w.id), Tenant: req.tenant, Outcome: history.Unknown, Intended: req.intended,
			Begun: w.elapsed(), Granted: history.Never, Worked: history.Never, Released: history.Never,
		}
		w.intended = req.intended
		came := w.decide(ctx, &op)
		if op.Outcome == history.Unknown && context.Cause(ctx) == errKilled {
			w.die(&op)
		}
		op.Ended = w.elapsed()
		if op.Outcome == history.OK && req.late(op.Ended) {
			op.Outcome, op.Class = history.Fail, history.Deadline
		}
		w.record(op)
		switch op.Outcome {
		case history.OK:
			w.tally.decisions.Add(1)
		case history.Fail:
			w.tally.failed.Add(1)
		}
		if came == cutOff {
			return op.Class == history.Crashed, nil
		}
	}
}

// die notes what a killed process was at. It relies on nothing any more, and what
// it held stays behind.
func (w *worker) die(op *history.Op) {
	if op.Granted != history.Never && op.Class != history.Crashed {
		w.tally.crashes.Add(1)
	}
	op.Class = history.Crashed
}
