package standstill

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/waitgraph"
)

// sharedPool is the deadlock of a pool with itself, in small: two workers keep
// both turns of the client that they share and wait for the lock, whose holder
// waits for a turn. A fourth one waits for the lock and has no turn yet.
func sharedPool(at time.Duration) history.Census {
	worker := func(id int32, state string, kept bool) history.WorkerState {
		w := history.WorkerState{
			Worker: id, State: state, Lock: "lock:0", Token: fmt.Sprintf("%d:1:a", id), Since: 1100 * time.Millisecond,
			Client: "c", Connected: 2, Opened: 500 * time.Millisecond, Shared: true,
		}
		if kept {
			w.Kept, w.KeptSince = true, 1050*time.Millisecond
		}
		return w
	}
	return history.Census{
		At: at, Took: time.Millisecond, Slots: 1000,
		Workers: []history.WorkerState{worker(1, "waiting", true), worker(2, "waiting", true),
			worker(3, "dialing", false), worker(4, "waiting", false)},
		Locks: map[string]string{"lock:0": "3:1:a"}, Clients: map[string]int64{"c": 2},
	}
}

func TestProofOfPoolDeadlock(t *testing.T) {
	const sentence = `Deadlock: "worker 1" holds 1 of 2 turns of pool c and waits for lock lock:0; ` +
		`"worker 2" holds 1 of 2 turns of pool c and waits for lock lock:0; ` +
		`"worker 3" holds lock lock:0 and waits for a turn of pool c; "worker 4" waits for a turn of pool c and lock lock:0.`
	each := func(change func(*history.Census)) func(*scene) {
		return func(j *scene) {
			for i := range j.h.Census {
				change(&j.h.Census[i])
			}
		}
	}
	for _, c := range []struct {
		name   string
		change func(*scene)
		kind   waitgraph.Kind
		proved bool
	}{
		{"every turn is with who waits for who waits for a turn", nil, waitgraph.Deadlock, true},
		// Nothing follows from how full the server is.
		{"on a full server as well", each(func(c *history.Census) { c.Slots = 2 }), waitgraph.Deadlock, true},
		{"a turn is free", func(j *scene) { j.sc.Swarm.Client.PoolSize = 3 }, waitgraph.Livelock, false},
		{"one waiter may have no turn", each(func(c *history.Census) { c.Workers[1].Kept = false }), waitgraph.Livelock,
			false},
		{"one turn was given back and taken again", func(j *scene) {
			j.h.Census[1].Workers[1].KeptSince = 2 * second
		}, waitgraph.Unproved, false},
		{"the holder began to wait anew", func(j *scene) { j.h.Census[1].Workers[2].Since = 2 * second },
			waitgraph.Unproved, false},
		{"the holder is at work", each(func(c *history.Census) { c.Workers[2].State = "holding" }), waitgraph.Slowness,
			false},
		// A command of it failed, and since then it has a turn again.
		{"the holder has a turn", func(j *scene) {
			j.sc.Swarm.Client.PoolSize = 3
			each(func(c *history.Census) { c.Workers[2].Kept, c.Clients["c"] = true, 3 })(j)
		}, waitgraph.Slowness, false},
		{"the turns are another client's", each(func(c *history.Census) {
			c.Workers[2].Client, c.Clients["d"] = "d", 2
		}), waitgraph.Livelock, false},
		{"whoever waits gives up", func(j *scene) { j.sc.Swarm.Lock.AcquireTimeoutMS = 30_000 }, waitgraph.Transient,
			true},
		{"the pool's timeout may explain it", func(j *scene) { j.sc.Swarm.Client.PoolTimeoutMS = 2000 },
			waitgraph.Unproved, false},
		{"the holder is dead", each(func(c *history.Census) {
			c.Workers = slices.Delete(slices.Clone(c.Workers), 2,
				3)
		}), waitgraph.Orphaned, true},
		{"Redis lists fewer connections than there are turns kept",
			each(func(c *history.Census) { c.Clients["c"] = 1 }), waitgraph.Unproved, false},
		{"the client has fewer connections than there are turns kept", each(func(c *history.Census) {
			c.Clients["c"] = 1
			for i := range c.Workers {
				c.Workers[i].Connected = 1
			}
		}), waitgraph.Unproved, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := sceneOf(sharedPool(1500*time.Millisecond), sharedPool(2800*time.Millisecond))
			j.sc.Swarm.Client.PoolSize = 2
			j.h.Census[1].After.Attempts = 100
			if c.change != nil {
				c.change(j)
			}
			f := found(j)
			if f.Kind != c.kind || f.Proved != c.proved {
				t.Errorf("%s, proved %v: %s %v; want %s, %v", f.Kind, f.Proved, f.Sentence, f.Reasons, c.kind, c.proved)
			}
			if c.kind != waitgraph.Deadlock {
				return
			}
			if r := f.Residue; f.Sentence != sentence || !f.Checked || r.Workers != 4 || r.Turns != 2 || r.Slots != 0 ||
				r.Locks != 1 {
				t.Errorf("checked %v, residue %+v:\n%s\nwant\n%s", f.Checked, f.Residue, f.Sentence, sentence)
			}
		})
	}
}

// The circle may lead through two pools: each holder's turn is with a worker that
// waits for the other's lock.
func TestProofOfDeadlockOverTwoPools(t *testing.T) {
	census := func(at time.Duration) history.Census {
		c := sharedPool(at)
		c.Workers[1].Client, c.Workers[3].Client = "d", "d"
		c.Workers[0].Lock, c.Workers[3].Lock = "lock:1", "lock:1"
		c.Workers[3].State = "dialing"
		c.Locks["lock:1"] = "4:1:a"
		c.Clients = map[string]int64{"c": 1, "d": 1}
		for i := range c.Workers {
			c.Workers[i].Connected = 1
		}
		return c
	}
	j := sceneOf(census(1500*time.Millisecond), census(2800*time.Millisecond))
	f := found(j)
	if f.Kind != waitgraph.Deadlock || !f.Checked || f.Residue.Turns != 2 || f.Residue.Locks != 2 ||
		f.Residue.Workers != 4 {
		t.Errorf("%s %v", f.Sentence, f.Reasons)
	}
}
