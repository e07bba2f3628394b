package observe

import (
	"slices"
	"strings"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/signals"
	"github.com/lockjam/lockjam/harness/text"
)

// comparison is what one signal's readings are compared with: the first stretch of the
// length asked for in which its level was steady.
type comparison struct {
	next     time.Duration // where the next stretch begins that has not been tried
	baseline signals.Span  // empty as long as there is none
	why      string        // the last stretch that was tried is none
}

// seek tries the stretches that are over, in order of time.
func (c *comparison) seek(s signals.Signal, v signals.View, length, now time.Duration) {
	step := min(max(length/5, 100*time.Millisecond), time.Second)
	for c.baseline == (signals.Span{}) && c.next+length <= now {
		stretch := signals.Span{From: c.next, To: c.next + length}
		switch why := s.Unsteady(v, stretch); {
		case why == "":
			c.baseline = stretch
		case why != signals.NoBaseline || c.why == "": // else there was nothing to be read
			c.why = why
		}
		c.next += step
	}
}

// compared returns what a signal's readings are compared with; nil for one that compares
// nothing.
func (l *observer) compared(s signals.Signal, v signals.View, now time.Duration) *comparison {
	if s.Unsteady == nil {
		return nil
	}
	c := l.comparisons[s.Name]
	if c == nil {
		c = &comparison{}
		l.comparisons[s.Name] = c
	}
	c.seek(s, v, l.o.Baseline, now)
	return c
}

// after leaves out what a signal makes of its own baseline: that cannot be compared with
// itself.
func (c *comparison) after(firings []signals.Firing) (later []signals.Firing) {
	if c == nil || c.baseline == (signals.Span{}) {
		return firings
	}
	for _, f := range firings {
		if f.To > c.baseline.To {
			f.From = max(f.From, c.baseline.To)
			later = append(later, f)
		}
	}
	return later
}

// wait says so where a signal has nothing to compare its reading with yet.
func (c *comparison) wait(seen *SignalReading, s signals.Signal, v signals.View, params signals.Params) {
	switch {
	case c == nil:
		return
	case c.baseline != (signals.Span{}):
		seen.Baseline = &Stretch{text.Millis(c.baseline.From), text.Millis(c.baseline.To)}
		return
	case seen.Unavailable == signals.NoBaseline: // there is nothing else
	case seen.Unavailable != "", *seen.Firing, s.Undecided == nil, !s.Undecided(v, params):
		return
	}
	if seen.Waiting = true; c.why != "" {
		seen.Unavailable = c.why
	} else {
		seen.Unavailable = signals.NoBaseline
	}
}

// forget drops the samples that are older than what signals look back, and in no baseline.
// It needs l.mu.
func (l *observer) forget(now time.Duration) {
	l.samples = slices.DeleteFunc(l.samples, func(s history.Sample) bool {
		if s.At >= now-l.remembers {
			return false
		}
		for _, c := range l.comparisons {
			if s.At >= c.baseline.From && s.At <= c.baseline.To {
				return false
			}
		}
		return true
	})
}

// remembers is how far back signals look beside the baseline: a minute, as far as a window
// that was asked for has it, or as far as the baseline that is still sought.
func remembers(o Options) time.Duration {
	far := max(remembered, o.Baseline+2*time.Second)
	for _, params := range o.Params {
		for name, v := range params {
			if strings.HasSuffix(name, "_ms") {
				far = max(far, 2*time.Duration(v*float64(time.Millisecond)))
			}
		}
	}
	return far
}
