package signals

import "time"

var goodputCollapse = Signal{
	Name:    "goodput-collapse",
	Claim:   "S3",
	Summary: "goodput over window_ms is under ratio of the baseline's",
	Params:  Params{"ratio": 0.5, "window_ms": 500},
	Firings: func(h View, p Params) []Firing {
		normal := goodputWithin(h)
		return firings(h.Samples, 0, func(i int) reading {
			then := back(h.Samples, i, p.millis("window_ms"))
			if normal == 0 || then < 0 || h.Samples[then].At < h.Baseline.From {
				return unknown // still connecting
			}
			return when(rate(h, then, i) < p["ratio"]*normal)
		})
	},
}

// goodputWithin is the decisions per second of the baseline, 0 if there was none.
func goodputWithin(h View) float64 {
	first, last := within(h.Samples, h.Baseline)
	if last <= first {
		return 0
	}
	return rate(h, first, last)
}

func rate(h View, from, to int) float64 {
	done := h.Samples[to].Swarm.Decisions - h.Samples[from].Swarm.Decisions
	return float64(done) * float64(time.Second) / float64(h.Samples[to].At-h.Samples[from].At)
}
