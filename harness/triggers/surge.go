package triggers

import (
	"context"
	"fmt"

	"github.com/lockjam/lockjam/harness/swarm"
)

// surge scales the swarm out, as an autoscaler does.
var surge = Trigger{
	Name:    "surge",
	Summary: "Scales the service out to more instances, as an autoscaler does, and leaves them running.",
	Uses:    []string{"instances"},
	Check: func(s Settings, of swarm.Settings) []Problem {
		if s.Instances > of.Instances {
			return nil
		}
		return []Problem{{[]string{"trigger.instances", "swarm.instances"},
			fmt.Sprintf("%d: want more than the %d that run before the surge", s.Instances, of.Instances)}}
	},
	Say: func(s Settings, of swarm.Settings) string {
		return fmt.Sprintf("%d instances become %d", of.Instances, s.Instances)
	},
	Fire: func(_ context.Context, in *Handle) error {
		in.Swarm.Scale(in.Settings.Instances)
		return nil
	},
}
