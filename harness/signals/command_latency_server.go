package signals

import (
	"cmp"
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

// INFO commandstats counts the time that Redis spends executing a command, not
// the time that the command waited to be read. The watching's own commands, INFO
// and handshakes are left out when the sample is taken.
var commandLatencyServer = Signal{
	Name:    "command-latency-server",
	Claim:   "A3",
	Summary: "Redis spent more than threshold_ms per command, on average over window_ms (commandstats)",
	Params:  Params{"threshold_ms": 10, "window_ms": 1000},
	Ranges: Ranges{
		"threshold_ms": duration(0.001, "every command takes longer: it always fires"),
		"window_ms":    window(sampledEveryMS),
	},
	Reads: answered("commandstats"),
	Unavailable: func(h View) string {
		return cmp.Or(noAnswer(h, "commandstats"), executed(h).never("no command was run but lockjam's own"))
	},
	Firings: func(h View, p Params) []Firing { return executed(h).slow(p) },
	Figures: func(h View, _ Params, in Span) map[string]float64 { return executed(h).mean(in) },
}

func executed(h View) timed {
	samples := only(h.Samples, answered("commandstats"))
	return timed{
		calls: served(samples, func(s *history.Server) int64 { return s.Calls }),
		nanos: served(samples, func(s *history.Server) int64 { return int64(s.CommandTime) }),
	}
}

// timed is a count of calls and of the time that they took, at the same samples.
type timed struct{ calls, nanos counter }

// slow returns when the mean time per call was over threshold_ms. Without a
// call there is no mean.
func (t timed) slow(p Params) []Firing {
	return firings(t.calls.samples, 0, func(i int) reading {
		then := back(t.calls.samples, i, p.millis("window_ms"))
		if then < 0 || t.calls.grown(then, i) == 0 {
			return unknown
		}
		mean := time.Duration(t.nanos.grown(then, i) / t.calls.grown(then, i))
		return when(mean > p.millis("threshold_ms"))
	})
}

func (t timed) mean(in Span) map[string]float64 {
	figures := map[string]float64{}
	if first, last, ok := t.calls.ends(in); ok && t.calls.grown(first, last) > 0 {
		figures["mean_ms"] = millis(time.Duration(t.nanos.grown(first, last) / t.calls.grown(first, last)))
	}
	return figures
}

// never returns why, unless there was a call.
func (t timed) never(why string) string {
	if n := len(t.calls.total); n > 0 && t.calls.grown(0, n-1) > 0 {
		return ""
	}
	return why
}
