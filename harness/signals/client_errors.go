package signals

import (
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

// These are the errors that a go-redis caller gets and logs. Of a full server
// they say "broken pipe", "connection reset by peer" or "EOF": the text "max
// number of clients reached" does not come through.
var clientErrors = Signal{
	Name:    "client-errors",
	Claim:   "S4",
	Summary: "clients log more than per_s connection errors a second, over window_ms",
	Params:  Params{"per_s": 10, "window_ms": 1000},
	Firings: func(h View, p Params) []Firing {
		return firings(h.Samples, 0, func(i int) reading {
			then := max(back(h.Samples, i, p.millis("window_ms")), 0)
			if then == i {
				return unknown
			}
			grown := connectionErrors(h.Samples[i].Swarm) - connectionErrors(h.Samples[then].Swarm)
			return when(float64(grown)*float64(time.Second)/float64(h.Samples[i].At-h.Samples[then].At) > p["per_s"])
		})
	},
}

// connectionErrors leaves out what is no fault of the connection.
func connectionErrors(s history.Swarm) (n int64) {
	for class := range history.Classes {
		switch history.Class(class) {
		case history.None, history.Conflict, history.Rejected, history.Crashed:
		default:
			n += s.Errors[class]
		}
	}
	return n
}
