package harness

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"gonum.org/v1/gonum/stat"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/swarm"
	"github.com/lockjam/lockjam/harness/watch"
)

// What watching costs: goodput of a swarm that does nothing but ask Redis, with and
// without each part of the watching, turn and turn about in one run. A round takes
// a second; the machine's moods need some fifty of them:
//
//	go test -run '^$' -bench Watching -benchtime 50x ./harness
func BenchmarkWatching(b *testing.B) {
	for _, part := range []struct {
		name string
		set  func(*watch.Config)
	}{
		{"counters", func(*watch.Config) {}},
		{"counters+locks+census", func(c *watch.Config) { c.LocksEvery = 500 * time.Millisecond }},
		{"canary", func(c *watch.Config) { c.CanaryEvery = 200 * time.Millisecond }},
		{"monitor", func(c *watch.Config) { c.MonitorEvery, c.MonitorFor = 10*time.Millisecond, time.Minute }},
	} {
		b.Run(part.name, func(b *testing.B) { benchmarkWatching(b, part.set) })
	}
}

func benchmarkWatching(b *testing.B, set func(*watch.Config)) {
	a := busyArm(b)
	c := watch.Config{
		Elapsed: a.elapsed, Record: func(history.Sample) {}, Swarm: a.swarm.Snapshot, LockPrefix: "lock:",
		Census:       func(c *redis.Client) history.Census { return a.census(context.Background(), c) },
		RecordCensus: func(history.Census) {},
	}
	set(&c)
	const window = 250 * time.Millisecond
	decisions := func() float64 {
		before := a.swarm.Snapshot().Decisions
		time.Sleep(window)
		return float64(a.swarm.Snapshot().Decisions - before)
	}
	watched := func() float64 {
		w := watch.New(c, a.connections())
		w.Count(c.LocksEvery > 0)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { w.Run(ctx); close(done) }()
		defer func() { cancel(); <-done; w.Wait() }()
		return decisions()
	}
	var ratios []float64
	for b.Loop() {
		// There and back, so that a drift of the machine's speed evens out.
		off, on := decisions(), watched()
		on += watched()
		off += decisions()
		ratios = append(ratios, on/off)
	}
	mean, deviation := stat.MeanStdDev(ratios, nil)
	b.ReportMetric(100*mean, "%goodput")
	b.ReportMetric(100*1.96*deviation/math.Sqrt(float64(len(ratios))), "±%")
	b.ReportMetric(0, "ns/op")
}

// busyArm is a swarm that Redis keeps waiting, and that nothing else does.
func busyArm(b *testing.B) *armRun {
	workspace, err := server.NewWorkspace(fmt.Sprintf("bench-%d", time.Now().UnixNano()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = workspace.Close() })
	a := &armRun{options: &Options{}, started: time.Now(), prefix: "lj-bench"}
	a.sc = &scenario.Scenario{Server: scenario.Server{MaxClients: 64}}
	a.server, err = server.StartProcess(b.Context(), server.Spec{
		Config: server.Config{"maxclients": "64", "save": `""`}, Workspace: workspace, Name: "bench",
	})
	if err != nil {
		b.Skipf("needs a redis-server on PATH: %v", err)
	}
	b.Cleanup(func() { _ = a.server.Stop(context.Background()) })
	if a.control, err = server.OpenControl(b.Context(), a.server.Endpoint()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = a.control.Close() })
	settings := swarm.Defaults()
	settings.Instances, settings.Lock.Tenants, settings.Lock.HoldMS = 32, 32, 0
	settings.Arrivals.Tenant = swarm.TenantByWorker
	a.swarm = swarm.Start(context.Background(), swarm.Config{
		Target: swarm.Target{Addr: a.server.Endpoint().Addr}, Settings: settings, Prefix: a.prefix, Seed: 1,
		Elapsed: a.elapsed, Record: func(history.Op) {},
	})
	b.Cleanup(a.swarm.Stop)
	time.Sleep(200 * time.Millisecond) // connecting
	return a
}
