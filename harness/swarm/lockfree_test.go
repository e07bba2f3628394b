package swarm

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

var lockfree = []Decision{DecisionTransaction, DecisionScript}

// checkCounts reports whether every count was written once, and no window admitted
// more than the limit. It returns how many were admitted.
func checkCounts(t *testing.T, ops []history.Op, limit int64) (admitted int64) {
	t.Helper()
	written := map[string]bool{}
	for _, op := range ops {
		if op.Granted != history.Never || op.Released != history.Never || op.Fence != 0 {
			t.Fatalf("%+v: nobody holds anything", op)
		}
		if (op.Count != 0) != op.Admitted || op.Admitted && op.Outcome != history.OK ||
			(op.Worked != history.Never) != (op.Outcome == history.OK) {
			t.Fatalf("%+v contradicts itself", op)
		}
		if !op.Admitted {
			continue
		}
		admitted++
		key := fmt.Sprint(op.Tenant, op.Window, op.Count)
		if written[key] || op.Count > limit {
			t.Errorf("tenant %d, window %d: count %d, of %d, was written before: %v", op.Tenant, op.Window, op.Count,
				limit, written[key])
		}
		written[key] = true
	}
	return admitted
}

// Under contention exactly the limit is admitted, no update is lost, and there is
// no lock.
func TestDecisionsWithoutALock(t *testing.T) {
	for _, decision := range lockfree {
		t.Run(string(decision), func(t *testing.T) {
			b := newBench(t, 64)
			set := Defaults()
			set.Instances, set.Lock.HoldMS, set.Lock.PollMS = 16, 1, 1
			set.Limiter = LimiterSettings{WindowMS: 600_000, Limit: 150, Decision: decision}
			s := b.start(set)
			b.eventually("200 decisions", func() bool { return s.Snapshot().Decisions >= 200 })
			x := s.Snapshot()
			if n := b.control.Admin.DBSize(t.Context()).Val(); n != 1 {
				t.Errorf("%d keys: want the counter, no lock and no fence", n)
			}
			s.Stop()
			if n := checkCounts(t, b.ops, 150); n != 150 {
				t.Errorf("%d admitted, of a limit of 150", n)
			}
			if n, _ := b.control.Admin.Get(t.Context(), "count:t:0:0").Int(); n != 150 {
				t.Errorf("the counter is %d", n)
			}
			if ttl := b.control.Admin.PTTL(t.Context(), "count:t:0:0").Val(); ttl <= 0 || ttl > 1200*time.Second {
				t.Errorf("the counter expires in %v", ttl)
			}
			tries := int32(0)
			for _, op := range b.ops {
				tries = max(tries, op.Tries)
			}
			if contended := tries > 1; contended != (decision == DecisionTransaction) {
				t.Errorf("at most %d tries: of 16 transactions at once some begin again, of scripts none", tries)
			}
			if x.Errors != [history.Classes]int64{} {
				t.Errorf("errors: %v; a transaction that comes too late is none", x.Errors)
			}
			if end := s.Snapshot(); end.Grants != end.Decisions || end.Releases != end.Decisions ||
				x.Commands < x.Decisions {
				t.Errorf("%+v: want a grant and a release for each decision", end)
			}
		})
	}
}

// Windows follow each other, holders redial, pools are shared, the tenants are
// several.
func TestDecisionsWithoutALockInManyWindows(t *testing.T) {
	for _, decision := range lockfree {
		for name, change := range map[string]func(*Settings){
			"redials": func(s *Settings) { s.Instances, s.Holder = 12, HolderRedials },
			"shared":  func(s *Settings) { s.WorkersPerInstance, s.Client.PoolSize, s.Waiter = 12, 4, WaiterKeeps },
		} {
			t.Run(string(decision)+", "+name, func(t *testing.T) {
				b := newBench(t, 64)
				set := Defaults()
				set.Lock.Tenants, set.Lock.HoldMS, set.Lock.PollMS = 2, 1, 1
				set.Limiter = LimiterSettings{WindowMS: 50, Limit: 10, Decision: decision}
				change(&set)
				s := b.start(set)
				b.eventually("decisions over a second",
					func() bool { return s.Snapshot().Decisions >= 200 && b.elapsed() > time.Second })
				s.Stop()
				if n := checkCounts(t, b.ops, 10); n < 100 {
					t.Errorf("%d admitted, over 20 windows and more", n)
				}
			})
		}
	}
}

// Answers that are lost make a client try again: a request may be counted twice,
// and none is admitted twice or too many.
func TestDecisionsWithoutALockOverBrokenConnections(t *testing.T) {
	for _, decision := range lockfree {
		t.Run(string(decision), func(t *testing.T) {
			b := newBench(t, 64)
			set := Defaults()
			set.Instances, set.Lock.HoldMS, set.Lock.PollMS, set.RedialMS = 8, 3, 1, 1
			set.Limiter = LimiterSettings{WindowMS: 600_000, Limit: 300, Decision: decision}
			s := b.start(set)
			b.eventually("the limit is reached, though connections are cut all the time", func() bool {
				b.cutAll()
				x := s.Snapshot()
				return x.Decisions >= 350 && x.Errors[history.Reset] > 0
			})
			s.Stop()
			if n := checkCounts(t, b.ops, 300); n > 300 || n < 150 {
				t.Errorf("%d admitted, of a limit of 300", n)
			}
		})
	}
}

// cutAll cuts the connections of all workers.
func (b *bench) cutAll() {
	ctx := context.Background()
	for line := range strings.Lines(b.control.Admin.ClientList(ctx).Val()) {
		id, ok := strings.CutPrefix(strings.Fields(line)[0], "id=")
		if ok && strings.Contains(line, "name=lockjam-") && !strings.Contains(line, "name=lockjam-control-") {
			b.control.Admin.ClientKillByFilter(ctx, "ID", id)
		}
	}
}

// A transaction that never gets through gives up, and hangs up where that is asked
// for.
func TestTransactionGivesUp(t *testing.T) {
	b := newBench(t, 32)
	set := Defaults()
	set.Lock.HoldMS, set.Lock.AcquireTimeoutMS, set.Arrivals.ThinkMS, set.Lock.OnGiveUp = 5, 60, 300, GiveUpCloses
	set.Limiter = LimiterSettings{WindowMS: 600_000, Limit: 100, Decision: DecisionTransaction}
	s := b.startWith(set, func(int) { b.control.Admin.Set(context.Background(), "count:t:0:0", 7, 0) })
	b.eventually("it has given up", func() bool { x := s.Snapshot(); return x.Failed >= 1 && x.Idle == 1 })
	b.eventually("and hung up", func() bool { return b.connections(anyName) == 0 })
	s.Stop()
	if op := b.ops[0]; op.Outcome != history.Fail || op.Class != history.Deadline || op.Tries < 2 || op.Admitted ||
		op.Worked != history.Never {
		t.Errorf("%+v, want a failure by deadline after some tries", op)
	}
	if n := b.control.Admin.Get(t.Context(), "count:t:0:0").Val(); n != "7" {
		t.Errorf("the counter is %s", n)
	}
}

// While it works a worker holds nothing that anybody waits for, and says so.
func TestCensusWithoutALock(t *testing.T) {
	for _, decision := range lockfree {
		b := newBench(t, 32)
		set := Defaults()
		set.Instances, set.Lock.HoldMS, set.Limiter.Decision = 3, 60_000, decision
		s := b.start(set)
		b.eventually("three at work", func() bool { return s.Snapshot().Holding == 3 })
		for _, w := range s.Census() {
			if w.State != "holding" || w.Lock != "" || w.Token != "" {
				t.Errorf("%s: %+v", decision, w)
			}
		}
		s.Stop()
		if len(b.ops) != 3 || b.ops[0].Outcome != history.Unknown {
			t.Errorf("%s: %+v, want what was cut off recorded as unknown", decision, b.ops)
		}
	}
}

// The trigger of other arms finds a worker to crash here, too. Nothing stays behind.
func TestCrashWithoutALock(t *testing.T) {
	for _, decision := range lockfree {
		b := newBench(t, 32)
		set := Defaults()
		set.Instances, set.Lock.Tenants, set.ReplaceAfterMS, set.Limiter.Decision = 6, 2, 5, decision
		set.Arrivals.Tenant = TenantByWorker
		s := b.start(set)
		if err := s.CrashHolders(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.eventually("replacements", func() bool { x := s.Snapshot(); return x.Crashes == 2 && x.Workers == 6 })
		was := s.Snapshot().Decisions
		b.eventually("they go on", func() bool { return s.Snapshot().Decisions > was+20 })
		if n := len(b.control.Admin.Keys(t.Context(), LockPattern("t")).Val()); n != 0 {
			t.Errorf("%s: %d locks stay behind", decision, n)
		}
		s.Stop()
		checkCounts(t, b.ops, set.Limiter.Limit)
	}
}

// A rollout from locks to scripts. While both run the locked ones may overwrite
// what the others count; once all are new, nothing is written twice.
func TestRolloutOfAnotherDecision(t *testing.T) {
	b := newBench(t, 64)
	set := Defaults()
	set.Instances = 6
	set.Limiter.WindowMS = 50
	s := b.start(set)
	b.eventually("decisions", func() bool { return s.Snapshot().Decisions > 20 })
	to := set
	to.Limiter.Decision = DecisionScript
	if err := s.Rollout(t.Context(), to, 3, 20*time.Millisecond, nil); err != nil {
		t.Fatal(err)
	}
	from := b.elapsed() + 2*50*time.Millisecond // in windows that no old one wrote to
	b.eventually("decisions by the new", func() bool { return b.elapsed() > from+300*time.Millisecond })
	if n := len(b.control.Admin.Keys(t.Context(), LockPattern("t")).Val()); n != 0 {
		t.Errorf("%d locks are left", n)
	}
	s.Stop()
	var after []history.Op
	for _, op := range b.ops {
		if op.Begun > from {
			after = append(after, op)
		}
	}
	if n := checkCounts(t, after, set.Limiter.Limit); n < 50 {
		t.Errorf("%d admitted after the rollout", n)
	}
}
