package signals

import "github.com/lockjam/lockjam/harness/history"

// The runbook alerts on "rejected connections > 0". The counter only grows
// until a restart sets it back, so that reading would never clear: the signal
// looks at its growth in a window instead, and a counter that went back counts
// from zero, as PromQL's increase() has it.
var rejectedConnections = Signal{
	Name:    "rejected-connections",
	Claim:   "A2",
	Summary: "rejected_connections grew by more than count within window_ms (resets by restarts allowed for)",
	Params:  Params{"count": 0, "window_ms": 1000},
	Firings: func(h View, p Params) []Firing {
		grown := cumulative(h.Samples, func(s *history.Server) int64 { return s.Rejected })
		return firings(h.Samples, 0, func(i int) reading {
			if h.Samples[i].Server == nil {
				return unknown
			}
			return when(float64(grown[i]-grown[max(back(h.Samples, i, p.millis("window_ms")), 0)]) > p["count"])
		})
	},
}

// cumulative adds up the growth of a server's counter over its restarts, from
// 0 at the first sample. Where the server did not answer it stands still.
func cumulative(samples []history.Sample, counter func(*history.Server) int64) []int64 {
	total := make([]int64, len(samples))
	var last *history.Server
	var sum int64
	for i, s := range samples {
		if s.Server != nil {
			now := counter(s.Server)
			switch {
			case last == nil:
			case last.RunID != s.Server.RunID:
				sum += now
			default:
				if grown := now - counter(last); grown >= 0 {
					sum += grown
				} else {
					sum += now // CONFIG RESETSTAT
				}
			}
			last = s.Server
		}
		total[i] = sum
	}
	return total
}
