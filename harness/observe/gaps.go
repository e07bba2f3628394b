package observe

import (
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/sampler"
	"github.com/lockjam/lockjam/harness/signals"
	"github.com/lockjam/lockjam/harness/text"
)

// Gap is a stretch of time of which nothing is known, or nothing of what a signal reads.
type Gap struct {
	FromMS float64 `json:"from_ms"`
	ToMS   float64 `json:"to_ms"`
	Why    string  `json:"why"`
}

// gapsKept bounds how many gaps are listed: the first ones. All are added up.
const gapsKept = 100

// gaps keeps account of when something was not known. What was never known is no gap: it
// is not available here, and that is said otherwise. Nor is what lasts less than lately,
// for some things are looked at once a second.
type gaps struct {
	known  bool          // at any time
	since  time.Duration // it has not been known; history.Never while it is
	why    string
	mute   bool // the reason is no more than that there was no answer
	silent bool // for want of an answer: it ends with the next answer, whether or not that has the reading
	closed []Gap
	total  time.Duration // of those that are closed
}

func newGaps() *gaps { return &gaps{since: history.Never} }

// fail notes that something was not known at a moment. The newest reason stands, but what
// a server says is worth more than that it says nothing.
func (g *gaps) fail(at time.Duration, why string, silent bool) {
	mute := why == sampler.NoAnswer || why == sampler.NoConnection
	if g.since == history.Never || g.mute || !mute {
		g.why, g.mute = why, mute
	}
	if g.since == history.Never {
		g.since = at
	}
	g.silent = silent
}

// end notes that nothing stands in the way of knowing any more.
func (g *gaps) end(at time.Duration) {
	if gap, ok := g.open(at); ok {
		g.total += at - g.since
		if len(g.closed) < gapsKept {
			g.closed = append(g.closed, gap)
		}
	}
	g.since = history.Never
}

// open is the gap that there is at a moment.
func (g *gaps) open(at time.Duration) (Gap, bool) {
	if g.since == history.Never || at-g.since < lately {
		return Gap{}, false
	}
	return Gap{text.Millis(g.since), text.Millis(at), g.why}, true
}

// so returns all gaps so far, and how long they are together.
func (g *gaps) so(now time.Duration) (all []Gap, total time.Duration) {
	if !g.known {
		return nil, 0
	}
	all, total = append(all, g.closed...), g.total
	if gap, ok := g.open(now); ok {
		all, total = append(all, gap), total+now-g.since
	}
	return all, total
}

// account is what was not known of the server's counters, and of what each signal reads.
type account struct {
	server   *gaps
	signals  map[string]*gaps
	canary   history.Canary // as it stood in the last sample
	recorded time.Duration  // the last sample
}

func newAccount() account {
	a := account{server: newGaps(), signals: map[string]*gaps{}}
	for _, s := range signals.All() {
		if s.Reads != nil {
			a.signals[s.Name] = newGaps()
		}
	}
	return a
}

// enter takes in a sample. Why is the reason where the server said nothing.
func (a *account) enter(s history.Sample, why string) {
	if was := a.recorded; s.At-was >= lately { // stopped, or on a machine that sleeps
		a.server.fail(was, "lockjam itself was not running", true)
		for _, g := range a.signals {
			g.fail(was, a.server.why, true)
		}
	}
	a.recorded = s.At
	asked := s.At - s.Took
	switch {
	case s.Server != nil:
		a.server.known = true
		a.server.end(s.At)
	default:
		a.server.fail(asked, why, unsaid(s))
	}
	if s.Canary != nil {
		was := a.canary
		a.canary = *s.Canary
		s.Canary = &history.Canary{Dials: s.Canary.Dials - was.Dials, Admitted: s.Canary.Admitted - was.Admitted,
			Refused: s.Canary.Refused - was.Refused, Cut: s.Canary.Cut - was.Cut, Silent: s.Canary.Silent - was.Silent,
			Unreachable: s.Canary.Unreachable - was.Unreachable, LastRefusal: s.Canary.LastRefusal,
			Error: s.Canary.Error}
	}
	for _, signal := range signals.All() {
		g := a.signals[signal.Name]
		if g == nil {
			continue
		}
		there, lacks := signal.Reads(&s)
		switch {
		case there:
			g.known = true
			g.end(s.At)
		case lacks != "":
			g.fail(asked, lacks, false)
		case s.Server == nil:
			g.fail(asked, why, true)
		case g.silent:
			g.end(s.At)
		}
	}
}

// unsaid reports whether the server gave no answer at all, not even an error.
func unsaid(s history.Sample) bool {
	return s.Server == nil && (s.Error == sampler.NoAnswer || s.Error == sampler.NoConnection)
}

// of returns the gaps of a signal, and whether they are others than the server's; known is
// false for a signal that nothing was ever read for.
func (a *account) of(signal string, now time.Duration) (all []Gap, total time.Duration, known, differ bool) {
	g := a.signals[signal]
	if g == nil || !g.known {
		return nil, 0, false, false
	}
	all, total = g.so(now)
	servers, _ := a.server.so(now)
	return all, total, true, !alike(all, servers)
}

// alike reports whether gaps are the same but for what comes of looking once a second.
func alike(a, b []Gap) bool {
	if len(a) != len(b) {
		return false
	}
	const second = 1000
	for i := range a {
		if apart(a[i].FromMS, b[i].FromMS) > second || apart(a[i].ToMS, b[i].ToMS) > second {
			return false
		}
	}
	return true
}

func apart(a, b float64) float64 { return max(a-b, b-a) }
