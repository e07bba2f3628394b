package waitgraph

import (
	"fmt"
	"iter"
	"slices"
	"sort"
	"time"
)

// Kind is what a swarm that waits suffers from.
type Kind string

const (
	// Idle: nobody waits.
	Idle Kind = "idle"
	// Slowness: something was granted or released, or a live holder who waits
	// for nothing has what the others wait for. At worst it is slow.
	Slowness Kind = "slowness"
	// Starvation: grants go on, and pass somebody by. See Rules.
	Starvation Kind = "starvation"
	// Livelock: attempts go on, nothing is granted, and yet somebody waits all
	// the time for units that are free; or all that is granted is given back
	// before it was of any use.
	Livelock Kind = "livelock"
	// Deadlock: workers wait for each other, in a circle, for ever.
	Deadlock Kind = "deadlock"
	// Transient is a standstill that the end of a TTL or of a wait will break.
	Transient Kind = "transient-deadlock"
	// Orphaned: it would all go on if the dead gave back what they hold.
	Orphaned Kind = "orphaned"
	// Exhausted: there is no circle, and nothing to be had of the dead; all
	// units are with holders that are alive and never give them back.
	Exhausted Kind = "exhausted"
	// Refused: the server answers what workers send with an error, all the time, and
	// it would all go on if it accepted that.
	Refused Kind = "refused"
	// Unproved: the rules allow no conclusion. Reasons say why.
	Unproved Kind = "unproved"
)

// Activity is what happened from when the first of two snapshots was begun to
// when the second was complete. Read the counters before the first and after
// the second, or a grant falls between them.
type Activity struct {
	Grants   int64 // of anything
	Releases int64 // confirmed
	Attempts int64 // at anything, granted or not
	// InVain are the releases by requests that gave back what they had been granted to
	// begin again, where no request came to an end meanwhile; else 0.
	InVain int64
}

// Rules are the parameters of Judge.
type Rules struct {
	// LongestTimeout is the longest time that a sound swarm can stand still
	// in: the greatest of dial, read, write and pool timeouts, pauses between
	// attempts, backoff, and work under a lock. Timeouts that are some edge's
	// EndsAt (acquire timeouts, TTLs) are not among them.
	LongestTimeout time.Duration
	// StarvationChance is how unlikely it must be that luck alone passed any
	// of a resource's waiters by: in n * (1-1/n)^grants < StarvationChance,
	// each grant falls on one of n at random, and n is the most that waited
	// for the resource in either snapshot, plus its units, whose holders come
	// back. With 1e-6, the default of DefaultRules, 2 who share a lock are
	// starved after 21 grants to others and 20 after 328.
	StarvationChance float64
}

// DefaultRules returns rules for a swarm whose longest timeout is known.
func DefaultRules(longestTimeout time.Duration) Rules {
	return Rules{LongestTimeout: longestTimeout, StarvationChance: 1e-6}
}

// Finding is what Judge concludes. Times in milliseconds are offsets from the
// run's start, but for StillMS.
type Finding struct {
	Kind     Kind     `json:"kind"`
	Proved   bool     `json:"proved"`            // by reduction: deadlock, transient, orphaned, exhausted or refused
	Checked  bool     `json:"checked"`           // Redis was asked at both snapshots, for locks and slots, and agrees
	Sentence string   `json:"sentence"`          // for people
	Reasons  []string `json:"reasons,omitempty"` // why nothing was proved

	AtMS           float64  `json:"at_ms"`                      // the second snapshot
	StillMS        float64  `json:"still_ms"`                   // between the two snapshots
	ProvableFromMS *float64 `json:"provable_from_ms,omitempty"` // when the rules first allow a proof, if nothing moves until then
	FirstEndMS     *float64 `json:"first_end_ms,omitempty"`     // transient: when the first TTL or wait in the residue ends
	ClearMS        *float64 `json:"clear_ms,omitempty"`         // transient: when enough have ended that nobody is stuck

	// Foreign are the clients that are not the swarm's and could end a standstill that
	// is not proved for that reason alone.
	Foreign []string  `json:"foreign,omitempty"`
	Waiting int       `json:"waiting"`           // live workers that wait, stuck or not
	Residue *Residue  `json:"residue,omitempty"` // who is stuck; in an unproved finding, who looks it
	Starved []Starved `json:"starved,omitempty"` // by grants that passed them by
}

// Starved is a worker that grants pass by.
type Starved struct {
	Process  string       `json:"process"`
	Kind     ResourceKind `json:"resource_kind"`
	Resource string       `json:"resource"`
	Grants   int64        `json:"grants_to_others"` // between the snapshots
	WaitedMS float64      `json:"waited_ms"`
}

// Judge compares two snapshots of one swarm, one wholly after the other.
//
// A deadlock is proved when nothing was granted and nothing released between
// them for longer than any timeout in force, the edges that are the same in
// both leave a residue, nothing in that residue ends by itself, and neither
// snapshot contradicts itself or what Redis says of it. Where parts of a residue
// end by themselves, the rest decides; where nothing stays for ever, it is
// transient.
//
// While grants go on elsewhere, workers that are stuck for good are starved: the
// finding is Starvation, and Residue names them.
func Judge(a, b Snapshot, act Activity, rules Rules) Finding {
	j := judgement{a: a, b: b, act: act, rules: rules, still: b.begun() - a.At}
	j.f = Finding{
		AtMS: millis(b.At), StillMS: millis(j.still), Waiting: waiting(b),
		Checked: a.Check.complete() && b.Check.complete(),
	}
	switch {
	case j.f.Waiting == 0:
		j.f.Kind = Idle
	case act.Grants > 0 || act.Releases > 0:
		j.moving()
	default:
		from := millis(a.At + rules.LongestTimeout)
		j.f.ProvableFromMS = &from
		j.standing()
	}
	j.f.Sentence = j.sentence()
	return j.f
}

// complete says whether Redis was asked about everything and agrees.
func (c *Check) complete() bool {
	return c != nil && c.Unchecked == 0 && len(c.Contradictions) == 0
}

// judgement is one call of Judge.
type judgement struct {
	a, b  Snapshot
	act   Activity
	rules Rules
	still time.Duration
	first end // transient: what ends first
	f     Finding
}

// moving judges a swarm in which something is granted or released.
func (j *judgement) moving() {
	j.f.Kind = Slowness
	// Every one of them has begun again at least once.
	if j.act.InVain > int64(j.f.Waiting) && j.still > j.rules.LongestTimeout {
		j.f.Kind = Livelock
	}
	if len(j.unsound()) > 0 {
		return
	}
	j.f.Starved = passedBy(j.a, j.b, j.act, j.rules)
	if j.still > j.rules.LongestTimeout {
		r := reduce(common(j.a, j.b, true), whatIf{endsBy: never})
		if len(r.residue()) > 0 {
			j.f.Residue = newResidue(r)
		}
	}
	if j.f.Residue != nil || len(j.f.Starved) > 0 {
		j.f.Kind = Starvation
	}
}

// standing judges a swarm in which nothing is granted or released.
func (j *judgement) standing() {
	j.f.Kind = Unproved
	if reasons := j.unsound(); len(reasons) > 0 {
		j.f.Reasons = reasons
		return
	}
	if j.still <= j.rules.LongestTimeout {
		j.because("nothing was granted or released for %s, and a timeout of %s can explain that",
			seconds(j.still), seconds(j.rules.LongestTimeout))
		return
	}
	g := common(j.a, j.b, false)
	now := reduce(g, whatIf{})
	if len(now.residue()) == 0 {
		j.noResidue(g)
		return
	}
	if late := overdue(now); late != "" {
		j.f.Residue = newResidue(now)
		j.because("%s", late)
		return
	}
	j.f.Proved = true
	forEver := reduce(g, whatIf{endsBy: never})
	if len(forEver.residue()) == 0 {
		j.f.Kind = Transient
		j.f.Residue = newResidue(now)
		j.dissolves(now)
		return
	}
	accepted := reduce(g, whatIf{endsBy: never, accepts: true})
	if len(accepted.residue()) == 0 {
		j.f.Kind = Refused
		j.f.Residue = newResidue(forEver)
		return
	}
	j.f.Residue = newResidue(accepted)
	j.f.Kind = cause(g, j.f.Residue.Circular)
}

func (j *judgement) because(format string, args ...any) {
	j.f.Reasons = append(j.f.Reasons, fmt.Sprintf(format, args...))
}

// cause tells the three ways apart in which a residue lasts for ever.
func cause(g Snapshot, circular bool) Kind {
	clears := func(what orphans) bool {
		return len(reduce(g, whatIf{endsBy: never, orphans: what, accepts: true}).residue()) == 0
	}
	switch {
	case clears(orphansFreeLocks):
		return Orphaned
	case circular:
		return Deadlock
	case clears(orphansFreeAll):
		return Orphaned
	}
	return Exhausted
}

// unsound says why nothing follows from the two snapshots.
func (j *judgement) unsound() []string {
	if j.still < 0 {
		return []string{"the second snapshot was begun before the first was complete"}
	}
	var why []string
	for i, s := range []Snapshot{j.a, j.b} {
		which := [2]string{"the first snapshot", "the second snapshot"}[i]
		if err := s.Validate(); err != nil {
			why = append(why, fmt.Sprintf("%s contradicts itself: %v", which, err))
		}
		if s.Check == nil {
			continue
		}
		const shown = 3
		for n, c := range s.Check.Contradictions {
			if n == shown {
				why = append(why, fmt.Sprintf("%s: %d more like these", which, len(s.Check.Contradictions)-shown))
				break
			}
			why = append(why, fmt.Sprintf("%s: %v", which, c))
		}
	}
	return why
}

// couldEnd reports whether the standstill would be one but for foreign clients, which
// it names. The swarm is stuck as long as they stay, and for how long is not known.
func (j *judgement) couldEnd(g Snapshot) bool {
	r := reduce(g, whatIf{stay: true})
	if len(r.residue()) == 0 {
		return false
	}
	res := newResidue(r)
	for _, m := range res.Members {
		if m.Role == Foreigner {
			j.f.Foreign = append(j.f.Foreign, m.Name)
		}
	}
	if len(j.f.Foreign) == 0 {
		return false
	}
	j.f.Residue = res
	j.because("%s: if %s what %s, the standstill may end", res.sentence(),
		verb(len(j.f.Foreign), "that client gives back", "those clients give back"), verb(len(j.f.Foreign), "it holds", "they hold"))
	return true
}

// noResidue judges a standstill that the graph does not explain.
func (j *judgement) noResidue(g Snapshot) {
	if j.couldEnd(g) || j.couldEnd(j.b) {
		return
	}
	if r := reduce(j.b, whatIf{}); len(r.residue()) > 0 {
		j.f.Residue = newResidue(r)
		j.because("%d workers look stuck now, but not by the same edges as before", j.f.Residue.Workers)
		return
	}
	free := make([]int, len(j.b.Resources))
	for i, r := range j.b.Resources {
		free[i] = r.Units
	}
	for _, p := range j.b.Processes {
		for _, e := range p.Holds {
			free[e.Resource] -= e.Units
		}
	}
	// Workers that waited all the time for what is free; g numbers its
	// resources as b does.
	inVain := slices.ContainsFunc(g.Processes, func(p Process) bool {
		return p.Role == Worker && len(p.Waits) > 0 &&
			!slices.ContainsFunc(p.Waits, func(e Edge) bool { return e.Units > free[e.Resource] })
	})
	switch {
	case !inVain:
		j.f.Kind = Slowness
	case j.act.Attempts > 0:
		j.f.Kind = Livelock
	default:
		j.because("what they wait for is free, and nobody tries to get it: the server, the network or the workers themselves stand still")
	}
}

// overdue names an edge of the residue that ought to have ended by itself
// before the snapshot was begun. Then what the graph says of ends is wrong.
func overdue(r *reduction) string {
	for end := range ends(r) {
		if end.edge.EndsAt > r.s.begun() {
			continue
		}
		did := "lose"
		if end.wait {
			did = "give up waiting for"
		}
		return fmt.Sprintf("%s was to %s %s at %s, and did not", plain(end.process), did,
			name(end.resource.Kind, end.resource.Name), seconds(end.edge.EndsAt))
	}
	return ""
}

// end is an edge that ends by itself.
type end struct {
	edge     Edge
	process  string
	resource Resource
	wait     bool
}

// ends yields the edges of the residue that end by themselves, and those of
// the holders that it waits for.
func ends(r *reduction) iter.Seq[end] {
	return func(yield func(end) bool) {
		wanted := r.wanted()
		for i, p := range r.s.Processes {
			if r.done[i] {
				continue
			}
			for _, e := range p.Holds {
				if e.EndsAt > 0 && wanted[e.Resource] && !yield(end{e, p.Name, r.s.Resources[e.Resource], false}) {
					return
				}
			}
			for _, e := range p.Waits {
				if e.EndsAt > 0 && p.Role == Worker && !yield(end{e, p.Name, r.s.Resources[e.Resource], true}) {
					return
				}
			}
		}
	}
}

// dissolves says when a transient residue starts to end, and when it is gone.
func (j *judgement) dissolves(now *reduction) {
	var at []time.Duration
	for end := range ends(now) {
		if len(at) == 0 || end.edge.EndsAt < j.first.edge.EndsAt {
			j.first = end
		}
		at = append(at, end.edge.EndsAt)
	}
	slices.Sort(at)
	at = slices.Compact(at)
	n := sort.Search(len(at)-1, func(i int) bool {
		return len(reduce(now.s, whatIf{endsBy: at[i]}).residue()) == 0
	})
	first, clear := millis(at[0]), millis(at[n])
	j.f.FirstEndMS, j.f.ClearMS = &first, &clear
}

// waiting counts the live workers that wait, be it for the server to accept a command.
func waiting(s Snapshot) int {
	n := 0
	for _, p := range s.Processes {
		if p.Role == Worker && (len(p.Waits) > 0 || p.Refused != nil) {
			n++
		}
	}
	return n
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
