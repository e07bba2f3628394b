package signals

import "github.com/lockjam/lockjam/harness/history"

// These are the errors that a go-redis caller gets and logs. Of a full server
// they say "broken pipe", "connection reset by peer" or "EOF": the text "max
// number of clients reached" does not come through.
var clientErrors = Signal{
	Name:        "client-errors",
	Claim:       "S4",
	Summary:     "clients log more than per_s connection errors a second, over window_ms",
	Params:      Params{"per_s": 10, "window_ms": 1000},
	Ranges:      Ranges{"per_s": number(millions), "window_ms": window(sampledEveryMS)},
	Unavailable: noWorkers,
	Firings: func(h View, p Params) []Firing {
		errors := counted(h.Samples, connectionErrors)
		return firings(h.Samples, 0, func(i int) reading {
			then := max(back(h.Samples, i, p.millis("window_ms")), 0)
			return when(errors.perSecond(then, i) > p["per_s"])
		})
	},
	Figures: func(h View, _ Params, in Span) map[string]float64 {
		figures := told(h, in)
		errors := counted(h.Samples, connectionErrors)
		if first, last, ok := errors.ends(in); ok && noWorkers(h) == "" {
			figures["errors_per_s"] = round(errors.perSecond(first, last), 1)
		}
		return figures
	},
}

// connectionErrors leaves out what is no fault of the connection.
func connectionErrors(s *history.Sample) (n int64) {
	for class := range history.Classes {
		switch history.Class(class) {
		case history.None, history.Conflict, history.Rejected, history.Crashed:
		default:
			n += s.Swarm.Errors[class]
		}
	}
	return n
}

// told is how many times the server refused a worker, and how many times the
// worker's code got to read so: whether the runbook's "ERR max number of clients
// reached" ever comes out of go-redis.
func told(h View, in Span) map[string]float64 {
	figures := map[string]float64{}
	words := counted(h.Samples, func(s *history.Sample) int64 { return s.Swarm.MaxClientsErrors })
	refused := counted(h.Samples, func(s *history.Sample) int64 { return s.Swarm.Errors[history.Refused] })
	if first, last, ok := words.ends(in); ok && noWorkers(h) == "" {
		figures["told_count"] = float64(words.grown(first, last))
		figures["refused_count"] = float64(refused.grown(first, last))
	}
	return figures
}
