package waitgraph

import (
	"math"
	"slices"
	"time"
)

// Reduce returns the residue: the indices, in ascending order, of the workers that can never
// proceed.
//
// A process whose outstanding requests the free units can satisfy finishes and releases its units;
// this repeats until no more processes can finish (Holt 1972; for counted resources the detection
// algorithm of Coffman, Elphick and Shoshani, "System Deadlocks", Computing Surveys 3(2), 1971). No
// order of events lets the remaining workers proceed. The order in which processes finish does not
// matter, since units are only ever released.
//
// A finishing process requests nothing more and keeps nothing, which is the best case: the residue
// is stuck in every case, while other processes may still get stuck later. Edges that end by
// themselves are ignored here; Analyze considers them.
//
// The snapshot must be valid. Time is linear in the number of edges, plus n log n in the waits if
// any asks for several units of one resource.
func Reduce(s Snapshot) []int { return reduce(s, assumptions{}).residue() }

// assumptions make a reduction hypothetical.
type assumptions struct {
	endedBy        time.Duration // edges that end by themselves up to this offset have ended
	orphans        orphans       // which units orphans have released
	foreignersStay bool          // foreigners keep their units
	serverAccepts  bool          // the server accepts the commands that it refuses
}

type orphans uint8

const (
	orphansKeep orphans = iota
	orphansFreeLocks
	orphansFreeAll
)

// never is later than the end of any edge.
const never = time.Duration(math.MaxInt64)

// reduction is the state of one reduction.
type reduction struct {
	s      Snapshot
	assume assumptions
	free   []int  // units per resource; negative if more are held than exist
	done   []bool // per process
	// unmet counts, per process, the waits that the free units do not satisfy.
	unmet []int32
	// The waits for resource r are waits[first[r]:first[r+1]], in ascending order of units; those
	// before next[r] are satisfied.
	waits []wait
	first []int32
	next  []int32
	ready []int32 // work list: processes that can finish
}

type wait struct{ process, units int32 }

func reduce(s Snapshot, assume assumptions) *reduction {
	r := &reduction{
		s: s, assume: assume, free: make([]int, len(s.Resources)), done: make([]bool, len(s.Processes)),
		unmet: make([]int32, len(s.Processes)), first: make([]int32, len(s.Resources)+1),
		ready: make([]int32, 0, len(s.Processes)),
	}
	for i, resource := range s.Resources {
		r.free[i] = resource.Units
	}
	for _, p := range s.Processes {
		for _, e := range p.Holds {
			if r.keeps(p, e) {
				r.free[e.Resource] -= e.Units
			}
		}
	}
	r.index()
	for resource := range r.free {
		r.satisfy(resource)
	}
	for i, p := range s.Processes {
		// Workers whose waits are already satisfied are on the work list.
		if (p.Role == Worker && r.unmet[i] == 0) || r.releasesRegardless(p) {
			r.finish(int32(i))
		}
	}
	r.run()
	return r
}

// index groups the waits by resource.
func (r *reduction) index() {
	multiUnit := false // whether any wait asks for more than one unit
	for i, p := range r.s.Processes {
		r.unmet[i] = int32(len(p.Waits))
		if r.refused(p) {
			r.unmet[i]++ // which no unit satisfies
		}
		for _, e := range p.Waits {
			r.first[e.Resource+1]++
			multiUnit = multiUnit || e.Units > 1
		}
	}
	for i := range r.free {
		r.first[i+1] += r.first[i]
	}
	r.next = slices.Clone(r.first[:len(r.free)])
	r.waits = make([]wait, r.first[len(r.free)])
	for i, p := range r.s.Processes {
		for _, e := range p.Waits {
			r.waits[r.next[e.Resource]] = wait{int32(i), int32(min(e.Units, math.MaxInt32))}
			r.next[e.Resource]++
		}
	}
	copy(r.next, r.first)
	if multiUnit {
		for i := range r.free {
			slices.SortFunc(r.waits[r.first[i]:r.first[i+1]],
				func(a, b wait) int { return int(a.units) - int(b.units) })
		}
	}
}

// satisfy marks the waits for a resource that its free units satisfy. It does not deduct the units,
// since a process that gets them also releases them.
func (r *reduction) satisfy(resource int) {
	end := r.first[resource+1]
	for ; r.next[resource] < end; r.next[resource]++ {
		w := r.waits[r.next[resource]]
		if int(w.units) > r.free[resource] {
			return
		}
		r.unmet[w.process]--
		if r.unmet[w.process] == 0 && r.s.Processes[w.process].Role == Worker {
			r.finish(w.process)
		}
	}
}

// finish puts a process on the work list, once.
func (r *reduction) finish(process int32) {
	if !r.done[process] {
		r.done[process] = true
		r.ready = append(r.ready, process)
	}
}

// run finishes the processes on the work list, including those that it adds.
func (r *reduction) run() {
	for n := 0; n < len(r.ready); n++ {
		p := r.s.Processes[r.ready[n]]
		for _, e := range p.Holds {
			if r.keeps(p, e) {
				r.free[e.Resource] += e.Units
				r.satisfy(e.Resource)
			}
		}
	}
}

// releasesRegardless reports whether a process releases its units whether or not its waits are
// satisfied.
func (r *reduction) releasesRegardless(p Process) bool {
	return p.Role == Idler || (p.Role == Foreigner && !r.assume.foreignersStay) ||
		(p.Role == Worker && slices.ContainsFunc(p.Waits, r.ended) && !r.refused(p))
}

// refused reports whether the server prevents a process from proceeding.
func (r *reduction) refused(p Process) bool { return p.Refused != nil && !r.assume.serverAccepts }

func (r *reduction) ended(e Edge) bool { return e.EndsAt > 0 && e.EndsAt <= r.assume.endedBy }

// keeps reports whether the assumptions leave the units of e with their holder p.
func (r *reduction) keeps(p Process, e Edge) bool {
	if r.ended(e) {
		return false
	}
	if p.Role != Orphan || r.assume.orphans == orphansKeep {
		return true
	}
	return r.assume.orphans == orphansFreeLocks && r.s.Resources[e.Resource].Kind != Lock
}

// stuck reports whether a process is a worker that did not finish.
func (r *reduction) stuck(process int) bool {
	return !r.done[process] && r.s.Processes[process].Role == Worker
}

func (r *reduction) residue() []int {
	var stuck []int
	for i := range r.s.Processes {
		if r.stuck(i) {
			stuck = append(stuck, i)
		}
	}
	return stuck
}

// blocks reports whether a wait keeps its process in the residue: the units that remain free do not
// satisfy it.
func (r *reduction) blocks(e Edge) bool { return e.Units > r.free[e.Resource] }

// needed reports for each resource whether a stuck worker is blocked on it.
func (r *reduction) needed() []bool {
	needed := make([]bool, len(r.s.Resources))
	for i, p := range r.s.Processes {
		if r.stuck(i) {
			for _, e := range p.Waits {
				needed[e.Resource] = needed[e.Resource] || r.blocks(e)
			}
		}
	}
	return needed
}

// circular reports whether the residue contains a cycle: a path along "is blocked on" and "is held
// by" that leads back to its start. Without a cycle all paths end at orphans, outsiders and
// foreigners.
//
// It repeatedly removes processes and resources that lead nowhere (Kahn 1962); only cycles and
// paths into cycles remain.
func (r *reduction) circular() bool {
	holders := make([]int32, len(r.s.Resources)) // per resource: edges to remaining workers
	waits := make([]int32, len(r.s.Processes))   // per process: edges to remaining resources
	remaining := 0
	for i, p := range r.s.Processes {
		if !r.stuck(i) {
			continue
		}
		remaining++
		for _, e := range p.Holds {
			if r.keeps(p, e) {
				holders[e.Resource]++
			}
		}
		for _, e := range p.Waits {
			if r.blocks(e) {
				waits[i]++
			}
		}
	}
	var nowhere []int // resources that no remaining worker holds
	for i := range holders {
		if holders[i] == 0 {
			nowhere = append(nowhere, i)
		}
	}
	// remove removes a process that is blocked on no remaining resource.
	remove := func(p Process) {
		remaining--
		for _, e := range p.Holds {
			if !r.keeps(p, e) {
				continue
			}
			if holders[e.Resource]--; holders[e.Resource] == 0 {
				nowhere = append(nowhere, e.Resource)
			}
		}
	}
	for i, p := range r.s.Processes {
		if r.stuck(i) && waits[i] == 0 { // only the server holds it up
			remove(p)
		}
	}
	for n := 0; n < len(nowhere); n++ {
		// Blocked waits are those that were never satisfied: from next on.
		for _, w := range r.waits[r.next[nowhere[n]]:r.first[nowhere[n]+1]] {
			if !r.stuck(int(w.process)) {
				continue
			}
			if waits[w.process]--; waits[w.process] == 0 {
				remove(r.s.Processes[w.process])
			}
		}
	}
	return remaining > 0
}
