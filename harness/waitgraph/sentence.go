package waitgraph

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lockjam/lockjam/harness/text"
)

// tellEach is up to how many members a sentence tells of one by one.
const tellEach = 4

// sentence says the finding in one sentence of plain English.
func (j *judgement) sentence() string {
	f, still := j.f, seconds(j.still)
	stuck := ""
	if f.Residue != nil {
		stuck = f.Residue.sentence()
	}
	waits := text.Plural(f.Waiting, "worker") + verb(f.Waiting, " waits", " wait")
	switch f.Kind {
	case Idle:
		return "Nobody waits."
	case Slowness:
		if j.act.Grants+j.act.Releases == 0 {
			return fmt.Sprintf("%s, and nothing was granted for %s; what they wait for is with others that nothing keeps from going on%s.",
				waits, still, j.couldGoOn())
		}
		return fmt.Sprintf("%s, and %s and %s within %s: it moves.", waits,
			text.Plural(int(j.act.Grants), "grant"), text.Plural(int(j.act.Releases), "release"), still)
	case Starvation:
		return fmt.Sprintf("%s within %s, yet %s.", text.Plural(int(j.act.Grants), "grant"), still, j.starved(stuck))
	case Livelock:
		if j.act.InVain > 0 {
			return fmt.Sprintf("%s, and %s within %s went for nothing: all was given back, and no request came to an end.",
				waits, text.Plural(int(j.act.Grants), "grant"), still)
		}
		return fmt.Sprintf("%s, and %s within %s brought no grant, though what some of them wait for is free.",
			waits, text.Plural(int(j.act.Attempts), "attempt"), still)
	case Transient:
		what := name(j.first.resource.Kind, j.first.resource.Name)
		how := plain(j.first.process) + " loses " + what
		if j.first.wait {
			how = plain(j.first.process) + " gives up waiting for " + what
		}
		return fmt.Sprintf("Stuck for now: %s; the first of this to end by itself does so at %s, when %s.", stuck, seconds(j.first.edge.EndsAt), how)
	case Deadlock:
		return "Deadlock: " + stuck + "."
	case Orphaned:
		return "Orphaned: " + stuck + "."
	case Exhausted:
		return "Exhausted: " + stuck + "."
	case Refused:
		return fmt.Sprintf("Refused: %s; %s within %s brought no grant.", stuck, text.Plural(int(j.act.Attempts), "attempt"), still)
	}
	return fmt.Sprintf("%s, and nothing is proved: %s.", waits, strings.Join(f.Reasons, "; "))
}

func (j *judgement) starved(stuck string) string {
	var parts []string
	if stuck != "" {
		parts = append(parts, fmt.Sprintf("%s are stuck for good: %s", text.Plural(j.f.Residue.Workers, "worker"), stuck))
		if j.f.Residue.Workers == 1 {
			parts[0] = "one worker is stuck for good: " + stuck
		}
	}
	if n := len(j.f.Starved); n > 0 {
		longest := slices.MaxFunc(j.f.Starved, func(a, b Starved) int { return int(a.WaitedMS - b.WaitedMS) })
		who := fmt.Sprintf("%d workers were passed by, %s for longest", n, plain(longest.Process))
		if n == 1 {
			who = plain(longest.Process) + " was passed by"
		}
		parts = append(parts, fmt.Sprintf("%s: it has waited %s for %s while others had %s",
			who, seconds(time.Duration(longest.WaitedMS*float64(time.Millisecond))), name(longest.Kind, longest.Resource), text.Plural(int(longest.Grants), "grant")))
	}
	return strings.Join(parts, "; ")
}

// sentence tells of every group, or of every member if they are few, without
// capital letter and full stop.
func (res *Residue) sentence() string {
	groups := res.Groups
	if len(res.Members) <= tellEach {
		groups = nil
		index := res.index()
		for _, i := range slices.Concat(res.alike()...) {
			groups = append(groups, res.groupOf([]int{i}, index))
		}
	}
	var clauses []string
	var mentioned []int // the locks that were told of last
	for _, g := range groups {
		clauses = append(clauses, g.clause(&mentioned))
	}
	return strings.Join(clauses, "; ")
}

// roleWords are what sentences and drawings call one member of a residue.
var roleWords = map[Role]string{Worker: "worker", Orphan: "dead owner", Outsider: "outsider", Foreigner: "foreign client"}

func (g Group) clause(mentioned *[]int) string {
	who := text.Plural(g.Members, roleWords[g.Role])
	if g.Members == 1 {
		who = map[Role]string{Orphan: "the dead "}[g.Role] + plain(g.Names[0])
	}
	holds := join(g.Holds, func(t Tally) string { return t.held(mentioned) })
	waits := join(g.Waits, func(t Tally) string { return t.waited(g.Members, mentioned) })
	hold, wait := verb(g.Members, "holds", "hold"), verb(g.Members, "waits", "wait")
	switch {
	case g.Role == Outsider && g.Expires:
		return fmt.Sprintf("%s %s %s to expire", who, verb(g.Members, "leaves", "leave"), holds)
	case g.Role == Outsider:
		return fmt.Sprintf("%s never %s %s back", who, verb(g.Members, "gives", "give"), holds)
	case g.Role == Foreigner:
		return fmt.Sprintf("%s %s %s, for how long is not known", who, hold, holds)
	case g.Refused != "":
		return g.refusedClause(who, holds, waits)
	case g.Role == Orphan:
		return fmt.Sprintf("%s still %s %s", who, hold, holds)
	case holds == "":
		return fmt.Sprintf("%s %s for %s", who, wait, waits)
	}
	return fmt.Sprintf("%s %s %s and %s for %s", who, hold, holds, wait, waits)
}

// refusedClause is of workers that the server answers with an error.
func (g Group) refusedClause(who, holds, waits string) string {
	var parts []string
	if holds != "" {
		parts = append(parts, verb(g.Members, "holds ", "hold ")+holds)
	}
	if waits != "" {
		parts = append(parts, verb(g.Members, "waits for ", "wait for ")+waits)
	}
	if len(parts) == 0 {
		return fmt.Sprintf("Redis refuses the commands of %s (%s)", who, g.Refused)
	}
	return fmt.Sprintf("%s, whose commands Redis refuses (%s), %s", who, g.Refused, strings.Join(parts, " and "))
}

// couldGoOn lists the processes that have what the others wait for and are free to go
// on, after a colon; "" if there are none.
func (j *judgement) couldGoOn() string {
	named := map[string]bool{}
	var holders []string
	for _, p := range j.b.Processes {
		if len(p.Waits) > 0 && p.Role == Worker {
			continue
		}
		for _, e := range p.Holds {
			if !j.wanted(e.Resource) || named[p.Name] {
				continue
			}
			named[p.Name] = true
			holders = append(holders, fmt.Sprintf("%s (%s)", plain(p.Name), share(j.b.Resources[e.Resource], e.Units)))
		}
	}
	if len(holders) == 0 {
		return ""
	}
	said := ": " + strings.Join(holders[:min(len(holders), tellEach)], ", ")
	if more := len(holders) - tellEach; more > 0 {
		said += fmt.Sprintf(" and %d more", more)
	}
	return said
}

// wanted reports whether a live worker waits for a resource in the second snapshot.
func (j *judgement) wanted(resource int) bool {
	return slices.ContainsFunc(j.b.Processes, func(p Process) bool {
		return p.Role == Worker && slices.ContainsFunc(p.Waits, func(e Edge) bool { return e.Resource == resource })
	})
}

// share is "28 of 29 client slots" or the name of a lock or pool.
func share(r Resource, units int) string {
	if r.Kind == Slot {
		return Tally{Kind: Slot, Units: units, Total: r.Units}.share("client slot")
	}
	return name(r.Kind, r.Name)
}

// held is "all 30 client slots", "4 locks", "lock a".
func (t Tally) held(mentioned *[]int) string {
	switch t.Kind {
	case Lock:
		return t.locks(mentioned)
	case Turn:
		if t.Resources > 1 {
			return fmt.Sprintf("%s of %d pools", t.share("turn"), t.Resources)
		}
		return t.share("turn") + " of pool " + plain(t.First)
	}
	return t.share("client slot")
}

// share is "all 30 client slots", "7 of 30 client slots", "the only turn"; never more of
// something than there is.
func (t Tally) share(noun string) string {
	switch {
	case t.Units == t.Total && t.Total == 1:
		return "the only " + noun
	case t.Units == t.Total && t.Total == 2:
		return "both " + noun + "s"
	case t.Units == t.Total:
		return fmt.Sprintf("all %d %ss", t.Total, noun)
	case t.Units > t.Total: // the limit was lowered meanwhile
		return fmt.Sprintf("all %s and %d more than there were at the start", text.Plural(t.Total, noun), t.Units-t.Total)
	}
	return fmt.Sprintf("%d of %s", t.Units, text.Plural(t.Total, noun))
}

// waited is "a client slot", "2 turns each of their pools", "one of 4 locks".
func (t Tally) waited(members int, mentioned *[]int) string {
	if t.Kind == Lock {
		locks := t.locks(mentioned)
		if members > 1 && t.Resources > 1 && t.Each == 1 {
			return "one of " + locks
		}
		return locks
	}
	noun := "client slot"
	if t.Kind == Turn {
		noun = "turn"
	}
	what := "a " + noun
	if t.Each > 1 {
		what = text.Plural(t.Each, noun)
		if members > 1 {
			what += " each"
		}
	}
	switch {
	case t.Kind == Slot:
		return what
	case t.Resources == 1:
		return what + " of pool " + plain(t.First)
	}
	return what + " of their pools"
}

func (t Tally) locks(mentioned *[]int) string {
	if t.Resources == 1 {
		return "lock " + plain(t.First)
	}
	those := slices.Equal(*mentioned, t.set)
	*mentioned = t.set
	if those {
		return fmt.Sprintf("those %d locks", t.Resources)
	}
	return text.Plural(t.Resources, "lock")
}

func join[T any](all []T, say func(T) string) string {
	var parts []string
	for _, t := range all {
		parts = append(parts, say(t))
	}
	switch n := len(parts); n {
	case 0, 1:
		return strings.Join(parts, "")
	default:
		return strings.Join(parts[:n-1], ", ") + " and " + parts[n-1]
	}
}

func name(kind ResourceKind, resource string) string {
	switch kind {
	case Slot:
		return "a client slot"
	case Turn:
		return "a turn of pool " + plain(resource)
	}
	return "lock " + plain(resource)
}

func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// plain is a name as it may stand in a sentence: quoted if it could be
// mistaken for words or would break the line.
func plain(name string) string {
	quoted := strconv.Quote(name)
	if name == "" || strings.ContainsAny(name, " ,;") || quoted[1:len(quoted)-1] != name {
		return quoted
	}
	return name
}

// seconds is a duration as people read it: 1.25 s, 40 ms.
func seconds(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return strconv.FormatFloat(math.Round(d.Seconds()*100)/100, 'f', -1, 64) + " s"
}
