package waitgraph

import (
	"fmt"
	"iter"
	"slices"
	"sort"
	"time"

	"github.com/lockjam/lockjam/harness/text"
)

// Kind is the condition of a swarm.
type Kind string

const (
	// Idle: no worker waits.
	Idle Kind = "idle"
	// Slowness: something was granted or released, or the awaited units are held by a live process
	// that waits for nothing. The swarm is slow at worst.
	Slowness Kind = "slowness"
	// Starvation: grants go on but pass some workers by. See Thresholds.
	Starvation Kind = "starvation"
	// Livelock: attempts go on and nothing is granted although some worker waits throughout for
	// units that are free; or everything granted is released again before it was used.
	Livelock Kind = "livelock"
	// Deadlock: workers wait for each other in a cycle that never ends.
	Deadlock Kind = "deadlock"
	// Transient: a standstill that will end when a TTL expires or a wait times out.
	Transient Kind = "transient-deadlock"
	// Orphaned: all workers could proceed if dead processes released their units.
	Orphaned Kind = "orphaned"
	// Exhausted: there is no cycle, and dead processes hold nothing that would help; all units are
	// held by live processes that never release them.
	Exhausted Kind = "exhausted"
	// Refused: the server keeps answering the workers' commands with an error, and all workers
	// could proceed if it accepted them.
	Refused Kind = "refused"
	// Unproved: the evidence allows no conclusion. Reasons say why.
	Unproved Kind = "unproved"
)

// Activity counts events from the beginning of the first of two snapshots to the completion of the
// second. Read the counters before the first and after the second, otherwise a grant is missed.
type Activity struct {
	Grants   int64 // of any resource
	Releases int64 // confirmed
	Attempts int64 // at any resource, granted or not
	// FutileReleases counts releases by requests that returned a grant in order to start over, if
	// no request completed in the meantime; otherwise 0.
	FutileReleases int64
}

// Thresholds are the parameters of Analyze.
type Thresholds struct {
	// LongestTimeout is the longest time for which a healthy swarm can stand still: the greatest of
	// dial, read, write and pool timeouts, pauses between attempts, backoff, and work under a lock.
	// Timeouts that are the EndsAt of an edge (acquire timeouts, TTLs) do not count.
	LongestTimeout time.Duration
	// StarvationChance is the greatest probability at which chance is rejected as the reason that
	// grants passed a waiter by: n * (1-1/n)^grants < StarvationChance, where each grant goes to
	// one of n contenders at random and n is the greater number of waiters for the resource in the
	// two snapshots, plus its units, whose holders will contend again. With 1e-6, the default of
	// DefaultThresholds, 2 contenders for a lock are starved after 21 grants to others, and 20
	// after 328.
	StarvationChance float64
}

// DefaultThresholds returns thresholds for a swarm with a known longest timeout.
func DefaultThresholds(longestTimeout time.Duration) Thresholds {
	return Thresholds{LongestTimeout: longestTimeout, StarvationChance: 1e-6}
}

// Analysis is the result of Analyze. Times in milliseconds are offsets from the start of the run,
// except for StillMS.
type Analysis struct {
	Kind     Kind     `json:"kind"`
	Proved   bool     `json:"proved"`            // by reduction: deadlock, transient, orphaned, exhausted or refused
	Checked  bool     `json:"checked"`           // Redis was asked about locks and slots at both snapshots, and agrees
	Sentence string   `json:"sentence"`          // for people
	Reasons  []string `json:"reasons,omitempty"` // why nothing was proved

	AtMS           float64  `json:"at_ms"`                      // the second snapshot
	StillMS        float64  `json:"still_ms"`                   // between the two snapshots
	ProvableFromMS *float64 `json:"provable_from_ms,omitempty"` // earliest proof if nothing progresses before
	FirstEndMS     *float64 `json:"first_end_ms,omitempty"`     // transient: when the first TTL or wait in it ends
	ClearMS        *float64 `json:"clear_ms,omitempty"`         // transient: enough have ended that no worker is stuck

	// Foreign names the clients outside the swarm that could end a standstill and are the only
	// reason that it is not proved.
	Foreign []string  `json:"foreign,omitempty"`
	Waiting int       `json:"waiting"`           // live workers that wait, stuck or not
	Residue *Residue  `json:"residue,omitempty"` // the stuck processes; in an unproved analysis, those that seem stuck
	Starved []Starved `json:"starved,omitempty"` // workers that grants passed by
}

// Starved is a worker that grants passed by.
type Starved struct {
	Process  string       `json:"process"`
	Kind     ResourceKind `json:"resource_kind"`
	Resource string       `json:"resource"`
	Grants   int64        `json:"grants_to_others"` // between the snapshots
	WaitedMS float64      `json:"waited_ms"`
}

// Analyze compares two snapshots of one swarm, the second begun after the first was complete.
//
// A deadlock is proved when nothing was granted or released between them for longer than any
// timeout in force, the edges that are the same in both leave a residue, nothing in that residue
// ends by itself, and neither snapshot contradicts itself or Redis. Where parts of a residue end by
// themselves, the rest decides; if no part is permanent, the standstill is transient.
//
// If grants go on elsewhere, permanently stuck workers are starved: the kind is Starvation, and
// Residue names them.
func Analyze(a, b Snapshot, act Activity, thresholds Thresholds) Analysis {
	an := analyzer{a: a, b: b, act: act, thresholds: thresholds, still: b.begun() - a.At}
	an.result = Analysis{
		AtMS: millis(b.At), StillMS: millis(an.still), Waiting: waiting(b),
		Checked: a.Check.complete() && b.Check.complete(),
	}
	switch {
	case an.result.Waiting == 0:
		an.result.Kind = Idle
	case act.Grants > 0 || act.Releases > 0:
		an.classifyProgress()
	default:
		from := millis(a.At + thresholds.LongestTimeout)
		an.result.ProvableFromMS = &from
		an.classifyStandstill()
	}
	an.result.Sentence = an.sentence()
	return an.result
}

// complete reports whether Redis was asked about everything and agrees.
func (c *Check) complete() bool {
	return c != nil && c.Unchecked == 0 && len(c.Contradictions) == 0
}

// analyzer is the state of one call of Analyze.
type analyzer struct {
	a, b       Snapshot
	act        Activity
	thresholds Thresholds
	still      time.Duration
	first      end // transient: the first edge to end
	result     Analysis
}

// classifyProgress analyzes a swarm in which something was granted or released.
func (an *analyzer) classifyProgress() {
	an.result.Kind = Slowness
	// Each waiting worker has started over at least once.
	if an.act.FutileReleases > int64(an.result.Waiting) && an.still > an.thresholds.LongestTimeout {
		an.result.Kind = Livelock
	}
	if len(an.inconsistencies()) > 0 {
		return
	}
	an.result.Starved = starvedWorkers(an.a, an.b, an.act, an.thresholds)
	if an.still > an.thresholds.LongestTimeout {
		r := reduce(common(an.a, an.b, true), assumptions{endedBy: never})
		if len(r.residue()) > 0 {
			an.result.Residue = newResidue(r)
		}
	}
	if an.result.Residue != nil || len(an.result.Starved) > 0 {
		an.result.Kind = Starvation
	}
}

// classifyStandstill analyzes a swarm in which nothing was granted or released.
func (an *analyzer) classifyStandstill() {
	an.result.Kind = Unproved
	if reasons := an.inconsistencies(); len(reasons) > 0 {
		an.result.Reasons = reasons
		return
	}
	if an.still <= an.thresholds.LongestTimeout {
		an.addReason("nothing was granted or released for %s, which a timeout of %s can explain",
			formatDuration(an.still), formatDuration(an.thresholds.LongestTimeout))
		return
	}
	g := common(an.a, an.b, false)
	now := reduce(g, assumptions{})
	if len(now.residue()) == 0 {
		an.classifyWithoutResidue(g)
		return
	}
	if late := overdue(now); late != "" {
		an.result.Residue = newResidue(now)
		an.addReason("%s", late)
		return
	}
	an.result.Proved = true
	forEver := reduce(g, assumptions{endedBy: never})
	if len(forEver.residue()) == 0 {
		an.result.Kind = Transient
		an.result.Residue = newResidue(now)
		an.setTransientTimes(now)
		return
	}
	accepted := reduce(g, assumptions{endedBy: never, serverAccepts: true})
	if len(accepted.residue()) == 0 {
		an.result.Kind = Refused
		an.result.Residue = newResidue(forEver)
		return
	}
	an.result.Residue = newResidue(accepted)
	an.result.Kind = permanentCause(g, an.result.Residue.Circular)
}

func (an *analyzer) addReason(format string, args ...any) {
	an.result.Reasons = append(an.result.Reasons, fmt.Sprintf(format, args...))
}

// permanentCause distinguishes the three causes of a permanent residue.
func permanentCause(g Snapshot, circular bool) Kind {
	clears := func(released orphans) bool {
		return len(reduce(g, assumptions{endedBy: never, orphans: released, serverAccepts: true}).residue()) == 0
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

// inconsistencies returns the reasons for which the two snapshots allow no conclusion.
func (an *analyzer) inconsistencies() []string {
	if an.still < 0 {
		return []string{"the second snapshot began before the first was complete"}
	}
	var why []string
	for i, s := range []Snapshot{an.a, an.b} {
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
				why = append(why, fmt.Sprintf("%s: %d more contradictions", which, len(s.Check.Contradictions)-shown))
				break
			}
			why = append(why, fmt.Sprintf("%s: %v", which, c))
		}
	}
	return why
}

// blockedByForeigners reports whether the standstill would be proved if foreign clients kept their
// units, and records their names. The swarm is stuck for as long as they do, which is unknown.
func (an *analyzer) blockedByForeigners(g Snapshot) bool {
	r := reduce(g, assumptions{foreignersStay: true})
	if len(r.residue()) == 0 {
		return false
	}
	res := newResidue(r)
	for _, m := range res.Members {
		if m.Role == Foreigner {
			an.result.Foreign = append(an.result.Foreign, m.Name)
		}
	}
	if len(an.result.Foreign) == 0 {
		return false
	}
	an.result.Residue = res
	an.addReason("%s: the standstill may end if %s", res.sentence(), verb(len(an.result.Foreign),
		"that client releases its resources", "those clients release their resources"))
	return true
}

// classifyWithoutResidue analyzes a standstill that the graph does not explain.
func (an *analyzer) classifyWithoutResidue(g Snapshot) {
	if an.blockedByForeigners(g) || an.blockedByForeigners(an.b) {
		return
	}
	if r := reduce(an.b, assumptions{}); len(r.residue()) > 0 {
		an.result.Residue = newResidue(r)
		an.addReason("%s stuck now, but not with the same holds and waits as before",
			text.Plural(an.result.Residue.Workers, "worker")+verb(an.result.Residue.Workers, " seems", " seem"))
		return
	}
	free := make([]int, len(an.b.Resources))
	for i, r := range an.b.Resources {
		free[i] = r.Units
	}
	for _, p := range an.b.Processes {
		for _, e := range p.Holds {
			free[e.Resource] -= e.Units
		}
	}
	// Whether a worker waited throughout for units that are free; g has the same resource indices
	// as b.
	futile := slices.ContainsFunc(g.Processes, func(p Process) bool {
		return p.Role == Worker && len(p.Waits) > 0 &&
			!slices.ContainsFunc(p.Waits, func(e Edge) bool { return e.Units > free[e.Resource] })
	})
	switch {
	case !futile:
		an.result.Kind = Slowness
	case an.act.Attempts > 0:
		an.result.Kind = Livelock
	default:
		an.addReason("the resources that they wait for are free, and no worker tries to get them: the server, the " +
			"network or the workers are stalled")
	}
}

// overdue describes an edge of the residue that should have ended before the snapshot was begun.
// The recorded ends are then unreliable. It returns "" if there is none.
func overdue(r *reduction) string {
	for end := range ends(r) {
		if end.edge.EndsAt > r.s.begun() {
			continue
		}
		did := "lost"
		if end.wait {
			did = "given up waiting for"
		}
		return fmt.Sprintf("%s should have %s %s at %s but did not", quoteName(end.process), did,
			describeResource(end.resource.Kind, end.resource.Name), formatDuration(end.edge.EndsAt))
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

// ends yields the edges of the residue that end by themselves, and those of the holders of the
// units that it waits for.
func ends(r *reduction) iter.Seq[end] {
	return func(yield func(end) bool) {
		needed := r.needed()
		for i, p := range r.s.Processes {
			if r.done[i] {
				continue
			}
			for _, e := range p.Holds {
				if e.EndsAt > 0 && needed[e.Resource] && !yield(end{e, p.Name, r.s.Resources[e.Resource], false}) {
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

// setTransientTimes records when a transient residue starts to end and when it has cleared.
func (an *analyzer) setTransientTimes(now *reduction) {
	var at []time.Duration
	for end := range ends(now) {
		if len(at) == 0 || end.edge.EndsAt < an.first.edge.EndsAt {
			an.first = end
		}
		at = append(at, end.edge.EndsAt)
	}
	slices.Sort(at)
	at = slices.Compact(at)
	n := sort.Search(len(at)-1, func(i int) bool {
		return len(reduce(now.s, assumptions{endedBy: at[i]}).residue()) == 0
	})
	first, clear := millis(at[0]), millis(at[n])
	an.result.FirstEndMS, an.result.ClearMS = &first, &clear
}

// waiting counts the live workers that wait, including those that wait for the server to accept a
// command.
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
