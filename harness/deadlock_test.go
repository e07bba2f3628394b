package harness

import (
	"fmt"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/waitgraph"
)

// slotLock is the deadlock of slots and locks, in small: two workers own both
// slots and wait for the lock, whose holder waits for a slot.
func slotLock(at time.Duration) history.Census {
	return history.Census{
		At: at, Took: time.Millisecond, Slots: 2,
		Workers: []history.Stance{
			{Worker: 1, State: "waiting", Lock: "lock:0", Token: "1:1:a", Since: 1100 * time.Millisecond, Client: "c1", Connected: 1, Opened: 500 * time.Millisecond},
			{Worker: 2, State: "waiting", Lock: "lock:0", Token: "2:1:b", Since: 1100 * time.Millisecond, Client: "c2", Connected: 1, Opened: 500 * time.Millisecond},
			{Worker: 3, State: "dialing", Lock: "lock:0", Token: "3:1:c", Since: 1200 * time.Millisecond, Client: "c3"},
		},
		Locks: map[string]string{"lock:0": "3:1:c"}, Clients: map[string]int64{"c1": 1, "c2": 1},
	}
}

func TestProofOfDeadlock(t *testing.T) {
	const late, later = 1500 * time.Millisecond, 2800 * time.Millisecond
	for _, c := range []struct {
		name   string
		census []history.Census
		change func(*judge)
		kind   waitgraph.Kind
		proved bool
	}{
		{"the same edges for longer than any timeout", []history.Census{slotLock(late), slotLock(later)}, nil, waitgraph.Deadlock, true},
		{"not for longer than the timeouts", []history.Census{slotLock(late), slotLock(late + 500*time.Millisecond)}, nil, waitgraph.Unproved, false},
		{"one census proves nothing", []history.Census{slotLock(late)}, nil, "", false},
		{"a slot is free", []history.Census{slotLock(late), slotLock(later)}, func(j *judge) {
			for i := range j.h.Census {
				j.h.Census[i].Slots = 3
				j.h.Census[i].After.Attempts = int64(100 * i)
			}
		}, waitgraph.Livelock, false},
		{"something was granted meanwhile", []history.Census{slotLock(late), slotLock(later)}, func(j *judge) {
			j.h.Census[1].After.Grants = 1
		}, waitgraph.Starvation, false},
		{"Redis says that the lock is another's", []history.Census{slotLock(late), slotLock(later)}, func(j *judge) {
			j.h.Census[1].Locks = map[string]string{"lock:0": "9:1:z"}
		}, waitgraph.Unproved, false},
		{"a TTL will break it", []history.Census{slotLock(late), slotLock(later)}, func(j *judge) {
			j.sc.Swarm.Lock.TTLMS = 30_000
		}, waitgraph.Transient, true},
		{"the holder is dead", []history.Census{slotLock(late), slotLock(later)}, func(j *judge) {
			for i := range j.h.Census {
				j.h.Census[i].Workers = j.h.Census[i].Workers[:2]
			}
		}, waitgraph.Orphaned, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			sc, arm := testScenario()
			j := judge{sc: sc, arm: arm, h: &history.History{Census: c.census}, t: timeline{incident: span{second, 3 * second}, trigger: second}}
			if c.change != nil {
				c.change(&j)
			}
			f, _ := j.prove()
			if f.Kind != c.kind || f.Proved != c.proved {
				t.Errorf("%s, proved %v: %s %v; want %s, %v", f.Kind, f.Proved, f.Sentence, f.Reasons, c.kind, c.proved)
			}
		})
	}
}

// What was not proved where a proof is expected fails the arm, and says why.
func TestProofIsAnExpectation(t *testing.T) {
	history := newLiteral().work(0, second, 200).sampled()
	history.Census = append(history.Census, slotLock(1500*time.Millisecond), slotLock(2800*time.Millisecond))
	sc, arm := testScenario()
	for kind, want := range map[string]Outcome{"deadlock": Pass, "": Pass, "orphaned": Fail} {
		sc.Incident.Kind = kind
		r := Judge(sc, arm, history)
		if r.Outcome != want || !r.Deadlock.Proved {
			t.Errorf("expected %q: %s %v %+v", kind, r.Outcome, r.Reasons, r.Deadlock)
		}
	}
	history.Census = nil
	sc.Incident.Kind = "deadlock"
	if r := Judge(sc, arm, history); r.Outcome != Fail {
		t.Errorf("without a census: %s %v", r.Outcome, fmt.Sprint(r.Reasons))
	}
}
