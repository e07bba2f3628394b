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
func (j *judge) remedy() {
	if j.t.recovery.Empty() || j.r.Reproduced == nil {
		return
	}
	if j.t.notOurs {
		j.doubt("the remedy was not tried: %s", j.t.blocked)
		return
	}
	if j.t.isBlocked {
		j.r.Verdict, j.r.Because = result.Blocked, "It could not be applied: "+strings.TrimRight(j.t.blocked, ".")+"."
		return
	}
	j.connections()
	if j.sc.Incident.Faults > 0 {
		j.faultsRemedied()
		return
	}
	before := goodput(j.h.Ops, j.t.Baseline)
	normal := stats.Mean(before)
	all := history.Span{From: j.t.remedyBegun, To: j.t.End}
	after := goodput(j.h.Ops, all)
	whole := j.ratio(goodput(j.h.Ops, j.t.recovery), before)
	j.r.Recovery = recoveryOf(whole)

	window := int(j.sc.Cure.RelapseWindowMS.Duration() / stats.Bin)
	restored := firstRestored(after, window, j.sc.Cure.Ratio*normal, j.sc.Cure.RelapseRatio*normal)
	if restored < 0 {
		j.notRestored(after, normal)
		return
	}
	ms := text.Millis(time.Duration(restored) * stats.Bin)
	lasted := after[restored:]
	held := j.ratio(lasted, before)
	j.r.Recovery = recoveryOf(held)
	j.r.Recovery.RestoredAfterMS = &ms
	lost := firstWindowUnder(lasted, window, j.sc.Cure.RelapseRatio*normal)
	need := j.sc.Cure.Ratio
	switch {
	case (lost >= 0 || held.High < need) && j.tooBusy(j.t.recovery):
	case lost >= 0:
		j.r.Verdict = result.Relapsed
		j.r.Because = fmt.Sprintf("Goodput was back after %.1f s and fell under %s%% of the baseline %.1f s later.",
			ms/1000, text.Threshold(j.sc.Cure.RelapseRatio), (time.Duration(lost) * stats.Bin).Seconds())
	case time.Duration(len(lasted))*stats.Bin < j.sc.Cure.HoldMS.Duration():
		j.doubt("goodput came back after %.1f s, too late to see whether it lasts: lengthen recovery_ms", ms/1000)
	case held.Low >= need:
		j.r.Verdict = result.Cured
		j.r.Because = fmt.Sprintf("Goodput was back after %.1f s and stayed at %s.", ms/1000, held.Words("the baseline"))
	case held.High >= need:
		j.r.Straddles = true
		j.doubt("the 95%% interval of goodput after the remedy, %s of the baseline, straddles the threshold of %s%%",
			held.Span(), text.Threshold(need))
	default:
		j.r.Verdict = result.Partial
		j.r.Because = fmt.Sprintf("Goodput stayed at %s, under the %s%% that count as cured.",
			held.Words("the baseline"), text.Threshold(need))
	}
}

// connections finds when the number of clients settled after the remedy: from then
// on, for a second at least, it stayed within a tenth (or two clients) of what it was
// in the last second.
func (j *judge) connections() {
	var after []history.Sample
	var last []int64
	for _, s := range j.h.Samples {
		if s.At < j.t.remedyBegun || s.At > j.t.End || s.Server == nil || s.Server.Missing["connected_clients"] != "" {
			continue
		}
		after = append(after, s)
		if s.At >= j.t.End-time.Second {
			last = append(last, s.Server.Connected)
		}
	}
	if j.t.remedyBegun == history.Never || len(last) == 0 {
		return
	}
	slices.Sort(last)
	level := last[len(last)/2]
	j.r.Connections = &result.Connections{Clients: level}
	settled := j.t.End
	for i := len(after) - 1; i >= 0 && math.Abs(float64(after[i].Server.Connected-level)) <= max(2, float64(level)/10); i-- {
		settled = after[i].At
	}
	if settled <= j.t.End-time.Second {
		ms := text.Round(text.Millis(settled-j.t.remedyBegun), 1)
		j.r.Connections.SettledAfterMS = &ms
	}
}

// notRestored tells apart what all looks like a failure from far away: work
// that went on and stopped again, work that goes on at a lower level, and none.
func (j *judge) notRestored(after []float64, normal float64) {
	resumed := j.grantsFrom(j.t.remedyBegun)
	tail := history.Span{From: j.t.End - j.sc.Incident.ForMS.Duration(), To: j.t.End}
	stalled := stats.Mean(goodput(j.h.Ops, tail)) <= j.sc.Incident.GoodputRatio*normal
	stood := j.tailOf(j.t.incident)
	before := stats.Mean(goodput(j.h.Ops, stood))
	switch {
	case stalled && len(resumed) > 0 && j.grantsIn(stood) == 0 && j.ceased(resumed):
		j.r.Verdict = result.Relapsed
		j.r.Because = fmt.Sprintf("Work went on for %s and stood still again %.1f s after the remedy was begun.",
			text.Plural(int64(len(resumed)), "grant"), (resumed[len(resumed)-1] - j.t.remedyBegun).Seconds())
	case !stalled && j.tooBusy(j.t.recovery):
	case !stalled && stats.Mean(after) > 2*math.Max(before, j.sc.Incident.GoodputRatio*normal):
		j.r.Verdict = result.Partial
		j.r.Because = fmt.Sprintf("Goodput rose to %s and no further.", intervalOf(*j.r.Recovery).Words("the baseline"))
	default:
		j.r.Verdict = result.NoEffect
		j.r.Because = j.slowly(resumed)
	}
}

// grantsFrom is when operations got somewhere from then on, in order.
func (j *judge) grantsFrom(from time.Duration) []time.Duration {
	var all []time.Duration
	for _, op := range j.h.Ops {
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
func (j *judge) ceased(grants []time.Duration) bool {
	applied, _ := slices.BinarySearch(grants, j.t.remedyApplied)
	explained := max(j.prover().Longest(), longestGap(grants[applied:]), 2*longestGap(j.grantsWithin(j.t.Baseline)))
	if j.arm.Swarm != nil { // the settings that a rollout brings
		explained = max(explained, standstill.LongestTimeout(*j.arm.Swarm))
	}
	return j.t.End-grants[len(grants)-1] > explained
}

func (j *judge) grantsWithin(s history.Span) []time.Duration {
	all := j.grantsFrom(s.From)
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
func (j *judge) slowly(grants []time.Duration) string {
	followed := history.Span{From: j.t.remedyBegun, To: j.t.End}
	said := fmt.Sprintf("%s in the %.1f s that followed", text.Plural(int64(len(grants)), "grant"), (followed.To - followed.From).Seconds())
	if len(grants) == 0 {
		return said + "."
	}
	if len(grants) > 1 {
		said += fmt.Sprintf(", never more than %.0f ms apart", max(text.Millis(longestGap(grants)), 1))
	}
	return fmt.Sprintf("Goodput was %s%% of the baseline: %s.", text.Percent(j.r.Recovery.Ratio), said)
}

func (j *judge) grantsIn(s history.Span) (n int) {
	for _, op := range j.h.Ops {
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
