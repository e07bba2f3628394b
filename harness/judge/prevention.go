package judge

import (
	"fmt"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/stats"
	"github.com/lockjam/lockjam/harness/text"
)

// prevention gives the verdict on what was in force from the start, while the
// scenario's trigger did what it does in the control arm. The arm is compared with
// its own baseline: what the prevention costs when nothing is wrong is a figure
// beside the verdict.
func prevention(e Evidence, out *ruling) {
	if e.Arm.Prevention == "" || e.Time.Trigger == history.Never {
		return
	}
	before := goodput(e.History.Ops, e.Time.Baseline)
	normal := stats.Mean(before)
	after := goodput(e.History.Ops, history.Span{From: e.Time.Trigger, To: e.Time.End})
	window := int(e.Scenario.Cure.RelapseWindowMS.Duration() / stats.Bin)
	tail := after[max(0, len(after)-int(e.Scenario.Incident.ForMS.Duration()/stats.Bin)):]
	held := ratio(e, after, before)
	out.Recovery = recoveryOf(held)
	out.Served = served(e)
	in := history.Span{From: e.Time.Trigger, To: e.Time.End}
	if e.Scenario.Incident.Faults > 0 {
		violationsPrevented(e, out, stats.Mean(tail)/normal, held.Words("the baseline"))
		return
	}
	down := firstWindowUnder(after, window, e.Scenario.Cure.RelapseRatio*normal)
	figures := held.Words("the baseline")
	switch {
	case stats.Mean(tail) <= e.Scenario.Incident.GoodputRatio*normal:
		out.Verdict = result.NotPrevented
		out.Because = fmt.Sprintf("Goodput fell under %s%% of the baseline %.1f s after the trigger, and was %s%% of it at the end.",
			text.Threshold(e.Scenario.Cure.RelapseRatio), (time.Duration(max(down, 0)) * stats.Bin).Seconds(),
			text.Percent(stats.Mean(tail)/normal))
	case down < 0 && held.Low >= e.Scenario.Cure.Ratio:
		out.Verdict = result.Prevented
		out.Because = "From the trigger on goodput was " + figures + "."
	case (down >= 0 || held.High < e.Scenario.Cure.Ratio) && tooBusy(e, out, in):
	case down < 0 && held.High >= e.Scenario.Cure.Ratio:
		out.Straddles = true
		out.doubt("the 95%% interval of goodput after the trigger, %s of the baseline, straddles the threshold of %s%%",
			held.Span(), text.Threshold(e.Scenario.Cure.Ratio))
	default:
		out.Verdict = result.Mitigated
		out.Because = fmt.Sprintf("From the trigger on goodput was %s, and %s%% at the end.", figures,
			text.Percent(stats.Mean(tail)/normal))
	}
}

// served counts the workers that completed anything at the end: goodput can be as ever while
// most of the workers are shut out.
func served(e Evidence) *result.Served {
	tail := history.Span{From: e.Time.End - e.Scenario.Incident.ForMS.Duration(), To: e.Time.End}
	done := map[int32]bool{}
	for _, op := range e.History.Ops {
		if op.Outcome == history.OK && tail.Holds(op.Ended) {
			done[op.Worker] = true
		}
	}
	return &result.Served{Workers: int64(len(done)), Of: sampleAt(e, e.Time.End).Workers}
}
