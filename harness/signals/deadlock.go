package signals

import "github.com/lockjam/lockjam/harness/history"

// Whether a stall is a deadlock, and whether it will end by itself, is for the
// wait-for graph to prove. This is what can be said from counters alone. A
// second is the longest timeout that go-redis has in the catalogue's scenarios.
var deadlock = Signal{
	Name:        "deadlock",
	Summary:     "requests wait, and no lock was granted or released for for_ms",
	Params:      Params{"for_ms": 1000},
	Unavailable: noWorkers,
	Firings: func(h View, p Params) []Firing {
		return firings(h.Samples, p.millis("for_ms"), func(i int) reading { return stalled(h.Samples, i) })
	},
	// A standstill that began before the span is as old as it is.
	Figures: func(h View, _ Params, in Span) map[string]float64 {
		figures := map[string]float64{}
		if noWorkers(h) != "" {
			return figures
		}
		since := history.Never
		for i, s := range h.Samples {
			stood := 0.0
			switch {
			case stalled(h.Samples, i) != yes:
				since = history.Never
			case since == history.Never:
				since = s.At
			default:
				stood = millis(s.At - since)
			}
			if in.holds(s.At) {
				figures["still_ms_max"] = max(figures["still_ms_max"], stood)
				figures["waiting_max"] = max(figures["waiting_max"], float64(s.Swarm.Waiting+s.Swarm.Dialing))
			}
		}
		return figures
	},
}

func stalled(samples []history.Sample, i int) reading {
	if i == 0 {
		return unknown
	}
	now, before := samples[i].Swarm, samples[i-1].Swarm
	still := now.Grants == before.Grants && now.Releases == before.Releases
	return when(still && now.Waiting+now.Dialing > 0)
}
