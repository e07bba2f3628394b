package judge

import (
	"fmt"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
)

// What was not proved where a proof is expected fails the arm, and says why.
func TestProofIsAnExpectation(t *testing.T) {
	history := newLiteral().work(0, second, 200).sampled()
	history.Census = append(history.Census, slotLock(1500*time.Millisecond), slotLock(2800*time.Millisecond))
	sc, arm := testScenario()
	for kind, want := range map[string]result.Outcome{"deadlock": result.Pass, "": result.Pass,
		"orphaned": result.Fail} {
		sc.Incident.Kind = kind
		r := Judge(sc, arm, history)
		if r.Outcome != want || !r.Deadlock.Proved {
			t.Errorf("expected %q: %s %v %+v", kind, r.Outcome, r.Reasons, r.Deadlock)
		}
	}
	history.Census = nil
	sc.Incident.Kind = "deadlock"
	if r := Judge(sc, arm, history); r.Outcome != result.Fail {
		t.Errorf("without a census: %s %v", r.Outcome, fmt.Sprint(r.Reasons))
	}
}

// slotLock is the deadlock of slots and locks, in small: two workers own both
// slots and wait for the lock, whose holder waits for a slot.
func slotLock(at time.Duration) history.Census {
	return history.Census{
		At: at, Took: time.Millisecond, Slots: 2,
		Workers: []history.WorkerState{
			{Worker: 1, State: "waiting", Lock: "lock:0", Token: "1:1:a", Since: 1100 * time.Millisecond, Client: "c1",
				Connected: 1, Opened: 500 * time.Millisecond},
			{Worker: 2, State: "waiting", Lock: "lock:0", Token: "2:1:b", Since: 1100 * time.Millisecond, Client: "c2",
				Connected: 1, Opened: 500 * time.Millisecond},
			{Worker: 3, State: "dialing", Lock: "lock:0", Token: "3:1:c", Since: 1200 * time.Millisecond, Client: "c3"},
		},
		Locks: map[string]string{"lock:0": "3:1:c"}, Clients: map[string]int64{"c1": 1, "c2": 1},
	}
}
