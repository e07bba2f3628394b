package judge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/remedies"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/signals"
	"github.com/lockjam/lockjam/harness/standstill"
	"github.com/lockjam/lockjam/harness/stats"
	"github.com/lockjam/lockjam/harness/text"
	"github.com/lockjam/lockjam/harness/triggers"
	"github.com/lockjam/lockjam/harness/waitgraph"
)

// Judge says what a recorded arm shows. It is pure: the same scenario and
// history give the same result, with or without a Redis, now or years later.
func Judge(sc *scenario.Scenario, arm scenario.Arm, h *history.History) result.Arm {
	j := newJudge(sc.For(arm), arm, h)
	switch j.look() {
	case forVerdicts:
		j.verdicts()
	case forFigures:
		j.describe()
	}
	return j.r
}

// newJudge reads a history of an arm whose scenario is the arm's. What it has in its
// result is what happened, and no opinion.
func newJudge(sc *scenario.Scenario, arm scenario.Arm, h *history.History) judge {
	j := judge{sc: sc, arm: arm, h: h, t: ReadTimeline(h.Marks, LastMoment(h))}
	j.h = until(h, j.t.End)
	remedy, _ := remedies.Find(arm.Remedy)
	j.r = result.Arm{
		Name: arm.Name, Why: arm.Why, Remedy: remedy.Name, Prevention: arm.Prevention, Claim: arm.Claim, Outcome: result.Pass, Reasons: []string{},
		Expected: result.Verdict(arm.Expect.Verdict), Against: arm.Against, Steps: j.t.steps, Truncated: h.Truncated, Signals: []result.Signal{},
		Checked: []string{},
	}
	j.phases()
	j.errorReplies()
	j.probes()
	j.others()
	return j
}

// basis is what a record is good for.
type basis uint8

const (
	forNothing  basis = iota // too little of it is there
	forFigures               // an assumption does not hold: it shows what happened, and proves nothing
	forVerdicts              //
)

// look checks the assumptions, and takes the proofs and what signals see where there is
// something to be seen: they are the same whatever is expected.
func (j *judge) look() basis {
	b := j.assumptions()
	if b != forNothing {
		j.proofs = j.prover().Prove(j.h.Census)
		j.seen = j.view()
	}
	return b
}

// describe reports what happened in an arm that no verdict can be drawn from. Nothing
// is expected of it.
func (j *judge) describe() {
	j.sc.Signals = nil
	j.signals()
	j.deadlock()
	j.safety()
	j.levels()
	j.faultLevels()
}

// verdicts compares what was seen with what is expected.
func (j *judge) verdicts() {
	j.signals()
	j.deadlock()
	j.safety()
	j.remedy()
	j.prevention()
	j.levels()
	j.faultLevels()
	j.expectations()
	j.checked()
}

type judge struct {
	sc  *scenario.Scenario
	arm scenario.Arm
	h   *history.History
	t   timeline
	r   result.Arm

	proofs []standstill.Proof
	seen   signals.View
}

// fail and doubt give a reason why the outcome is not pass. Doubt weighs more:
// where an assumption did not hold, an expectation that was missed means nothing.
// The key is the expectation's in the scenario file; a doubt is of the whole arm.
func (j *judge) fail(key, format string, args ...any) {
	j.reason(key, fmt.Sprintf(format, args...))
	if j.r.Outcome == result.Pass {
		j.r.Outcome = result.Fail
	}
}

func (j *judge) doubt(format string, args ...any) {
	j.reason(j.sc.ArmKey(j.arm.Name), fmt.Sprintf(format, args...))
	j.r.Outcome = result.Inconclusive
}

// reason keeps a reason, and where in the scenario file it has its cause.
func (j *judge) reason(key, why string) {
	line, column := j.sc.Place(key)
	j.r.Reasons = append(j.r.Reasons, why)
	j.r.Places = append(j.r.Places, result.Place{Reason: why, Key: key, Line: line, Column: column})
}

// inArm is the key of what is expected of the arm.
func (j *judge) inArm(name string) string { return j.sc.ArmKey(j.arm.Name) + ".expect." + name }

// ofSignal is the key of what is expected of a signal: the arm's, if it has a say.
func (j *judge) ofSignal(signal, name string) string {
	key := "signals." + signal + "." + name
	if _, own := j.arm.Signals[signal]; own {
		return j.sc.ArmKey(j.arm.Name) + "." + key
	}
	return key
}

func LastMoment(h *history.History) time.Duration {
	var last time.Duration
	if n := len(h.Ops); n > 0 {
		last = max(last, h.Ops[n-1].Ended)
	}
	if n := len(h.Samples); n > 0 {
		last = max(last, h.Samples[n-1].At)
	}
	if n := len(h.Marks); n > 0 {
		last = max(last, h.Marks[n-1].At)
	}
	return last
}

func (j *judge) phases() {
	for _, p := range j.t.phases() {
		r := result.Phase{Name: p.name, StartMS: text.Millis(p.From), EndMS: text.Millis(p.To), Classes: map[string]int64{}}
		response := hdrhistogram.New(1, time.Hour.Microseconds(), 3)
		for _, op := range j.h.Ops {
			// What was cut off at the end of the run belongs to its last phase.
			if !p.Holds(op.Ended) && (p.To != j.t.End || op.Ended < p.To) {
				continue
			}
			switch op.Outcome {
			case history.OK:
				r.Operations.OK++
				_ = response.RecordValue(max((op.Ended - op.Intended).Microseconds(), 1))
			case history.Fail:
				r.Operations.Fail++
			case history.Unknown:
				r.Operations.Unknown++
			}
		}
		if r.GoodputPerS = perSecond(goodput(j.h.Ops, p.Span)); p.To-p.From < stats.Bin { // too short for a whole one
			r.GoodputPerS = text.Round(float64(r.Operations.OK)/(p.To-p.From).Seconds(), 1)
		}
		us := func(v int64) float64 { return float64(v) / 1000 }
		if r.Operations.OK > 0 {
			r.ResponseMS = result.Percentiles{P50: us(response.ValueAtQuantile(50)), P99: us(response.ValueAtQuantile(99)), Max: us(response.Max())}
		}
		first, last := j.sampleAt(p.From), j.sampleAt(p.To)
		for c := range history.Classes {
			if n := last.Errors[c] - first.Errors[c]; n > 0 {
				r.Classes[history.Class(c).String()] = n
			}
		}
		r.DroppedCount = last.Dropped - first.Dropped
		j.r.Phases = append(j.r.Phases, r)
	}
}

// sampleAt is the swarm's count at the first sample that is not older than at.
// The harness takes one at every phase mark.
func (j *judge) sampleAt(at time.Duration) history.Swarm {
	if len(j.h.Samples) == 0 {
		return history.Swarm{}
	}
	i, _ := slices.BinarySearchFunc(j.h.Samples, at, func(s history.Sample, at time.Duration) int { return int(s.At - at) })
	return j.h.Samples[min(i, len(j.h.Samples)-1)].Swarm
}

// assumptions checks what everything else stands on: a complete history, a server that
// was left alone, a steady baseline, and an incident that took place.
func (j *judge) assumptions() basis {
	for _, note := range j.t.notes {
		j.doubt("%s", note)
	}
	if j.h.Truncated {
		j.doubt("the recording ends in the middle: the run was interrupted")
		return forNothing // whatever is missing may only have been cut off
	}
	undisturbed := j.undisturbed()
	if j.t.cut != "" && len(j.t.notes) == 0 {
		j.doubt("the arm was cut short: %s", j.t.cut)
	}
	if j.t.cut != "" {
		return forNothing
	}
	if j.t.Baseline.Empty() || j.t.incident.Empty() {
		j.doubt("%s", j.noBaseline())
		return forNothing
	}
	if !undisturbed {
		return forFigures
	}
	if j.sc.Trigger.Kind == triggers.None || j.arm.Prevention != "" {
		return forVerdicts // no incident is to be reproduced
	}
	if !j.reproduced() {
		return forFigures
	}
	return forVerdicts
}

// reproduced reports whether the incident took place, and doubts the arm if it did not.
func (j *judge) reproduced() bool {
	if j.sc.Incident.Faults > 0 {
		return j.faultsReproduced()
	}
	tail := history.Span{From: j.t.incident.To - j.sc.Incident.ForMS.Duration(), To: j.t.incident.To}
	left := stats.Mean(goodput(j.h.Ops, tail)) / stats.Mean(goodput(j.h.Ops, j.t.Baseline))
	reproduced := j.t.Trigger != history.Never && left <= j.sc.Incident.GoodputRatio
	j.r.Reproduced = &reproduced
	if !reproduced {
		j.doubt("the incident was not reproduced: goodput was still %s%% of the baseline's (at most %s%% was to be left)",
			text.Percent(left), text.Threshold(j.sc.Incident.GoodputRatio))
	}
	return reproduced
}

// tooBusy is the share of a half second above which lockjam was stalled for so
// long that a loss of goodput may be the machine's and not the server's.
const tooBusy = 0.25

// busiest finds the half second of a span in which lockjam was kept from
// running most.
func (j *judge) busiest(in history.Span) (at time.Duration, share float64) {
	const window = 500 * time.Millisecond
	samples := j.h.Samples
	first := 0
	var stolen time.Duration
	for i, s := range samples {
		if !in.Holds(s.At) {
			first, stolen = i+1, 0
			continue
		}
		stolen += s.Stolen
		for s.At-samples[first].At > window {
			stolen -= samples[first].Stolen
			first++
		}
		if v := stolen.Seconds() / window.Seconds(); v > share {
			at, share = s.At, v
		}
	}
	return at, share
}

// blame fails an expectation, unless the machine was so busy meanwhile that it
// may be the machine's doing: then nothing can be said, and another attempt is
// worth its time. What a busy machine cannot explain (work that goes on, or
// stands still altogether) does not come here.
func (j *judge) blame(in history.Span, key, format string, args ...any) {
	if !j.tooBusy(in) {
		j.fail(key, format, args...)
		return
	}
	j.reason(key, fmt.Sprintf(format, args...))
}

// tooBusy says whether goodput may have been lost to the machine, and if so
// that nothing can be concluded.
func (j *judge) tooBusy(in history.Span) bool {
	at, share := j.busiest(in)
	if share <= tooBusy {
		return false
	}
	j.r.Noisy = true
	j.doubt("the machine was too busy: lockjam was kept from running for %.0f%% of the half second up to %.1f s, and goodput with it", 100*share, at.Seconds())
	return true
}

func (j *judge) signals() {
	// Where the failure is kept from happening, nothing is expected of a signal.
	if j.arm.Prevention != "" {
		j.sc.Signals = nil
	}
	names := make([]string, 0, len(j.sc.Signals))
	for _, s := range signals.All() {
		names = append(names, s.Name)
	}
	for _, name := range names {
		j.signal(name)
	}
}

func (j *judge) signal(name string) {
	s, _ := signals.Find(name)
	want, named := j.sc.Signals[name]
	if !named || want.Expect == "" {
		want.Expect = scenario.Any
	}
	r := result.Signal{Name: name, Claim: s.Claim, Expected: string(want.Expect), Met: true, Cleared: true}
	from := j.t.incident.From
	if j.t.Trigger != history.Never {
		from = j.t.Trigger
	}
	view, params := j.seen, s.Params.With(want.Params)
	// What a server does not let anybody read says nothing about the scenario: it
	// stands in the result, and the arm is judged without it.
	if r.Unavailable = s.Unavailable(view); r.Unavailable != "" {
		r.Met = want.Expect == scenario.Any
		j.r.Signals = append(j.r.Signals, r)
		return
	}
	r.Figures = s.Figures(view, params, signals.Span{From: from, To: j.t.incident.To})
	if !j.t.recovery.Empty() {
		r.FiguresAfter = s.Figures(view, params, signals.Span{From: max(j.t.recovery.From, j.t.End-time.Second), To: j.t.End})
	}
	for _, f := range s.Firings(view, params) {
		if f.From < j.t.incident.From && (f.To >= j.t.Baseline.From || f.Open) {
			r.BaselineFirings++
		}
		if f.From < j.t.incident.To && (f.To > from || f.Open) && !r.Fired {
			r.Fired = true
			after := max(text.Millis(f.From-from), 0)
			r.DetectMS = &after
		}
		if f.Open {
			r.Cleared = false
		}
	}
	// What a firing is compared with may be the machine's doing as well.
	sighted := history.Span{From: j.t.Baseline.From, To: j.t.incident.To}
	switch {
	case want.Expect == scenario.Any:
	case r.BaselineFirings > 0:
		r.Met = false
		j.blame(j.t.Baseline, j.ofSignal(name, "expect"), "signal %s fired in the baseline, where nothing was wrong", name)
	case want.Expect == scenario.Silent && r.Fired:
		r.Met = false
		j.blame(j.t.incident, j.ofSignal(name, "expect"), "signal %s was to stay silent and fired after %.0f ms", name, *r.DetectMS)
	case want.Expect == scenario.Fire && !r.Fired:
		r.Met = false
		j.blame(sighted, j.ofSignal(name, "expect"), "signal %s was to fire and stayed silent", name)
	case want.Expect == scenario.Fire && want.WithinMS > 0 && *r.DetectMS > float64(want.WithinMS):
		r.Met = false
		j.blame(sighted, j.ofSignal(name, "within_ms"), "signal %s fired after %.0f ms, later than the %.0f ms expected", name, *r.DetectMS, float64(want.WithinMS))
	}
	j.r.Signals = append(j.r.Signals, r)
}

// deadlock says what the incident's standstill is, if it is one: proved from the
// wait-for graph, or what it looks like and why nothing is proved.
func (j *judge) deadlock() {
	p := j.proved()
	if p == nil || j.t.Trigger == history.Never || p.Kind == waitgraph.Idle {
		return
	}
	if len(p.Foreign) > 0 && j.wantsProof() {
		j.doubt("whether the incident is a standstill cannot be told: %s", strings.Join(p.Reasons, "; "))
	}
	d := &result.Deadlock{
		Proved: p.Proved, Kind: string(p.Kind), AfterMS: text.Round(p.AtMS-text.Millis(j.t.Trigger), 1), Sentence: p.Sentence,
		Checked: p.Checked, Reasons: p.Reasons, Foreign: p.Foreign,
	}
	if p.Proved {
		d.LateMS = text.Round(p.AtMS-text.Millis(j.prover().AllowedFrom(p.Before, p.Now)), 1)
	}
	for _, end := range []struct{ from, to **float64 }{{&p.FirstEndMS, &d.FirstEndMS}, {&p.ClearMS, &d.ClearMS}} {
		if *end.from != nil {
			after := text.Round(**end.from-text.Millis(j.t.Trigger), 1)
			*end.to = &after
		}
	}
	if r := p.Residue; r != nil {
		d.Graph = r.Mermaid()
		d.Residue = result.Residue{Workers: int64(r.Workers), Locks: int64(r.Locks), Slots: int64(r.Slots), Turns: int64(r.Turns)}
	}
	j.r.Deadlock = d
}

// prover proves what the incident is.
func (j *judge) prover() standstill.Prover { return standstill.Prover{Scenario: j.sc, Ops: j.h.Ops} }

// wantsProof reports whether the scenario expects something of the wait-for graph.
func (j *judge) wantsProof() bool {
	return j.sc.Incident.Kind != "" || j.sc.Signals["deadlock"].Expect == scenario.Fire
}

// unproved is what the graph found where it proved nothing; never empty.
func (j *judge) unproved() string {
	p := j.proved()
	switch {
	case p == nil:
		return fmt.Sprintf("it takes two looks at who holds what, and the incident has %d", j.censusesIn(j.t.incident))
	case p.Kind == waitgraph.Unproved:
		return strings.Join(p.Reasons, "; ")
	}
	return strings.TrimSuffix(p.Sentence, ".")
}

func (j *judge) censusesIn(in history.Span) (n int) {
	for _, c := range j.h.Census {
		if in.Holds(c.At) {
			n++
		}
	}
	return n
}

// others lists the most connections that each client had which is not part of the run.
func (j *judge) others() {
	for _, c := range j.h.Census {
		for _, f := range c.Foreign {
			i := slices.IndexFunc(j.r.Foreign, func(g result.Foreign) bool { return g.Name == f.Name && g.Host == f.Host })
			if i < 0 {
				j.r.Foreign = append(j.r.Foreign, result.Foreign(f))
				continue
			}
			j.r.Foreign[i].Connections = max(j.r.Foreign[i].Connections, f.Connections)
		}
	}
}

// levels sums an arm up in three figures. Means over whole phases would mix
// the collapse with what came before it, and the cure with the outage.
func (j *judge) levels() {
	per := func(s history.Span) *float64 {
		v := perSecond(goodput(j.h.Ops, s))
		return &v
	}
	tail := j.sc.Incident.ForMS.Duration()
	j.r.Goodput.Before = per(j.t.Baseline)
	j.r.Goodput.During = per(history.Span{From: max(j.t.incident.From, j.t.incident.To-tail), To: j.t.incident.To})
	if j.t.recovery.Empty() {
		return
	}
	from := max(j.t.recovery.From, j.t.End-tail)
	if r := j.r.Recovery; r != nil && r.RestoredAfterMS != nil && j.r.Verdict != result.Relapsed {
		from = j.t.remedyBegun + time.Duration(*r.RestoredAfterMS*float64(time.Millisecond))
	}
	j.r.Goodput.After = per(history.Span{From: from, To: j.t.End})
}

// expectations compares the verdict with what was measured when the scenario
// was written.
func (j *judge) expectations() {
	if want := j.sc.Incident.Kind; want != "" && j.r.Reproduced != nil && j.arm.Prevention == "" {
		switch d := j.r.Deadlock; {
		case d != nil && len(d.Foreign) > 0: // which is said already
		case d == nil || !d.Proved:
			j.blame(j.t.incident, "incident.kind", "the incident was expected to be proved %s, and nothing was proved: %s", want, j.unproved())
		case d.Kind != want:
			j.fail("incident.kind", "the incident was expected to be proved %s, and was proved %s: %s", want, d.Kind, d.Sentence)
		}
	}
	if j.sc.Trigger.Kind == triggers.None && j.r.Safety != (result.Safety{}) {
		j.fail(j.sc.ArmKey(j.arm.Name), "nothing was done to the swarm, and its lock does not exclude: %+v", j.r.Safety)
	}
	what := "remedy " + j.r.Remedy
	if j.arm.Prevention != "" {
		what = "prevention " + j.arm.Prevention
	}
	if want := j.arm.Expect.Unsafe; want != nil && j.r.Verdict != "" && *want != j.r.Unsafe {
		say := j.fail
		if !*want && j.sc.Swarm.Lock.TTLMS > 0 { // a lease runs out under a holder that does not get to run, and no other lock
			say = func(key, format string, args ...any) {
				j.blame(history.Span{From: j.safeFrom(), To: j.t.End}, key, format, args...)
			}
		}
		say(j.inArm("unsafe"), "%s was expected to be %s and was %s: %+v", what, safeWord(*want), safeWord(j.r.Unsafe), j.r.Safety)
	}
	want := j.r.Expected
	if want == "" || j.r.Verdict == "" || want == j.r.Verdict {
		return
	}
	j.blame(history.Span{From: j.t.Baseline.From, To: j.t.End}, j.inArm("verdict"), "%s was expected to be %s and was %s: %s", what, want, j.r.Verdict, strings.TrimSuffix(j.r.Because, "."))
}

// ratio compares goodput with goodput.
func (j *judge) ratio(after, before []float64) stats.Interval {
	return stats.Ratio(after, before, j.sc.Swarm.Lock.HoldMS.Duration())
}

// perSecond is the mean of bins in decisions per second, as run.json keeps it.
func perSecond(bins []float64) float64 {
	return text.Round(stats.Mean(bins)*float64(time.Second/stats.Bin), 1)
}

func safeWord(unsafe bool) string {
	if unsafe {
		return "unsafe"
	}
	return "safe"
}

// proved is what the incident's censuses prove, or what was found last; nil without two censuses.
func (j *judge) proved() *standstill.Proof { return standstill.Decisive(j.proofs, j.t.incident) }

// findings are the proofs as signals see them.
func (j *judge) findings() []signals.Finding {
	all := make([]signals.Finding, len(j.proofs))
	for i, p := range j.proofs {
		all[i] = p.ForSignals()
	}
	return all
}
