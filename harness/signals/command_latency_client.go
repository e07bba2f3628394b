package signals

import (
	"cmp"

	"github.com/lockjam/lockjam/harness/history"
)

// What a client measures contains the wait for a pool turn, a dial, the wire
// and Redis's queue; commandstats contain none of these. Only commands that were
// answered count: a refused connection is an error, and a quick one.
var commandLatencyClient = Signal{
	Name:    "command-latency-client",
	Claim:   "A3",
	Summary: "answered commands took clients more than threshold_ms, on average over window_ms",
	Params:  Params{"threshold_ms": 10, "window_ms": 1000},
	Ranges: Ranges{
		"threshold_ms": duration(0.001, "every command takes longer: it always fires"),
		"window_ms":    window(sampledEveryMS),
	},
	Unavailable: func(h View) string {
		return cmp.Or(noWorkers(h), waitedFor(h).never("no command was answered"))
	},
	Firings: func(h View, p Params) []Firing { return waitedFor(h).slow(p) },
	Figures: func(h View, _ Params, in Span) map[string]float64 { return waitedFor(h).mean(in) },
}

func waitedFor(h View) timed {
	return timed{
		calls: counted(h.Samples, func(s *history.Sample) int64 { return s.Swarm.Commands }),
		nanos: counted(h.Samples, func(s *history.Sample) int64 { return int64(s.Swarm.CommandTime) }),
	}
}
