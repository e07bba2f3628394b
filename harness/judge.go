package harness

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"gonum.org/v1/gonum/stat"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/remedies"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/signals"
	"github.com/lockjam/lockjam/harness/triggers"
	"github.com/lockjam/lockjam/harness/waitgraph"
)

// Judge says what a recorded arm shows. It is pure: the same scenario and
// history give the same result, with or without a Redis, now or years later.
func Judge(sc *scenario.Scenario, arm scenario.Arm, h *history.History) ArmResult {
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
	j := judge{sc: sc, arm: arm, h: h, t: readTimeline(h.Marks, lastMoment(h))}
	j.h = until(h, j.t.end)
	remedy, _ := remedies.Find(arm.Remedy)
	j.r = ArmResult{
		Name: arm.Name, Why: arm.Why, Remedy: remedy.Name, Prevention: arm.Prevention, Claim: arm.Claim, Outcome: Pass, Reasons: []string{},
		Expected: Verdict(arm.Expect.Verdict), Against: arm.Against, Steps: j.t.steps, Truncated: h.Truncated, Signals: []SignalResult{},
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
		j.proofs = j.prove()
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
	r   ArmResult

	proofs []proof
	seen   signals.View
}

// fail and doubt give a reason why the outcome is not pass. Doubt weighs more:
// where an assumption did not hold, an expectation that was missed means nothing.
// The key is the expectation's in the scenario file; a doubt is of the whole arm.
func (j *judge) fail(key, format string, args ...any) {
	j.reason(key, fmt.Sprintf(format, args...))
	if j.r.Outcome == Pass {
		j.r.Outcome = Fail
	}
}

func (j *judge) doubt(format string, args ...any) {
	j.reason(j.sc.ArmKey(j.arm.Name), fmt.Sprintf(format, args...))
	j.r.Outcome = Inconclusive
}

// reason keeps a reason, and where in the scenario file it has its cause.
func (j *judge) reason(key, why string) {
	line, column := j.sc.Place(key)
	j.r.Reasons = append(j.r.Reasons, why)
	j.r.Places = append(j.r.Places, Place{Reason: why, Key: key, Line: line, Column: column})
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

func lastMoment(h *history.History) time.Duration {
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
		r := PhaseResult{Name: p.name, StartMS: millis(p.from), EndMS: millis(p.to), Classes: map[string]int64{}}
		response := hdrhistogram.New(1, time.Hour.Microseconds(), 3)
		for _, op := range j.h.Ops {
			// What was cut off at the end of the run belongs to its last phase.
			if !p.holds(op.Ended) && (p.to != j.t.end || op.Ended < p.to) {
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
		if r.GoodputPerS = perSecond(goodput(j.h.Ops, p.span)); p.to-p.from < bin { // too short for a whole one
			r.GoodputPerS = round(float64(r.Operations.OK)/(p.to-p.from).Seconds(), 1)
		}
		us := func(v int64) float64 { return float64(v) / 1000 }
		if r.Operations.OK > 0 {
			r.ResponseMS = Percentiles{us(response.ValueAtQuantile(50)), us(response.ValueAtQuantile(99)), us(response.Max())}
		}
		first, last := j.sampleAt(p.from), j.sampleAt(p.to)
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
	if j.t.baseline.empty() || j.t.incident.empty() {
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
	tail := span{j.t.incident.to - j.sc.Incident.ForMS.Duration(), j.t.incident.to}
	left := mean(goodput(j.h.Ops, tail)) / mean(goodput(j.h.Ops, j.t.baseline))
	reproduced := j.t.trigger != history.Never && left <= j.sc.Incident.GoodputRatio
	j.r.Reproduced = &reproduced
	if !reproduced {
		j.doubt("the incident was not reproduced: goodput was still %s%% of the baseline's (at most %s%% was to be left)",
			Percent(left), threshold(j.sc.Incident.GoodputRatio))
	}
	return reproduced
}

// tooBusy is the share of a half second above which lockjam was stalled for so
// long that a loss of goodput may be the machine's and not the server's.
const tooBusy = 0.25

// busiest finds the half second of a span in which lockjam was kept from
// running most.
func (j *judge) busiest(in span) (at time.Duration, share float64) {
	const window = 500 * time.Millisecond
	samples := j.h.Samples
	first := 0
	var stolen time.Duration
	for i, s := range samples {
		if !in.holds(s.At) {
			first, stolen = i+1, 0
			continue
		}
		stolen += s.SchedDelay
		for s.At-samples[first].At > window {
			stolen -= samples[first].SchedDelay
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
func (j *judge) blame(in span, key, format string, args ...any) {
	if !j.tooBusy(in) {
		j.fail(key, format, args...)
		return
	}
	j.reason(key, fmt.Sprintf(format, args...))
}

// tooBusy says whether goodput may have been lost to the machine, and if so
// that nothing can be concluded.
func (j *judge) tooBusy(in span) bool {
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
	r := SignalResult{Name: name, Claim: s.Claim, Expected: string(want.Expect), Met: true, Cleared: true}
	from := j.t.incident.from
	if j.t.trigger != history.Never {
		from = j.t.trigger
	}
	view, params := j.seen, s.Params.With(want.Params)
	// What a server does not let anybody read says nothing about the scenario: it
	// stands in the result, and the arm is judged without it.
	if r.Unavailable = s.Unavailable(view); r.Unavailable != "" {
		r.Met = want.Expect == scenario.Any
		j.r.Signals = append(j.r.Signals, r)
		return
	}
	r.Figures = s.Figures(view, params, signals.Span{From: from, To: j.t.incident.to})
	if !j.t.recovery.empty() {
		r.FiguresAfter = s.Figures(view, params, signals.Span{From: max(j.t.recovery.from, j.t.end-time.Second), To: j.t.end})
	}
	for _, f := range s.Firings(view, params) {
		if f.From < j.t.incident.from && (f.To >= j.t.baseline.from || f.Open) {
			r.BaselineFirings++
		}
		if f.From < j.t.incident.to && (f.To > from || f.Open) && !r.Fired {
			r.Fired = true
			after := max(millis(f.From-from), 0)
			r.DetectMS = &after
		}
		if f.Open {
			r.Cleared = false
		}
	}
	// What a firing is compared with may be the machine's doing as well.
	sighted := span{j.t.baseline.from, j.t.incident.to}
	switch {
	case want.Expect == scenario.Any:
	case r.BaselineFirings > 0:
		r.Met = false
		j.blame(j.t.baseline, j.ofSignal(name, "expect"), "signal %s fired in the baseline, where nothing was wrong", name)
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
	if p == nil || j.t.trigger == history.Never || p.Kind == waitgraph.Idle {
		return
	}
	if len(p.Foreign) > 0 && j.wantsProof() {
		j.doubt("whether the incident is a standstill cannot be told: %s", strings.Join(p.Reasons, "; "))
	}
	d := &Deadlock{
		Proved: p.Proved, Kind: string(p.Kind), AfterMS: round(p.AtMS-millis(j.t.trigger), 1), Sentence: p.Sentence,
		Checked: p.Checked, Reasons: p.Reasons, Foreign: p.Foreign,
	}
	if p.Proved {
		d.LateMS = round(p.AtMS-millis(j.allowedFrom(p.before, p.now)), 1)
	}
	for _, end := range []struct{ from, to **float64 }{{&p.FirstEndMS, &d.FirstEndMS}, {&p.ClearMS, &d.ClearMS}} {
		if *end.from != nil {
			after := round(**end.from-millis(j.t.trigger), 1)
			*end.to = &after
		}
	}
	if r := p.Residue; r != nil {
		d.Graph = r.Mermaid()
		d.Residue = Residue{Workers: int64(r.Workers), Locks: int64(r.Locks), Slots: int64(r.Slots), Turns: int64(r.Turns)}
	}
	j.r.Deadlock = d
}

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

func (j *judge) censusesIn(in span) (n int) {
	for _, c := range j.h.Census {
		if in.holds(c.At) {
			n++
		}
	}
	return n
}

// others lists the most connections that each client had which is not part of the run.
func (j *judge) others() {
	for _, c := range j.h.Census {
		for _, f := range c.Foreign {
			i := slices.IndexFunc(j.r.Foreign, func(g history.Foreign) bool { return g.Name == f.Name && g.Host == f.Host })
			if i < 0 {
				j.r.Foreign = append(j.r.Foreign, f)
				continue
			}
			j.r.Foreign[i].Connections = max(j.r.Foreign[i].Connections, f.Connections)
		}
	}
}

// levels sums an arm up in three figures. Means over whole phases would mix
// the collapse with what came before it, and the cure with the outage.
func (j *judge) levels() {
	per := func(s span) *float64 {
		v := perSecond(goodput(j.h.Ops, s))
		return &v
	}
	tail := j.sc.Incident.ForMS.Duration()
	j.r.Goodput.Before = per(j.t.baseline)
	j.r.Goodput.During = per(span{max(j.t.incident.from, j.t.incident.to-tail), j.t.incident.to})
	if j.t.recovery.empty() {
		return
	}
	from := max(j.t.recovery.from, j.t.end-tail)
	if r := j.r.Recovery; r != nil && r.RestoredAfterMS != nil && j.r.Verdict != Relapsed {
		from = j.t.remedyBegun + time.Duration(*r.RestoredAfterMS*float64(time.Millisecond))
	}
	j.r.Goodput.After = per(span{from, j.t.end})
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
	if j.sc.Trigger.Kind == triggers.None && j.r.Safety != (Safety{}) {
		j.fail(j.sc.ArmKey(j.arm.Name), "nothing was done to the swarm, and its lock does not exclude: %+v", j.r.Safety)
	}
	what := "remedy " + j.r.Remedy
	if j.arm.Prevention != "" {
		what = "prevention " + j.arm.Prevention
	}
	if want := j.arm.Expect.Unsafe; want != nil && j.r.Verdict != "" && *want != j.r.Unsafe {
		say := j.fail
		if !*want && j.sc.Swarm.Lock.TTLMS > 0 { // a lease runs out under a holder that does not get to run, and no other lock
			say = func(key, format string, args ...any) { j.blame(span{j.safeFrom(), j.t.end}, key, format, args...) }
		}
		say(j.inArm("unsafe"), "%s was expected to be %s and was %s: %+v", what, safeWord(*want), safeWord(j.r.Unsafe), j.r.Safety)
	}
	want := j.r.Expected
	if want == "" || j.r.Verdict == "" || want == j.r.Verdict {
		return
	}
	j.blame(span{j.t.baseline.from, j.t.end}, j.inArm("verdict"), "%s was expected to be %s and was %s: %s", what, want, j.r.Verdict, strings.TrimSuffix(j.r.Because, "."))
}

// ratio compares goodput with goodput.
func (j *judge) ratio(after, before []float64) interval {
	return ratio(after, before, j.sc.Swarm.Lock.HoldMS.Duration())
}

// perSecond is the mean of bins in decisions per second, as run.json keeps it.
func perSecond(bins []float64) float64 { return round(mean(bins)*float64(time.Second/bin), 1) }

func safeWord(unsafe bool) string {
	if unsafe {
		return "unsafe"
	}
	return "safe"
}

func mean(bins []float64) float64 {
	if len(bins) == 0 {
		return 0
	}
	return stat.Mean(bins, nil)
}
