package standstill

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/swarm"
	"github.com/lockjam/lockjam/harness/waitgraph"
)

const second = time.Second

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

func TestProofOfDeadlock(t *testing.T) {
	const late, later = 1500 * time.Millisecond, 2800 * time.Millisecond
	for _, c := range []struct {
		name   string
		census []history.Census
		change func(*scene)
		kind   waitgraph.Kind
		proved bool
	}{
		{"the same edges for longer than any timeout", []history.Census{slotLock(late), slotLock(later)}, nil,
			waitgraph.Deadlock, true},
		{"not for longer than the timeouts", []history.Census{slotLock(late), slotLock(late + 500*time.Millisecond)},
			nil, waitgraph.Unproved, false},
		{"one census proves nothing", []history.Census{slotLock(late)}, nil, "", false},
		{"a slot is free", []history.Census{slotLock(late), slotLock(later)}, func(j *scene) {
			for i := range j.h.Census {
				j.h.Census[i].Slots = 3
				j.h.Census[i].After.Attempts = int64(100 * i)
			}
		}, waitgraph.Livelock, false},
		{"something was granted meanwhile", []history.Census{slotLock(late), slotLock(later)}, func(j *scene) {
			j.h.Census[1].After.Grants = 1
		}, waitgraph.Starvation, false},
		{"Redis says that the lock is another's", []history.Census{slotLock(late), slotLock(later)}, func(j *scene) {
			j.h.Census[1].Locks = map[string]string{"lock:0": "9:1:z"}
		}, waitgraph.Unproved, false},
		{"a TTL will break it", []history.Census{slotLock(late), slotLock(later)}, func(j *scene) {
			j.sc.Swarm.Lock.TTLMS = 30_000
		}, waitgraph.Transient, true},
		{"the holder is dead", []history.Census{slotLock(late), slotLock(later)}, func(j *scene) {
			for i := range j.h.Census {
				j.h.Census[i].Workers = j.h.Census[i].Workers[:2]
			}
		}, waitgraph.Orphaned, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := sceneOf(c.census...)
			if c.change != nil {
				c.change(j)
			}
			f := found(j)
			if f.Kind != c.kind || f.Proved != c.proved {
				t.Errorf("%s, proved %v: %s %v; want %s, %v", f.Kind, f.Proved, f.Sentence, f.Reasons, c.kind, c.proved)
			}
		})
	}
}

// found is the incident's proof, or what was found last.
func found(j *scene) waitgraph.Analysis {
	if p := Decisive(j.prover().Prove(j.h.Census), history.Span{From: second, To: 3 * second}); p != nil {
		return p.Analysis
	}
	return waitgraph.Analysis{}
}

// judgeOf has an incident from 1 s to 3 s with these censuses.
func sceneOf(census ...history.Census) *scene {
	sc := scenario.Defaults()
	sc.Trigger.Kind = "surge"
	return &scene{sc: &sc, h: &history.History{Census: census}}
}

// scene is what a proof is made from.
type scene struct {
	sc *scenario.Scenario
	h  *history.History
}

func (s *scene) prover() Prover { return Prover{Scenario: s.sc, Ops: s.h.Ops} }

// A holder whose commands fail over a connection that it has, as with a server
// that is out of memory, wants no slot: a free one would not help it.
func TestHolderWithAConnectionWantsNoSlot(t *testing.T) {
	census := func(at time.Duration) history.Census {
		c := slotLock(at)
		c.Slots, c.Workers[2].Connected, c.Clients["c3"] = 3, 1, 1
		return c
	}
	j := sceneOf(census(1500*time.Millisecond), census(2800*time.Millisecond))
	if f := found(j); f.Proved {
		t.Errorf("%s: %s", f.Kind, f.Sentence)
	}
}

// A client that leaks connections never gives them back; a server that closes idle ones does
// it in their stead.
func TestProofOfExhaustion(t *testing.T) {
	census := func(at time.Duration) history.Census {
		worker := func(id int32) history.WorkerState {
			return history.WorkerState{Worker: id, State: "waiting", Since: 1100 * time.Millisecond,
				Client: fmt.Sprint("lockjam-", id, "-0")}
		}
		return history.Census{
			At: at, Took: time.Millisecond, Slots: 5, Workers: []history.WorkerState{worker(1), worker(2)},
			Locks: map[string]string{}, Clients: map[string]int64{"lockjam-1-leak": 3, "lockjam-2-leak": 2},
		}
	}
	const sentence = `Exhausted: "worker 1" waits for a client slot; "worker 2" waits for a client slot; ` +
		`"client lockjam-1-leak" never releases 3 of 5 client slots; "client lockjam-2-leak" never releases 2 of 5 client slots.`
	for _, c := range []struct {
		name   string
		change func(*scene)
		kind   waitgraph.Kind
	}{
		{"all slots are leaked", nil, waitgraph.Exhausted},
		{"the server closes idle connections",
			func(j *scene) { j.sc.Server.Config = map[string]string{"timeout": "1"} }, waitgraph.Slowness},
		{"or does not", func(j *scene) { j.sc.Server.Config = map[string]string{"timeout": "0"} }, waitgraph.Exhausted},
		{"one of them was closed", func(j *scene) { j.h.Census[1].Clients["lockjam-2-leak"] = 1 }, waitgraph.Livelock},
		{"somebody else has them", func(j *scene) {
			for i := range j.h.Census {
				j.h.Census[i].Clients = map[string]int64{"lockjam-1-leak": 3, "redis-cli": 2}
			}
		}, waitgraph.Slowness},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := sceneOf(census(1500*time.Millisecond), census(2800*time.Millisecond))
			j.h.Census[1].After.Attempts = 100
			if c.change != nil {
				c.change(j)
			}
			f := found(j)
			if f.Kind != c.kind || f.Proved != (c.kind == waitgraph.Exhausted) {
				t.Errorf("%s, proved %v: %s %v", f.Kind, f.Proved, f.Sentence, f.Reasons)
			}
			if c.kind == waitgraph.Exhausted && (f.Sentence != sentence || !f.Checked) {
				t.Errorf("checked %v: %s", f.Checked, f.Sentence)
			}
		})
	}
}

// A lock whose owner is at a later request goes by its TTL, counted from its grant,
// and by nothing else.
func TestProofOfALockThatWasLeftBehind(t *testing.T) {
	census := func(at time.Duration) history.Census {
		worker := func(id int32, token string) history.WorkerState {
			return history.WorkerState{
				Worker: id, State: "waiting", Lock: "lock:t:0", Token: token, Since: 1100 * time.Millisecond,
				Client: fmt.Sprint("c", id), Connected: 1, Opened: 500 * time.Millisecond,
			}
		}
		return history.Census{
			At: at, Took: time.Millisecond, Slots: 30,
			Workers: []history.WorkerState{worker(1, "1:8:a"), worker(2, "2:3:b")},
			Locks:   map[string]string{"lock:t:0": "1:7:c"}, Clients: map[string]int64{"c1": 1, "c2": 1},
		}
	}
	for _, c := range []struct {
		name   string
		change func(*scene)
		kind   waitgraph.Kind
		clear  float64
	}{
		{"its TTL is known, and its grant", nil, waitgraph.Transient, 1000 + 3000},
		{"its grant is not on record", func(j *scene) { j.h.Ops = nil }, waitgraph.Transient, 2800 + 3000},
		{"it has no TTL", func(j *scene) { j.sc.Swarm.Lock.TTLMS = 0 }, waitgraph.Exhausted, 0},
		{"its owner has just been granted it", func(j *scene) {
			for i := range j.h.Census {
				j.h.Census[i].Locks = map[string]string{"lock:t:0": "1:9:c"}
			}
		}, waitgraph.Slowness, 0},
		{"its owner has no request in hand", func(j *scene) {
			for i := range j.h.Census {
				w := &j.h.Census[i].Workers[0]
				w.State, w.Lock, w.Token = "idle", "", ""
			}
		}, waitgraph.Slowness, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := sceneOf(census(1500*time.Millisecond), census(2800*time.Millisecond))
			j.sc.Swarm.Lock.TTLMS = 3000
			j.h.Ops = []history.Op{
				{Worker: 1, Granted: 600 * time.Millisecond, Released: 700 * time.Millisecond,
					Ended: 700 * time.Millisecond},
				{Worker: 2, Granted: 800 * time.Millisecond, Released: history.Never, Ended: 900 * time.Millisecond},
				{Worker: 1, Granted: second, Released: history.Never, Ended: 1090 * time.Millisecond},
			}
			if c.change != nil {
				c.change(j)
			}
			f := found(j)
			if f.Kind != c.kind || f.Proved != (c.kind != waitgraph.Slowness) {
				t.Fatalf("%s, proved %v: %s %v", f.Kind, f.Proved, f.Sentence, f.Reasons)
			}
			if c.kind == waitgraph.Transient &&
				(*f.ClearMS != c.clear || !f.Checked ||
					!strings.Contains(f.Sentence, `"worker 1 in its request 7" leaves lock lock:t:0 to expire`)) {
				t.Errorf("it is over at %v ms, want %v; checked %v: %s", *f.ClearMS, c.clear, f.Checked, f.Sentence)
			}
		})
	}
}

// lostReply is a worker that was granted its lock and does not know, and another one
// that waits for the same lock.
func lostReply(at time.Duration) history.Census {
	return history.Census{
		At: at, Took: time.Millisecond, Slots: 8,
		Workers: []history.WorkerState{
			{Worker: 1, State: "waiting", Lock: "lock:0", Token: "1:7:a", Since: 1100 * time.Millisecond, Client: "c1",
				Connected: 1, Opened: 1200 * time.Millisecond},
			{Worker: 2, State: "waiting", Lock: "lock:0", Token: "2:3:b", Since: 1150 * time.Millisecond, Client: "c2",
				Connected: 1, Opened: 1200 * time.Millisecond},
		},
		Locks: map[string]string{"lock:0": "1:7:a"}, Clients: map[string]int64{"c1": 1, "c2": 1},
	}
}

// Whose try was granted, and the answer lost, waits for himself.
func TestProofOfLostReply(t *testing.T) {
	const late, later = 1500 * time.Millisecond, 2800 * time.Millisecond
	for _, c := range []struct {
		name   string
		second time.Duration
		change func(*scene)
		kind   waitgraph.Kind
		proved bool
	}{
		{"for longer than an answer may take", later, nil, waitgraph.Deadlock, true},
		// The answer may still be on its way.
		{"for less", late + 900*time.Millisecond, nil, waitgraph.Unproved, false},
		{"where an answer may take for ever", later, func(j *scene) { j.sc.Swarm.Client.ReadTimeoutMS = -1 },
			waitgraph.Unproved, false},
		// A worker that asks whose the lock is finds out.
		{"with a token check", later, func(j *scene) { j.sc.Swarm.Lock.Verify = true }, waitgraph.Unproved, false},
		{"until the TTL", later, func(j *scene) { j.sc.Swarm.Lock.TTLMS = 30_000 }, waitgraph.Transient, true},
		{"with another request's token", later, func(j *scene) { j.h.Census[1].Workers[0].Token = "1:8:a" },
			waitgraph.Unproved, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := sceneOf(lostReply(late), lostReply(c.second))
			if c.change != nil {
				c.change(j)
			}
			f := found(j)
			if f.Kind != c.kind || f.Proved != c.proved {
				t.Fatalf("%s, proved %v: %s %v; want %s, %v", f.Kind, f.Proved, f.Sentence, f.Reasons, c.kind, c.proved)
			}
			const sentence = `Deadlock: "worker 1" holds 1 of 8 client slots and lock lock:0 and waits for lock lock:0; ` +
				`"worker 2" holds 1 of 8 client slots and waits for lock lock:0.`
			if c.kind == waitgraph.Deadlock && (f.Sentence != sentence || !f.Checked) {
				t.Errorf("checked %v: %s", f.Checked, f.Sentence)
			}
		})
	}
}

// The turns of one pool alone can be a circle: a worker that has one for its whole decision
// waits for a second.
func TestProofOfNestedCheckouts(t *testing.T) {
	census := func(at time.Duration) history.Census {
		worker := func(id int32, outer bool) history.WorkerState {
			w := history.WorkerState{
				Worker: id, State: "waiting", Since: 1100 * time.Millisecond,
				Client: "c", Connected: 2, Opened: 500 * time.Millisecond, Shared: true,
			}
			if outer {
				w.Outer, w.OuterSince = true, 1050*time.Millisecond
			}
			return w
		}
		return history.Census{
			At: at, Took: time.Millisecond, Slots: 1000,
			Workers: []history.WorkerState{worker(1, true), worker(2, true), worker(3, false)},
			Locks:   map[string]string{}, Clients: map[string]int64{"c": 2},
		}
	}
	each := func(change func(*history.Census)) func(*scene) {
		return func(j *scene) {
			for i := range j.h.Census {
				change(&j.h.Census[i])
			}
		}
	}
	const sentence = `Deadlock: "worker 1" holds 1 of 2 turns of pool c and waits for a turn of pool c; ` +
		`"worker 2" holds 1 of 2 turns of pool c and waits for a turn of pool c; "worker 3" waits for a turn of pool c.`
	for _, c := range []struct {
		name   string
		change func(*scene)
		kind   waitgraph.Kind
	}{
		{"every turn is an outer one", nil, waitgraph.Deadlock},
		{"a turn is free", func(j *scene) { j.sc.Swarm.Client.PoolSize = 3 }, waitgraph.Livelock},
		{"one of them is at work", each(func(c *history.Census) { c.Workers[0].State = "holding" }),
			waitgraph.Slowness},
		{"one of them has its second", func(j *scene) {
			j.sc.Swarm.Client.PoolSize = 3
			each(func(c *history.Census) {
				c.Workers[0].Kept, c.Workers[0].KeptSince, c.Clients["c"] = true, second, 3
				for i := range c.Workers {
					c.Workers[i].Connected = 3
				}
			})(j)
		}, waitgraph.Slowness},
		{"one was given back and taken again", func(j *scene) { j.h.Census[1].Workers[1].OuterSince = 2 * second },
			waitgraph.Unproved},
		{"they give up", func(j *scene) { j.sc.Swarm.Lock.AcquireTimeoutMS = 30_000 }, waitgraph.Transient},
		{"Redis lists fewer connections", each(func(c *history.Census) { c.Clients["c"] = 1 }), waitgraph.Unproved},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := sceneOf(census(1500*time.Millisecond), census(2800*time.Millisecond))
			j.sc.Swarm.Client.PoolSize = 2
			j.h.Census[1].After.Attempts = 100
			if c.change != nil {
				c.change(j)
			}
			f := found(j)
			if f.Kind != c.kind || f.Proved != (c.kind == waitgraph.Deadlock || c.kind == waitgraph.Transient) {
				t.Errorf("%s, proved %v: %s %v", f.Kind, f.Proved, f.Sentence, f.Reasons)
			}
			if c.kind == waitgraph.Deadlock &&
				(f.Sentence != sentence || !f.Checked || f.Residue.Turns != 2 || f.Residue.Locks != 0) {
				t.Errorf("checked %v, residue %+v: %s", f.Checked, f.Residue, f.Sentence)
			}
		})
	}
}

// Two locks in opposite orders are a circle of two, with no slot and no turn in it.
func TestProofOfAnInversion(t *testing.T) {
	census := func(at time.Duration) history.Census {
		worker := func(id int32, other, lock string) history.WorkerState {
			return history.WorkerState{
				Worker: id, State: "waiting", Lock: lock, Token: fmt.Sprintf("%d:1:a", id),
				Since: 1100 * time.Millisecond,
				Other: other, OtherSince: 1050 * time.Millisecond, Client: "c", Connected: 2,
				Opened: 500 * time.Millisecond, Shared: true,
			}
		}
		return history.Census{
			At: at, Took: time.Millisecond, Slots: 1000,
			Workers: []history.WorkerState{worker(1, "lock:t:0", "lock:t:1"), worker(2, "lock:t:1", "lock:t:0")},
			Locks:   map[string]string{"lock:t:0": "1:1:a", "lock:t:1": "2:1:a"}, Clients: map[string]int64{"c": 2},
		}
	}
	each := func(change func(*history.Census)) func(*scene) {
		return func(j *scene) {
			for i := range j.h.Census {
				change(&j.h.Census[i])
			}
		}
	}
	const sentence = `Deadlock: "worker 1" holds lock lock:t:0 and waits for lock lock:t:1; "worker 2" holds lock lock:t:1 and waits for lock lock:t:0.`
	for _, c := range []struct {
		name   string
		change func(*scene)
		kind   waitgraph.Kind
		proved bool
	}{
		{"each holds what the other waits for", nil, waitgraph.Deadlock, true},
		{"both wait for the same", each(func(c *history.Census) {
			c.Workers[1].Other, c.Workers[1].Lock, c.Locks = "", "lock:t:0", map[string]string{"lock:t:0": "1:1:a"}
		}), waitgraph.Livelock, false},
		{"one let go and took it again", func(j *scene) { j.h.Census[1].Workers[0].OtherSince = 2 * second },
			waitgraph.Unproved, false},
		{"one has both", each(func(c *history.Census) {
			c.Workers[0].State, c.Locks["lock:t:1"] = "holding", "1:1:a"
			c.Workers[1].Other = ""
		}), waitgraph.Slowness, false},
		{"they expire", func(j *scene) { j.sc.Swarm.Lock.TTLMS = 30_000 }, waitgraph.Transient, true},
		{"they let go after a while", func(j *scene) { j.sc.Swarm.Lock.PairWaitMS = 5000 }, waitgraph.Unproved, false},
		{"Redis says that one is another's", each(func(c *history.Census) { c.Locks["lock:t:0"] = "9:1:z" }),
			waitgraph.Unproved, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := sceneOf(census(1500*time.Millisecond), census(2800*time.Millisecond))
			j.sc.Swarm.Client.PoolSize = 2
			j.h.Census[1].After.Attempts = 100
			if c.change != nil {
				c.change(j)
			}
			f := found(j)
			if f.Kind != c.kind || f.Proved != c.proved {
				t.Errorf("%s, proved %v: %s %v", f.Kind, f.Proved, f.Sentence, f.Reasons)
			}
			if c.kind == waitgraph.Deadlock &&
				(f.Sentence != sentence || !f.Checked || f.Residue.Slots != 0 || f.Residue.Turns != 0 ||
					f.Residue.Locks != 2) {
				t.Errorf("checked %v, residue %+v: %s", f.Checked, f.Residue, f.Sentence)
			}
		})
	}
}

// Two that let go of their first lock, pause and begin again, in step: locks are
// granted and released all the time. As soon as one request ends it is slow.
func TestLivelockOfAnInversion(t *testing.T) {
	census := func(at time.Duration, moves int64) history.Census {
		worker := func(id int32, lock string) history.WorkerState {
			return history.WorkerState{Worker: id, State: "waiting", Lock: lock, Since: at - time.Millisecond,
				Client: "c", Connected: 2, Shared: true}
		}
		counted := history.Progress{Grants: moves, Releases: moves, Attempts: 3 * moves}
		return history.Census{
			At: at, Took: time.Millisecond, Slots: 1000,
			Workers: []history.WorkerState{worker(1, "lock:t:0"), worker(2, "lock:t:1")},
			Locks:   map[string]string{}, Clients: map[string]int64{"c": 2}, Before: counted, After: counted,
		}
	}
	ended := func(at time.Duration, outcome history.Outcome) []history.Op {
		return []history.Op{{Ended: at, Outcome: outcome}}
	}
	for _, c := range []struct {
		name string
		wait swarm.Millis
		ops  []history.Op
		kind waitgraph.Kind
	}{
		{"no request ends", 20, nil, waitgraph.Livelock},
		{"one ended before", 20, ended(1400*time.Millisecond, history.OK), waitgraph.Livelock},
		{"one is under way when the run ends", 20, ended(2*second, history.Unknown), waitgraph.Livelock},
		{"one ends", 20, ended(2*second, history.OK), waitgraph.Slowness},
		{"one is given up", 20, ended(2*second, history.Fail), waitgraph.Slowness},
		{"nobody lets go of the first for want of the second", 0, nil, waitgraph.Slowness},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := sceneOf(census(1500*time.Millisecond, 10), census(2800*time.Millisecond, 60))
			j.sc.Swarm.Client.PoolSize = 2
			j.sc.Swarm.Lock.Pair, j.sc.Swarm.Lock.PairWaitMS = swarm.PairOwnFirst, c.wait
			j.h.Ops = c.ops
			if f := found(j); f.Kind != c.kind || f.Proved {
				t.Errorf("%s, proved %v, want %s: %s %v", f.Kind, f.Proved, c.kind, f.Sentence, f.Reasons)
			}
		})
	}

	// One that gets through now and then does not end it.
	j := sceneOf(census(1500*time.Millisecond, 10), census(2800*time.Millisecond, 60),
		census(2900*time.Millisecond, 65))
	j.sc.Swarm.Lock.Pair, j.sc.Swarm.Lock.PairWaitMS = swarm.PairOwnFirst, 20
	j.h.Ops = ended(2850*time.Millisecond, history.OK)
	if f := found(j); f.Kind != waitgraph.Livelock || f.AtMS != 2800 {
		t.Errorf("%s after %v ms: %s", f.Kind, f.AtMS, f.Sentence)
	}
}
