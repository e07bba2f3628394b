package waitgraph

import (
	"math"
	"slices"
	"time"
)

// Reduce returns the indices of the workers that nothing can help any more, in
// ascending order: the residue.
//
// It lets a process whose outstanding requests can be met from the free units
// finish and takes its units back, and so on until no more can finish (Holt
// 1972; for counted resources the detection algorithm of Coffman, Elphick and
// Shoshani, "System Deadlocks", Computing Surveys 3(2), 1971). What is left has
// no order of events in which it goes on. The order in which processes finish
// does not matter, since units only ever come back.
//
// A process that finishes asks for nothing more and keeps nothing. That is the
// best case: what remains is stuck in every case, and what does not may still
// get stuck later. Nothing ends by itself here; Judge looks at that.
//
// The snapshot must be valid. The time it takes is linear in the number of
// edges (and n log n in those that ask for several units of one resource at
// once).
func Reduce(s Snapshot) []int { return reduce(s, whatIf{}).residue() }

// whatIf is a question: would it move again, if ...
type whatIf struct {
	endsBy  time.Duration // ... all that ends by itself up to here had ended
	orphans orphans       // ... the dead gave back what they hold
	stay    bool          // ... foreigners kept what they hold
	accepts bool          // ... the server accepted the commands that it refuses
}

type orphans uint8

const (
	orphansKeep orphans = iota
	orphansFreeLocks
	orphansFreeAll
)

// never is later than anything that ends.
const never = time.Duration(math.MaxInt64)

// reduction is the state of one reduction.
type reduction struct {
	s    Snapshot
	what whatIf
	free []int  // units per resource; negative where more are held than there are
	done []bool // per process
	// unmet counts, per process, the waits that the free units do not meet.
	unmet []int32
	// The waits for resource r are waits[first[r]:first[r+1]], those for the
	// fewest units first; all before next[r] are met.
	waits []wait
	first []int32
	next  []int32
	ready []int32 // the work-list: processes that can finish
}

type wait struct{ process, units int32 }

func reduce(s Snapshot, what whatIf) *reduction {
	r := &reduction{
		s: s, what: what, free: make([]int, len(s.Resources)), done: make([]bool, len(s.Processes)),
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
		r.meet(resource)
	}
	for i, p := range s.Processes {
		// Those whose waits are met by now are on the list already.
		if (p.Role == Worker && r.unmet[i] == 0) || r.goesOnAnyway(p) {
			r.finish(int32(i))
		}
	}
	r.run()
	return r
}

// index sorts the waits by resource.
func (r *reduction) index() {
	several := false // waits for more than one unit
	for i, p := range r.s.Processes {
		r.unmet[i] = int32(len(p.Waits))
		if r.refused(p) {
			r.unmet[i]++ // which no unit meets
		}
		for _, e := range p.Waits {
			r.first[e.Resource+1]++
			several = several || e.Units > 1
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
	if several {
		for i := range r.free {
			slices.SortFunc(r.waits[r.first[i]:r.first[i+1]], func(a, b wait) int { return int(a.units) - int(b.units) })
		}
	}
}

// meet ticks off the waits for a resource that its free units meet by now.
// Units are not taken away from the count: who gets them gives them back.
func (r *reduction) meet(resource int) {
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

// finish puts a process on the work-list, once.
func (r *reduction) finish(process int32) {
	if !r.done[process] {
		r.done[process] = true
		r.ready = append(r.ready, process)
	}
}

// run finishes whoever can, and whoever can then.
func (r *reduction) run() {
	for n := 0; n < len(r.ready); n++ {
		p := r.s.Processes[r.ready[n]]
		for _, e := range p.Holds {
			if r.keeps(p, e) {
				r.free[e.Resource] += e.Units
				r.meet(e.Resource)
			}
		}
	}
}

// goesOnAnyway says of a process that it gives back what it holds whether or
// not it gets what it waits for.
func (r *reduction) goesOnAnyway(p Process) bool {
	return p.Role == Idler || (p.Role == Foreigner && !r.what.stay) ||
		(p.Role == Worker && slices.ContainsFunc(p.Waits, r.ended) && !r.refused(p))
}

// refused reports whether the server keeps a process from going on.
func (r *reduction) refused(p Process) bool { return p.Refused != nil && !r.what.accepts }

func (r *reduction) ended(e Edge) bool { return e.EndsAt > 0 && e.EndsAt <= r.what.endsBy }

// keeps says whether what a process holds has not come back by itself.
func (r *reduction) keeps(p Process, e Edge) bool {
	if r.ended(e) {
		return false
	}
	if p.Role != Orphan || r.what.orphans == orphansKeep {
		return true
	}
	return r.what.orphans == orphansFreeLocks && r.s.Resources[e.Resource].Kind != Lock
}

// stuck says whether a process is a worker that did not finish.
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

// inVain says of a wait whether it is one that keeps its process in the
// residue: the units that are left over at the end do not meet it.
func (r *reduction) inVain(e Edge) bool { return e.Units > r.free[e.Resource] }

// wanted says of each resource whether somebody in the residue waits for it in
// vain.
func (r *reduction) wanted() []bool {
	wanted := make([]bool, len(r.s.Resources))
	for i, p := range r.s.Processes {
		if r.stuck(i) {
			for _, e := range p.Waits {
				wanted[e.Resource] = wanted[e.Resource] || r.inVain(e)
			}
		}
	}
	return wanted
}

// circular says whether the residue waits for itself somewhere: whether a way
// along "waits in vain for" and "is held by" leads back to where it started.
// Where none does, all ways end at the dead and at outsiders.
//
// It takes away whatever leads nowhere (Kahn 1962) until only cycles, and what
// leads to them, are left.
func (r *reduction) circular() bool {
	holders := make([]int32, len(r.s.Resources)) // edges to workers that are left
	waits := make([]int32, len(r.s.Processes))   // edges to resources that are left
	left := 0
	for i, p := range r.s.Processes {
		if !r.stuck(i) {
			continue
		}
		left++
		for _, e := range p.Holds {
			if r.keeps(p, e) {
				holders[e.Resource]++
			}
		}
		for _, e := range p.Waits {
			if r.inVain(e) {
				waits[i]++
			}
		}
	}
	var nowhere []int // resources that no worker who is left holds
	for i := range holders {
		if holders[i] == 0 {
			nowhere = append(nowhere, i)
		}
	}
	// removed takes away a process that waits for nothing that is left.
	removed := func(p Process) {
		left--
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
		if r.stuck(i) && waits[i] == 0 { // the server alone keeps it
			removed(p)
		}
	}
	for n := 0; n < len(nowhere); n++ {
		// The waits in vain are those that were never met: from next on.
		for _, w := range r.waits[r.next[nowhere[n]]:r.first[nowhere[n]+1]] {
			if !r.stuck(int(w.process)) {
				continue
			}
			if waits[w.process]--; waits[w.process] == 0 {
				removed(r.s.Processes[w.process])
			}
		}
	}
	return left > 0
}
