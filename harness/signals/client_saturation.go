package signals

var clientSaturation = Signal{
	Name:    "client-saturation",
	Claim:   "A1",
	Summary: "connected_clients is over ratio of maxclients for for_ms",
	Params:  Params{"ratio": 0.8, "for_ms": 0},
	Firings: func(h View, p Params) []Firing {
		return firings(h.Samples, p.millis("for_ms"), func(i int) reading {
			s := h.Samples[i].Server
			if s == nil || s.MaxClients == 0 {
				return unknown
			}
			return when(float64(s.Connected) > p["ratio"]*float64(s.MaxClients))
		})
	},
}
