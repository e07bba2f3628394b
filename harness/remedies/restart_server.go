package remedies

import (
	"context"
	"errors"
	"fmt"

	"github.com/lockjam/lockjam/harness/server"
)

// restartServer is what raise-maxclients-restart contains beside the raise.
var restartServer = Remedy{
	Name:    "restart-server",
	Summary: "Stops the server in good order (SIGTERM, as systemctl restart does) and starts it with the same redis.conf.",
	Apply: func(ctx context.Context, in *Incident) error {
		return restart(ctx, in, in.Config, "restart the server, redis.conf unchanged")
	},
}

// restart records the step; a server that is not ours to restart blocks it.
func restart(ctx context.Context, in *Incident, c server.Config, did string) error {
	err := in.Restart(ctx, c)
	if errors.Is(err, server.ErrNotOurs) {
		in.Step(did, "not carried out: "+err.Error())
		return blocked("%w", err)
	}
	if err != nil {
		in.Step(did, "failed: "+err.Error())
		return fmt.Errorf("%s: %w", did, err)
	}
	in.Step(did, "it answers PING again")
	return nil
}
