package judge

import (
	"cmp"
	"slices"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/sampler"
	"github.com/lockjam/lockjam/harness/signals"
	"github.com/lockjam/lockjam/harness/stats"
	"github.com/lockjam/lockjam/harness/text"
)

// timeline is what the marks of a history say about when what happened.
type timeline struct {
	warmup, Baseline, incident, recovery history.Span
	Trigger                              time.Duration // history.Never without one
	remedyBegun, remedyApplied           time.Duration // history.Never if it did not come to that
	blocked                              string        // why the remedy could not be applied
	isBlocked, notOurs                   bool
	steps                                []result.Step
	notes                                []string
	cut                                  string // why the arm ended before its time
	End                                  time.Duration

	looks    []history.Mark // at the phase that the verdict comes from
	answered *history.Mark  // the look that ended the incident; nil if it took its time
}

// phaseResults lists the phases that took place, in order.
func (t timeline) phases() []namedSpan {
	all := []namedSpan{
		{history.Warmup, t.warmup}, {history.Baseline, t.Baseline},
		{history.Incident, t.incident}, {history.Recovery, t.recovery},
	}
	var some []namedSpan
	for _, p := range all {
		if !p.Empty() {
			some = append(some, p)
		}
	}
	return some
}

type namedSpan struct {
	name string
	history.Span
}

func ReadTimeline(marks []history.Mark, last time.Duration) timeline {
	t := timeline{Trigger: history.Never, remedyBegun: history.Never, remedyApplied: history.Never, End: last}
	starts := map[string]time.Duration{}
	var looks []history.Mark
	for _, m := range marks {
		switch m.Kind {
		case history.PhaseMark:
			starts[m.Name] = m.At
			switch m.Name {
			case history.Probing:
				t.End = m.At
			case history.End:
				t.cut = m.Detail
				if _, probed := starts[history.Probing]; !probed {
					t.End = m.At
				}
			}
		case history.TriggerMark:
			t.Trigger = m.At
		case history.LookMark:
			looks = append(looks, m)
		case history.RemedyMark:
			switch m.Name {
			case history.Begun:
				t.remedyBegun = m.At
			case history.Applied:
				t.remedyApplied = m.At
			case history.Blocked:
				t.isBlocked, t.blocked = true, m.Detail
			case history.NotOurs:
				t.notOurs, t.blocked = true, m.Detail
			}
		case history.StepMark:
			t.steps = append(t.steps, result.Step{AtMS: text.Millis(m.At), Did: m.Name, Answer: m.Detail})
		case history.NoteMark:
			t.notes = append(t.notes, m.Detail)
		}
	}
	t.readLooks(looks, starts)
	end := t.End
	until := func(name string, to *history.Span) {
		if at, ok := starts[name]; ok {
			*to = history.Span{From: at, To: end}
			end = at
		}
	}
	until(history.Recovery, &t.recovery)
	until(history.Incident, &t.incident)
	until(history.Baseline, &t.Baseline)
	until(history.Warmup, &t.warmup)
	return t
}

// readLooks tells looks at the last phase, the newest of which is the end of what is judged,
// from the one that ended the incident before it.
func (t *timeline) readLooks(looks []history.Mark, starts map[string]time.Duration) {
	_, recovered := starts[history.Recovery]
	for i, look := range looks {
		if recovered && look.Name == history.Incident {
			t.answered = &looks[i]
			continue
		}
		t.looks = append(t.looks, look)
		t.End = look.At
	}
}

// until is a history as it was at that moment: what was in flight then is cut off
// there, and what came later is not in it.
func until(h *history.History, at time.Duration) *history.History {
	cut := *h
	cut.Samples = slices.DeleteFunc(slices.Clone(h.Samples),
		func(s history.Sample) bool { return s.At > at+sampler.Every })
	cut.Census = slices.DeleteFunc(slices.Clone(h.Census), func(c history.Census) bool { return c.At > at })
	first, _ := slices.BinarySearchFunc(h.Ops, at+1,
		func(op history.Op, at time.Duration) int { return cmp.Compare(op.Ended, at) })
	// Mostly there is nothing to change, and millions of operations need no copy.
	if !slices.ContainsFunc(h.Ops[first:], func(op history.Op) bool {
		return op.Outcome != history.Unknown || op.Begun >= at || max(op.Granted, op.Worked, op.Released) > at
	}) {
		return &cut
	}
	cut.Ops = slices.Clone(h.Ops[:first])
	gone := func(t *time.Duration) bool {
		if *t <= at {
			return false
		}
		*t = history.Never
		return true
	}
	for _, op := range h.Ops[first:] {
		if op.Begun >= at {
			continue
		}
		op.Ended, op.Outcome = at, history.Unknown
		if gone(&op.Granted) {
			op.Fence = 0
		}
		if gone(&op.Worked) {
			op.Count = 0
		}
		gone(&op.Released)
		cut.Ops = append(cut.Ops, op)
	}
	return &cut
}

// view is what signals may look at.
func view(e Evidence) signals.View {
	return signals.View{
		Samples: e.History.Samples, Ops: e.History.Ops, Census: e.History.Census, Findings: findings(e),
		Baseline: signals.Span{From: e.Time.Baseline.From, To: e.Time.Baseline.To},
	}
}

// goodput counts completed decisions per bin. The last, incomplete bin of the
// span is left out.
func goodput(ops []history.Op, in history.Span) []float64 {
	bins := make([]float64, max(int((in.To-in.From)/stats.Bin), 0))
	for _, op := range ops {
		if op.Outcome != history.OK || !in.Holds(op.Ended) {
			continue
		}
		if i := int((op.Ended - in.From) / stats.Bin); i < len(bins) {
			bins[i]++
		}
	}
	return bins
}

// SteadyStretch looks at the newest samples for a stretch of this length whose
// goodput is steady, and returns where it begins and ends.
func SteadyStretch(samples []history.Sample, length, work time.Duration) (history.Span, bool) {
	last := len(samples) - 1
	if last < 0 || samples[0].At > samples[last].At-length {
		return history.Span{}, false
	}
	from := last
	for from > 0 && samples[last].At-samples[from].At < length {
		from--
	}
	bins := make([]float64, 0, last-from)
	for i := from + 1; i <= last; i++ {
		a, b := samples[i-1], samples[i]
		if b.At > a.At {
			bins = append(bins, float64(b.Swarm.Decisions-a.Swarm.Decisions)*float64(stats.Bin)/float64(b.At-a.At))
		}
	}
	return history.Span{From: samples[from].At, To: samples[last].At}, stats.Steady(bins, work)
}
