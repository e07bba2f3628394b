package remedies

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/swarm"
)

// The waves and the pause are passed on, and what came of it is told: a refusal
// blocks the remedy, and any other error ends the arm as it is.
func TestRollout(t *testing.T) {
	fault := errors.New("a fault")
	for _, c := range []struct {
		name    string
		answer  error
		blocked bool
		log     string
	}{
		{"done", nil, false, "roll out in 10 waves, 50 ms apart: all instances are replaced after "},
		{"refused", fmt.Errorf("%w: arrivals differ", swarm.ErrNotRolledOut), true,
			"roll out in 10 waves, 50 ms apart: not carried out: these settings cannot be rolled out: arrivals differ"},
		{"failed", fault, false, "roll out in 10 waves, 50 ms apart: cut short: a fault"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log []string
			in := &Handle{
				Params: rollout.Complete(map[string]string{"waves": "10", "pause_ms": "50"}),
				Step:   func(did, answer string) { log = append(log, did+": "+answer) },
				Rollout: func(_ context.Context, waves int, pause time.Duration) error {
					if waves != 10 || pause != 50*time.Millisecond {
						t.Errorf("%d waves, %v apart", waves, pause)
					}
					return c.answer
				},
			}
			err := rollout.Apply(t.Context(), in)
			if !errors.Is(err, c.answer) || errors.Is(err, ErrBlocked) != c.blocked {
				t.Errorf("%v, blocked %v", err, errors.Is(err, ErrBlocked))
			}
			if len(log) != 1 || !strings.HasPrefix(log[0], c.log) {
				t.Errorf("log: %q", log)
			}
		})
	}
}
