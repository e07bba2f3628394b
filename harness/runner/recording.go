package runner

import (
	"slices"
	"sync"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
	"github.com/lockjam/lockjam/harness/text"
	"github.com/lockjam/lockjam/harness/triggers"
)

// recording is what becomes of an arm: its journal, and what onlookers are told.
type recording struct {
	started  time.Time
	recorder *history.Recorder // nil before it is opened
	live     *live             // tells of signals while they fire
	observe  func(result.Event)
	about    func(phase string) time.Duration // how long a phase takes at least

	kept *keeper // operations, for looks; nil where there are none

	mu      sync.Mutex
	samples []history.Sample
	marks   []history.Mark
}

func newRecording(j job) *recording {
	r := &recording{observe: j.observe, live: newLive(j.sc, j.arm, j.observe), about: j.about}
	if !j.options.Thorough && j.sc.Trigger.Kind != triggers.None {
		r.kept = new(keeper)
	}
	return r
}

// open opens the journal, and is the one start of all offsets.
func (r *recording) open(path string, h history.Header) (err error) {
	h.Started = time.Now().UTC()
	if r.recorder, err = history.Create(path, h); err != nil {
		return rundir.Fault(err)
	}
	r.started = time.Now()
	return nil
}

func (r *recording) elapsed() time.Duration { return time.Since(r.started) }

func (r *recording) mark(kind history.MarkKind, name, detail string) {
	r.markAt(r.elapsed(), kind, name, detail)
}

func (r *recording) step(did, answer string) { r.mark(history.StepMark, did, answer) }

func (r *recording) markAt(at time.Duration, kind history.MarkKind, name, detail string) {
	r.keep(history.Mark{At: at, Kind: kind, Name: name, Detail: detail})
	e := result.Event{Kind: result.EventKind(kind), Name: name, Detail: detail, AtMS: text.Millis(at)}
	if kind == history.PhaseMark {
		e.AboutMS = text.Millis(r.about(name))
	}
	r.live.mark(at, kind, name)
	r.observe(e)
}

// keep records a mark.
func (r *recording) keep(m history.Mark) {
	r.recorder.Mark(m)
	r.mu.Lock()
	r.marks = append(r.marks, m)
	r.mu.Unlock()
}

// op records an operation.
func (r *recording) op(op history.Op) {
	r.recorder.Op(op)
	if r.kept != nil {
		r.kept.op(op)
	}
}

// seen returns the samples so far.
func (r *recording) seen() []history.Sample {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clip(r.samples)
}

func (r *recording) sampled(s history.Sample) {
	r.mu.Lock()
	r.samples = append(r.samples, s)
	r.mu.Unlock()
	r.recorder.Sample(s)
	r.live.sample(s)
	r.observe(sampleEvent(s))
}

func (r *recording) counted(c history.Census) {
	r.recorder.Census(c)
	r.live.count(c)
	if r.kept != nil {
		r.kept.census(c)
	}
}
