package chart

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/remedies"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
)

const (
	// Charts have a value for each tenth of a second, as the judge and the sampler do.
	// A longer arm has longer bins: more of them than this cannot be told apart.
	finestBin = 100 * time.Millisecond
	maxBins   = 240

	maxMarks = 64        // that are kept of an arm; a remedy has a dozen steps
	farthest = 1e12      // ms that a phase can start or end at; a run folder may say anything
	slowest  = time.Hour // that is told apart in response times, as in the judge
)

// series is what the charts of an arm are drawn from. It is read in one pass over
// the history and takes memory for bins and histograms, not for operations.
type series struct {
	end    time.Duration // of the last phase: what comes after it is not in the charts
	bin    time.Duration
	phases []phase
	marks  []history.Mark // the trigger and the remedy's, in order
	steps  int            // of the remedy that are not in marks, because there are too many

	decisions []float64 // completed, in each bin
	samples   []reading
	rejected  rejections
}

// phase is one of the judge's phases with the response times of the operations that
// completed in it.
type phase struct {
	name         string
	from, to     time.Duration
	response     *hdrhistogram.Histogram // in µs; nil for warmup, which is not judged
	failed, hung int64
	goodputPerS  float64
}

// reading is what one sample says of connections; NaN where the server did not say.
type reading struct {
	at                  time.Duration
	clients, maxclients float64
}

// readSeries reads an arm's history. With an error the series holds what could be
// read; it is nil where that is nothing.
func readSeries(folder string, a result.Arm) (*series, error) {
	f, err := rundir.OpenFile(folder, filepath.Join(a.Folder, rundir.HistoryFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no history: %s is missing", rundir.HistoryFile)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s := newSeries(a)
	if s.end <= 0 {
		// It was not judged: it ends with what was recorded last.
		_, _, err := history.EachFrom(f, history.Visitor{
			Sample: func(m *history.Sample) { s.end = max(s.end, m.At) },
			Mark:   func(m *history.Mark) { s.end = max(s.end, m.At) },
		})
		if err != nil {
			return nil, err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
	}
	s.divide()
	_, truncated, err := history.EachFrom(f, history.Visitor{Op: s.op, Sample: s.sample, Mark: s.mark})
	switch {
	case err != nil:
		return nil, err
	case truncated:
		return s, errors.New("the history ends in the middle: what came later is missing in the charts")
	}
	return s, nil
}

// newSeries takes over the judge's phases, each of them once.
func newSeries(a result.Arm) *series {
	s := new(series)
	for _, p := range a.Phases {
		judged := p.Name == history.Baseline || p.Name == history.Incident || p.Name == history.Recovery
		known := slices.ContainsFunc(s.phases, func(q phase) bool { return q.name == p.Name })
		from, to := offset(p.StartMS), offset(p.EndMS)
		if known || !judged && p.Name != history.Warmup || to <= from {
			continue
		}
		q := phase{name: p.Name, from: from, to: to, goodputPerS: p.GoodputPerS}
		if judged {
			q.response = hdrhistogram.New(1, slowest.Microseconds(), 3)
		}
		s.phases = append(s.phases, q)
		s.end = max(s.end, to)
	}
	return s
}

// offset is a time of run.json, which may say anything.
func offset(ms float64) time.Duration {
	return time.Duration(math.Round(min(max(ms, 0), farthest)*1000)) * time.Microsecond
}

// divide makes the bins.
func (s *series) divide() {
	s.bin = finestBin
	for s.end/s.bin >= maxBins {
		s.bin *= 2
	}
	n := int((s.end + s.bin - 1) / s.bin)
	s.decisions = make([]float64, n)
	s.rejected = rejections{end: s.end, bin: s.bin, grown: make([]float64, n), known: make([]time.Duration, n),
		last: history.Never, silent: history.Never}
}

// binAt is the bin of a moment, none from the end on.
func (s *series) binAt(at time.Duration) (i int, ok bool) {
	return int(at / s.bin), at >= 0 && at < s.end
}

// op counts an operation where it ended. As for the judge, one that ended after the end
// was still in flight then, and what was in flight at the end counts in the last phase.
func (s *series) op(op *history.Op) {
	outcome := op.Outcome
	if op.Ended > s.end {
		if op.Begun >= s.end {
			return
		}
		outcome = history.Unknown
	}
	if i, ok := s.binAt(op.Ended); ok && outcome == history.OK {
		s.decisions[i]++
	}
	for i := range s.phases {
		p := &s.phases[i]
		within := op.Ended >= p.from && op.Ended < p.to
		if p.response == nil || !within && !(p.to == s.end && op.Ended >= p.to) {
			continue
		}
		switch outcome {
		case history.OK:
			took := min(max(op.Ended-op.Intended, time.Microsecond), slowest)
			_ = p.response.RecordValue(took.Microseconds()) // within its range
		case history.Fail:
			p.failed++
		case history.Unknown:
			p.hung++
		}
	}
}

// sample takes in what the server said. Samples come in order; one that does not is
// of no use to counters.
func (s *series) sample(m *history.Sample) {
	if n := len(s.samples); m.At >= s.end || n > 0 && m.At <= s.samples[n-1].at {
		return
	}
	r := reading{at: m.At, clients: math.NaN(), maxclients: math.NaN()}
	if says(m.Server, "connected_clients") {
		r.clients = float64(m.Server.Connected)
	}
	if says(m.Server, "maxclients") {
		r.maxclients = float64(m.Server.MaxClients)
	}
	if says(m.Server, "rejected_connections") {
		s.rejected.answer(m.At, m.Server)
	} else {
		s.rejected.silent = m.At
	}
	n := len(s.samples)
	// Samples are as far apart as the finest bins, give or take; in longer bins the
	// highest count stands for all.
	if n == 0 || r.at-s.samples[n-1].at > s.bin/2 {
		s.samples = append(s.samples, r)
		return
	}
	s.samples[n-1].merge(r)
}

// says tells whether the server answered, with this field of INFO.
func says(s *history.Server, field string) bool {
	if s == nil {
		return false
	}
	_, missing := s.Missing[field]
	return !missing
}

// merge takes in a reading that follows soon after.
func (r *reading) merge(next reading) {
	if math.IsNaN(r.clients) || next.clients > r.clients {
		r.clients = next.clients
	}
	if !math.IsNaN(next.maxclients) {
		r.maxclients = next.maxclients
	}
}

// mark keeps what the charts show: when it was triggered and what was done then.
func (s *series) mark(m *history.Mark) {
	switch m.Kind {
	case history.TriggerMark, history.RemedyMark, history.StepMark:
	default:
		return
	}
	switch {
	case m.At > s.end, m.Kind == history.RemedyMark && m.Detail == remedies.NoRemedy:
	case len(s.marks) < maxMarks:
		s.marks = append(s.marks, *m)
	case m.Kind == history.StepMark:
		s.steps++
	}
}

// trigger is when the incident was started, history.Never if it was not.
func (s *series) trigger() time.Duration {
	for _, m := range s.marks {
		if m.Kind == history.TriggerMark {
			return m.At
		}
	}
	return history.Never
}

// phase finds one by name.
func (s *series) phase(name string) (phase, bool) {
	i := slices.IndexFunc(s.phases, func(p phase) bool { return p.name == name })
	if i < 0 {
		return phase{}, false
	}
	return s.phases[i], true
}

// line is one line of a chart over time; a NaN is where it breaks off.
type line struct {
	at []time.Duration
	y  []float64
}

// highest is the greatest value, 0 if there is none.
func (l line) highest() float64 {
	top := 0.0
	for _, y := range l.y {
		if y > top {
			top = y
		}
	}
	return top
}

// goodput is decisions per second, at the middle of each bin. The rest at the end is
// left out if it is less than half a bin.
func (s *series) goodput() line {
	var l line
	for i, n := range s.decisions {
		from := time.Duration(i) * s.bin
		length := min(s.bin, s.end-from)
		if length < s.bin/2 {
			break
		}
		l.at = append(l.at, from+length/2)
		l.y = append(l.y, n/length.Seconds())
	}
	return l
}

// clients are connected, against maxclients.
func (s *series) clients() (clients, limit line) {
	for _, r := range s.samples {
		clients.at, clients.y = append(clients.at, r.at), append(clients.y, r.clients)
		limit.y = append(limit.y, r.maxclients)
	}
	limit.at = clients.at
	return clients, limit
}

// rejections adds up what rejected_connections grows by. It counts from 0 again with
// every restart of the server.
type rejections struct {
	end    time.Duration
	bin    time.Duration
	grown  []float64       // in each bin
	known  []time.Duration // how much of the bin lies between two answers
	total  float64         // at the last answer
	runID  string          //
	last   time.Duration   // when that was
	silent time.Duration   // when the server last did not answer
}

// answer spreads the growth evenly over the time in which it came about. After a
// restart that is since the server did not answer, or else since the last answer.
func (r *rejections) answer(at time.Duration, s *history.Server) {
	now := float64(s.Rejected)
	from, grown := r.last, now-r.total
	if s.RunID != r.runID || grown < 0 { // or CONFIG RESETSTAT
		grown = now
	}
	if s.RunID != r.runID {
		from = max(from, r.silent)
	}
	first := r.last == history.Never
	r.last, r.total, r.runID = at, now, s.RunID
	if first || at <= from {
		return
	}
	for i := int(from / r.bin); i < len(r.grown); i++ {
		start := time.Duration(i) * r.bin
		within := min(at, start+r.bin) - max(from, start)
		if within <= 0 {
			break
		}
		r.known[i] += within
		r.grown[i] += grown * float64(within) / float64(at-from)
	}
}

// perSecond is the rate at the middle of each bin; NaN where nothing is known.
func (r *rejections) perSecond() line {
	var l line
	for i, known := range r.known {
		y := math.NaN()
		if known > 0 {
			y = r.grown[i] / known.Seconds()
		}
		from := time.Duration(i) * r.bin
		l.at = append(l.at, from+min(r.bin, r.end-from)/2)
		l.y = append(l.y, y)
	}
	return l
}
