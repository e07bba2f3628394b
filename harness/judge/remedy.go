package judge

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/standstill"
	"github.com/lockjam/lockjam/harness/stats"
	"github.com/lockjam/lockjam/harness/text"
)

// remedy gives the verdict on what was done about the incident.
func remedy(e Evidence, out *ruling) {
	if e.Time.recovery.Empty() || out.Reproduced == nil {
		return
	}
	if e.Time.notOurs {
		out.doubt("the remedy was not tried: %s", e.Time.blocked)
		return
	}
	if e.Time.isBlocked {
		out.Verdict, out.Because = result.Blocked, "It could not be applied: "+strings.TrimRight(e.Time.blocked, ".")+
			"."
		return
	}
	out.Connections = connections(e)
	if e.Scenario.Incident.Faults > 0 {
		violationsRemedied(e, out)
		return
	}
	before := goodput(e.History.Ops, e.Time.Baseline)
	normal := stats.Mean(before)
	all := history.Span{From: e.Time.remedyBegun, To: e.Time.End}
	after := goodput(e.History.Ops, all)
	whole := ratio(e, goodput(e.History.Ops, e.Time.recovery), before)
	out.Recovery = recoveryOf(whole)

	window := int(e.Scenario.Cure.RelapseWindowMS.Duration() / stats.Bin)
	restored := firstRestored(after, window, e.Scenario.Cure.Ratio*normal, e.Scenario.Cure.RelapseRatio*normal)
	if restored < 0 {
		notRestored(e, out, after, normal)
		return
	}
	ms := text.Millis(time.Duration(restored) * stats.Bin)
	lasted := after[restored:]
	from := e.Time.remedyBegun + time.Duration(restored)*stats.Bin
	held := stats.Ratio(lasted, before, e.Scenario.Swarm.Lock.HoldMS.Duration(), level(e, from))
	out.Recovery = recoveryOf(held)
	out.Recovery.RestoredAfterMS = &ms
	lost := firstWindowUnder(lasted, window, e.Scenario.Cure.RelapseRatio*normal)
	need := e.Scenario.Cure.Ratio
	switch {
	case (lost >= 0 || held.High < need) && tooBusy(e, out, e.Time.recovery):
	case lost >= 0:
		out.Verdict = result.Relapsed
		out.Because = fmt.Sprintf("Goodput was back after %.1f s and fell under %s%% of the baseline %.1f s later.",
			ms/1000, text.Threshold(e.Scenario.Cure.RelapseRatio), (time.Duration(lost) * stats.Bin).Seconds())
	case time.Duration(len(lasted))*stats.Bin < e.Scenario.Cure.HoldMS.Duration():
		out.doubt("goodput came back after %.1f s, too late to see whether it lasts: lengthen recovery_ms", ms/1000)
	case held.Low >= need:
		out.Verdict = result.Cured
		out.Because = fmt.Sprintf("Goodput was back after %.1f s and stayed at %s.", ms/1000,
			held.Words("the baseline"))
	case held.High >= need:
		out.Straddles = true
		out.doubt("the 95%% interval of goodput after the remedy, %s of the baseline, straddles the threshold of %s%%",
			held.Span(), text.Threshold(need))
	default:
		out.Verdict = result.Partial
		out.Because = fmt.Sprintf("Goodput stayed at %s, under the %s%% that count as cured.",
			held.Words("the baseline"), text.Threshold(need))
	}
}

// connections finds when the number of clients settled after the remedy: from then
// on, for a second at least, it stayed within a tenth (or two clients) of what it was
// in the last second.
func connections(e Evidence) *result.Connections {
	var after []history.Sample
	var last []int64
	for _, s := range e.History.Samples {
		if s.At < e.Time.remedyBegun || s.At > e.Time.End || s.Server == nil ||
			s.Server.Missing["connected_clients"] != "" {
			continue
		}
		after = append(after, s)
		if s.At >= e.Time.End-time.Second {
			last = append(last, s.Server.Connected)
		}
	}
	if e.Time.remedyBegun == history.Never || len(last) == 0 {
		return nil
	}
	slices.Sort(last)
	level := last[len(last)/2]
	found := &result.Connections{Clients: level}
	settled := e.Time.End
	for i := len(after) - 1; i >= 0 &&
		math.Abs(float64(after[i].Server.Connected-level)) <= max(2, float64(level)/10); i-- {
		settled = after[i].At
	}
	if settled <= e.Time.End-time.Second {
		ms := text.Round(text.Millis(settled-e.Time.remedyBegun), 1)
		found.SettledAfterMS = &ms
	}
	return found
}

// notRestored tells apart what all looks like a failure from far away: work
// that went on and stopped again, work that goes on at a lower level, and none.
func notRestored(e Evidence, out *ruling, after []float64, normal float64) {
	resumed := grantsFrom(e, e.Time.remedyBegun)
	tail := history.Span{From: e.Time.End - e.Scenario.Incident.ForMS.Duration(), To: e.Time.End}
	stalled := stats.Mean(goodput(e.History.Ops, tail)) <= e.Scenario.Incident.GoodputRatio*normal
	stood := tailOf(e, e.Time.incident)
	before := stats.Mean(goodput(e.History.Ops, stood))
	switch {
	case stalled && len(resumed) > 0 && grantsIn(e, stood) == 0 && ceased(e, resumed):
		out.Verdict = result.Relapsed
		out.Because = fmt.Sprintf("Work went on for %s and stood still again %.1f s after the remedy was begun.",
			text.Plural(len(resumed), "grant"), (resumed[len(resumed)-1] - e.Time.remedyBegun).Seconds())
	case !stalled && tooBusy(e, out, e.Time.recovery):
	case !stalled && stats.Mean(after) > 2*math.Max(before, e.Scenario.Incident.GoodputRatio*normal):
		out.Verdict = result.Partial
		out.Because = fmt.Sprintf("Goodput rose to %s and no further.", intervalOf(*out.Recovery).Words("the baseline"))
	default:
		out.Verdict = result.NoEffect
		out.Because = slowly(e, out, resumed)
	}
}

// grantsFrom is when operations got somewhere from then on, in order.
func grantsFrom(e Evidence, from time.Duration) []time.Duration {
	var all []time.Duration
	for _, op := range e.History.Ops {
		if at := standstill.Moved(op); at >= from {
			all = append(all, at)
		}
	}
	slices.Sort(all)
	return all
}

// ceased reports whether no grant has followed the last of these for longer than work,
// timeouts and the usual pauses explain. Grants that are as far apart from each other
// all the time go on, however few they are; what a remedy of several steps moved while it
// was being applied is not counted among those pauses.
func ceased(e Evidence, grants []time.Duration) bool {
	applied, _ := slices.BinarySearch(grants, e.Time.remedyApplied)
	explained := max(prover(e).Longest(), longestGap(grants[applied:]), 2*longestGap(grantsWithin(e, e.Time.Baseline)))
	if e.Arm.Swarm != nil { // the settings that a rollout brings
		explained = max(explained, standstill.LongestTimeout(*e.Arm.Swarm))
	}
	return e.Time.End-grants[len(grants)-1] > explained
}

func grantsWithin(e Evidence, s history.Span) []time.Duration {
	all := grantsFrom(e, s.From)
	end, _ := slices.BinarySearch(all, s.To)
	return all[:end]
}

// longestGap is the longest time from one grant to the next.
func longestGap(grants []time.Duration) (longest time.Duration) {
	for i := 1; i < len(grants); i++ {
		longest = max(longest, grants[i]-grants[i-1])
	}
	return longest
}

// slowly is how far from the baseline goodput stayed.
func slowly(e Evidence, out *ruling, grants []time.Duration) string {
	followed := history.Span{From: e.Time.remedyBegun, To: e.Time.End}
	length := (followed.To - followed.From).Seconds()
	if len(grants) == 0 {
		return fmt.Sprintf("No lock was granted for %.1f s afterwards.", length)
	}
	said := fmt.Sprintf("%s in the %.1f s afterwards", text.Plural(len(grants), "grant"), length)
	if len(grants) > 1 {
		said += fmt.Sprintf(", never more than %.0f ms apart", max(text.Millis(longestGap(grants)), 1))
	}
	return fmt.Sprintf("Goodput was %s%% of the baseline: %s.", text.Percent(out.Recovery.Ratio), said)
}

func grantsIn(e Evidence, s history.Span) (n int) {
	for _, op := range e.History.Ops {
		if at := standstill.Moved(op); at != history.Never && s.Holds(at) {
			n++
		}
	}
	return n
}

// firstRestored returns the first bin at which a window of n bins has this mean
// at least, or -1. The bin itself must not be down any more: a burst after an
// outage would make the window look good before the outage is over.
func firstRestored(bins []float64, n int, atLeast, down float64) int {
	for i := 0; i+n <= len(bins); i++ {
		if bins[i] >= down && stats.Mean(bins[i:i+n]) >= atLeast {
			return i
		}
	}
	return -1
}

// firstWindowUnder returns the first bin at which a window of n bins has a mean
// below the limit, or -1.
func firstWindowUnder(bins []float64, n int, limit float64) int {
	for i := 0; i+n <= len(bins); i++ {
		if stats.Mean(bins[i:i+n]) < limit {
			return i
		}
	}
	return -1
}
