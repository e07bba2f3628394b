package signals

import (
	"cmp"

	"github.com/lockjam/lockjam/harness/history"
)

var goodputCollapse = Signal{
	Name:    "goodput-collapse",
	Claim:   "S3",
	Summary: "goodput over window_ms is under ratio of the baseline's",
	Params:  Params{"ratio": 0.5, "window_ms": 500},
	Ranges:  Ranges{"ratio": belowUsual(), "window_ms": window(sampledEveryMS)},
	Unavailable: func(h View) string {
		return cmp.Or(noWorkers(h), decided(h).incomparable(h.Baseline))
	},
	Firings: func(h View, p Params) []Firing { return decided(h).slowed(h.Baseline, p) },
	Figures: func(h View, _ Params, in Span) map[string]float64 {
		if noWorkers(h) != "" {
			return nil
		}
		return decided(h).pace("goodput_per_s", h.Baseline, in)
	},
}

func decided(h View) counter {
	return counted(h.Samples, func(s *history.Sample) int64 { return s.Swarm.Decisions })
}
