package triggers

import (
	"context"

	"github.com/lockjam/lockjam/harness/swarm"
)

// none lets the swarm run on as it is: a control for false alarms.
var none = Trigger{
	Name:    None,
	Summary: "Nothing happens: a control for false alarms.",
	Say:     func(Settings, swarm.Settings) string { return "nothing happens" },
	Fire:    func(context.Context, *Handle) error { return nil },
}
