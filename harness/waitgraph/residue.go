package waitgraph

import "slices"

// Residue is who is stuck, with what in their hands, waiting for what.
type Residue struct {
	Workers  int  `json:"workers"`  // that are stuck
	Locks    int  `json:"locks"`    // that they wait for in vain
	Slots    int  `json:"slots"`    // that they hold
	Turns    int  `json:"turns"`    // that they hold
	Circular bool `json:"circular"` // somewhere in it a way leads back to where it started

	Groups    []Group    `json:"groups"`    // members that are in the same position
	Members   []Member   `json:"members"`   // every stuck worker, then every holder they wait for that never lets go
	Resources []Resource `json:"resources"` // that anybody here waits for in vain or holds
}

// Member is one process of a residue.
type Member struct {
	Name  string  `json:"name"`
	Role  Role    `json:"role"` // worker, orphan, outsider or foreigner
	Holds []Share `json:"holds,omitempty"`
	Waits []Share `json:"waits,omitempty"` // in vain; what it waits for and could have is left out

	Refused string `json:"refused,omitempty"` // the error reply that keeps it from going on, its first word
}

// Share is some units of one resource.
type Share struct {
	Kind     ResourceKind `json:"kind"`
	Resource string       `json:"resource"`
	Units    int          `json:"units"`
	SinceMS  float64      `json:"since_ms,omitempty"`   // offset of the grant, or of when the wait began; absent: not known
	EndsAtMS float64      `json:"ends_at_ms,omitempty"` // offset at which it ends by itself; absent: never
}

// Group is members of one role that hold as many of every kind, and wait for
// as many.
type Group struct {
	Role    Role     `json:"role"`
	Members int      `json:"members"`
	Names   []string `json:"names"` // the first few
	Holds   []Tally  `json:"holds,omitempty"`
	Waits   []Tally  `json:"waits,omitempty"`
	Refused string   `json:"refused,omitempty"` // the error reply that keeps all of them from going on
	Expires bool     `json:"expires,omitempty"` // all that they hold goes back by itself in time
}

// Tally is what a group holds of one kind, or waits for.
type Tally struct {
	Kind      ResourceKind `json:"kind"`
	Resources int          `json:"resources"` // different ones
	Units     int          `json:"units"`     // in all
	Each      int          `json:"each"`      // per member
	First     string       `json:"first"`     // the name of one of them
	Total     int          `json:"total"`     // units that these resources have, held or not
	set       []int        // indices of the resources, ascending
}

// namesShown is how many names a group gives.
const namesShown = 3

// newResidue names who is left after a reduction.
func newResidue(r *reduction) *Residue {
	res := &Residue{Circular: r.circular()}
	wanted := r.wanted()
	listed := make([]bool, len(r.s.Resources))
	share := func(e Edge) Share {
		from := r.s.Resources[e.Resource]
		if !listed[e.Resource] {
			listed[e.Resource] = true
			res.Resources = append(res.Resources, from)
		}
		return Share{from.Kind, from.Name, e.Units, millis(e.Since), millis(e.EndsAt)}
	}
	for i, p := range r.s.Processes {
		if !r.stuck(i) {
			continue
		}
		m := Member{Name: p.Name, Role: p.Role}
		if r.refused(p) {
			m.Refused = p.Refused.Reply
		}
		for _, e := range p.Holds {
			if r.keeps(p, e) {
				m.Holds = append(m.Holds, share(e))
			}
		}
		for _, e := range p.Waits {
			if r.inVain(e) {
				m.Waits = append(m.Waits, share(e))
			}
		}
		res.Members = append(res.Members, m)
	}
	res.count(wanted, r.s.Resources)
	for i, p := range r.s.Processes {
		if r.done[i] || p.Role == Worker {
			continue
		}
		m := Member{Name: p.Name, Role: p.Role}
		for _, e := range p.Holds {
			if wanted[e.Resource] && r.keeps(p, e) {
				m.Holds = append(m.Holds, share(e))
			}
		}
		if len(m.Holds) > 0 {
			res.Members = append(res.Members, m)
		}
	}
	res.group()
	return res
}

// count is called while only workers are members.
func (res *Residue) count(wanted []bool, resources []Resource) {
	res.Workers = len(res.Members)
	for i, r := range resources {
		if wanted[i] && r.Kind == Lock {
			res.Locks++
		}
	}
	for _, m := range res.Members {
		for _, h := range m.Holds {
			switch h.Kind {
			case Slot:
				res.Slots += h.Units
			case Turn:
				res.Turns += h.Units
			}
		}
	}
}

// group fills in Groups.
func (res *Residue) group() {
	index := res.index()
	for _, members := range res.alike() {
		res.Groups = append(res.Groups, res.groupOf(members, index))
	}
}

func (res *Residue) groupOf(members []int, index map[ref]int) Group {
	first := res.Members[members[0]]
	g := Group{Role: first.Role, Members: len(members), Refused: first.Refused}
	g.Expires = !slices.ContainsFunc(members, func(i int) bool {
		return slices.ContainsFunc(res.Members[i].Holds, func(s Share) bool { return s.EndsAtMS == 0 })
	})
	for _, i := range members[:min(len(members), namesShown)] {
		g.Names = append(g.Names, res.Members[i].Name)
	}
	g.Holds = res.tally(members, index, func(m Member) []Share { return m.Holds })
	g.Waits = res.tally(members, index, func(m Member) []Share { return m.Waits })
	return g
}

// alike puts members in the same position together, by index, in the order in
// which they are told of: those who hold counted units, those who hold locks,
// those who hold nothing, then the dead and the outsiders. Within that the
// order is the members' own.
func (res *Residue) alike() [][]int {
	index := map[position]int{}
	var of [][]int
	for i, m := range res.Members {
		p := positionOf(m)
		g, ok := index[p]
		if !ok {
			g = len(of)
			index[p] = g
			of = append(of, nil)
		}
		of[g] = append(of[g], i)
	}
	slices.SortStableFunc(of, func(a, b []int) int {
		return rank(res.Members[a[0]]) - rank(res.Members[b[0]])
	})
	return of
}

// index finds the resources by what they are called.
func (res *Residue) index() map[ref]int {
	index := make(map[ref]int, len(res.Resources))
	for i, r := range res.Resources {
		index[r.ref()] = i
	}
	return index
}

// position is where a member stands, whatever its resources are called.
type position struct {
	role         Role
	refused      string
	holds, waits [len(kinds)]int // units, by kind
}

func positionOf(m Member) position {
	p := position{role: m.Role, refused: m.Refused}
	for _, s := range m.Holds {
		p.holds[slices.Index(kinds[:], s.Kind)] += s.Units
	}
	for _, s := range m.Waits {
		p.waits[slices.Index(kinds[:], s.Kind)] += s.Units
	}
	return p
}

func rank(m Member) int {
	holds := func(kinds ...ResourceKind) bool {
		return slices.ContainsFunc(m.Holds, func(s Share) bool { return slices.Contains(kinds, s.Kind) })
	}
	switch {
	case m.Role != Worker:
		return 3 + int(m.Role)
	case holds(Slot, Turn):
		return 0
	case holds(Lock):
		return 1
	}
	return 2
}

// tally adds up, by kind, what some members hold or wait for.
func (res *Residue) tally(members []int, index map[ref]int, shares func(Member) []Share) []Tally {
	var tallies []Tally
	for _, k := range kinds {
		t := Tally{Kind: k}
		for _, i := range members {
			for _, s := range shares(res.Members[i]) {
				if s.Kind == k {
					t.Units += s.Units
					t.set = append(t.set, index[ref{s.Kind, s.Resource}])
				}
			}
		}
		if t.Units == 0 {
			continue
		}
		slices.Sort(t.set)
		t.set = slices.Compact(t.set)
		for _, at := range t.set {
			t.Total += res.Resources[at].Units
		}
		t.Resources, t.Each, t.First = len(t.set), t.Units/len(members), res.Resources[t.set[0]].Name
		tallies = append(tallies, t)
	}
	return tallies
}
