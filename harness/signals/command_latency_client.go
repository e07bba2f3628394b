package signals

// What a client measures contains the wait for a pool turn, a dial, the wire
// and Redis's queue; commandstats contain none of these. Only commands that were
// answered count: a refused connection is an error, and a quick one.
var commandLatencyClient = Signal{
	Name:    "command-latency-client",
	Claim:   "A3",
	Summary: "answered commands took clients more than threshold_ms, on average over window_ms",
	Params:  Params{"threshold_ms": 10, "window_ms": 1000},
	Firings: func(h View, p Params) []Firing {
		calls, nanos := make([]int64, len(h.Samples)), make([]int64, len(h.Samples))
		for i, s := range h.Samples {
			calls[i], nanos[i] = s.Swarm.Commands, int64(s.Swarm.CommandTime)
		}
		return firings(h.Samples, 0, func(i int) reading {
			return slower(i, back(h.Samples, i, p.millis("window_ms")), calls, nanos, p.millis("threshold_ms"))
		})
	},
}
