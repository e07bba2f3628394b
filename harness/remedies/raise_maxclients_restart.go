package remedies

import (
	"context"
	"fmt"

	"github.com/lockjam/lockjam/harness/server"
)

var maxclientsParam = Param{Name: "maxclients", Default: "10000", Check: wholeNumber(1, 100_000)}

// raiseMaxclientsRestart is the runbook's option 2: edit redis.conf
// (maxclients 10000), then restart the server.
var raiseMaxclientsRestart = Remedy{
	Name:     "raise-maxclients-restart",
	Restarts: true,
	Claim:    "R2",
	Summary:  "The runbook's option 2: raises maxclients in redis.conf and restarts the server.",
	Params:   []Param{maxclientsParam},
	Apply: func(ctx context.Context, in *Handle) error {
		want := in.Params["maxclients"]
		did := fmt.Sprintf("set maxclients %s in redis.conf and restart the server", want)
		if err := restart(ctx, in, in.Config.With(server.Config{"maxclients": want}), did); err != nil {
			return err
		}
		return readBack(ctx, in, want)
	},
}

// readBack makes sure of the limit in force: Redis lowers it without a word to
// its clients where file descriptors are short.
func readBack(ctx context.Context, in *Handle, want string) error {
	did := "CONFIG GET maxclients"
	got, err := in.Admin().ConfigGet(ctx, "maxclients").Result()
	if err != nil {
		in.Step(did, err.Error())
		return blocked("%s: %w", did, err)
	}
	in.Step(did, got["maxclients"])
	if got["maxclients"] != want {
		return blocked("maxclients is %s after it was set to %s: raise the server's limit of open files (nofile) to maxclients+32", got["maxclients"], want)
	}
	return nil
}
