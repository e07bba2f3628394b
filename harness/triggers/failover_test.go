package triggers

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/swarm"
)

// The service scales out once the failover is done, and not if it went wrong.
func TestFailoverScalesOutAfterwards(t *testing.T) {
	wrong := errors.New("wrong")
	for _, fails := range []error{nil, wrong} {
		set := swarm.Defaults()
		s := swarm.Start(t.Context(), swarm.Config{Settings: set, Target: swarm.Target{Addr: "127.0.0.1:1"},
			Elapsed: func() time.Duration { return 0 }, Record: nil})
		var lag time.Duration
		err := failover.Fire(t.Context(), &Handle{
			Settings: Settings{LagMS: 30, Instances: 3}, Of: set, Swarm: s,
			Failover: func(_ context.Context, l time.Duration) error { lag = l; return fails },
		})
		want := int64(3)
		if fails != nil {
			want = 1
		}
		if got := s.Snapshot().Workers; !errors.Is(err, fails) || lag != 30*time.Millisecond || got != want {
			t.Errorf("%v: %v, lag %v, %d workers, want %d", fails, err, lag, got, want)
		}
		s.Stop()
	}
}
