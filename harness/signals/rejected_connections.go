package signals

import (
	"github.com/lockjam/lockjam/harness/history"
)

// The runbook alerts on "rejected connections > 0". The counter only grows
// until a restart sets it back, so that reading would never clear: the signal
// looks at its growth in a window instead, and a counter that went back counts
// from zero, as PromQL's increase() has it. What the runbook would have read is
// among the figures.
var rejectedConnections = Signal{
	Name:        "rejected-connections",
	Claim:       "A2",
	Summary:     "rejected_connections grew by more than count within window_ms (resets by restarts allowed for)",
	Params:      Params{"count": 0, "window_ms": 1000},
	Ranges:      Ranges{"count": number(1000 * millions), "window_ms": window(sampledEveryMS)},
	Reads:       answered("rejected_connections"),
	Unavailable: func(h View) string { return noAnswer(h, "rejected_connections") },
	Firings: func(h View, p Params) []Firing {
		rejected := rejections(h)
		return firings(rejected.samples, 0, func(i int) reading {
			then := max(back(rejected.samples, i, p.millis("window_ms")), 0)
			return when(float64(rejected.grown(then, i)) > p["count"])
		})
	},
	Figures: func(h View, _ Params, in Span) map[string]float64 {
		figures := map[string]float64{}
		rejected := rejections(h)
		if read := within(rejected.samples, sampled, in); len(read) > 0 {
			figures["cumulative_reading"] = float64(read[len(read)-1].Server.Rejected)
		}
		if first, last, ok := rejected.ends(in); ok {
			figures["rejected_count"] = float64(rejected.grown(first, last))
			figures["rejected_per_s"] = round(rejected.perSecond(first, last), 1)
		}
		return figures
	},
}

func rejections(h View) counter {
	return served(only(h.Samples, answered("rejected_connections")),
		func(s *history.Server) int64 { return s.Rejected })
}
