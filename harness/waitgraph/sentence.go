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

// maxIndividual is how many members a sentence mentions one by one.
const maxIndividual = 4

// sentence describes the analysis in one sentence.
func (an *analyzer) sentence() string {
	f, still := an.result, formatDuration(an.still)
	stuck := ""
	if f.Residue != nil {
		stuck = f.Residue.sentence()
	}
	waits := text.Plural(f.Waiting, "worker") + verb(f.Waiting, " waits", " wait")
	switch f.Kind {
	case Idle:
		return "No worker waits."
	case Slowness:
		if an.act.Grants+an.act.Releases == 0 {
			return fmt.Sprintf("%s, and nothing was granted or released for %s; the resources that they wait for "+
				"are held by processes that can proceed%s.",
				waits, still, an.unblockedHolders())
		}
		return fmt.Sprintf("%s, but there were %s and %s within %s: the swarm makes progress.", waits,
			text.Plural(int(an.act.Grants), "grant"), text.Plural(int(an.act.Releases), "release"), still)
	case Starvation:
		return fmt.Sprintf("%s within %s, yet %s.", text.Plural(int(an.act.Grants), "grant"), still, an.starved(stuck))
	case Livelock:
		if an.act.FutileReleases > 0 {
			return fmt.Sprintf("%s, and %s within %s were futile: everything granted was released again, and no "+
				"request completed.",
				waits, text.Plural(int(an.act.Grants), "grant"), still)
		}
		return fmt.Sprintf("%s, and %s within %s led to no grant, although some workers wait only for free resources.",
			waits, text.Plural(int(an.act.Attempts), "attempt"), still)
	case Transient:
		what := describeResource(an.first.resource.Kind, an.first.resource.Name)
		how := quoteName(an.first.process) + " loses " + what
		if an.first.wait {
			how = quoteName(an.first.process) + " gives up waiting for " + what
		}
		return fmt.Sprintf("Stuck temporarily: %s; the first part of this ends by itself at %s, when %s.", stuck,
			formatDuration(an.first.edge.EndsAt), how)
	case Deadlock:
		return "Deadlock: " + stuck + "."
	case Orphaned:
		return "Orphaned: " + stuck + "."
	case Exhausted:
		return "Exhausted: " + stuck + "."
	case Refused:
		return fmt.Sprintf("Refused: %s; %s within %s led to no grant.", stuck,
			text.Plural(int(an.act.Attempts), "attempt"), still)
	}
	return fmt.Sprintf("%s, but nothing is proved: %s.", waits, strings.Join(f.Reasons, "; "))
}

func (an *analyzer) starved(stuck string) string {
	var parts []string
	if stuck != "" {
		parts = append(parts, fmt.Sprintf("%s are permanently stuck: %s",
			text.Plural(an.result.Residue.Workers, "worker"),
			stuck))
		if an.result.Residue.Workers == 1 {
			parts[0] = "1 worker is permanently stuck: " + stuck
		}
	}
	if n := len(an.result.Starved); n > 0 {
		longest := slices.MaxFunc(an.result.Starved, func(a, b Starved) int { return int(a.WaitedMS - b.WaitedMS) })
		subject := fmt.Sprintf("%d workers were starved, %s the longest", n, quoteName(longest.Process))
		if n == 1 {
			subject = quoteName(longest.Process) + " was starved"
		}
		parts = append(parts, fmt.Sprintf("%s: it has waited %s for %s while others got %s",
			subject, formatDuration(time.Duration(longest.WaitedMS*float64(time.Millisecond))),
			describeResource(longest.Kind, longest.Resource), text.Plural(int(longest.Grants), "grant")))
	}
	return strings.Join(parts, "; ")
}

// sentence describes every group, or every member if they are few, without initial capital and full
// stop.
func (res *Residue) sentence() string {
	groups := res.Groups
	if len(res.Members) <= maxIndividual {
		groups = nil
		index := res.index()
		for _, i := range slices.Concat(res.alike()...) {
			groups = append(groups, res.groupOf([]int{i}, index))
		}
	}
	var clauses []string
	var mentioned []int // the locks mentioned last
	for _, g := range groups {
		clauses = append(clauses, g.clause(&mentioned))
	}
	return strings.Join(clauses, "; ")
}

// roleWords are the words for one member of a residue in sentences and drawings.
var roleWords = map[Role]string{Worker: "worker", Orphan: "dead owner", Outsider: "other holder",
	Foreigner: "foreign client"}

func (g Group) clause(mentioned *[]int) string {
	subject := text.Plural(g.Members, roleWords[g.Role])
	if g.Members == 1 {
		subject = map[Role]string{Orphan: "dead owner "}[g.Role] + quoteName(g.Names[0])
	}
	holds := join(g.Holds, func(t Tally) string { return t.held(mentioned) })
	waits := join(g.Waits, func(t Tally) string { return t.waited(g.Members, mentioned) })
	hold, wait := verb(g.Members, "holds", "hold"), verb(g.Members, "waits", "wait")
	switch {
	case g.Role == Outsider && g.Expires:
		return fmt.Sprintf("%s %s %s to expire", subject, verb(g.Members, "leaves", "leave"), holds)
	case g.Role == Outsider:
		return fmt.Sprintf("%s never %s %s", subject, verb(g.Members, "releases", "release"), holds)
	case g.Role == Foreigner:
		return fmt.Sprintf("%s %s %s for an unknown time", subject, hold, holds)
	case g.Refused != "":
		return g.refusedClause(subject, holds, waits)
	case g.Role == Orphan:
		return fmt.Sprintf("%s still %s %s", subject, hold, holds)
	case holds == "":
		return fmt.Sprintf("%s %s for %s", subject, wait, waits)
	}
	return fmt.Sprintf("%s %s %s and %s for %s", subject, hold, holds, wait, waits)
}

// refusedClause describes workers that the server answers with an error.
func (g Group) refusedClause(subject, holds, waits string) string {
	var parts []string
	if holds != "" {
		parts = append(parts, verb(g.Members, "holds ", "hold ")+holds)
	}
	if waits != "" {
		parts = append(parts, verb(g.Members, "waits for ", "wait for ")+waits)
	}
	if len(parts) == 0 {
		return fmt.Sprintf("Redis refuses the commands of %s (%s)", subject, g.Refused)
	}
	return fmt.Sprintf("%s, whose commands Redis refuses (%s), %s", subject, g.Refused, strings.Join(parts, " and "))
}

// unblockedHolders lists, after a colon, the processes that hold awaited units and are not blocked;
// "" if there are none.
func (an *analyzer) unblockedHolders() string {
	named := map[string]bool{}
	var holders []string
	for _, p := range an.b.Processes {
		if len(p.Waits) > 0 && p.Role == Worker {
			continue
		}
		for _, e := range p.Holds {
			if !an.awaited(e.Resource) || named[p.Name] {
				continue
			}
			named[p.Name] = true
			holders = append(holders,
				fmt.Sprintf("%s (%s)", quoteName(p.Name), describeShare(an.b.Resources[e.Resource], e.Units)))
		}
	}
	if len(holders) == 0 {
		return ""
	}
	list := ": " + strings.Join(holders[:min(len(holders), maxIndividual)], ", ")
	if more := len(holders) - maxIndividual; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return list
}

// awaited reports whether a live worker waits for a resource in the second snapshot.
func (an *analyzer) awaited(resource int) bool {
	return slices.ContainsFunc(an.b.Processes, func(p Process) bool {
		return p.Role == Worker && slices.ContainsFunc(p.Waits, func(e Edge) bool { return e.Resource == resource })
	})
}

// describeShare returns, for example, "28 of 29 client slots", or the name of a lock or pool.
func describeShare(r Resource, units int) string {
	if r.Kind == Slot {
		return Tally{Kind: Slot, Units: units, Total: r.Units}.share("client slot")
	}
	return describeResource(r.Kind, r.Name)
}

// held returns, for example, "all 30 client slots", "4 locks" or "lock a".
func (t Tally) held(mentioned *[]int) string {
	switch t.Kind {
	case Lock:
		return t.locks(mentioned)
	case Turn:
		if t.Resources > 1 {
			return fmt.Sprintf("%s of %d pools", t.share("turn"), t.Resources)
		}
		return t.share("turn") + " of pool " + quoteName(t.First)
	}
	return t.share("client slot")
}

// share returns, for example, "all 30 client slots", "7 of 30 client slots" or "the only turn". The
// part is never greater than the whole.
func (t Tally) share(noun string) string {
	switch {
	case t.Units == t.Total && t.Total == 1:
		return "the only " + noun
	case t.Units == t.Total && t.Total == 2:
		return "both " + noun + "s"
	case t.Units == t.Total:
		return fmt.Sprintf("all %d %ss", t.Total, noun)
	case t.Units > t.Total: // the limit was lowered meanwhile
		return fmt.Sprintf("all %s and %d above the limit", text.Plural(t.Total, noun), t.Units-t.Total)
	}
	return fmt.Sprintf("%d of %s", t.Units, text.Plural(t.Total, noun))
}

// waited returns, for example, "a client slot", "2 turns each of their pools" or "one of 4 locks".
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
	units := "a " + noun
	if t.Each > 1 {
		units = text.Plural(t.Each, noun)
		if members > 1 {
			units += " each"
		}
	}
	switch {
	case t.Kind == Slot:
		return units
	case t.Resources == 1:
		return units + " of pool " + quoteName(t.First)
	}
	return units + " of their pools"
}

func (t Tally) locks(mentioned *[]int) string {
	if t.Resources == 1 {
		return "lock " + quoteName(t.First)
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

func describeResource(kind ResourceKind, resource string) string {
	switch kind {
	case Slot:
		return "a client slot"
	case Turn:
		return "a turn of pool " + quoteName(resource)
	}
	return "lock " + quoteName(resource)
}

func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// quoteName returns a name for use in a sentence, quoted if it could be mistaken for words or would
// break the line.
func quoteName(name string) string {
	quoted := strconv.Quote(name)
	if name == "" || strings.ContainsAny(name, " ,;") || quoted[1:len(quoted)-1] != name {
		return quoted
	}
	return name
}

// formatDuration returns a duration for people, such as "1.25 s" or "40 ms".
func formatDuration(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return strconv.FormatFloat(math.Round(d.Seconds()*100)/100, 'f', -1, 64) + " s"
}
