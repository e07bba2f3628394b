package runner

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"gonum.org/v1/gonum/stat"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/sampler"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/process"
	"github.com/lockjam/lockjam/harness/swarm"
)

// parts of the watching, each with what it needs beside the counters.
var watchingParts = []struct {
	name string
	set  func(*sampler.Config)
}{
	{"counters", func(*sampler.Config) {}},
	{"counters+locks+census", func(c *sampler.Config) { c.LocksEvery = 500 * time.Millisecond }},
	{"canary", func(c *sampler.Config) { c.CanaryEvery = 200 * time.Millisecond }},
	{"monitor", func(c *sampler.Config) { c.MonitorEvery, c.MonitorFor = 10*time.Millisecond, time.Minute }},
}

// What watching costs in goodput: that of a swarm which does nothing but ask Redis,
// with and without each part, turn and turn about in one run. A round takes a
// second, and one round differs from the next by a tenth on a busy machine: it takes
// fifty for an interval of three percent.
//
//	go test -run '^$' -bench WatchingGoodput -benchtime 50x ./harness/runner
func BenchmarkWatchingGoodput(b *testing.B) {
	for _, part := range watchingParts {
		b.Run(part.name, func(b *testing.B) { benchmarkWatching(b, part.set) })
	}
}

// What watching costs Redis: the share of its one core that it takes while 32 clients
// are connected and idle. Goodput that is bound by Redis cannot lose more, and this
// does not depend on the machine's moods. MONITOR is left out: it costs by the
// command that others send.
//
//	go test -run '^$' -bench WatchingCPU -benchtime 3x ./harness/runner
func BenchmarkWatchingCPU(b *testing.B) {
	for _, part := range watchingParts[:3] {
		b.Run(part.name, func(b *testing.B) {
			a := benchArm(b, time.Hour)
			c := benchConfig(a)
			part.set(&c)
			const window = 3 * time.Second
			var idle, watched float64
			for b.Loop() {
				before := cpuSeconds(b, a)
				time.Sleep(window)
				middle := cpuSeconds(b, a)
				stop := startWatching(a, c)
				time.Sleep(window)
				stop()
				idle += middle - before
				watched += cpuSeconds(b, a) - middle
			}
			b.ReportMetric(100*(watched-idle)/(window.Seconds()*float64(b.N)), "%redis-cpu")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// cpuSeconds is what Redis has used of its core.
func cpuSeconds(b *testing.B, a *armRun) (sum float64) {
	info, err := sampler.ReadInfo(b.Context(), a.host.control.Admin, "cpu")
	if err != nil {
		b.Fatal(err)
	}
	for _, field := range []string{"used_cpu_sys", "used_cpu_user"} {
		v, err := strconv.ParseFloat(info[field], 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += v
	}
	return sum
}

func benchConfig(a *armRun) sampler.Config {
	return sampler.Config{
		Elapsed: a.rec.elapsed, Record: func(history.Sample) {}, Swarm: a.swarm.Snapshot, LockPrefix: "lock:",
		Census:       func(c *redis.Client) history.Census { return newCounter(a).census(context.Background(), c) },
		RecordCensus: func(history.Census) {},
	}
}

// startWatching watches until stop is called.
func startWatching(a *armRun, c sampler.Config) (stop func()) {
	w := sampler.New(c, a.host.connections())
	w.Count(c.LocksEvery > 0)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { w.Run(ctx); close(done) }()
	return func() { cancel(); <-done; w.Wait() }
}

func benchmarkWatching(b *testing.B, set func(*sampler.Config)) {
	a := benchArm(b, 0)
	c := benchConfig(a)
	set(&c)
	const window = 250 * time.Millisecond
	decisions := func() float64 {
		before := a.swarm.Snapshot().Decisions
		time.Sleep(window)
		return float64(a.swarm.Snapshot().Decisions - before)
	}
	watched := func() float64 {
		defer startWatching(a, c)()
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

// benchArm is a swarm that only Redis keeps waiting, or its own thinking.
func benchArm(b *testing.B, think time.Duration) *armRun {
	workspace, err := server.NewWorkspace(fmt.Sprintf("bench-%d", time.Now().UnixNano()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = workspace.Close() })
	a := newArm(job{
		options: &Options{}, prefix: "lj-bench", sc: &scenario.Scenario{Server: scenario.Server{MaxClients: 64}},
	})
	a.rec.started = time.Now()
	a.host.server, err = process.Start(b.Context(), server.Spec{
		Config: server.Config{"maxclients": "64", "save": `""`}, Workspace: workspace, Name: "bench",
	})
	if err != nil {
		b.Skipf("needs a redis-server on PATH: %v", err)
	}
	b.Cleanup(func() { _ = a.host.server.Stop(context.Background()) })
	if a.host.control, err = server.OpenControl(b.Context(), a.host.server.Endpoint()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = a.host.control.Close() })
	settings := swarm.Defaults()
	settings.Instances, settings.Lock.Tenants, settings.Lock.HoldMS = 32, 32, 0
	settings.Arrivals.Tenant, settings.Arrivals.ThinkMS = swarm.TenantByWorker, swarm.Millis(think.Milliseconds())
	a.swarm = swarm.Start(context.Background(), swarm.Config{
		Target: swarm.Target{Addr: a.host.server.Endpoint().Addr}, Settings: settings, Prefix: a.prefix, Seed: 1,
		Elapsed: a.rec.elapsed, Record: func(history.Op) {},
	})
	b.Cleanup(a.swarm.Stop)
	time.Sleep(200 * time.Millisecond) // connecting
	return a
}
