package judge

import (
	"math"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"pgregory.net/rapid"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/swarm"
)

func TestSafetyCountsPlantedFaults(t *testing.T) {
	grant := func(at, until time.Duration, fence, count int64) history.Op {
		return history.Op{Outcome: history.OK, Admitted: true, Begun: at, Granted: at, Worked: until, Released: until +
			1, Ended: until + 2, Fence: fence, Count: count}
	}
	const ms = time.Millisecond
	for _, c := range []struct {
		name string
		ops  []history.Op
		want result.Safety
	}{
		{"one after the other", []history.Op{grant(10*ms, 20*ms, 1, 1), grant(20*ms, 30*ms, 2, 2)}, result.Safety{}},
		{"one inside the other", []history.Op{grant(10*ms, 40*ms, 1, 1), grant(20*ms, 30*ms, 2, 2)},
			result.Safety{Overlaps: 1}},
		{"two inside one", []history.Op{grant(10*ms, 40*ms, 1, 1), grant(15*ms, 20*ms, 2, 2),
			grant(25*ms, 30*ms, 3, 3)}, result.Safety{Overlaps: 2}},
		{"the token went back", []history.Op{grant(10*ms, 20*ms, 5, 1), grant(20*ms, 30*ms, 1, 2)},
			result.Safety{FencingRegressions: 1}},
		{"both wrote the same count", []history.Op{grant(10*ms, 20*ms, 1, 1), grant(20*ms, 30*ms, 2, 1)},
			result.Safety{LostUpdates: 1}},
		{"one more than the limit", []history.Op{grant(1*ms, 2*ms, 1, 1), grant(2*ms, 3*ms, 2, 2),
			grant(3*ms, 4*ms, 3, 3), grant(4*ms, 5*ms, 4, 4)}, result.Safety{OverAdmitted: 1}},
		// A worker that was cut off without an answer may hold the lock or not, and may have written
		// or not: what is not known is no violation.
		{"an acquisition that was never answered", []history.Op{
			{Outcome: history.Unknown, Begun: 5 * ms, Granted: history.Never, Worked: history.Never,
				Released: history.Never, Ended: 50 * ms},
			grant(10*ms, 20*ms, 1, 1), grant(20*ms, 30*ms, 2, 2)}, result.Safety{}},
		{"a holder that was cut off still relied on it", []history.Op{
			{Outcome: history.Unknown, Begun: 5 * ms, Granted: 6 * ms, Worked: history.Never, Released: history.Never,
				Ended: 50 * ms, Fence: 1},
			grant(10*ms, 20*ms, 2, 1)}, result.Safety{Overlaps: 1}},
		{"a holder that crashed relies on nothing", []history.Op{
			{Outcome: history.Unknown, Class: history.Crashed, Begun: 5 * ms, Granted: 6 * ms, Worked: history.Never,
				Released: history.Never, Ended: 8 * ms, Fence: 1},
			grant(10*ms, 20*ms, 2, 1)}, result.Safety{}},
		{"the same count in another window",
			[]history.Op{grant(10*ms, 20*ms, 1, 1),
				func() history.Op { op := grant(20*ms, 30*ms, 2, 1); op.Window = 1; return op }()}, result.Safety{}},
		{"deleted from under its holder",
			[]history.Op{func() history.Op {
				op := grant(10*ms, 20*ms, 1,
					1)
				op.Class = history.Conflict
				return op
			}()}, result.Safety{ForeignReleases: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			sc, arm := testScenario()
			sc.Swarm.Limiter.Limit = 3
			e, out := Evidence{Scenario: sc, Arm: arm, History: &history.History{Ops: c.ops},
				Time: timeline{remedyBegun: history.Never}}, &ruling{}
			safety(e, out)
			if out.Safety != c.want {
				t.Errorf("got %+v, want %+v", out.Safety, c.want)
			}
		})
	}
}

// What one hold does, in order. Between reading the counter and writing it, and as
// long as it relies on the lock, no other holder must.
const (
	begun = iota
	granted
	read
	worked
	released
	steps
)

// holds are operations on one lock and its counter, one after the other but for some
// that begin before the last is over: what a lock that is deleted or expires lets
// happen. Some holders crash in the middle of their work.
func holds(t *rapid.T) []history.Op {
	n := rapid.IntRange(1, 8).Draw(t, "holds")
	type event struct{ op, step int }
	var events []event
	done := make([]int, n+1)
	for now := 0; now < n; now++ {
		early := now+1 < n && rapid.IntRange(0, 3).Draw(t, "early") == 0
		for done[now] < steps {
			op := now
			if early && done[now+1] < steps && rapid.Bool().Draw(t, "next") {
				op++
			}
			events = append(events, event{op, done[op]})
			done[op]++
		}
	}
	ops := make([]history.Op, n)
	reads := make([]int64, n)
	var count, fence int64
	for at, e := range events {
		op, now := &ops[e.op], time.Duration(at+1)
		if op.Class == history.Crashed {
			continue
		}
		op.Worker, op.Outcome, op.Ended = int32(e.op), history.OK, now
		switch e.step {
		case begun:
			*op = history.Op{Worker: op.Worker, Outcome: history.Unknown, Begun: now, Ended: now,
				Granted: history.Never, Worked: history.Never, Released: history.Never}
		case granted:
			op.Granted = now
		case read:
			fence++
			op.Fence, reads[e.op] = fence, count
			if rapid.IntRange(0, 9).Draw(t, "crash") == 0 {
				op.Class, op.Outcome = history.Crashed, history.Unknown
			}
		case worked:
			count = reads[e.op] + 1
			op.Worked, op.Admitted, op.Count = now, true, count
		case released:
			op.Released = now
		}
	}
	return ops
}

// mutex is a lock as porcupine sees it: two operations a hold, of which the second is
// the moment from which the holder did not rely on it any more.
var mutex = porcupine.Model{
	Init: func() any { return false },
	Step: func(state, input, _ any) (bool, any) {
		acquires := input.(bool)
		return state.(bool) != acquires, acquires
	},
}

// adder is a counter whose updates are one step each.
var adder = porcupine.Model{
	Init: func() any { return int64(0) },
	Step: func(state, _, output any) (bool, any) {
		return output.(int64) == state.(int64)+1, output
	},
}

// The counts are right by another's reckoning: where they find no fault the history
// is that of a lock and of a counter (Herlihy and Wing's linearizability, as
// porcupine checks it), and where they find one it is not.
func TestSafetyAgreesWithPorcupine(t *testing.T) {
	broken, sound := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		ops := holds(t)
		var locks, adds []porcupine.Operation
		for i, op := range ops {
			until := op.Worked
			if until == history.Never {
				until = op.Ended
			}
			locks = append(locks,
				porcupine.Operation{ClientId: 2 * i, Input: true, Call: int64(op.Begun), Return: int64(op.Granted)},
				porcupine.Operation{ClientId: 2*i + 1, Input: false, Call: int64(until), Return: math.MaxInt64})
			if op.Count > 0 {
				adds = append(adds, porcupine.Operation{ClientId: i, Output: op.Count, Call: int64(op.Begun),
					Return: int64(op.Worked)})
			}
		}
		sc, arm := testScenario()
		e, out := Evidence{Scenario: sc, Arm: arm, History: &history.History{Ops: ops},
			Time: timeline{remedyBegun: history.Never}}, &ruling{}
		safety(e, out)
		if got, want := out.Safety.Overlaps == 0, porcupine.CheckOperations(mutex, locks); got != want {
			t.Fatalf("%d overlaps; porcupine says that it is a lock: %v\n%+v", out.Safety.Overlaps, want, ops)
		}
		if got, want := out.Safety.LostUpdates == 0, porcupine.CheckOperations(adder, adds); got != want {
			t.Fatalf("%d lost updates; porcupine says that it is a counter: %v\n%+v", out.Safety.LostUpdates, want, ops)
		}
		if out.Safety.Total() > 0 {
			broken++
		} else {
			sound++
		}
	})
	if broken == 0 || sound == 0 {
		t.Errorf("%d broken and %d sound histories: one kind was not looked at", broken, sound)
	}
}

// A decision that takes two locks excludes those of both tenants; each tenant has its
// own fencing tokens.
func TestSafetyOfPairs(t *testing.T) {
	const ms = time.Millisecond
	grant := func(tenant int32, at, until time.Duration, fence int64) history.Op {
		return history.Op{Tenant: tenant, Outcome: history.OK, Begun: at, Granted: at, Worked: until, Released: until +
			1, Ended: until + 2, Fence: fence}
	}
	ops := []history.Op{grant(0, 10*ms, 20*ms, 5), grant(2, 15*ms, 25*ms, 1), grant(1, 16*ms, 26*ms, 1),
		grant(0, 30*ms, 40*ms, 6)}
	for pair, want := range map[swarm.Pair]result.Safety{swarm.PairNone: {}, swarm.PairOwnFirst: {Overlaps: 1},
		swarm.PairOrdered: {Overlaps: 1}} {
		sc, arm := testScenario()
		sc.Swarm.Lock.Tenants, sc.Swarm.Lock.Pair = 4, pair
		e, out := Evidence{Scenario: sc, Arm: arm, History: &history.History{Ops: ops},
			Time: timeline{remedyBegun: history.Never}}, &ruling{}
		if safety(e, out); out.Safety != want {
			t.Errorf("%s: %+v, want %+v", pair, out.Safety, want)
		}
	}
}
