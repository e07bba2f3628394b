package signals

import (
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

// Whoever watches total_commands_processed expects it to fall when work stops.
// Waiters that poll are commands too: in a deadlock they are all there is.
var commandThroughput = Signal{
	Name:    "command-throughput",
	Claim:   "M3",
	Summary: "total_commands_processed grows by less than ratio of its rate in the baseline, over window_ms",
	Params:  Params{"ratio": 0.5, "window_ms": 1000},
	Firings: func(h View, p Params) []Firing {
		commands := cumulative(h.Samples, func(s *history.Server) int64 { return s.Commands })
		perSecond := func(from, to int) float64 {
			return float64(commands[to]-commands[from]) * float64(time.Second) / float64(h.Samples[to].At-h.Samples[from].At)
		}
		first, last := within(h.Samples, h.Baseline)
		return firings(h.Samples, 0, func(i int) reading {
			then := back(h.Samples, i, p.millis("window_ms"))
			if last <= first || then < first || h.Samples[i].Server == nil {
				return unknown
			}
			return when(perSecond(then, i) < p["ratio"]*perSecond(first, last))
		})
	},
}

// within returns the first and the last sample of a span; last is not after
// first where there is nothing to measure between.
func within(samples []history.Sample, s Span) (first, last int) {
	first, last = -1, -1
	for i, sample := range samples {
		if sample.At >= s.From && first < 0 {
			first = i
		}
		if sample.At <= s.To {
			last = i
		}
	}
	if first < 0 {
		return 0, 0
	}
	return first, last
}
