package waitgraph

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// simulation is a swarm of workers that take one set of units after the other, then release them
// all.
type simulation struct {
	rng        *rand.Rand
	discipline discipline
	requests   int // that workers will still begin
	step       time.Duration
	resources  []Resource
	free       []int
	actors     []actor
	act        Activity
}

// discipline is the rule that prevents deadlocks.
type discipline int

const (
	unordered discipline = iota // none
	ordered                     // all take resources in the same order (Havender, IBM Systems Journal 7(2), 1968)
	// Each worker has its own order, but nothing is granted after which they could not all finish
	// one by one (Dijkstra's banker, EWD 108, 1965). Here a torn snapshot can show a cycle that
	// never existed.
	banker
)

type actor struct {
	role  Role
	habit []int // resources that it takes every time, in this order
	plan  []int // resources still to be waited for, after those it waits for now
	waits []Edge
	holds []Edge
}

// newSimulation draws only a seed from rapid, which prefers small numbers: with these, hardly any
// snapshot is misleading.
func newSimulation(t *rapid.T, disciplines ...discipline) *simulation {
	s := &simulation{requests: 1 << 30, rng: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))}
	s.discipline = disciplines[s.rng.IntN(len(disciplines))]
	for i := range 1 + s.rng.IntN(3) {
		units := []int{1, 1, 1, 2}[s.rng.IntN(4)]
		s.resources = append(s.resources, Resource{Kind: Turn, Name: fmt.Sprint(i), Units: units})
		s.free = append(s.free, units)
	}
	s.actors = make([]actor, 2+s.rng.IntN(4))
	for i := range s.actors {
		habit := s.rng.Perm(len(s.resources))[:min(len(s.resources), 1+s.rng.IntN(4))]
		if s.discipline == ordered {
			slices.Sort(habit)
		}
		s.actors[i].habit = habit
	}
	if s.rng.IntN(4) == 0 {
		s.actors[0].role = Idler
	}
	return s
}

// move performs one action of one worker, if possible, and advances the clock.
func (s *simulation) move() {
	s.step += time.Millisecond
	a := &s.actors[s.rng.IntN(len(s.actors))]
	switch {
	case len(a.waits) > 0:
		s.act.Attempts++
		if s.rng.IntN(4) == 0 { // it polls: long waits make misleading snapshots
			s.grant(a)
		}
	case len(a.plan) > 0:
		s.ask(a)
	case len(a.holds) > 0:
		if s.rng.IntN(4) > 0 { // work takes a while
			return
		}
		for _, e := range a.holds {
			s.free[e.Resource] += e.Units
		}
		a.holds = nil
		s.act.Releases++
	case s.requests > 0:
		s.requests--
		a.plan = a.habit
	}
}

// ask starts to wait for the next one or two resources of the plan.
func (s *simulation) ask(a *actor) {
	n := 1
	if s.rng.IntN(4) == 0 {
		n = min(len(a.plan), 2)
	}
	for _, r := range a.plan[:n] {
		a.waits = append(a.waits, Edge{Resource: r, Units: 1, Since: s.step})
	}
	a.plan = a.plan[n:]
}

func (s *simulation) grant(a *actor) {
	if slices.ContainsFunc(a.waits, func(e Edge) bool { return s.free[e.Resource] < e.Units }) {
		return
	}
	if s.discipline == banker && !s.safeAfter(a) {
		return
	}
	for _, e := range a.waits {
		s.free[e.Resource] -= e.Units
		s.resources[e.Resource].Granted++
		e.Since = s.step
		a.holds = append(a.holds, e)
	}
	a.waits = nil
	s.act.Grants++
}

// safeAfter reports whether all could finish one after the other if this worker were granted its
// current waits. It does not use the code under test.
func (s *simulation) safeAfter(granted *actor) bool {
	free := slices.Clone(s.free)
	for _, e := range granted.waits {
		free[e.Resource] -= e.Units
	}
	holds := func(a *actor) []Edge {
		if a == granted {
			return slices.Concat(a.holds, a.waits)
		}
		return a.holds
	}
	needs := func(a *actor) []int {
		need := slices.Clone(a.plan)
		if a != granted {
			for _, e := range a.waits {
				need = append(need, e.Resource)
			}
		}
		return need
	}
	done := make([]bool, len(s.actors))
	for range s.actors { // at least one finishes in each round, or none ever will
		for i := range s.actors {
			a := &s.actors[i]
			if done[i] || slices.ContainsFunc(needs(a), func(r int) bool { return free[r] < 1 }) {
				continue
			}
			done[i] = true
			for _, e := range holds(a) {
				free[e.Resource] += e.Units
			}
		}
	}
	return !slices.Contains(done, false)
}

// snapshot reads one worker after the other while the swarm continues, so it may show a state that
// never existed.
func (s *simulation) snapshot(between int) Snapshot {
	begun := s.step
	snap := Snapshot{Resources: slices.Clone(s.resources), Processes: make([]Process, len(s.actors))}
	for _, i := range s.rng.Perm(len(s.actors)) {
		a := s.actors[i]
		snap.Processes[i] = Process{Name: fmt.Sprint("w", i), Role: a.role, Holds: slices.Clone(a.holds),
			Waits: slices.Clone(a.waits)}
		if a.role == Idler { // its waits are unknown
			snap.Processes[i].Waits = nil
		}
		for range s.rng.IntN(between + 1) {
			s.move()
		}
	}
	snap.At, snap.Took = s.step, s.step-begun
	return snap
}

// A swarm that can always proceed is never declared deadlocked, whichever two torn snapshots are
// compared, even if its activity is not counted.
func TestLiveSystemIsNeverDeclaredDeadlocked(t *testing.T) {
	type moment struct {
		before, after Activity // when it was begun, when it was complete
		s             Snapshot
	}
	rapid.Check(t, func(t *rapid.T) {
		s := newSimulation(t, ordered, banker, banker)
		between := []int{0, 3, 40, 60}[s.rng.IntN(4)] // moves between two reads, at most
		moments := make([]moment, 40)
		for i := range moments {
			for range 1 + s.rng.IntN(20) {
				s.move()
			}
			moments[i].before = s.act
			moments[i].s = s.snapshot(between)
			moments[i].after = s.act
		}
		for i, a := range moments {
			for _, b := range moments[i+1:] {
				counted := Activity{
					Grants: b.after.Grants - a.before.Grants, Releases: b.after.Releases - a.before.Releases,
					Attempts: b.after.Attempts - a.before.Attempts,
				}
				for _, act := range []Activity{counted, {}} {
					f := Analyze(a.s, b.s, act, DefaultThresholds(0))
					if f.Proved || (f.Kind == Starvation && f.Residue != nil) {
						t.Fatalf("%v: %s\n%+v\n%+v", act, f.Sentence, a.s, b.s)
					}
				}
			}
		}
	})
}

// A swarm that takes its locks in any order is run until it stops: then the residue is exactly the
// waiting workers.
func TestDeadlockedSystemIsDeclaredDeadlocked(t *testing.T) {
	deadlocks := 0
	rapid.Check(t, func(t *rapid.T) {
		s := newSimulation(t, unordered)
		s.requests = 2 + s.rng.IntN(40)
		for range 200 * (s.requests + len(s.actors)) {
			s.move()
		}
		a := s.snapshot(3)
		before := s.act
		for range 50 {
			s.move()
		}
		b := s.snapshot(3)
		if s.act.Grants != before.Grants || s.act.Releases != before.Releases {
			t.Skip("still making progress")
		}
		waiting := waiting(b)
		f := Analyze(a, b, Activity{Attempts: s.act.Attempts - before.Attempts}, DefaultThresholds(0))
		switch {
		case waiting == 0:
			if f.Kind != Idle {
				t.Fatalf("%s: %s", f.Kind, f.Sentence)
			}
		case s.actors[0].role == Idler && len(s.actors[0].holds) > 0:
			// It also waits, which the snapshot omits: it might release.
			if f.Proved && slices.ContainsFunc(f.Residue.Members, func(m Member) bool { return m.Role == Idler }) {
				t.Fatalf("%s: %s", f.Kind, f.Sentence)
			}
		default:
			deadlocks++
			if f.Kind != Deadlock || f.Residue.Workers != waiting {
				t.Fatalf("%s with %d of %d waiting workers: %s %v", f.Kind, f.Residue.Workers, waiting, f.Sentence,
					f.Reasons)
			}
		}
	})
	if deadlocks == 0 {
		t.Error("no simulated swarm deadlocked: the test checked nothing")
	}
}
