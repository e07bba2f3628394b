package harness

import (
	"fmt"
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

// prevention gives the verdict on what was in force from the start, while the
// scenario's trigger did what it does in the control arm. The arm is compared with
// its own baseline: what the prevention costs when nothing is wrong is a figure
// beside the verdict.
func (j *judge) prevention() {
	if j.arm.Prevention == "" || j.t.trigger == history.Never {
		return
	}
	before := goodput(j.h.Ops, j.t.baseline)
	normal := mean(before)
	after := goodput(j.h.Ops, span{j.t.trigger, j.t.end})
	window := int(j.sc.Cure.RelapseWindowMS.Duration() / bin)
	tail := after[max(0, len(after)-int(j.sc.Incident.ForMS.Duration()/bin)):]
	held := j.ratio(after, before)
	j.r.Recovery = recoveryOf(held)
	j.served()
	in := span{j.t.trigger, j.t.end}
	if j.sc.Incident.Faults > 0 {
		j.faultsPrevented(mean(tail)/normal, held.words("the baseline"))
		return
	}
	down := firstWindowUnder(after, window, j.sc.Cure.RelapseRatio*normal)
	figures := held.words("the baseline")
	switch {
	case mean(tail) <= j.sc.Incident.GoodputRatio*normal:
		j.r.Verdict = NotPrevented
		j.r.Because = fmt.Sprintf("Goodput fell under %s%% of the baseline %.1f s after the trigger, and was %s%% of it at the end.",
			threshold(j.sc.Cure.RelapseRatio), (time.Duration(max(down, 0)) * bin).Seconds(), Percent(mean(tail)/normal))
	case down < 0 && held.low >= j.sc.Cure.Ratio:
		j.r.Verdict = Prevented
		j.r.Because = "From the trigger on goodput was " + figures + "."
	case (down >= 0 || held.high < j.sc.Cure.Ratio) && j.tooBusy(in):
	case down < 0 && held.high >= j.sc.Cure.Ratio:
		j.r.Straddles = true
		j.doubt("the 95%% interval of goodput after the trigger, %s of the baseline, straddles the threshold of %s%%",
			held.span(), threshold(j.sc.Cure.Ratio))
	default:
		j.r.Verdict = Mitigated
		j.r.Because = fmt.Sprintf("From the trigger on goodput was %s, and %s%% at the end.", figures, Percent(mean(tail)/normal))
	}
}

// served counts who got anything done at the end: goodput can be as ever while
// most of the workers are shut out.
func (j *judge) served() {
	tail := span{j.t.end - j.sc.Incident.ForMS.Duration(), j.t.end}
	done := map[int32]bool{}
	for _, op := range j.h.Ops {
		if op.Outcome == history.OK && tail.holds(op.Ended) {
			done[op.Worker] = true
		}
	}
	j.r.Served = &Served{Workers: int64(len(done)), Of: j.sampleAt(j.t.end).Workers}
}
