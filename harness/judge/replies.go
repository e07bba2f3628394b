package judge

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/scenario"
)

// errorReplies is what the workers were answered: nothing where the journal, an older one,
// has no prefixes.
func errorReplies(e Evidence) (all []result.ErrorReply) {
	replies := lastSwarm(e).Replies
	for _, prefix := range replies.Prefixes() {
		r := replies[prefix]
		all = append(all, result.ErrorReply{Prefix: prefix, Count: r.Count, First: r.First, Last: r.Last})
	}
	return all
}

// lastSwarm is the workers' own count at the end of the last phase: what is asked and tried
// after it counts for nothing.
func lastSwarm(e Evidence) history.Swarm {
	if phases := e.Time.phases(); len(phases) > 0 {
		return sampleAt(e, phases[len(phases)-1].To)
	}
	if len(e.History.Samples) == 0 {
		return history.Swarm{}
	}
	return e.History.Samples[len(e.History.Samples)-1].Swarm
}

// noBaseline is why there is no steady baseline, and what Redis answered meanwhile.
func noBaseline(e Evidence, out *ruling) string {
	w := lastSwarm(e)
	said := result.Answered(out.ErrorReplies, w.Commands)
	if rejected := w.Errors[history.Rejected]; said == "" && rejected > 0 { // an older journal
		said = fmt.Sprintf("Redis answered %s with an error", result.Share(rejected, w.Commands))
	}
	switch {
	case RefusedThroughout(e.History.Samples, e.Scenario):
		return fmt.Sprintf("no steady baseline: %s, and no lock was granted and nothing decided for the last %.1f s",
			said, refusedFor(e.Scenario).Seconds())
	case said != "":
		return fmt.Sprintf("no steady baseline within %v: %s", e.Scenario.Phases.BaselineMaxMS.Duration(), said)
	}
	return fmt.Sprintf("no steady baseline within %v", e.Scenario.Phases.BaselineMaxMS.Duration())
}

// refusedFor is how long Redis must have refused everything to make it clear that there
// will be no baseline: as long as the baseline itself is to be, and the work of workers that
// may have held a lock at its beginning.
func refusedFor(sc *scenario.Scenario) time.Duration {
	return sc.Phases.BaselineMS.Duration() + sc.Swarm.Lock.HoldMS.Duration()
}

// RefusedThroughout reports whether for refusedFor, up to the last sample, no lock was
// granted or released and nothing was decided, while Redis answered commands with errors
// in the first half of that time and in the second.
func RefusedThroughout(samples []history.Sample, sc *scenario.Scenario) bool {
	if len(samples) == 0 {
		return false
	}
	last := samples[len(samples)-1]
	since := func(d time.Duration) (history.Sample, bool) {
		i, exact := slices.BinarySearchFunc(samples, last.At-d,
			func(s history.Sample, at time.Duration) int { return cmp.Compare(s.At, at) })
		if !exact {
			i--
		}
		if i < 0 {
			return history.Sample{}, false
		}
		return samples[i], true
	}
	first, ok := since(refusedFor(sc))
	if !ok || first.Swarm.Workers == 0 {
		return false
	}
	half, _ := since(refusedFor(sc) / 2)
	a, m, b := first.Swarm, half.Swarm, last.Swarm
	rejected := func(s history.Swarm) int64 { return s.Errors[history.Rejected] }
	return a.Grants == b.Grants && a.Releases == b.Releases && a.Decisions == b.Decisions &&
		rejected(a) < rejected(m) && rejected(m) < rejected(b)
}
