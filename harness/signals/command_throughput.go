package signals

import (
	"cmp"

	"github.com/lockjam/lockjam/harness/history"
)

// Whoever watches total_commands_processed expects it to fall when work stops.
// Waiters that poll are commands too: in a deadlock they are all there is.
var commandThroughput = Signal{
	Name:    "command-throughput",
	Claim:   "M3",
	Summary: "total_commands_processed grows by less than ratio of its rate in the baseline, over window_ms",
	Params:  Params{"ratio": 0.5, "window_ms": 1000},
	Unavailable: func(h View) string {
		return cmp.Or(noAnswer(h, "total_commands_processed"), processed(h).incomparable(h.Baseline))
	},
	Firings: func(h View, p Params) []Firing { return processed(h).slowed(h.Baseline, p) },
	Figures: func(h View, _ Params, in Span) map[string]float64 {
		return processed(h).pace("commands_per_s", h.Baseline, in)
	},
}

func processed(h View) counter {
	return served(only(h.Samples, answered("total_commands_processed")), func(s *history.Server) int64 { return s.Commands })
}
