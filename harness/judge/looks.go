package judge

import (
	"cmp"
	"slices"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/sampler"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/stats"
	"github.com/lockjam/lockjam/harness/text"
	"github.com/lockjam/lockjam/harness/waitgraph"
)

// looks are the moments at which an interval may decide an arm's last phase, as shares of its
// length. They are few and fixed beforehand, and what they cost in confidence is paid for: see
// [stats.Levels].
var looks = [...]float64{0.4, 0.7, 0.85, 1}

// AskEvery is how often a phase is asked whether a fact or a proof has decided it, which costs
// no confidence.
const AskEvery = 200 * time.Millisecond

// Moment is when an arm's last phase is looked at.
type Moment struct {
	After   time.Duration // the phase's beginning
	Planned bool          // it may decide by an interval
}

// Moments are those of a phase of this length, in order; the last is at its end.
func Moments(length time.Duration) []Moment {
	var all []Moment
	for after := 2 * AskEvery; after < length; after += AskEvery {
		all = append(all, Moment{After: after})
	}
	for _, share := range looks {
		all = append(all, Moment{time.Duration(share * float64(length)), true})
	}
	slices.SortStableFunc(all, func(a, b Moment) int { return cmp.Compare(a.After, b.After) })
	return all
}

// Decides asks what may be asked at that moment.
func (m Moment) Decides(sc *scenario.Scenario, arm scenario.Arm, h *history.History) bool {
	if m.Planned {
		return Decided(sc, arm, h)
	}
	return Settled(sc, arm, h)
}

// Decided reports whether an arm's verdict can no longer change, whatever is still to come of
// its last phase; the history is of an arm that goes on, and its last mark is the look. What
// has been seen decides, never what has not: that a prevention prevents, or that safety holds,
// takes the scenario's whole time to show.
func Decided(sc *scenario.Scenario, arm scenario.Arm, h *history.History) bool {
	e := outline(sc.For(arm), arm, h)
	out := begin(e)
	return settled(e, out) || out.Outcome == result.Pass && out.Verdict == result.Cured &&
		e.Scenario.Incident.Faults == 0 && !violationAwaited(e, out)
}

// Settled reports whether a verdict is decided without an interval that another look would
// make wider: by a fact, or by a proof. It may be asked at any time.
func Settled(sc *scenario.Scenario, arm scenario.Arm, h *history.History) bool {
	e := outline(sc.For(arm), arm, h)
	return settled(e, begin(e))
}

func settled(e Evidence, out *ruling) bool {
	if assumptions(e, out) != forVerdicts {
		return false
	}
	safety(e, out)
	remedy(e, out)
	prevention(e, out)
	if out.Outcome != result.Pass || violationAwaited(e, out) { // in doubt, or not everything was seen
		return false
	}
	switch out.Verdict {
	case result.Blocked:
		return true
	case result.Relapsed:
		return out.Recovery.RestoredAfterMS != nil || lastsForever(e)
	case result.NoEffect, result.NotPrevented:
		return lastsForever(e)
	}
	return false
}

// violationAwaited reports whether an arm is expected to break safety and has not done so yet.
func violationAwaited(e Evidence, out *ruling) bool {
	expected := e.Arm.Expect.Unsafe
	return expected != nil && *expected && !out.Unsafe
}

// lastsForever reports whether the newest wait-for graph proves a standstill that nothing
// within the swarm ends: no lease in it runs out and no client in it gives up. Redis has to
// agree, and to answer still: a server that is stopped looks the same to the workers.
func lastsForever(e Evidence) bool {
	newest := len(e.History.Census) - 1
	if newest < 1 || !answering(e) {
		return false
	}
	p := prover(e).At(e.History.Census, newest)
	since := max(e.Time.Trigger, e.Time.remedyBegun, e.Time.remedyApplied)
	return p.Before.At > since && p.Proved && p.Checked && p.FirstEndMS == nil && p.ClearMS == nil &&
		len(p.Foreign) == 0 && (p.Kind == waitgraph.Deadlock || p.Kind == waitgraph.Orphaned)
}

// answering reports whether the server answered the sampler a moment ago.
func answering(e Evidence) bool {
	for _, s := range slices.Backward(e.History.Samples) {
		if s.At <= e.Time.End {
			return s.Server != nil && s.At >= e.Time.End-3*sampler.Every
		}
	}
	return false
}

// Shown reports whether an incident that goes on has shown all that the scenario's whole time
// would: it stands still, has done so for as long as incidents are judged by, and is proved to,
// and of the kind that is expected. An incident that is not a standstill takes its time: how
// far goodput falls, and what a remedy then does, depends on it. The last mark of the history
// is the look.
func Shown(sc *scenario.Scenario, arm scenario.Arm, h *history.History) bool {
	e := outline(sc.For(arm), arm, h)
	out := begin(e)
	if e.Scenario.Incident.Faults > 0 || assumptions(e, out) != forVerdicts || !answering(e) ||
		grantsIn(e, tailOf(e, e.Time.incident)) > 0 {
		return false
	}
	first := slices.IndexFunc(e.History.Census, func(c history.Census) bool { return c.At >= e.Time.incident.From })
	e.Proofs = prover(e).Prove(e.History.Census[max(first, 0):])
	p := proved(e)
	want := e.Scenario.Incident.Kind
	return p != nil && p.Proved && p.Checked && (want == "" || string(p.Kind) == want)
}

// level is the two-sided level of an interval of goodput from that moment on. It is smaller
// where the verdict could have been decided at earlier looks as well.
func level(e Evidence, from time.Duration) float64 {
	var shares []float64
	for _, look := range e.Time.looks {
		seen := look.At - from
		if seen < max(e.Scenario.Cure.HoldMS.Duration(), 2*stats.Bin) || look.Until <= from {
			continue // too early to decide anything by an interval
		}
		share := min(seen.Seconds()/(look.Until-from).Seconds(), 1)
		if n := len(shares); n == 0 || share > shares[n-1] {
			shares = append(shares, share)
		}
	}
	if len(shares) == 0 {
		return stats.Level
	}
	levels := stats.Levels(shares)
	return levels[len(levels)-1]
}

// early is what was saved of an arm's time, and on whose answer; nil where every phase took
// its time.
func early(e Evidence) *result.Early {
	var r result.Early
	if e.Time.answered != nil {
		r.AnsweredBy = e.Time.answered.Detail
		r.IncidentSavedMS = savedBy(e.Time.answered)
	}
	if n := len(e.Time.looks); n > 0 {
		last := e.Time.looks[n-1]
		r.Looks, r.VerdictSavedMS = int64(n), savedBy(&last)
	}
	if r == (result.Early{}) {
		return nil
	}
	return &r
}

func savedBy(look *history.Mark) float64 {
	return max(float64(look.Until-look.At)/float64(time.Millisecond), 0)
}

// Replay goes through the looks that a recorded arm would have had: the history is of one
// whose phases took the scenario's time. It reports false where there is nothing to replay.
func Replay(sc *scenario.Scenario, arm scenario.Arm, h *history.History) (result.Replay, bool) {
	full := Judge(sc, arm, h)
	t := ReadTimeline(h.Marks, LastMoment(h))
	phase, start := history.Recovery, max(t.remedyBegun, t.remedyApplied, t.recovery.From)
	if arm.Prevention != "" {
		phase, start = history.Incident, max(t.Trigger, t.incident.From)
	}
	if full.Verdict == "" || len(t.looks) > 0 || start >= t.End {
		return result.Replay{}, false
	}
	r := result.Replay{Full: full.Verdict, Early: full.Verdict, FullUnsafe: full.Unsafe, EarlyUnsafe: full.Unsafe}
	seen := *h
	seen.Marks = slices.DeleteFunc(slices.Clone(h.Marks), func(m history.Mark) bool { return m.At >= t.End })
	for _, m := range Moments(t.End - start) {
		look := history.Mark{At: start + m.After, Kind: history.LookMark, Name: phase, Until: t.End}
		marks := append(slices.Clip(seen.Marks), look)
		h := seen
		if h.Marks = marks; m.Decides(sc, arm, &h) && look.At < t.End {
			early := Judge(sc, arm, &h)
			r.Looks, r.SavedMS = early.Early.Looks, text.Millis(t.End-look.At)
			r.Early, r.EarlyUnsafe, r.Because = early.Verdict, early.Unsafe, early.Because
			break
		}
		if m.Planned {
			seen.Marks = marks
		}
	}
	return r, true
}
