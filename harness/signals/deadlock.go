package signals

import (
	"cmp"

	"github.com/lockjam/lockjam/harness/history"
)

// The proof is the wait-for graph's, and not this signal's: that nothing is granted
// for a while may as well be a server that is paused, locks whose owners are dead,
// or work that takes long.
var deadlock = Signal{
	Name:    "deadlock",
	Summary: "the wait-for graph proves that workers wait for each other for ever",
	Params:  Params{},
	Unavailable: func(h View) string {
		if len(h.Findings) == 0 {
			return censusLacks(h)
		}
		unknown := ""
		for _, f := range h.Findings {
			if f.Deadlock {
				return ""
			}
			unknown = cmp.Or(unknown, f.Unknown)
		}
		if unknown != "" {
			return "clients that are not lockjam's could end the standstill: " + unknown
		}
		return ""
	},
	Firings: func(h View, _ Params) []Firing {
		moments := make([]history.Sample, len(h.Findings))
		for i, f := range h.Findings {
			moments[i].At = f.At
		}
		return firings(moments, 0, func(i int) reading {
			if h.Findings[i].Unknown != "" {
				return unknown
			}
			return when(h.Findings[i].Deadlock)
		})
	},
	Figures: func(h View, _ Params, in Span) map[string]float64 {
		figures := map[string]float64{}
		for _, f := range h.Findings {
			if in.holds(f.At) {
				figures["waiting_max"] = max(figures["waiting_max"], float64(f.Waiting))
				figures["still_ms_max"] = max(figures["still_ms_max"], millis(f.Still))
			}
		}
		return figures
	},
}

// censusLacks says why there are no two censuses to compare; "" where there are.
func censusLacks(h View) string {
	switch n := len(taken(h)); {
	case n > 1:
		return ""
	case len(h.Census) == 0 && noWorkers(h) != "":
		return noWorkers(h)
	case len(h.Census) == 0:
		return "no census was taken"
	case n == 1:
		return "it takes two censuses, and there is one"
	}
	return "no census was answered: " + h.Census[0].Error
}
