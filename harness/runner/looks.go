package runner

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/judge"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/standstill"
	"github.com/lockjam/lockjam/harness/text"
)

const (
	// settle is how long an operation may take from its end to the record. A look waits for
	// it, so that the journal has nothing of an earlier moment that the look did not see.
	settle = 20 * time.Millisecond
	// maxKept bounds the operations, and the states of workers in censuses, of an arm that is
	// looked at: judging more would take processor time and memory that are the swarm's. Beyond
	// it every phase takes the scenario's time.
	maxKept = 50_000
)

// untilShown lets the incident last until it has shown all that this arm waits for, and for
// the scenario's time at most. What another arm of the run answers is not waited for.
func untilShown(ctx context.Context, a *armRun, length time.Duration) error {
	until := a.rec.elapsed() + length
	if a.answers == "" || a.sc.Phases.RecoveryMS == 0 {
		return a.wait(ctx, length)
	}
	for at := a.rec.elapsed() + a.sc.Incident.ForMS.Duration(); at < until; at += judge.AskEvery {
		if err := a.wait(ctx, at+settle-a.rec.elapsed()); err != nil {
			return err
		}
		if a.begun.Load() > 0 || !a.rec.stands() {
			continue // the trigger goes on, or work does
		}
		look := history.Mark{At: at, Kind: history.LookMark, Name: history.Incident, Detail: a.answers, Until: until}
		h, ok := a.rec.soFar(&look)
		if ok && judge.Shown(a.sc, a.arm, h) {
			a.rec.look(look)
			return nil
		}
	}
	return a.wait(ctx, until-a.rec.elapsed())
}

// untilDecided lets the last phase run until the verdict is decided, or for its whole length.
func untilDecided(ctx context.Context, a *armRun, phase string, length time.Duration) error {
	start := a.rec.elapsed()
	for _, m := range judge.Moments(length) {
		at := start + m.After
		if err := a.wait(ctx, at+settle-a.rec.elapsed()); err != nil {
			return err
		}
		if !m.Planned && !a.rec.stands() {
			continue // nothing but a standstill is settled between the planned looks
		}
		look := history.Mark{At: at, Kind: history.LookMark, Name: phase, Until: start + length}
		h, ok := a.rec.soFar(&look)
		if !ok {
			return a.wait(ctx, start+length-a.rec.elapsed())
		}
		decided := m.Decides(a.sc, a.arm, h)
		if m.Planned || decided {
			a.rec.look(look)
		}
		if decided {
			return nil
		}
	}
	return nil
}

// look records a look and tells of it.
func (r *recording) look(m history.Mark) {
	r.keep(m)
	r.observe(result.Event{Kind: result.LookEvent, Name: m.Name, AtMS: text.Millis(m.At)})
}

// stands reports whether no lock was granted or released between the newest two censuses.
func (r *recording) stands() bool {
	if r.kept == nil {
		return false
	}
	r.kept.mu.Lock()
	defer r.kept.mu.Unlock()
	n := len(r.kept.taken)
	if n < 2 {
		return false
	}
	did := standstill.Activity(r.kept.taken[n-2], r.kept.taken[n-1])
	return did.Grants == 0 && did.Releases == 0
}

// soFar is the record up to a look, as a judge sees it, and notes in the look what it saw.
// It reports false where the operations have become too many.
func (r *recording) soFar(look *history.Mark) (*history.History, bool) {
	if r.kept == nil {
		return nil, false
	}
	ops, census, ok := r.kept.until(look.At)
	if !ok {
		return nil, false
	}
	look.Ops = int64(len(ops))
	r.mu.Lock()
	defer r.mu.Unlock()
	return &history.History{
		Ops: ops, Samples: slices.Clone(r.samples), Census: census, Marks: append(slices.Clone(r.marks), *look),
	}, true
}

// keeper keeps the operations and censuses of an arm in memory, up to maxKept. Workers share
// its mutexes as they share a recorder's.
type keeper struct {
	full atomic.Bool

	mu     sync.Mutex
	taken  []history.Census
	states int // of workers, in all of them

	shards [8]struct {
		mu  sync.Mutex
		ops []history.Op
		_   [64]byte // a separate cache line for every mutex
	}
}

func (k *keeper) op(op history.Op) {
	if k.full.Load() {
		return
	}
	s := &k.shards[uint32(op.Worker)%uint32(len(k.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ops) == maxKept/len(k.shards) {
		k.full.Store(true)
		s.ops = nil
		return
	}
	s.ops = append(s.ops, op)
}

func (k *keeper) census(c history.Census) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.states += len(c.Workers); k.states > maxKept {
		k.full.Store(true)
	}
	if k.full.Load() {
		k.taken = nil
		return
	}
	k.taken = append(k.taken, c)
}

// until returns the operations that had ended by then, in the order of their ends, and the
// censuses so far. It reports false if there were too many to keep.
func (k *keeper) until(at time.Duration) ([]history.Op, []history.Census, bool) {
	k.mu.Lock()
	taken := slices.Clone(k.taken)
	k.mu.Unlock()
	var all []history.Op
	for i := range k.shards {
		s := &k.shards[i]
		s.mu.Lock()
		for _, op := range s.ops {
			if op.Ended <= at {
				all = append(all, op)
			}
		}
		if k.full.Load() {
			s.ops = nil
		}
		s.mu.Unlock()
	}
	slices.SortStableFunc(all, func(a, b history.Op) int { return cmp.Compare(a.Ended, b.Ended) })
	return all, taken, !k.full.Load()
}
