package waitgraph

import (
	"cmp"
	"slices"
)

// common returns the processes whose edges are the same in two snapshots, the second begun after
// the first was complete. Edges that are the same in both, with the same start, existed throughout
// the interval between them, so they all existed at once, although neither snapshot was taken at
// one instant (two equal collects make an atomic snapshot: Afek et al., Journal of the ACM 40(4),
// 1993).
//
// A process that changed is omitted and its units count as free, which is the best case. For a
// resource whose number of units changed the larger number is used, for the same reason. EndsAt may
// differ, as it does for a renewed lease; the later snapshot's value is used.
//
// With strict set, edges with an unknown start count as changed: a lock that a worker released and
// reacquired between the snapshots looks like one that it held throughout.
func common(a, b Snapshot, strict bool) Snapshot {
	g := Snapshot{At: b.At, Took: b.Took, Resources: slices.Clone(b.Resources)}
	index := make(map[ref]int, len(b.Resources))
	for i, r := range b.Resources {
		index[r.ref()] = i
	}
	inB := make([]int, len(a.Resources)) // a resource's index in a -> its index in b, or -1
	for i, r := range a.Resources {
		j, ok := index[r.ref()]
		if !ok {
			inB[i] = -1
			continue
		}
		inB[i] = j
		g.Resources[j].Units = max(g.Resources[j].Units, r.Units)
	}
	before := make(map[string]int, len(a.Processes))
	for i, p := range a.Processes {
		before[p.Name] = i
	}
	for _, p := range b.Processes {
		i, ok := before[p.Name]
		if !ok || a.Processes[i].Role != p.Role {
			continue
		}
		if a.Processes[i].Refused.equal(p.Refused) && sameEdges(a.Processes[i].Holds, p.Holds, inB, strict) &&
			sameEdges(a.Processes[i].Waits, p.Waits, inB, strict) {
			g.Processes = append(g.Processes, p)
		}
	}
	return g
}

// sameEdges compares the edges of one process in two snapshots, ignoring order.
func sameEdges(a, b []Edge, inB []int, strict bool) bool {
	if len(a) != len(b) {
		return false
	}
	if len(a) == 1 { // the common case avoids the copies
		return same(renumbered(a[0], inB), b[0], strict)
	}
	x, y := make([]Edge, len(a)), slices.Clone(b)
	for i, e := range a {
		x[i] = renumbered(e, inB)
	}
	slices.SortFunc(x, compareEdges)
	slices.SortFunc(y, compareEdges)
	return slices.EqualFunc(x, y, func(e, f Edge) bool { return same(e, f, strict) })
}

func renumbered(e Edge, inB []int) Edge {
	e.Resource = inB[e.Resource]
	return e
}

func same(a, b Edge, strict bool) bool {
	return compareEdges(a, b) == 0 && !(strict && a.Since == 0)
}

func compareEdges(a, b Edge) int {
	return cmp.Or(cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Units, b.Units),
		cmp.Compare(a.Since, b.Since), cmp.Compare(a.Token, b.Token))
}
