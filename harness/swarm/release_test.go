package swarm

import (
	"context"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

// A worker that has lost its lock leaves the next one's alone, or deletes it.
func TestRelease(t *testing.T) {
	for how, want := range map[Release]struct {
		class history.Class
		next  string
	}{
		ReleaseToken: {history.Conflict, "the next ones wait for somebody, and give up"},
		ReleaseBlind: {history.None, "the next ones come in"}, // and the worker that let them in does not know
	} {
		t.Run(string(how), func(t *testing.T) {
			b := newBench(t, 32)
			set := Defaults()
			set.Lock.Release, set.Lock.AcquireTimeoutMS = how, 20
			first := true
			s := b.startWith(set, func(int) {
				if first { // its lease has run out, and another worker came
					b.control.Admin.Set(context.Background(), "lock:t:0", "somebody", 0)
				}
				first = false
			})
			b.eventually(want.next, func() bool {
				x := s.Snapshot()
				return how == ReleaseToken && x.Failed > 2 && x.Decisions == 1 || how == ReleaseBlind &&
					x.Failed == 0 && x.Decisions > 2
			})
			s.Stop()
			if op := b.ops[0]; op.Class != want.class || op.Outcome != history.OK {
				t.Errorf("%+v, want class %v", op, want.class)
			}
		})
	}
}

// One piece of work under each of some locks is stalled, and no more.
func TestStallHolders(t *testing.T) {
	b := newBench(t, 32)
	set := Defaults()
	set.Instances, set.Lock.Tenants, set.Arrivals.Tenant = 6, 3, TenantByWorker
	s := b.start(set)
	b.eventually("decisions", func() bool { return s.Snapshot().Decisions > 20 })
	if err := s.StallHolders(t.Context(), 2, 200*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	decided := s.Snapshot().Decisions
	b.eventually("the stalls are over", func() bool { return s.Snapshot().Decisions > decided+200 })
	s.Stop()
	stalled := map[int32]int{}
	for _, op := range b.ops {
		if op.Outcome == history.OK && op.Worked-op.Granted >= 200*time.Millisecond {
			stalled[op.Tenant]++
		}
	}
	if len(stalled) != 2 || stalled[0] != 1 || stalled[1] != 1 {
		t.Errorf("stalled, by tenant: %v, want one each of the first two", stalled)
	}
	checkGrants(t, b.ops)
}

// With no worker at work there is none to stall, now or later.
func TestStallHoldersIsBounded(t *testing.T) {
	b := newBench(t, 32)
	set := Defaults()
	set.Arrivals.ThinkMS = 3_600_000
	s := b.start(set)
	defer s.Stop()
	over, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.StallHolders(over, 1, time.Hour); err == nil || s.slow.once.pending() {
		t.Errorf("%v, pending %v", err, s.slow.once.pending())
	}
}
