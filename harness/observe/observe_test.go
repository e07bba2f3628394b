package observe

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/process"
)

// A server that is killed, in the middle of everything that can be watched, and a
// watch that is interrupted while it tries to get back: nothing is left open.
func TestLookoutLeavesNothing(t *testing.T) {
	for _, c := range []struct {
		why   string
		trial func(*testing.T, server.Server, context.CancelFunc)
	}{
		{"killed, and --for ends", func(t *testing.T, s server.Server, _ context.CancelFunc) {
			if err := s.Kill(t.Context()); err != nil {
				t.Error(err)
			}
		}},
		{"killed, and interrupted", func(t *testing.T, s server.Server, interrupt context.CancelFunc) {
			if err := s.Kill(t.Context()); err != nil {
				t.Error(err)
			}
			time.AfterFunc(1200*time.Millisecond, interrupt)
		}},
		{"stalled, and interrupted", func(t *testing.T, s server.Server, interrupt context.CancelFunc) {
			if err := s.Pause(t.Context()); err != nil {
				t.Error(err)
			}
			time.AfterFunc(500*time.Millisecond, interrupt)
		}},
	} {
		t.Run(c.why, func(t *testing.T) {
			needRedis(t)
			nothingLeft(t)
			s := startedElsewhere(t, process.Start, server.Config{"save": `""`})
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			time.AfterFunc(1200*time.Millisecond, func() { c.trial(t, s, interrupt) })
			begun := time.Now()
			last, err := Run(ctx, Options{
				Endpoint: s.Endpoint(), For: 4 * time.Second, Baseline: time.Second, LockPrefix: "lock:", Monitor: true,
				Canary: true,
			})
			if took := time.Since(begun); took > 6*time.Second {
				t.Errorf("it took %v", took)
			}
			if killed := strings.HasPrefix(c.why, "killed"); killed != (err != nil) || len(last.Signals) == 0 {
				t.Errorf("%+v, %v", last, err)
			}
		})
	}
}
