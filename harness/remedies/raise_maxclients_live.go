package remedies

import (
	"context"
	"fmt"
)

// raiseMaxclientsLive is the raise without the restart. Redis takes CONFIG SET
// maxclients since 2.8 and grows its event loop in place (server.c,
// updateMaxclients).
var raiseMaxclientsLive = Remedy{
	Name:    "raise-maxclients-live",
	Summary: "Raises maxclients with CONFIG SET over a control connection. Nothing is restarted, no connection is cut.",
	Params:  []Param{maxclientsParam},
	Apply: func(ctx context.Context, in *Incident) error {
		want := in.Params["maxclients"]
		did := fmt.Sprintf("CONFIG SET maxclients %s, over a control connection", want)
		if in.Reconfigurable != nil {
			in.Step(did, "not carried out: "+in.Reconfigurable.Error())
			return blocked("%w", in.Reconfigurable)
		}
		answer, err := in.Admin().ConfigSet(ctx, "maxclients", want).Result()
		if err != nil {
			in.Step(did, err.Error())
			return blocked("%s: %w", did, err)
		}
		in.Step(did, answer)
		return readBack(ctx, in, want)
	},
}
