// Package judge turns the evidence of an arm into its result. It is pure: functions over one
// immutable [Evidence]. It never sees a Redis, and changes no scenario.
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

// Judge is the result of a recorded arm. It is pure: the same scenario and history give
// the same result, with or without a Redis, now or years later.
func Judge(sc *scenario.Scenario, arm scenario.Arm, h *history.History) result.Arm {
	e := Gather(sc.For(arm), arm, h)
	out := begin(e)
	switch assumptions(e, out) {
	case forVerdicts:
		verdicts(e, out)
	case forFigures:
		describe(e, out)
	}
	return out.Arm
}

// Evidence is everything that an arm is judged by. Nothing that judges changes it.
type Evidence struct {
	Scenario *scenario.Scenario // as the arm has it
	Arm      scenario.Arm
	History  *history.History // up to the end of what is judged
	Time     timeline
	Proofs   []standstill.Proof // one for each census but the first
	Seen     signals.View       // what signals may look at

	facts result.Arm // what happened, without an opinion
}

// Gather reads an arm's evidence from its history. The scenario is the arm's: see [scenario.Scenario.For].
func Gather(sc *scenario.Scenario, arm scenario.Arm, h *history.History) Evidence {
	e := outline(sc, arm, h)
	e.Proofs = prover(e).Prove(e.History.Census)
	e.Seen = view(e)
	remedy, _ := remedies.Find(arm.Remedy)
	e.facts = result.Arm{
		Name: arm.Name, Why: arm.Why, Remedy: remedy.Name, Prevention: arm.Prevention, Claim: arm.Claim,
		Outcome: result.Pass, Reasons: []string{}, Expected: result.Verdict(arm.Expect.Verdict), Against: arm.Against,
		Steps: e.Time.steps, Truncated: h.Truncated, Signals: []result.Signal{}, Checked: []string{},
		Phases: phaseResults(e), ErrorReplies: errorReplies(e), Probes: probes(e), Foreign: foreignClients(e),
		Early: early(e),
	}
	return e
}

// outline is the part of the evidence that costs little: what happened when, and no proofs.
func outline(sc *scenario.Scenario, arm scenario.Arm, h *history.History) Evidence {
	e := Evidence{Scenario: sc, Arm: arm, Time: ReadTimeline(h.Marks, LastMoment(h))}
	e.History = until(h, e.Time.End)
	e.facts.Outcome = result.Pass
	return e
}

// ruling is the result of an arm while it is being reached.
type ruling struct {
	result.Arm
	of     *scenario.Scenario
	wanted map[string]scenario.Signal // what is expected of the signals
}

// begin is a ruling of which no more is decided than what happened.
func begin(e Evidence) *ruling {
	out := &ruling{Arm: e.facts, of: e.Scenario}
	if e.Arm.Prevention == "" { // where the failure is kept from happening, nothing is expected of a signal
		out.wanted = e.Scenario.Signals
	}
	return out
}

// basis is what a record is good for.
type basis uint8

const (
	forNothing  basis = iota // too little of it is there
	forFigures               // an assumption does not hold: it shows what happened, and proves nothing
	forVerdicts              //
)

// describe reports what happened in an arm that no verdict can be drawn from. Nothing
// is expected of it.
func describe(e Evidence, out *ruling) {
	out.wanted = nil
	judgeSignals(e, out)
	deadlock(e, out)
	safety(e, out)
	levels(e, out)
	violationLevels(e, out)
}

// verdicts compares what was seen with what is expected.
func verdicts(e Evidence, out *ruling) {
	judgeSignals(e, out)
	deadlock(e, out)
	safety(e, out)
	remedy(e, out)
	prevention(e, out)
	levels(e, out)
	violationLevels(e, out)
	expectations(e, out)
	checked(e, out)
}

// fail and doubt give a reason why the outcome is not pass. Doubt weighs more:
// where an assumption did not hold, an expectation that was missed means nothing.
// The key is the expectation's in the scenario file; a doubt is of the whole arm.
func (r *ruling) fail(key, format string, args ...any) {
	r.reason(key, fmt.Sprintf(format, args...))
	if r.Outcome == result.Pass {
		r.Outcome = result.Fail
	}
}

func (r *ruling) doubt(format string, args ...any) {
	r.reason(r.of.ArmKey(r.Name), fmt.Sprintf(format, args...))
	r.Outcome = result.Inconclusive
}

// reason keeps a reason, and where in the scenario file it has its cause.
func (r *ruling) reason(key, why string) {
	line, column := r.of.Place(key)
	r.Reasons = append(r.Reasons, why)
	r.Places = append(r.Places, result.Location{Reason: why, Key: key, Line: line, Column: column})
}

// inArm is the key of what is expected of the arm.
func inArm(e Evidence, name string) string { return e.Scenario.ArmKey(e.Arm.Name) + ".expect." + name }

// ofSignal is the key of what is expected of a signal: the arm's, if it has a say.
func ofSignal(e Evidence, signal, name string) string {
	key := "signals." + signal + "." + name
	if _, own := e.Arm.Signals[signal]; own {
		return e.Scenario.ArmKey(e.Arm.Name) + "." + key
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

func phaseResults(e Evidence) (all []result.Phase) {
	for _, p := range e.Time.phases() {
		r := result.Phase{Name: p.name, StartMS: text.Millis(p.From), EndMS: text.Millis(p.To),
			Classes: map[string]int64{}}
		response := hdrhistogram.New(1, time.Hour.Microseconds(), 3)
		for _, op := range e.History.Ops {
			// What was cut off at the end of the run belongs to its last phase.
			if !p.Holds(op.Ended) && (p.To != e.Time.End || op.Ended < p.To) {
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
		if r.GoodputPerS = perSecond(goodput(e.History.Ops, p.Span)); p.To-p.From < stats.Bin {
			// too short for a whole one
			r.GoodputPerS = text.Round(float64(r.Operations.OK)/(p.To-p.From).Seconds(), 1)
		}
		us := func(v int64) float64 { return float64(v) / 1000 }
		if r.Operations.OK > 0 {
			r.ResponseMS = result.Percentiles{P50: us(response.ValueAtQuantile(50)),
				P99: us(response.ValueAtQuantile(99)), Max: us(response.Max())}
		}
		first, last := sampleAt(e, p.From), sampleAt(e, p.To)
		for c := range history.Classes {
			if n := last.Errors[c] - first.Errors[c]; n > 0 {
				r.Classes[history.Class(c).String()] = n
			}
		}
		for prefix, reply := range last.Replies.Since(first.Replies) {
			if r.ErrorReplies == nil {
				r.ErrorReplies = map[string]int64{}
			}
			r.ErrorReplies[prefix] = reply.Count
		}
		r.DroppedCount = last.Dropped - first.Dropped
		all = append(all, r)
	}
	return all
}

// sampleAt is the swarm's count at the first sample that is not older than at.
// The harness takes one at every phase mark.
func sampleAt(e Evidence, at time.Duration) history.Swarm {
	if len(e.History.Samples) == 0 {
		return history.Swarm{}
	}
	i, _ := slices.BinarySearchFunc(e.History.Samples, at,
		func(s history.Sample, at time.Duration) int { return int(s.At - at) })
	return e.History.Samples[min(i, len(e.History.Samples)-1)].Swarm
}

// assumptions checks what everything else stands on: a complete history, a server that
// was left alone, a steady baseline, and an incident that took place.
func assumptions(e Evidence, out *ruling) basis {
	for _, note := range e.Time.notes {
		out.doubt("%s", note)
	}
	if e.History.Truncated {
		out.doubt("the recording ends in the middle: the run was interrupted")
		return forNothing // whatever is missing may only have been cut off
	}
	undisturbed := undisturbed(e, out)
	if e.Time.cut != "" && len(e.Time.notes) == 0 {
		out.doubt("the arm was cut short: %s", e.Time.cut)
	}
	if e.Time.cut != "" {
		return forNothing
	}
	if e.Time.Baseline.Empty() || e.Time.incident.Empty() {
		out.doubt("%s", noBaseline(e, out))
		return forNothing
	}
	if !undisturbed {
		return forFigures
	}
	if e.Scenario.Trigger.Kind == triggers.None || e.Arm.Prevention != "" {
		return forVerdicts // no incident is to be reproduced
	}
	if !reproduced(e, out) {
		return forFigures
	}
	return forVerdicts
}

// reproduced reports whether the incident took place, and doubts the arm if it did not.
func reproduced(e Evidence, out *ruling) bool {
	if e.Scenario.Incident.Faults > 0 {
		return violationsReproduced(e, out)
	}
	tail := history.Span{From: e.Time.incident.To - e.Scenario.Incident.ForMS.Duration(), To: e.Time.incident.To}
	left := stats.Mean(goodput(e.History.Ops, tail)) / stats.Mean(goodput(e.History.Ops, e.Time.Baseline))
	reproduced := e.Time.Trigger != history.Never && left <= e.Scenario.Incident.GoodputRatio
	out.Reproduced = &reproduced
	if !reproduced {
		out.doubt("the incident was not reproduced: goodput was still %s%% of the baseline's (at most %s%% was to be left)",
			text.Percent(left), text.Threshold(e.Scenario.Incident.GoodputRatio))
	}
	return reproduced
}

// busyShare is the share of a half second above which lockjam was stalled for so
// long that a loss of goodput may be the machine's and not the server's.
const busyShare = 0.25

// busiest finds the half second of a span in which lockjam was kept from
// running most.
func busiest(e Evidence, in history.Span) (at time.Duration, share float64) {
	const window = 500 * time.Millisecond
	samples := e.History.Samples
	first := 0
	var stolen time.Duration
	for i, s := range samples {
		if !in.Holds(s.At) {
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
func blame(e Evidence, out *ruling, in history.Span, key, format string, args ...any) {
	if !tooBusy(e, out, in) {
		out.fail(key, format, args...)
		return
	}
	out.reason(key, fmt.Sprintf(format, args...))
}

// tooBusy reports whether goodput may have been lost to the machine, and if so
// that nothing can be concluded.
func tooBusy(e Evidence, out *ruling, in history.Span) bool {
	at, share := busiest(e, in)
	if share <= busyShare {
		return false
	}
	out.Noisy = true
	out.doubt("the machine was too busy: lockjam was kept from running for %.0f%% of the half second up to %.1f s, and goodput with it", 100*share, at.Seconds())
	return true
}

func judgeSignals(e Evidence, out *ruling) {
	for _, s := range signals.All() {
		judgeSignal(e, out, s)
	}
}

func judgeSignal(e Evidence, out *ruling, s signals.Signal) {
	name := s.Name
	want, named := out.wanted[name]
	if !named || want.Expect == "" {
		want.Expect = scenario.Any
	}
	r := result.Signal{Name: name, Claim: s.Claim, Expected: string(want.Expect), Met: true, Cleared: true}
	from := e.Time.incident.From
	if e.Time.Trigger != history.Never {
		from = e.Time.Trigger
	}
	view, params := e.Seen, s.Params.With(want.Params)
	// What a server does not let anybody read says nothing about the scenario: it
	// stands in the result, and the arm is judged without it.
	if r.Unavailable = s.Unavailable(view); r.Unavailable != "" {
		r.Met = want.Expect == scenario.Any
		out.Signals = append(out.Signals, r)
		return
	}
	r.Figures = s.Figures(view, params, signals.Span{From: from, To: e.Time.incident.To})
	if !e.Time.recovery.Empty() {
		r.FiguresAfter = s.Figures(view, params,
			signals.Span{From: max(e.Time.recovery.From, e.Time.End-time.Second), To: e.Time.End})
	}
	for _, f := range s.Firings(view, params) {
		if f.From < e.Time.incident.From && (f.To >= e.Time.Baseline.From || f.Open) {
			r.BaselineFirings++
		}
		if f.From < e.Time.incident.To && (f.To > from || f.Open) && !r.Fired {
			r.Fired = true
			after := max(text.Millis(f.From-from), 0)
			r.DetectMS = &after
		}
		if f.Open {
			r.Cleared = false
		}
	}
	if answered := e.Time.answered; answered != nil && !r.Fired && r.BaselineFirings == 0 {
		// Silence of a shortened incident says nothing.
		r.AnsweredBy = answered.Detail
		r.Unavailable = "the incident ended once it was shown, and " + answered.Detail + " waits for this signal"
		r.Met, r.Cleared = true, true
		out.Signals = append(out.Signals, r)
		return
	}
	// What a firing is compared with may be the machine's doing as well.
	sighted := history.Span{From: e.Time.Baseline.From, To: e.Time.incident.To}
	switch {
	case want.Expect == scenario.Any:
	case r.BaselineFirings > 0:
		r.Met = false
		blame(e, out, e.Time.Baseline, ofSignal(e, name, "expect"),
			"signal %s fired in the baseline, where nothing was wrong", name)
	case want.Expect == scenario.Silent && r.Fired:
		r.Met = false
		blame(e, out, e.Time.incident, ofSignal(e, name, "expect"),
			"signal %s was to stay silent and fired after %.0f ms", name, *r.DetectMS)
	case want.Expect == scenario.Fire && !r.Fired:
		r.Met = false
		blame(e, out, sighted, ofSignal(e, name, "expect"), "signal %s was to fire and stayed silent", name)
	case want.Expect == scenario.Fire && want.WithinMS > 0 && *r.DetectMS > float64(want.WithinMS):
		r.Met = false
		blame(e, out, sighted, ofSignal(e, name, "within_ms"),
			"signal %s fired after %.0f ms, later than the %.0f ms expected", name, *r.DetectMS, float64(want.WithinMS))
	}
	out.Signals = append(out.Signals, r)
}

// deadlock says what the incident's standstill is, if it is one: proved from the
// wait-for graph, or what it looks like and why nothing is proved.
func deadlock(e Evidence, out *ruling) {
	p := proved(e)
	if p == nil || e.Time.Trigger == history.Never || p.Kind == waitgraph.Idle {
		return
	}
	if len(p.Foreign) > 0 && wantsProof(e, out) {
		out.doubt("whether the incident is a standstill is not known: %s", strings.Join(p.Reasons, "; "))
	}
	d := &result.Deadlock{
		Proved: p.Proved, Kind: string(p.Kind), AfterMS: text.Round(p.AtMS-text.Millis(e.Time.Trigger), 1),
		Sentence: p.Sentence,
		Checked:  p.Checked, Reasons: p.Reasons, Foreign: p.Foreign,
	}
	if p.Proved {
		d.LateMS = text.Round(p.AtMS-text.Millis(prover(e).AllowedFrom(p.Before, p.Now)), 1)
	}
	for _, end := range []struct{ from, to **float64 }{{&p.FirstEndMS, &d.FirstEndMS}, {&p.ClearMS, &d.ClearMS}} {
		if *end.from != nil {
			after := text.Round(**end.from-text.Millis(e.Time.Trigger), 1)
			*end.to = &after
		}
	}
	if r := p.Residue; r != nil {
		d.Graph = r.Mermaid()
		d.Residue = result.Residue{Workers: int64(r.Workers), Locks: int64(r.Locks), Slots: int64(r.Slots),
			Turns: int64(r.Turns)}
	}
	out.Deadlock = d
}

// prover proves what the incident is.
func prover(e Evidence) standstill.Prover {
	return standstill.Prover{Scenario: e.Scenario, Ops: e.History.Ops}
}

// wantsProof reports whether the scenario expects something of the wait-for graph.
func wantsProof(e Evidence, out *ruling) bool {
	return e.Scenario.Incident.Kind != "" || out.wanted["deadlock"].Expect == scenario.Fire
}

// unproved is what the graph found where it proved nothing; never empty.
func unproved(e Evidence) string {
	p := proved(e)
	switch {
	case p == nil:
		return fmt.Sprintf("it takes two censuses, and the incident has %d", censusesIn(e, e.Time.incident))
	case p.Kind == waitgraph.Unproved:
		return strings.Join(p.Reasons, "; ")
	}
	return strings.TrimSuffix(p.Sentence, ".")
}

func censusesIn(e Evidence, in history.Span) (n int) {
	for _, c := range e.History.Census {
		if in.Holds(c.At) {
			n++
		}
	}
	return n
}

// foreignClients lists the most connections that each client had which is not part of the run.
func foreignClients(e Evidence) (all []result.Foreign) {
	for _, c := range e.History.Census {
		for _, f := range c.Foreign {
			i := slices.IndexFunc(all, func(g result.Foreign) bool { return g.Name == f.Name && g.Host == f.Host })
			if i < 0 {
				all = append(all, result.Foreign(f))
				continue
			}
			all[i].Connections = max(all[i].Connections, f.Connections)
		}
	}
	return all
}

// levels sums an arm up in three figures. Means over whole phases would mix
// the collapse with what came before it, and the cure with the outage.
func levels(e Evidence, out *ruling) {
	per := func(s history.Span) *float64 {
		v := perSecond(goodput(e.History.Ops, s))
		return &v
	}
	tail := e.Scenario.Incident.ForMS.Duration()
	out.Goodput.Before = per(e.Time.Baseline)
	out.Goodput.During = per(history.Span{From: max(e.Time.incident.From, e.Time.incident.To-tail),
		To: e.Time.incident.To})
	if e.Time.recovery.Empty() {
		return
	}
	from := max(e.Time.recovery.From, e.Time.End-tail)
	if r := out.Recovery; r != nil && r.RestoredAfterMS != nil && out.Verdict != result.Relapsed {
		from = e.Time.remedyBegun + time.Duration(*r.RestoredAfterMS*float64(time.Millisecond))
	}
	out.Goodput.After = per(history.Span{From: from, To: e.Time.End})
}

// expectations compares the verdict with what was measured when the scenario
// was written.
func expectations(e Evidence, out *ruling) {
	if want := e.Scenario.Incident.Kind; want != "" && out.Reproduced != nil && e.Arm.Prevention == "" {
		switch d := out.Deadlock; {
		case d != nil && len(d.Foreign) > 0: // which is said already
		case d == nil || !d.Proved:
			blame(e, out, e.Time.incident, "incident.kind",
				"the incident was expected to be proved %s, and nothing was proved: %s", want, unproved(e))
		case d.Kind != want:
			out.fail("incident.kind", "the incident was expected to be proved %s, and was proved %s: %s", want, d.Kind,
				d.Sentence)
		}
	}
	if e.Scenario.Trigger.Kind == triggers.None && out.Safety != (result.Safety{}) {
		out.fail(e.Scenario.ArmKey(e.Arm.Name), "nothing was done to the swarm, and its lock does not exclude: %+v",
			out.Safety)
	}
	what := "remedy " + out.Remedy
	if e.Arm.Prevention != "" {
		what = "prevention " + e.Arm.Prevention
	}
	if want := e.Arm.Expect.Unsafe; want != nil && out.Verdict != "" && *want != out.Unsafe {
		say := out.fail
		if !*want && e.Scenario.Swarm.Lock.TTLMS > 0 {
			// a lease runs out under a holder that does not get to run, and no other lock
			say = func(key, format string, args ...any) {
				blame(e, out, history.Span{From: safeFrom(e), To: e.Time.End}, key, format, args...)
			}
		}
		say(inArm(e, "unsafe"), "%s was expected to be %s and was %s: %+v", what, safeWord(*want), safeWord(out.Unsafe),
			out.Safety)
	}
	want := out.Expected
	if want == "" || out.Verdict == "" || want == out.Verdict {
		return
	}
	blame(e, out, history.Span{From: e.Time.Baseline.From, To: e.Time.End}, inArm(e, "verdict"),
		"%s was expected to be %s and was %s: %s", what, want, out.Verdict, strings.TrimSuffix(out.Because, "."))
}

// ratio compares goodput with goodput.
func ratio(e Evidence, after, before []float64) stats.Interval {
	return stats.Ratio(after, before, e.Scenario.Swarm.Lock.HoldMS.Duration(), stats.Level)
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
func proved(e Evidence) *standstill.Proof { return standstill.Decisive(e.Proofs, e.Time.incident) }

// findings are the proofs as signals see them.
func findings(e Evidence) []signals.Proof {
	all := make([]signals.Proof, len(e.Proofs))
	for i, p := range e.Proofs {
		all[i] = p.ForSignals()
	}
	return all
}
