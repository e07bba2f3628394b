package triggers

import (
	"context"
	"fmt"
	"time"

	"github.com/lockjam/lockjam/harness/swarm"
)

// pause makes the server answer no client for a while. The server ends it by itself,
// whatever becomes of lockjam: nothing else could, for CLIENT UNPAUSE is held back as
// well (measured with Redis 7.0.15; it goes through only where writes alone are
// paused). INFO is held back too: samples come without the server's part until it is
// over.
var pause = Trigger{
	Name:     "pause",
	Disturbs: true,
	Summary:  "Holds back every command of every client for for_ms (CLIENT PAUSE), as a fork, swapping or a snapshot of the machine does. Connections are accepted all the while.",
	Uses:     []string{"for_ms"},
	Silences: func(s Settings) time.Duration { return s.ForMS.Duration() },
	Say: func(s Settings, _ swarm.Settings) string {
		return fmt.Sprintf("the server answers no client for %v", s.ForMS.Duration())
	},
	Fire: func(ctx context.Context, in *Handle) error {
		if in.spares(ctx) {
			return ctx.Err()
		}
		// ALL: a limiter reads before it writes, and would go on reading.
		if err := in.Admin().Do(ctx, "client", "pause", in.Settings.ForMS.Duration().Milliseconds(),
			"all").Err(); err != nil {
			in.Note(fmt.Sprintf("the server was not paused: %v", err))
		}
		return ctx.Err()
	},
}
