package signals

import (
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

// INFO commandstats counts the time that Redis spends executing a command, not
// the time that the command waited to be read. The harness's own commands are
// left out when the sample is taken.
var commandLatencyServer = Signal{
	Name:    "command-latency-server",
	Claim:   "A3",
	Summary: "Redis spent more than threshold_ms per command, on average over window_ms (commandstats)",
	Params:  Params{"threshold_ms": 10, "window_ms": 1000},
	Firings: func(h View, p Params) []Firing {
		calls := cumulative(h.Samples, func(s *history.Server) int64 { return s.Calls })
		nanos := cumulative(h.Samples, func(s *history.Server) int64 { return int64(s.CommandTime) })
		return firings(h.Samples, 0, func(i int) reading {
			if h.Samples[i].Server == nil {
				return unknown
			}
			return slower(i, back(h.Samples, i, p.millis("window_ms")), calls, nanos, p.millis("threshold_ms"))
		})
	},
}

// slower compares the mean time per call between two samples with a threshold.
func slower(now, then int, calls, nanos []int64, threshold time.Duration) reading {
	if then < 0 || calls[now] == calls[then] {
		return unknown
	}
	mean := time.Duration((nanos[now] - nanos[then]) / (calls[now] - calls[then]))
	return when(mean > threshold)
}
