package runner

import (
	"errors"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/process"
)

// manyUnsteady is ten thousand workers, each with a client of its own, whose goodput is
// never steady: every lock is wanted by thousands, and held for longer than a bin.
const manyUnsteady = `
name: many-unsteady
title: Ten thousand workers without a steady baseline
server: {maxclients: 12000, config: {save: '""'}}
swarm:
  instances: 10000
  lock: {tenants: 4, hold_ms: 700, poll_ms: 20}
  arrivals: {tenant: by-worker, think_ms: 10}
trigger: {kind: none}
phases: {baseline_ms: 2000, baseline_max_ms: 8000, incident_ms: 1000}
arms:
  - {name: control, remedy: none}
`

// How long an arm of 10,000 workers takes from its last phase to its verdict where no
// baseline is found, so that nothing can be judged; and how long until its swarm is up.
//
//	go test -run '^$' -bench Unsteady -benchtime 3x ./harness/runner
func BenchmarkUnsteady(b *testing.B) {
	sc, err := scenario.Parse("many-unsteady.yaml", []byte(manyUnsteady))
	if err != nil {
		b.Fatal(err)
	}
	var ending, starting time.Duration
	for b.Loop() {
		var begun, ended time.Time
		r, _, err := Run(b.Context(), Options{
			Scenarios: []*scenario.Scenario{sc}, Start: process.Start, Out: b.TempDir(), Seed: 1,
			Observe: func(e result.Event) {
				switch {
				case e.Kind == result.ArmStarted:
					begun = time.Now()
				case e.Kind == result.EventKind(history.PhaseMark) && e.Name == history.Warmup:
					starting += time.Since(begun)
				case e.Kind == result.EventKind(history.PhaseMark) && e.Name == history.End:
					ended = time.Now()
				case e.Kind == result.ArmFinished:
					ending += time.Since(ended)
				}
			},
		})
		if errors.Is(err, server.ErrUnavailable) {
			b.Skipf("needs a redis-server on PATH: %v", err)
		}
		if err != nil || r.Scenarios[0].Arms[0].Outcome != result.Inconclusive {
			b.Fatalf("%v; want an arm without a verdict", err)
		}
	}
	b.ReportMetric(starting.Seconds()/float64(b.N), "s-until-warmup")
	b.ReportMetric(ending.Seconds()/float64(b.N), "s-after-end")
	b.ReportMetric(0, "ns/op")
}
