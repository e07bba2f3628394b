package triggers

import (
	"context"
	"fmt"

	"github.com/lockjam/lockjam/harness/swarm"
)

// spike is over when it is over. What stays down after it does so by itself.
var spike = Trigger{
	Name:    "spike",
	Summary: "Lets requests come at a higher rate for a while, and then at the old one again.",
	Uses:    []string{"rate_per_s", "for_ms"},
	Check: func(s Settings, of swarm.Settings) []Problem {
		switch {
		case of.Arrivals.Kind != swarm.Open:
			return []Problem{{[]string{"trigger.kind", "swarm.arrivals.kind"},
				"only open arrivals have a rate: in a closed system a worker asks again only when it has its answer"}}
		case s.RatePerS <= of.Arrivals.RatePerS:
			return []Problem{{[]string{"trigger.rate_per_s", "swarm.arrivals.rate_per_s"},
				fmt.Sprintf("%g: want more than the %g that come before the spike", s.RatePerS, of.Arrivals.RatePerS)}}
		}
		return nil
	},
	Say: func(s Settings, of swarm.Settings) string {
		return fmt.Sprintf("%g requests per second become %g, for %v", of.Arrivals.RatePerS, s.RatePerS,
			s.ForMS.Duration())
	},
	Fire: func(ctx context.Context, in *Handle) error {
		in.Swarm.Spike(ctx, in.Settings.RatePerS, in.Settings.ForMS.Duration())
		return ctx.Err()
	},
}
