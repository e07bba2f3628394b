package swarm

import (
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

// Work becomes slow for every worker, also for those that come later.
func TestSlowWork(t *testing.T) {
	b := newBench(t, 32)
	set := Defaults()
	set.Instances, set.Lock.Tenants, set.Arrivals.Tenant = 3, 3, TenantByWorker
	s := b.start(set)
	b.eventually("decisions", func() bool { return s.Snapshot().Decisions > 10 })
	s.SlowWork(60 * time.Millisecond)
	slow := b.elapsed()
	s.Scale(6)
	if err := s.Rollout(t.Context(), set, 1, 0, nil); err != nil {
		t.Error(err)
	}
	b.eventually("more decisions", func() bool { return s.Snapshot().Decisions > 40 })
	s.Stop()
	fast, slowed := 0, 0
	for _, op := range b.ops {
		switch took := op.Worked - op.Granted; {
		case op.Outcome != history.OK:
		case op.Granted < slow && took < 60*time.Millisecond:
			fast++
		case op.Granted > slow && took < 60*time.Millisecond:
			t.Errorf("granted at %v, after the work had become slow at %v, and done within %v", op.Granted, slow, took)
		case op.Granted > slow:
			slowed++
		}
	}
	if fast < 5 || slowed < 20 {
		t.Errorf("%d were fast and %d slow", fast, slowed)
	}
}
