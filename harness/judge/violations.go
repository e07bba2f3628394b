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

// violationsSince counts them from some moment on.
func violationsSince(e Evidence, from time.Duration) int64 {
	return violationsFrom(e.History, from, e.Scenario.Swarm).Total()
}

// violationsIn counts them in a span.
func violationsIn(e Evidence, in history.Span) int64 {
	return violationsSince(e, in.From) - violationsSince(e, in.To)
}

// tailOf is the last part of a span, by which an incident is told.
func tailOf(e Evidence, in history.Span) history.Span {
	return history.Span{From: max(in.From, in.To-e.Scenario.Incident.ForMS.Duration()), To: in.To}
}

// violationsReproduced reports whether the incident took place. What happened before the
// trigger is not its doing.
func violationsReproduced(e Evidence, out *ruling) bool {
	n := violationsIn(e, tailOf(e, e.Time.incident))
	reproduced := e.Time.Trigger != history.Never && n >= e.Scenario.Incident.Faults
	out.Reproduced = &reproduced
	if !reproduced {
		out.doubt("the incident was not reproduced: %s in the last %v of it (at least %d were to be there)",
			text.Plural(n, "safety violation"), e.Scenario.Incident.ForMS.Duration(), e.Scenario.Incident.Faults)
		tooBusy(e, out, e.Time.incident) // a worker that does not get to run violates nothing
	}
	return reproduced
}

// violationsRemedied gives the verdict on what was done about an incident of faults.
// Goodput is compared with the incident's: exclusion costs what breaking it had gained,
// and the work may take longer than in the baseline for good.
func violationsRemedied(e Evidence, out *ruling) {
	clean := history.Span{From: lastViolation(e), To: e.Time.End}
	before, during := goodput(e.History.Ops, e.Time.Baseline), goodput(e.History.Ops, tailOf(e, e.Time.incident))
	if clean.To-clean.From < max(e.Scenario.Cure.HoldMS.Duration(), 2*stats.Bin) {
		recovered(e, out, goodput(e.History.Ops, e.Time.recovery), before)
		violationsContinue(e, out, clean)
		return
	}
	after := goodput(e.History.Ops, clean)
	ms := text.Millis(clean.From - e.Time.remedyBegun)
	recovered(e, out, after, before)
	out.Recovery.RestoredAfterMS = &ms
	held := ratio(e, after, during)
	figures := "goodput was " + held.Words("the incident's")
	switch need := e.Scenario.Cure.Ratio; {
	case held.High < need && tooBusy(e, out, clean):
	case held.Low >= need:
		out.Verdict, out.Unsafe = result.Cured, worsened(e, out, clean.From)
		out.Because = fmt.Sprintf("The last safety violation was %.1f s after the remedy was begun, and from then on %s.",
			ms/1000, figures)
	case held.High >= need:
		out.Straddles = true
		out.doubt("there was no safety violation any more after %.1f s, and %s: the threshold of %s%% lies between",
			ms/1000, figures, text.Threshold(need))
	default:
		out.Verdict = result.Partial
		out.Because = fmt.Sprintf("There was no safety violation any more after %.1f s, and %s.", ms/1000, figures)
	}
}

// worsened reports whether a remedy broke safety itself: whether holders that were granted
// their locks after it was begun did more harm, before it was over, than the incident
// goes on to do in that time, by more than chance explains (two standard deviations of a
// Poisson count, and one). What was granted before is the incident's, whenever it comes
// to write and to release.
func worsened(e Evidence, out *ruling, until time.Duration) bool {
	late := *e.History
	late.Ops = slices.DeleteFunc(slices.Clone(e.History.Ops),
		func(op history.Op) bool { return op.Granted < e.Time.remedyBegun })
	own := violationsFrom(&late, e.Time.remedyBegun, e.Scenario.Swarm)
	own.Overlaps, own.FencingRegressions = out.Safety.Overlaps, out.Safety.FencingRegressions // which are new grants'
	usual := float64(violationsIn(e,
		tailOf(e, e.Time.incident))) * (until - e.Time.remedyBegun).Seconds() / e.Scenario.Incident.ForMS.Duration().Seconds()
	return float64(own.Total()) > usual+2*math.Sqrt(usual)+1
}

func recovered(e Evidence, out *ruling, after, before []float64) {
	out.Recovery = recoveryOf(ratio(e, after, before))
}

// violationsContinue tells apart fewer faults, as many as before, and a stretch without any
// that came too late to see whether it lasts.
func violationsContinue(e Evidence, out *ruling, clean history.Span) {
	then, now := violationsIn(e, tailOf(e, e.Time.incident)),
		violationsIn(e, tailOf(e, history.Span{From: e.Time.remedyBegun, To: e.Time.End}))
	figures := fmt.Sprintf("%s in the last %v, and %d in the incident's.", text.Plural(now, "safety violation"),
		e.Scenario.Incident.ForMS.Duration(), then)
	switch {
	case now == 0:
		out.doubt("the last safety violation was %.1f s before the end, too late to see whether that lasts: lengthen recovery_ms", (clean.To - clean.From).Seconds())
	case float64(now) < e.Scenario.Cure.RelapseRatio*float64(then):
		out.Verdict, out.Because = result.Partial, figures
	default:
		out.Verdict, out.Because = result.NoEffect, figures
	}
}

// lastViolation is when the first moment without a fault from then on begins, after the
// remedy was begun.
func lastViolation(e Evidence) time.Duration {
	// What is counted from a moment on is less the later it is: halve where it ends.
	some, none := e.Time.remedyBegun-1, e.Time.End
	for none-some > time.Microsecond { // which is what a journal keeps
		if half := some + (none-some)/2; violationsSince(e, half) > 0 {
			some = half
		} else {
			none = half
		}
	}
	return none
}

// violationsPrevented gives the verdict on what was in force from the start. It is not
// compared with its own baseline, which may be as broken: left is the share of that
// one's goodput at the end, and figures what held from the trigger on.
func violationsPrevented(e Evidence, out *ruling, left float64, figures string) {
	in := history.Span{From: e.Time.Trigger, To: e.Time.End}
	total, tail := violationsIn(e, in), violationsIn(e, tailOf(e, in))
	said := fmt.Sprintf("From the trigger on there were %s, %d of them in the last %v, and goodput was %s.",
		text.Plural(total, "safety violation"), tail, e.Scenario.Incident.ForMS.Duration(), figures)
	switch {
	case left <= e.Scenario.Incident.GoodputRatio:
		out.Verdict, out.Because = result.NotPrevented, said+" A stalled workload cannot violate safety."
	case tail >= e.Scenario.Incident.Faults:
		out.Verdict, out.Because = result.NotPrevented, said
	case total > 0:
		out.Verdict, out.Because = result.Mitigated, said
	default:
		out.Verdict, out.Because = result.Prevented,
			fmt.Sprintf("From the trigger on there was no safety violation, and goodput was %s.", figures)
	}
}

// violationLevels sums an arm up as levels does.
func violationLevels(e Evidence, out *ruling) {
	if e.Scenario.Incident.Faults == 0 {
		return
	}
	per := func(in history.Span) *float64 {
		v := text.Round(float64(violationsIn(e, in))/(in.To-in.From).Seconds(), 1)
		return &v
	}
	out.FaultsPerS = &result.Goodput{Before: per(e.Time.Baseline), During: per(tailOf(e, e.Time.incident))}
	if !e.Time.recovery.Empty() {
		out.FaultsPerS.After = per(tailOf(e, e.Time.recovery))
	}
}
