package remedies

import (
	"context"
	"fmt"

	"github.com/lockjam/lockjam/harness/server"
)

// raiseMaxclientsLive is the raise without the restart. Redis takes CONFIG SET
// maxclients since 2.8 and grows its event loop in place (server.c,
// updateMaxclients). Where it cannot have the file descriptors it answers so, and
// with how many it could do.
var raiseMaxclientsLive = Remedy{
	Name:    "raise-maxclients-live",
	Summary: "Raises maxclients with CONFIG SET over a control connection, and saves it with CONFIG REWRITE. Nothing is restarted, no connection is cut.",
	Params:  []Param{maxclientsParam},
	Apply: func(ctx context.Context, in *Handle) error {
		want := in.Params["maxclients"]
		did := fmt.Sprintf("CONFIG SET maxclients %s, over a control connection", want)
		if in.Reconfigurable != nil {
			in.Step(did, "not carried out: "+in.Reconfigurable.Error())
			return blocked("%w", in.Reconfigurable)
		}
		was, err := in.Admin().ConfigGet(ctx, "maxclients").Result()
		if err != nil {
			in.Step("CONFIG GET maxclients", err.Error())
			return blocked("CONFIG GET maxclients: %w", err)
		}
		in.Undo(func(ctx context.Context) error {
			return in.Admin().ConfigSet(ctx, "maxclients", was["maxclients"]).Err()
		})
		answer, err := in.Admin().ConfigSet(ctx, "maxclients", want).Result()
		if err != nil {
			in.Step(did, err.Error())
			return blocked("%s: %w", did, err)
		}
		in.Step(did, answer)
		if err := readBack(ctx, in, want); err != nil {
			return err
		}
		keepOverRestarts(ctx, in)
		return nil
	},
}

// keepOverRestarts writes the raise into redis.conf. The incident is over without
// it, so nothing that goes wrong here blocks the remedy.
func keepOverRestarts(ctx context.Context, in *Handle) {
	did := "CONFIG REWRITE"
	if in.Server.Info().Kind == server.KindAddress {
		// What CONFIG SET did is put back when the run is over. The user's redis.conf,
		// rewritten in the server's own words and order, could not be.
		in.Step(did, "not carried out: the redis.conf of a server that lockjam did not start cannot be put back; the raise is lost with the next restart")
		return
	}
	answer, err := in.Admin().ConfigRewrite(ctx).Result()
	if err != nil {
		in.Step(did, "the raise is lost with the next restart: "+err.Error())
		return
	}
	in.Step(did, answer+": the raise outlives the next restart")
}
