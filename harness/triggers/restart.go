package triggers

import (
	"context"
	"errors"
	"fmt"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/swarm"
)

// restart is over when the server answers again. All of its clients come at once then.
var restart = Trigger{
	Name:       "restart",
	Restarts:   true,
	Summary:    "Restarts the server in good order, as systemctl restart does: every client loses its connection at once, and every counter of the server's begins again.",
	Topologies: []server.Topology{server.Single},
	Say: func(_ Settings, of swarm.Settings) string {
		return fmt.Sprintf("the server is restarted, and its %d workers dial again", of.Workers())
	},
	Fire: func(ctx context.Context, in *Handle) error {
		err := in.Restart(ctx)
		if errors.Is(err, server.ErrNotOurs) || errors.Is(err, server.ErrWillNotStop) {
			in.Note(fmt.Sprintf("the trigger restart was not fired: %v", err))
			return ctx.Err()
		}
		return err
	},
}
