package signals

import (
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

// counter is a count that only grows, as it stood at each of some samples.
type counter struct {
	samples []history.Sample
	total   []int64
}

// counted reads a count that starts with the run: a restart of the server does
// not touch it.
func counted(samples []history.Sample, count func(*history.Sample) int64) counter {
	total := make([]int64, len(samples))
	for i := range samples {
		total[i] = count(&samples[i])
	}
	return counter{samples, total}
}

// served adds up the growth of a count of the server's over its restarts, from
// 0 at the first of the samples. The server has answered in all of them.
func served(samples []history.Sample, count func(*history.Server) int64) counter {
	total := make([]int64, len(samples))
	for i := 1; i < len(samples); i++ {
		before, now := samples[i-1].Server, samples[i].Server
		grown := count(now) - count(before)
		if before.RunID != now.RunID || grown < 0 { // or CONFIG RESETSTAT
			grown = count(now)
		}
		total[i] = total[i-1] + grown
	}
	return counter{samples, total}
}

// grown is by how much it grew from one sample to a later one.
func (c counter) grown(from, to int) int64 { return c.total[to] - c.total[from] }

// took is the time between two samples.
func (c counter) took(from, to int) time.Duration { return c.samples[to].At - c.samples[from].At }

// perSecond is its rate from one sample to a later one. Where no time passed
// between them there is none to speak of.
func (c counter) perSecond(from, to int) float64 {
	if c.took(from, to) <= 0 {
		return 0
	}
	return float64(c.grown(from, to)) * float64(time.Second) / float64(c.took(from, to))
}

// ends returns the first and the last sample of a span, if there is some time
// between them in which the count can have grown.
func (c counter) ends(in Span) (first, last int, ok bool) {
	first, last = -1, -1
	for i := range c.samples {
		if !in.holds(c.samples[i].At) {
			continue
		}
		if first < 0 {
			first = i
		}
		last = i
	}
	return first, last, first >= 0 && c.took(first, last) > 0
}

// usual is the growth per second in the baseline, 0 if there is none to compare
// with.
func (c counter) usual(baseline Span) float64 {
	first, last, ok := c.ends(baseline)
	if !ok {
		return 0
	}
	return c.perSecond(first, last)
}

// without is the count less another one of the same samples.
func (c counter) without(other counter) counter {
	total := make([]int64, len(c.total))
	for i := range total {
		total[i] = c.total[i] - other.total[i]
	}
	return counter{c.samples, total}
}

// slowed returns when it grew by less than ratio of its rate in the baseline,
// over window_ms.
func (c counter) slowed(baseline Span, p Params) []Firing {
	usual := c.usual(baseline)
	return firings(c.samples, 0, func(i int) reading {
		then := back(c.samples, i, p.millis("window_ms"))
		if usual == 0 || then < 0 || c.samples[then].At < baseline.From {
			return unknown // still connecting
		}
		return when(c.perSecond(then, i) < p["ratio"]*usual)
	})
}

// incomparable says why there is nothing to compare with, "" where there is.
func (c counter) incomparable(baseline Span) string {
	switch _, _, ok := c.ends(baseline); {
	case !ok:
		return NoBaseline
	case c.usual(baseline) == 0:
		return "nothing was done in the baseline: there is nothing to compare with"
	}
	return ""
}

// pace is its growth per second in a span, under that name, and against the
// baseline.
func (c counter) pace(name string, baseline, in Span) map[string]float64 {
	figures := map[string]float64{}
	first, last, ok := c.ends(in)
	if !ok {
		return figures
	}
	rate := max(c.perSecond(first, last), 0) // it may lag by a few behind what it is without
	figures[name] = round(rate, 1)
	if usual := c.usual(baseline); usual > 0 {
		figures["ratio_of_baseline"] = round(rate/usual, 3)
	}
	return figures
}
