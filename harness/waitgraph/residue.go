package waitgraph

import "slices"

// Residue is the stuck processes, the units that they hold and those that they are blocked on.
type Residue struct {
	Workers  int  `json:"workers"`  // number of stuck workers
	Locks    int  `json:"locks"`    // number of locks that they are blocked on
	Slots    int  `json:"slots"`    // number of slots that they hold
	Turns    int  `json:"turns"`    // number of turns that they hold
	Circular bool `json:"circular"` // the residue contains a cycle

	Groups    []Group    `json:"groups"`    // members in the same position
	Members   []Member   `json:"members"`   // stuck workers, then holders of what they need that never release it
	Resources []Resource `json:"resources"` // resources that members hold or are blocked on
}

// Member is one process of a residue.
type Member struct {
	Name  string  `json:"name"`
	Role  Role    `json:"role"` // worker, orphan, outsider or foreigner
	Holds []Share `json:"holds,omitempty"`
	Waits []Share `json:"waits,omitempty"` // blocked waits only; those that free units satisfy are left out

	Refused string `json:"refused,omitempty"` // first word of the error reply that stops it
}

// Share is a number of units of one resource.
type Share struct {
	Kind     ResourceKind `json:"kind"`
	Resource string       `json:"resource"`
	Units    int          `json:"units"`
	SinceMS  float64      `json:"since_ms,omitempty"`   // start of the hold or the wait; absent: unknown
	EndsAtMS float64      `json:"ends_at_ms,omitempty"` // when it ends by itself; absent: never
}

// Group is members with the same role that hold the same number of units of each kind and are
// blocked on the same number.
type Group struct {
	Role    Role     `json:"role"`
	Members int      `json:"members"`
	Names   []string `json:"names"` // the first few
	Holds   []Tally  `json:"holds,omitempty"`
	Waits   []Tally  `json:"waits,omitempty"`
	Refused string   `json:"refused,omitempty"` // the error reply that stops all of them
	Expires bool     `json:"expires,omitempty"` // all units that they hold will expire
}

// Tally is the units of one kind that a group holds or is blocked on.
type Tally struct {
	Kind      ResourceKind `json:"kind"`
	Resources int          `json:"resources"` // number of distinct resources
	Units     int          `json:"units"`     // total over all members
	Each      int          `json:"each"`      // per member
	First     string       `json:"first"`     // the name of one of them
	Total     int          `json:"total"`     // units of these resources, held or free
	set       []int        // indices of the resources, ascending
}

// namesShown is how many names a group lists.
const namesShown = 3

// newResidue describes the processes that remain after a reduction.
func newResidue(r *reduction) *Residue {
	res := &Residue{Circular: r.circular()}
	needed := r.needed()
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
			if r.blocks(e) {
				m.Waits = append(m.Waits, share(e))
			}
		}
		res.Members = append(res.Members, m)
	}
	res.count(needed, r.s.Resources)
	for i, p := range r.s.Processes {
		if r.done[i] || p.Role == Worker {
			continue
		}
		m := Member{Name: p.Name, Role: p.Role}
		for _, e := range p.Holds {
			if needed[e.Resource] && r.keeps(p, e) {
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

// count fills in the totals. It must be called while only workers are members.
func (res *Residue) count(needed []bool, resources []Resource) {
	res.Workers = len(res.Members)
	for i, r := range resources {
		if needed[i] && r.Kind == Lock {
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

// alike groups the indices of members in the same position, in the order in which sentences mention
// them: holders of counted units, holders of locks, workers that hold nothing, then orphans and
// outsiders. Within a group the members keep their order.
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

// index maps each resource to its index in Resources.
func (res *Residue) index() map[ref]int {
	index := make(map[ref]int, len(res.Resources))
	for i, r := range res.Resources {
		index[r.ref()] = i
	}
	return index
}

// position is the role, refusal and units of a member, regardless of the names of the resources.
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

// tally sums, by kind, the units that some members hold or wait for.
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
