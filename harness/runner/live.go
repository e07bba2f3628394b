package runner

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/sampler"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/signals"
	"github.com/lockjam/lockjam/harness/standstill"
	"github.com/lockjam/lockjam/harness/text"
	"github.com/lockjam/lockjam/harness/waitgraph"
)

const (
	// lookEvery is how often onlookers learn of signals.
	lookEvery = 200 * time.Millisecond
	// lookBack is how much of the history is looked at again, beside the baseline. It
	// bounds what a look costs, however long the arm runs.
	lookBack = 10 * time.Second
	// maxStates bounds what is kept of censuses: each has a state of every worker.
	maxStates = 40_000
)

// live tells onlookers of the signals and of the proof while an arm runs. It asks the
// same pure functions as the judge, of the history so far, away from the swarm and the
// sampling. The judge does not listen to it: what counts is judged from the record.
//
// Operations are not in its view, for that would cost the swarm: a signal that reads
// nothing else says nothing before the arm is over.
type live struct {
	prover  standstill.Prover
	params  map[string]signals.Params
	back    time.Duration
	observe func(result.Event)

	mu        sync.Mutex
	samples   []history.Sample
	census    []history.Census
	baseline  signals.Span
	incident  history.Span // its end is that of time as long as it goes on
	triggered bool
	over      time.Duration // what comes later is not judged; history.Never as long as nothing is over

	findings []signals.Proof
	asked    int // censuses that the proof has been sought in
	forgot   int // censuses that are gone from the front
	proved   bool
	told     map[string]*toldSignal
}

// toldSignal is what was said last of a signal.
type toldSignal struct {
	at     time.Duration // when it was raised or cleared; history.Never before that
	firing bool
}

// endless is when a span ends that has not ended.
const endless = time.Duration(1<<63 - 1)

func newLive(sc *scenario.Scenario, arm scenario.Arm, observe func(result.Event)) *live {
	l := &live{
		prover: standstill.Prover{Scenario: sc},
		params: map[string]signals.Params{}, back: lookBack, observe: observe, over: history.Never,
		told: map[string]*toldSignal{},
	}
	l.back = max(l.back, 2*l.prover.Longest())
	for _, s := range signals.All() {
		params := s.Params
		if arm.Prevention == "" { // as the judge has it
			params = params.With(sc.Signals[s.Name].Params)
		}
		l.params[s.Name] = params
		l.told[s.Name] = &toldSignal{at: history.Never}
		for name, v := range params {
			if strings.HasSuffix(name, "_ms") {
				l.back = max(l.back, 2*time.Duration(v*float64(time.Millisecond)))
			}
		}
	}
	return l
}

func (l *live) sample(s history.Sample) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.samples = append(l.samples, s)
}

func (l *live) count(c history.Census) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.census = append(l.census, c)
}

// mark takes note of where the phases begin.
func (l *live) mark(at time.Duration, kind history.MarkKind, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case kind == history.TriggerMark:
		l.triggered = true
	case kind != history.PhaseMark || l.over != history.Never:
	case name == history.Baseline:
		l.baseline.From = at
	case name == history.Incident:
		l.baseline.To, l.incident = at, history.Span{From: at, To: endless}
	case name == history.Recovery:
		l.incident.To = at
	case name == history.Probing, name == history.End:
		l.over = at
		l.incident.To = min(l.incident.To, at)
	}
}

// run looks until the context ends, and once more.
func (l *live) run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.look()
		case <-ctx.Done():
			l.look()
			return
		}
	}
}

// look tells what is new.
func (l *live) look() {
	v, incident := l.view()
	l.prove(v.Census, incident)
	v.Findings = l.findings
	for _, s := range signals.All() {
		if s.Unavailable(v) != "" {
			continue
		}
		told := l.told[s.Name]
		for _, f := range s.Firings(v, l.params[s.Name]) {
			if !told.firing && f.From > told.at {
				l.tell(s.Name, true, f.From)
			}
			if told.firing && !f.Open && f.To > told.at {
				l.tell(s.Name, false, f.To)
			}
		}
	}
}

func (l *live) tell(name string, firing bool, at time.Duration) {
	*l.told[name] = toldSignal{at, firing}
	l.observe(result.Event{Kind: result.SignalEvent, Name: name, AtMS: text.Millis(at), Firing: &firing})
}

// view is what is looked at: the baseline and what came lately, as far as it is
// judged. The incident is empty without a trigger.
func (l *live) view() (v signals.View, incident history.Span) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.thin()
	// Before the baseline is known everything may belong to it.
	if n := len(l.samples); n > 0 && l.baseline.To > 0 {
		l.forget(l.samples[n-1].At - l.back)
		v.Baseline = l.baseline
	}
	v.Samples, v.Census = slices.Clone(l.samples), slices.Clone(l.census)
	if l.over != history.Never {
		v.Samples = slices.DeleteFunc(v.Samples, func(s history.Sample) bool { return s.At > l.over+sampler.Every })
		v.Census = slices.DeleteFunc(v.Census, func(c history.Census) bool { return c.At > l.over })
	}
	if l.triggered {
		incident = l.incident
	}
	return v, incident
}

// forget drops what is older than that, but for the baseline, and the censuses that the
// proof has not been sought in. It needs l.mu.
func (l *live) forget(since time.Duration) {
	l.samples = slices.DeleteFunc(l.samples, func(s history.Sample) bool {
		return s.At < since && (s.At < l.baseline.From || s.At > l.baseline.To)
	})
	old := 0
	for old < l.asked-l.forgot && l.census[old].At < since {
		old++
	}
	l.census = slices.Delete(l.census, 0, old)
	l.forgot += old
}

// thin drops censuses of a large swarm, where they are closest, until what is kept is
// bounded. It needs l.mu.
func (l *live) thin() {
	states := 0
	for _, c := range l.census {
		states += len(c.Workers)
	}
	for states > maxStates && l.asked-l.forgot > 2 {
		at := func(i int) time.Duration { return l.census[i].At }
		closest := 1
		for i := 2; i < l.asked-l.forgot-1; i++ {
			if at(i+1)-at(i-1) < at(closest+1)-at(closest-1) {
				closest = i
			}
		}
		states -= len(l.census[closest].Workers)
		l.census = slices.Delete(l.census, closest, closest+1)
		l.forgot++
	}
}

// prove compares the censuses that are new with those before them. The first proof in
// the incident is told. While work goes on there is none to be had, and none is sought:
// then the machine is the swarm's.
func (l *live) prove(taken []history.Census, incident history.Span) {
	for i := max(l.asked-l.forgot, 1); i < len(taken); i++ {
		a, b := taken[standstill.Earlier(taken, i, l.prover.Longest())], taken[i]
		if did := standstill.Activity(a, b); did.Grants > 0 || did.Releases > 0 {
			l.findings = append(l.findings, signals.Proof{At: b.At})
			continue
		}
		p := l.prover.At(taken, i)
		l.findings = append(l.findings, p.ForSignals())
		if !l.proved && p.Proved && p.Kind != waitgraph.Idle && incident.Holds(p.Before.At) &&
			incident.Holds(p.Now.At) {
			l.proved = true
			l.observe(result.Event{Kind: result.DeadlockEvent, Name: string(p.Kind), Detail: p.Sentence, AtMS: p.AtMS})
		}
	}
	l.asked = l.forgot + len(taken)
	if n := len(l.findings); n > 0 {
		since := l.findings[n-1].At - l.back
		l.findings = slices.DeleteFunc(l.findings, func(f signals.Proof) bool { return f.At < since })
	}
}
