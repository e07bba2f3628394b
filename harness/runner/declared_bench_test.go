package runner

import (
	"errors"
	"testing"

	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/process"
)

// How long after the rules first allow it the deadlock is declared: that takes the
// next census, and the one that it is compared with. Each round is a control arm.
//
//	go test -run '^$' -bench Declared -benchtime 10x ./harness/runner
func BenchmarkDeclared(b *testing.B) {
	sc, err := scenario.Embedded("slot-lock-deadlock")
	if err != nil {
		b.Fatal(err)
	}
	sc.Phases.RecoveryMS, sc.Watch.ProbeMS = sc.Cure.HoldMS, 0
	latest, sum, seed := 0.0, 0.0, uint64(0)
	for b.Loop() {
		seed++
		r, _, err := Run(b.Context(), Options{
			Scenarios: []*scenario.Scenario{sc}, Arms: []string{"control"}, Start: process.Start, Out: b.TempDir(),
			Seed: seed,
		})
		if errors.Is(err, server.ErrUnavailable) {
			b.Skipf("needs a redis-server on PATH: %v", err)
		}
		if err != nil {
			b.Fatal(err)
		}
		d := r.Scenarios[0].Arms[0].Deadlock
		if d == nil || !d.Proved {
			b.Fatalf("nothing was proved: %+v", r.Scenarios[0].Arms[0].Reasons)
		}
		latest, sum = max(latest, d.LateMS), sum+d.LateMS
	}
	b.ReportMetric(latest, "ms-late-at-most")
	b.ReportMetric(sum/float64(b.N), "ms-late-on-average")
	b.ReportMetric(0, "ns/op")
}
