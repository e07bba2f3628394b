package observe

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/process"
)

// A watch of a server whose clients are others' tells which errors they are answered
// with, and when it is over. Scripts that are sent for the first time are none of it.
func TestLookoutSeesCommandsRefused(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	s := startedElsewhere(t, process.Start, server.Config{"save": `""`})
	ctx, stop := context.WithCancel(context.Background())
	client := redis.NewClient(&redis.Options{Addr: s.Endpoint().Addr, PoolSize: 1})
	done := make(chan struct{})
	defer func() {
		stop()
		<-done
		_ = client.Close()
	}()
	begun := time.Now()
	go func() { // a replica from 2 s to 3 s
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			at := time.Since(begun)
			switch replica := at > 2*time.Second && at < 3*time.Second; {
			case i%10 != 0:
			case replica:
				client.Do(ctx, "REPLICAOF", "127.0.0.1", "1")
			default:
				client.Do(ctx, "REPLICAOF", "NO", "ONE")
			}
			client.Set(ctx, "theirs", "1", 0)
			client.EvalSha(ctx, "0000000000000000000000000000000000000000", nil)
			time.Sleep(5 * time.Millisecond)
		}
	}()
	var seen []Reading
	last, err := Run(t.Context(), Options{
		Endpoint: s.Endpoint(), For: 6 * time.Second, Baseline: time.Second, LockPrefix: "lock:",
		Observe: func(s Reading) { seen = append(seen, s) },
	})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(last.Signals, func(s SignalReading) bool { return s.Name == "error-replies" })
	x := last.Signals[i]
	if x.FiredAtMS == nil || *x.FiredAtMS < 2000 || *x.FiredAtMS > 3000 || x.Firing == nil || *x.Firing {
		t.Errorf("%+v", x)
	}
	if !slices.ContainsFunc(seen, func(s Reading) bool { return s.ErrorRepliesPerS["READONLY"] > 20 }) {
		t.Errorf("no sighting has READONLY: %+v", seen)
	}
	if n := last.ErrorRepliesPerS; n["NOSCRIPT"] == 0 || n["READONLY"] > 0 {
		t.Errorf("at the end: %v", n)
	}
}
