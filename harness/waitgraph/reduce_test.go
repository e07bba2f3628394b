package waitgraph

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// graphs generates small graphs of counted resources. Locks are left out, since a lock held twice
// is not a valid graph.
func graphs(t *rapid.T) Snapshot {
	var s Snapshot
	for i := range rapid.IntRange(1, 3).Draw(t, "resources") {
		units := rapid.IntRange(0, 4).Draw(t, "units")
		s.Resources = append(s.Resources, Resource{Kind: Turn, Name: fmt.Sprint(i), Units: units})
	}
	for i := range rapid.IntRange(1, 5).Draw(t, "processes") {
		// Workers make the interesting graphs.
		role := rapid.SampledFrom([]Role{Worker, Worker, Worker, Worker, Idler, Orphan, Outsider}).Draw(t, "role")
		p := Process{Name: fmt.Sprint("p", i), Role: role}
		for r := range s.Resources {
			if n := rapid.SampledFrom([]int{0, 0, 1, 1, 2}).Draw(t, "holds"); n > 0 {
				p.Holds = append(p.Holds, Edge{Resource: r, Units: n})
			}
			if n := rapid.SampledFrom([]int{0, 0, 1, 1, 2}).Draw(t, "waits"); n > 0 {
				p.Waits = append(p.Waits, Edge{Resource: r, Units: n})
			}
		}
		s.Processes = append(s.Processes, p)
	}
	return s
}

// search tries every order of events: any process may at any moment take one free unit that it
// waits for, and finishes once it has them all. It returns the workers that finish in no order.
func search(s Snapshot) []int {
	finishes := make([]bool, len(s.Processes))
	seen := map[string]bool{}
	type state struct {
		free    []int
		missing [][]int // per process and wait: units still missing
		done    []bool
	}
	var visit func(state)
	visit = func(at state) {
		if key := fmt.Sprint(at); seen[key] {
			return
		} else {
			seen[key] = true
		}
		for i, p := range s.Processes {
			if at.done[i] || p.Role == Orphan || p.Role == Outsider {
				continue
			}
			next := func() state {
				n := state{slices.Clone(at.free), slices.Clone(at.missing), slices.Clone(at.done)}
				n.missing[i] = slices.Clone(at.missing[i])
				return n
			}
			for w, e := range p.Waits {
				if at.missing[i][w] > 0 && at.free[e.Resource] > 0 {
					n := next()
					n.missing[i][w]--
					n.free[e.Resource]--
					visit(n)
				}
			}
			if p.Role == Idler || !slices.ContainsFunc(at.missing[i], func(n int) bool { return n > 0 }) {
				n := next()
				n.done[i], finishes[i] = true, true
				for _, e := range p.Holds {
					n.free[e.Resource] += e.Units
				}
				for w, e := range p.Waits {
					n.free[e.Resource] += e.Units - at.missing[i][w]
				}
				visit(n)
			}
		}
	}
	start := state{done: make([]bool, len(s.Processes))}
	for _, r := range s.Resources {
		start.free = append(start.free, r.Units)
	}
	for _, p := range s.Processes {
		var missing []int
		for _, e := range p.Holds {
			start.free[e.Resource] -= e.Units
		}
		for _, e := range p.Waits {
			missing = append(missing, e.Units)
		}
		start.missing = append(start.missing, missing)
	}
	visit(start)
	var never []int
	for i, p := range s.Processes {
		if p.Role == Worker && !finishes[i] {
			never = append(never, i)
		}
	}
	return never
}

func TestReduceAgreesWithSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := graphs(t)
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		if got, want := Reduce(s), search(s); !slices.Equal(got, want) {
			t.Fatalf("residue %v, a search over all orders of events says %v", got, want)
		}
	})
}

// subset reports whether all of a are in b.
func subset(a, b []int) bool {
	return !slices.ContainsFunc(a, func(i int) bool { return !slices.Contains(b, i) })
}

// An additional free unit, or one wait fewer, never makes the residue larger.
func TestReduceIsMonotonic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := graphs(t)
		before := Reduce(s)
		more := s
		more.Resources = slices.Clone(s.Resources)
		more.Resources[rapid.IntRange(0, len(s.Resources)-1).Draw(t, "richer")].Units++
		if after := Reduce(more); !subset(after, before) {
			t.Fatalf("residue %v, and with a unit more %v", before, after)
		}
		fewer := s
		fewer.Processes = slices.Clone(s.Processes)
		p := &fewer.Processes[rapid.IntRange(0, len(s.Processes)-1).Draw(t, "content")]
		if len(p.Waits) > 0 {
			at := rapid.IntRange(0, len(p.Waits)-1).Draw(t, "wait")
			p.Waits = slices.Delete(slices.Clone(p.Waits), at, at+1)
		}
		if after := Reduce(fewer); !subset(after, before) {
			t.Fatalf("residue %v, and with a wait less %v", before, after)
		}
	})
}

// Without orphans and outsiders, and if no process waits for more units than exist, every residue
// contains a cycle.
func TestResidueIsCircular(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := graphs(t)
		total := make([]int, len(s.Resources))
		for i := range s.Processes {
			if s.Processes[i].Role > Idler {
				s.Processes[i].Role = Worker
			}
			for _, e := range s.Processes[i].Waits {
				total[e.Resource] = max(total[e.Resource], e.Units)
			}
		}
		for i := range s.Resources { // no process waits for more units than exist
			s.Resources[i].Units = max(s.Resources[i].Units, total[i])
		}
		r := reduce(s, assumptions{})
		if stuck := len(r.residue()) > 0; stuck != r.circular() {
			t.Fatalf("residue %v, circular: %v", r.residue(), r.circular())
		}
	})
}

// circularBySearch looks for a path from any process back to itself.
func circularBySearch(r *reduction) bool {
	leads := func(from, to int) bool { // from is blocked on a resource that to holds
		return slices.ContainsFunc(r.s.Processes[from].Waits, func(w Edge) bool {
			return r.blocks(w) && slices.ContainsFunc(r.s.Processes[to].Holds,
				func(h Edge) bool { return h.Resource == w.Resource })
		})
	}
	residue := r.residue()
	for _, start := range residue {
		reached := map[int]bool{}
		for work := []int{start}; len(work) > 0; work = work[1:] {
			for _, next := range residue {
				if !leads(work[0], next) || reached[next] {
					continue
				}
				if next == start {
					return true
				}
				reached[next] = true
				work = append(work, next)
			}
		}
	}
	return false
}

func TestCircularAgreesWithSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := reduce(graphs(t), assumptions{})
		if got, want := r.circular(), circularBySearch(r); got != want {
			t.Fatalf("circular: %v, a search says %v; residue %v", got, want, r.residue())
		}
	})
}
