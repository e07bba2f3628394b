package judge

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/stats"
	"github.com/lockjam/lockjam/harness/text"
)

// What is broken in some incidents is not goodput but exclusion: two rely on one lock,
// and everything looks well. Such an incident is there where its faults are, and over
// when there are no more of them.

// faultsFrom counts them from some moment on.
func (j *judge) faultsFrom(from time.Duration) int64 {
	return faultsFrom(j.h, from, j.sc.Swarm).Total()
}

// faultsIn counts them in a span.
func (j *judge) faultsIn(in history.Span) int64 { return j.faultsFrom(in.From) - j.faultsFrom(in.To) }

// tailOf is the last part of a span, by which an incident is told.
func (j *judge) tailOf(in history.Span) history.Span {
	return history.Span{From: max(in.From, in.To-j.sc.Incident.ForMS.Duration()), To: in.To}
}

// faultsReproduced says whether the incident took place. What happened before the
// trigger is not its doing.
func (j *judge) faultsReproduced() bool {
	n := j.faultsIn(j.tailOf(j.t.incident))
	reproduced := j.t.Trigger != history.Never && n >= j.sc.Incident.Faults
	j.r.Reproduced = &reproduced
	if !reproduced {
		j.doubt("the incident was not reproduced: %s in the last %v of it (at least %d were to be there)",
			text.Plural(n, "safety fault"), j.sc.Incident.ForMS.Duration(), j.sc.Incident.Faults)
		j.tooBusy(j.t.incident) // who does not get to run breaks nothing
	}
	return reproduced
}

// faultsRemedied gives the verdict on what was done about an incident of faults.
// Goodput is compared with the incident's: exclusion costs what breaking it had gained,
// and the work may take longer than in the baseline for good.
func (j *judge) faultsRemedied() {
	clean := history.Span{From: j.lastFault(), To: j.t.End}
	before, during := goodput(j.h.Ops, j.t.Baseline), goodput(j.h.Ops, j.tailOf(j.t.incident))
	if clean.To-clean.From < max(j.sc.Cure.HoldMS.Duration(), 2*stats.Bin) {
		j.recovered(goodput(j.h.Ops, j.t.recovery), before)
		j.faultsGoOn(clean)
		return
	}
	after := goodput(j.h.Ops, clean)
	ms := text.Millis(clean.From - j.t.remedyBegun)
	j.recovered(after, before)
	j.r.Recovery.RestoredAfterMS = &ms
	held := j.ratio(after, during)
	figures := "goodput was " + held.Words("the incident's")
	switch need := j.sc.Cure.Ratio; {
	case held.High < need && j.tooBusy(clean):
	case held.Low >= need:
		j.r.Verdict, j.r.Unsafe = result.Cured, j.worsened(clean.From)
		j.r.Because = fmt.Sprintf("The last safety fault was %.1f s after the remedy was begun, and from then on %s.", ms/1000, figures)
	case held.High >= need:
		j.r.Straddles = true
		j.doubt("there was no safety fault any more after %.1f s, and %s: the threshold of %s%% lies between", ms/1000, figures, text.Threshold(need))
	default:
		j.r.Verdict = result.Partial
		j.r.Because = fmt.Sprintf("There was no safety fault any more after %.1f s, and %s.", ms/1000, figures)
	}
}

// worsened says whether a remedy broke safety itself: whether those who were granted
// their locks after it was begun did more harm, before it was over, than the incident
// goes on to do in that time, by more than chance explains (two standard deviations of a
// Poisson count, and one). What was granted before is the incident's, whenever it comes
// to write and to release.
func (j *judge) worsened(until time.Duration) bool {
	late := *j.h
	late.Ops = slices.DeleteFunc(slices.Clone(j.h.Ops), func(op history.Op) bool { return op.Granted < j.t.remedyBegun })
	own := faultsFrom(&late, j.t.remedyBegun, j.sc.Swarm)
	own.Overlaps, own.FencingRegressions = j.r.Safety.Overlaps, j.r.Safety.FencingRegressions // which are new grants'
	usual := float64(j.faultsIn(j.tailOf(j.t.incident))) * (until - j.t.remedyBegun).Seconds() / j.sc.Incident.ForMS.Duration().Seconds()
	return float64(own.Total()) > usual+2*math.Sqrt(usual)+1
}

func (j *judge) recovered(after, before []float64) {
	j.r.Recovery = recoveryOf(j.ratio(after, before))
}

// faultsGoOn tells apart fewer faults, as many as before, and a stretch without any
// that came too late to see whether it lasts.
func (j *judge) faultsGoOn(clean history.Span) {
	then, now := j.faultsIn(j.tailOf(j.t.incident)), j.faultsIn(j.tailOf(history.Span{From: j.t.remedyBegun, To: j.t.End}))
	figures := fmt.Sprintf("%s in the last %v, and %d in the incident's.", text.Plural(now, "safety fault"), j.sc.Incident.ForMS.Duration(), then)
	switch {
	case now == 0:
		j.doubt("the last safety fault was %.1f s before the end, too late to see whether that lasts: lengthen recovery_ms", (clean.To - clean.From).Seconds())
	case float64(now) < j.sc.Cure.RelapseRatio*float64(then):
		j.r.Verdict, j.r.Because = result.Partial, figures
	default:
		j.r.Verdict, j.r.Because = result.NoEffect, figures
	}
}

// lastFault is when the first moment without a fault from then on begins, after the
// remedy was begun.
func (j *judge) lastFault() time.Duration {
	// What is counted from a moment on is less the later it is: halve where it ends.
	some, none := j.t.remedyBegun-1, j.t.End
	for none-some > time.Microsecond { // which is what a journal keeps
		if half := some + (none-some)/2; j.faultsFrom(half) > 0 {
			some = half
		} else {
			none = half
		}
	}
	return none
}

// faultsPrevented gives the verdict on what was in force from the start. It is not
// compared with its own baseline, which may be as broken: left is the share of that
// one's goodput at the end, and figures what held from the trigger on.
func (j *judge) faultsPrevented(left float64, figures string) {
	in := history.Span{From: j.t.Trigger, To: j.t.End}
	total, tail := j.faultsIn(in), j.faultsIn(j.tailOf(in))
	said := fmt.Sprintf("From the trigger on there were %s, %d of them in the last %v, and goodput was %s.",
		text.Plural(total, "safety fault"), tail, j.sc.Incident.ForMS.Duration(), figures)
	switch {
	case left <= j.sc.Incident.GoodputRatio:
		j.r.Verdict, j.r.Because = result.NotPrevented, said+" Who stands still breaks nothing."
	case tail >= j.sc.Incident.Faults:
		j.r.Verdict, j.r.Because = result.NotPrevented, said
	case total > 0:
		j.r.Verdict, j.r.Because = result.Mitigated, said
	default:
		j.r.Verdict, j.r.Because = result.Prevented, fmt.Sprintf("From the trigger on there was no safety fault, and goodput was %s.", figures)
	}
}

// faultLevels sums an arm up as levels does.
func (j *judge) faultLevels() {
	if j.sc.Incident.Faults == 0 {
		return
	}
	per := func(in history.Span) *float64 {
		v := text.Round(float64(j.faultsIn(in))/(in.To-in.From).Seconds(), 1)
		return &v
	}
	j.r.FaultsPerS = &result.Goodput{Before: per(j.t.Baseline), During: per(j.tailOf(j.t.incident))}
	if !j.t.recovery.Empty() {
		j.r.FaultsPerS.After = per(j.tailOf(j.t.recovery))
	}
}
