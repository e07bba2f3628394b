package signals

// Whether a stall is a deadlock is for the wait-for graph to prove. This is
// what can be said from counters alone: requests wait, and for longer than any
// timeout in force could explain nothing was granted and nothing released.
var deadlock = Signal{
	Name:    "deadlock",
	Summary: "requests wait, and no lock was granted or released for for_ms (longer than any timeout in force)",
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
