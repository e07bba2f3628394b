package signals

// Whether a stall is a deadlock, and whether it will end by itself, is for the
// wait-for graph to prove. This is what can be said from counters alone. A
// second is the longest timeout that go-redis has in the catalogue's scenarios.
var deadlock = Signal{
	Name:    "deadlock",
	Summary: "requests wait, and no lock was granted or released for for_ms",
	Params:  Params{"for_ms": 1000},
	Firings: func(h View, p Params) []Firing {
		return firings(h.Samples, p.millis("for_ms"), func(i int) reading {
			if i == 0 {
				return unknown
			}
			now, before := h.Samples[i].Swarm, h.Samples[i-1].Swarm
			still := now.Grants == before.Grants && now.Releases == before.Releases
			return when(still && now.Waiting+now.Dialing > 0)
		})
	},
}
