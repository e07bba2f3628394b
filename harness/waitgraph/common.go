package waitgraph

import (
	"cmp"
	"slices"
)

// common returns the processes whose edges are the same in two snapshots, one
// wholly after the other. Edges that are the same in both, begun at the same
// moment, were there all the time in between, and so they were all there at
// once, though neither snapshot was taken at one instant (as two equal collects
// make an atomic snapshot: Afek et al., Journal of the ACM 40(4), 1993).
//
// Whoever changed is left out, and what it holds is free: the best case. Of a
// resource whose number of units changed the larger number counts, for the same
// reason. EndsAt may differ, as a renewed lease does; the later snapshot's counts.
//
// With strict set, edges that do not say when they began count as changed: a
// lock that is released and taken again between the snapshots by the same
// worker looks like one that was held throughout.
func common(a, b Snapshot, strict bool) Snapshot {
	g := Snapshot{At: b.At, Took: b.Took, Resources: slices.Clone(b.Resources)}
	index := make(map[ref]int, len(b.Resources))
	for i, r := range b.Resources {
		index[r.ref()] = i
	}
	inB := make([]int, len(a.Resources)) // from a's index of a resource to b's
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
		if a.Processes[i].Refused.equal(p.Refused) && sameEdges(a.Processes[i].Holds, p.Holds, inB, strict) && sameEdges(a.Processes[i].Waits, p.Waits, inB, strict) {
			g.Processes = append(g.Processes, p)
		}
	}
	return g
}

// sameEdges compares the edges of one process in two snapshots, in any order.
func sameEdges(a, b []Edge, inB []int, strict bool) bool {
	if len(a) != len(b) {
		return false
	}
	if len(a) == 1 { // the common case, without a copy
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
