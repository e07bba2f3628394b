package remedies

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/lockjam/lockjam/harness/swarm"
)

// rollout acts on the clients and leaves the server alone. What a restart of all
// clients does by itself, a rollout of the settings that run already shows.
var rollout = Remedy{
	Name:    "rollout",
	Summary: "Replaces the service's instances in waves by ones with new client settings, as an orchestrator does.",
	Params: []Param{
		{Name: "waves", Default: "4", Check: wholeNumber(1, 100)},
		{Name: "pause_ms", Default: "250", Check: wholeNumber(0, 60_000)}, // from the end of a wave to the next
	},
	Apply: func(ctx context.Context, in *Handle) error {
		waves, _ := strconv.Atoi(in.Params["waves"])
		ms, _ := strconv.Atoi(in.Params["pause_ms"])
		did := fmt.Sprintf("roll out in %d waves, %d ms apart", waves, ms)
		begun := time.Now()
		err := in.Rollout(ctx, waves, time.Duration(ms)*time.Millisecond)
		if errors.Is(err, swarm.ErrNotRolledOut) {
			in.Step(did, "not carried out: "+oneLine(err))
			return blocked("%w", err)
		}
		if err != nil {
			in.Step(did, "cut short: "+oneLine(err))
			return err
		}
		in.Step(did, fmt.Sprintf("all instances are replaced after %d ms", time.Since(begun).Milliseconds()))
		return nil
	},
}
