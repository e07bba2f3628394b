package signals

import (
	"fmt"

	"github.com/lockjam/lockjam/harness/history"
)

var clientSaturation = Signal{
	Name:    "client-saturation",
	Claim:   "A1",
	Summary: "connected_clients is over ratio of maxclients for for_ms",
	Params:  Params{"ratio": 0.8, "for_ms": 0},
	Ranges: Ranges{
		"ratio": {High: 1, OverLow: true, UnderHigh: true, TooLow: "lockjam's own connection is more: it always fires",
			TooHigh: "connected_clients is at most maxclients: it never fires"},
		"for_ms": duration(0, ""),
	},
	Fits: func(param string, p Params, in Setting) error {
		if least := float64(in.Own) / float64(in.MaxClients); param == "ratio" && in.MaxClients > 0 &&
			p["ratio"] < least {
			return fmt.Errorf("%s: want %s or more: lockjam's own %d connections of %d are more than that, and it always fires",
				plain(p["ratio"]), plain(round(least+0.0005, 3)), in.Own, in.MaxClients)
		}
		return nil
	},
	Reads:       answered("connected_clients", "maxclients"),
	Unavailable: func(h View) string { return noAnswer(h, "connected_clients", "maxclients") },
	Firings: func(h View, p Params) []Firing {
		samples := slotsRead(h)
		return firings(samples, p.millis("for_ms"), func(i int) reading {
			s := samples[i].Server
			return when(float64(s.Connected) > p["ratio"]*float64(s.MaxClients))
		})
	},
	// The limit may be raised in mid-span: maxclients is the last one.
	Figures: func(h View, _ Params, in Span) map[string]float64 {
		figures := map[string]float64{}
		for _, s := range within(slotsRead(h), sampled, in) {
			connected, limit := float64(s.Server.Connected), float64(s.Server.MaxClients)
			figures["connected_max"] = max(figures["connected_max"], connected)
			figures["maxclients"] = limit
			figures["ratio_max"] = max(figures["ratio_max"], round(connected/limit, 3))
		}
		return figures
	},
}

func slotsRead(h View) []history.Sample {
	return only(h.Samples, answered("connected_clients", "maxclients"))
}
