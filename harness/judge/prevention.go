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
func (j *judge) prevention() {
	if j.arm.Prevention == "" || j.t.Trigger == history.Never {
		return
	}
	before := goodput(j.h.Ops, j.t.Baseline)
	normal := stats.Mean(before)
	after := goodput(j.h.Ops, history.Span{From: j.t.Trigger, To: j.t.End})
	window := int(j.sc.Cure.RelapseWindowMS.Duration() / stats.Bin)
	tail := after[max(0, len(after)-int(j.sc.Incident.ForMS.Duration()/stats.Bin)):]
	held := j.ratio(after, before)
	j.r.Recovery = recoveryOf(held)
	j.served()
	in := history.Span{From: j.t.Trigger, To: j.t.End}
	if j.sc.Incident.Faults > 0 {
		j.faultsPrevented(stats.Mean(tail)/normal, held.Words("the baseline"))
		return
	}
	down := firstWindowUnder(after, window, j.sc.Cure.RelapseRatio*normal)
	figures := held.Words("the baseline")
	switch {
	case stats.Mean(tail) <= j.sc.Incident.GoodputRatio*normal:
		j.r.Verdict = result.NotPrevented
		j.r.Because = fmt.Sprintf("Goodput fell under %s%% of the baseline %.1f s after the trigger, and was %s%% of it at the end.",
			text.Threshold(j.sc.Cure.RelapseRatio), (time.Duration(max(down, 0)) * stats.Bin).Seconds(), text.Percent(stats.Mean(tail)/normal))
	case down < 0 && held.Low >= j.sc.Cure.Ratio:
		j.r.Verdict = result.Prevented
		j.r.Because = "From the trigger on goodput was " + figures + "."
	case (down >= 0 || held.High < j.sc.Cure.Ratio) && j.tooBusy(in):
	case down < 0 && held.High >= j.sc.Cure.Ratio:
		j.r.Straddles = true
		j.doubt("the 95%% interval of goodput after the trigger, %s of the baseline, straddles the threshold of %s%%",
			held.Span(), text.Threshold(j.sc.Cure.Ratio))
	default:
		j.r.Verdict = result.Mitigated
		j.r.Because = fmt.Sprintf("From the trigger on goodput was %s, and %s%% at the end.", figures, text.Percent(stats.Mean(tail)/normal))
	}
}

// served counts who got anything done at the end: goodput can be as ever while
// most of the workers are shut out.
func (j *judge) served() {
	tail := history.Span{From: j.t.End - j.sc.Incident.ForMS.Duration(), To: j.t.End}
	done := map[int32]bool{}
	for _, op := range j.h.Ops {
		if op.Outcome == history.OK && tail.Holds(op.Ended) {
			done[op.Worker] = true
		}
	}
	j.r.Served = &result.Served{Workers: int64(len(done)), Of: j.sampleAt(j.t.End).Workers}
}
