package standstill

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/swarm"
	"github.com/lockjam/lockjam/harness/waitgraph"
)

// dice is a swarm of workers that share clients, run by dice: which worker moves next,
// and whether a command is lost, is chance. A move is as small as what a census
// can fall between.
type dice struct {
	rng      *rand.Rand
	set      swarm.Settings
	now      time.Duration
	workers  []*die
	free     []int // turns of each client's pool
	open     []int // connections of each client
	locks    map[string]string
	progress history.Progress
	cuts     bool // connections that waiters keep are cut as well
}

// die is one worker.
type die struct {
	history.WorkerState // as a census reads it
	client              int
	next                func(*dice, *die)
	keeps               bool // it sends over a connection of its own
	turn                bool // it has a turn of its pool, for a command or kept
	granted             bool
	commands            int // that the holder still has to send
	requests            int
}

func newDice(t *rapid.T) *dice {
	// Numbers that rapid draws lean to small ones, so it draws a seed only.
	s := &dice{rng: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)), set: swarm.Defaults(),
		locks: map[string]string{}}
	s.set.Client.PoolSize = 1 + s.rng.IntN(4)
	s.set.Lock.Tenants = 1 + s.rng.IntN(3)
	s.set.Waiter = []swarm.Waiter{swarm.WaiterKeeps, swarm.WaiterKeeps, swarm.WaiterReturns}[s.rng.IntN(3)]
	s.set.Holder = []swarm.Holder{swarm.HolderReturns, swarm.HolderReturns, swarm.HolderKeeps}[s.rng.IntN(3)]
	clients := 1 + s.rng.IntN(3)
	s.open = make([]int, clients)
	s.free = slices.Repeat([]int{s.set.Client.PoolSize}, clients)
	for i := range 2 + s.rng.IntN(7) {
		w := &die{client: i % clients, next: (*dice).begin}
		w.WorkerState = history.WorkerState{Worker: int32(i + 1), State: "idle", Client: fmt.Sprint("c", w.client),
			Shared: true}
		s.workers = append(s.workers, w)
	}
	return s
}

func (s *dice) move() {
	s.now += time.Millisecond
	w := s.workers[s.rng.IntN(len(s.workers))]
	w.next(s, w)
}

func (s *dice) moves(n int) {
	for range n {
		s.move()
	}
}

// stand enters a state as a worker of the swarm does.
func (s *dice) stand(w *die, state string) {
	if w.State != state {
		w.State, w.Since = state, s.now
	}
}

func (s *dice) begin(w *die) {
	if s.rng.IntN(4) > 0 {
		return
	}
	w.requests++
	w.Lock = fmt.Sprint("lock:", s.rng.IntN(s.set.Lock.Tenants))
	w.Token = fmt.Sprintf("%d:%d:a", w.Worker, w.requests)
	w.granted, w.keeps = false, s.set.Waiter == swarm.WaiterKeeps
	s.stand(w, "waiting")
	w.next = (*dice).send
}

// send waits for a turn of the pool, until the pool's timeout.
func (s *dice) send(w *die) {
	switch {
	case w.turn:
	case s.free[w.client] > 0:
		s.free[w.client]--
		w.turn = true
		s.open[w.client] = max(s.open[w.client], s.set.Client.PoolSize-s.free[w.client])
	case s.rng.IntN(4) == 0:
		s.lost(w)
		return
	default:
		return
	}
	w.next = (*dice).serve
}

// serve is what Redis does. A command may be lost, and its connection with it. If
// that befalls a waiter that keeps its connection, it is help from outside
// for the worker that wants the turn, and a census must not fall between the help and its
// being noticed: only Redis could tell that it is on its way.
func (s *dice) serve(w *die) {
	s.progress.Attempts++
	if s.rng.IntN(16) == 0 && (w.granted || !w.Kept || s.cuts) {
		s.open[w.client]--
		w.next = (*dice).lost
		if !w.granted {
			s.lost(w)
		}
		return
	}
	switch {
	case !w.granted && s.locks[w.Lock] == "":
		s.locks[w.Lock] = w.Token
		w.granted = true
		w.commands = 1 + s.rng.IntN(3)
	case w.granted && w.commands == 1:
		delete(s.locks, w.Lock)
	}
	w.next = (*dice).answered
}

func (s *dice) lost(w *die) {
	w.Kept, w.KeptSince = false, 0
	if w.granted {
		s.stand(w, "dialing")
	}
	w.next = (*dice).giveBack
}

// answered is a worker that hears of what Redis did.
func (s *dice) answered(w *die) {
	if w.keeps && !w.Kept {
		w.Kept, w.KeptSince = true, s.now
	}
	w.next = (*dice).send
	switch {
	case w.granted && w.State == "waiting":
		w.next = (*dice).hold
		if !w.keeps || s.set.Holder != swarm.HolderKeeps {
			s.letGo(w)
		}
		return
	case w.granted && w.commands == 1:
		w.commands = 0
		s.letGo(w)
		return
	case w.granted:
		w.commands--
		s.stand(w, "holding")
	}
	if !w.keeps {
		w.next = (*dice).giveBack
	}
}

// letGo says that the turn is not kept any more, before it is given back.
func (s *dice) letGo(w *die) {
	w.keeps = false
	w.Kept, w.KeptSince = false, 0
	w.next = (*dice).giveBack
}

// giveBack returns a turn to the pool.
func (s *dice) giveBack(w *die) {
	if w.turn {
		w.turn = false
		s.free[w.client]++
	}
	w.next = (*dice).send
	switch {
	case w.granted && w.State == "waiting":
		w.next = (*dice).hold
	case w.granted && w.commands == 0:
		s.progress.Releases++
		s.stand(w, "idle")
		w.next = (*dice).begin
	}
}

func (s *dice) hold(w *die) {
	s.progress.Grants++
	s.stand(w, "holding")
	w.next = (*dice).send
}

// census reads one thing after the other while the swarm goes on.
func (s *dice) census(between int) history.Census {
	pause := func() {
		s.moves(s.rng.IntN(between + 1))
	}
	begun := s.now
	c := history.Census{Before: s.progress, Slots: 1000, Workers: make([]history.WorkerState, len(s.workers))}
	for _, i := range s.rng.Perm(len(s.workers)) {
		w := s.workers[i].WorkerState
		pause()
		w.Kept, w.KeptSince = s.workers[i].Kept, s.workers[i].KeptSince
		w.Connected = int64(s.open[s.workers[i].client])
		if w.State == "idle" {
			w.Lock, w.Token = "", ""
		}
		c.Workers[i] = w
		pause()
	}
	c.Locks, c.Clients = maps.Clone(s.locks), map[string]int64{}
	for i, n := range s.open {
		c.Clients[fmt.Sprint("c", i)] = int64(n)
	}
	if s.rng.IntN(2) == 0 { // then there is nothing to hold it against
		c.Locks, c.Clients, c.Error = nil, nil, "no answer"
	}
	pause()
	c.After, c.At, c.Took = s.progress, s.now, s.now-begun
	return c
}

// A worker that is proved stuck never moves again, whichever two censuses prove it, torn
// as they are, and even if grants are not counted; and a swarm that never
// moves again is proved stuck.
func TestPoolDeadlockIsNeverFeignedNorMissed(t *testing.T) {
	deadlocks, alive := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		s := newDice(t)
		j := sceneOf()
		j.sc.Swarm = s.set
		between := []int{0, 2, 20}[s.rng.IntN(3)]
		for range 20 {
			taken := make([]history.Census, 4)
			for i := range taken {
				s.moves(1 + s.rng.IntN(60))
				s.cuts = i < len(taken)-1 // help that comes after the last one was begun disproves nothing
				taken[i] = s.census(between)
			}
			s.moves(1000)
			for _, a := range taken[:len(taken)-1] {
				s.checkStuck(t, j, a, taken[len(taken)-1])
			}
		}
		s.moves(20_000)
		was := s.progress
		a := s.census(between)
		s.moves(5000)
		b := s.census(between)
		a.Error, b.Error = "", ""
		if s.progress.Grants != was.Grants || s.progress.Releases != was.Releases {
			alive++
			return
		}
		deadlocks++
		if a.Locks == nil || b.Locks == nil {
			a.Error, b.Error = "no answer", "no answer"
		}
		before, now := j.prover().snapshots(a, b)
		f := waitgraph.Analyze(before, now, waitgraph.Activity{Attempts: b.After.Attempts - a.Before.Attempts},
			waitgraph.DefaultThresholds(0))
		if f.Kind != waitgraph.Deadlock || f.Residue.Workers != len(s.workers) {
			t.Fatalf("nothing moves, and the finding is %s %v\n%+v", f.Sentence, f.Reasons, b)
		}
	})
	if deadlocks == 0 || alive == 0 {
		t.Errorf("%d swarms came to a deadlock and %d did not: this test tests nothing", deadlocks, alive)
	}
}

// checkStuck fails if two censuses call a worker stuck that has moved since.
func (s *dice) checkStuck(t *rapid.T, j *scene, a, b history.Census) {
	before, now := j.prover().snapshots(a, b)
	counted := waitgraph.Activity{Grants: b.After.Grants - a.Before.Grants,
		Releases: b.After.Releases - a.Before.Releases}
	for _, act := range []waitgraph.Activity{counted, {}} {
		f := waitgraph.Analyze(before, now, act, waitgraph.DefaultThresholds(0))
		if f.Proved && f.Kind != waitgraph.Deadlock {
			t.Fatalf("nobody died and nothing expires: %s", f.Sentence)
		}
		if f.Residue == nil || (!f.Proved && f.Kind != waitgraph.Starvation) {
			continue
		}
		for _, m := range f.Residue.Members {
			i := slices.IndexFunc(s.workers, func(w *die) bool { return fmt.Sprint("worker ", w.Worker) == m.Name })
			if is, said := s.workers[i].WorkerState, b.Workers[i]; is.State != said.State || is.Since != said.Since {
				t.Fatalf("%s was called stuck and moves: %s since %v became %s since %v; %s\n%+v\n%+v",
					m.Name, said.State, said.Since, is.State, is.Since, f.Sentence, a, b)
			}
		}
	}
}
