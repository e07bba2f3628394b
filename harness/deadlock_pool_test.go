package harness

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/swarm"
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
		Workers: []history.WorkerState{worker(1, "waiting", true), worker(2, "waiting", true), worker(3, "dialing", false), worker(4, "waiting", false)},
		Locks:   map[string]string{"lock:0": "3:1:a"}, Clients: map[string]int64{"c": 2},
	}
}

func TestProofOfPoolDeadlock(t *testing.T) {
	const sentence = `Deadlock: "worker 1" holds 1 of 2 turns of pool c and waits for lock lock:0; ` +
		`"worker 2" holds 1 of 2 turns of pool c and waits for lock lock:0; ` +
		`"worker 3" holds lock lock:0 and waits for a turn of pool c; "worker 4" waits for a turn of pool c and lock lock:0.`
	each := func(change func(*history.Census)) func(*judge) {
		return func(j *judge) {
			for i := range j.h.Census {
				change(&j.h.Census[i])
			}
		}
	}
	for _, c := range []struct {
		name   string
		change func(*judge)
		kind   waitgraph.Kind
		proved bool
	}{
		{"every turn is with who waits for who waits for a turn", nil, waitgraph.Deadlock, true},
		// Nothing follows from how full the server is.
		{"on a full server as well", each(func(c *history.Census) { c.Slots = 2 }), waitgraph.Deadlock, true},
		{"a turn is free", func(j *judge) { j.sc.Swarm.Client.PoolSize = 3 }, waitgraph.Livelock, false},
		{"one waiter may have no turn", each(func(c *history.Census) { c.Workers[1].Kept = false }), waitgraph.Livelock, false},
		{"one turn was given back and taken again", func(j *judge) {
			j.h.Census[1].Workers[1].KeptSince = 2 * second
		}, waitgraph.Unproved, false},
		{"the holder began to wait anew", func(j *judge) { j.h.Census[1].Workers[2].Since = 2 * second }, waitgraph.Unproved, false},
		{"the holder is at work", each(func(c *history.Census) { c.Workers[2].State = "holding" }), waitgraph.Slowness, false},
		// A command of it failed, and since then it has a turn again.
		{"the holder has a turn", func(j *judge) {
			j.sc.Swarm.Client.PoolSize = 3
			each(func(c *history.Census) { c.Workers[2].Kept, c.Clients["c"] = true, 3 })(j)
		}, waitgraph.Slowness, false},
		{"the turns are another client's", each(func(c *history.Census) {
			c.Workers[2].Client, c.Clients["d"] = "d", 2
		}), waitgraph.Livelock, false},
		{"whoever waits gives up", func(j *judge) { j.sc.Swarm.Lock.AcquireTimeoutMS = 30_000 }, waitgraph.Transient, true},
		{"the pool's timeout may explain it", func(j *judge) { j.sc.Swarm.Client.PoolTimeoutMS = 2000 }, waitgraph.Unproved, false},
		{"the holder is dead", each(func(c *history.Census) { c.Workers = slices.Delete(slices.Clone(c.Workers), 2, 3) }), waitgraph.Orphaned, true},
		{"Redis lists fewer connections than there are turns kept", each(func(c *history.Census) { c.Clients["c"] = 1 }), waitgraph.Unproved, false},
		{"the client has fewer connections than there are turns kept", each(func(c *history.Census) {
			c.Clients["c"] = 1
			for i := range c.Workers {
				c.Workers[i].Connected = 1
			}
		}), waitgraph.Unproved, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := judgeOf(sharedPool(1500*time.Millisecond), sharedPool(2800*time.Millisecond))
			j.sc.Swarm.Client.PoolSize = 2
			j.h.Census[1].After.Attempts = 100
			if c.change != nil {
				c.change(&j)
			}
			f := found(&j)
			if f.Kind != c.kind || f.Proved != c.proved {
				t.Errorf("%s, proved %v: %s %v; want %s, %v", f.Kind, f.Proved, f.Sentence, f.Reasons, c.kind, c.proved)
			}
			if c.kind != waitgraph.Deadlock {
				return
			}
			if r := f.Residue; f.Sentence != sentence || !f.Checked || r.Workers != 4 || r.Turns != 2 || r.Slots != 0 || r.Locks != 1 {
				t.Errorf("checked %v, residue %+v:\n%s\nwant\n%s", f.Checked, f.Residue, f.Sentence, sentence)
			}
		})
	}
}

// The circle may lead through two pools: each holder's turn is with somebody who
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
	j := judgeOf(census(1500*time.Millisecond), census(2800*time.Millisecond))
	f := found(&j)
	if f.Kind != waitgraph.Deadlock || !f.Checked || f.Residue.Turns != 2 || f.Residue.Locks != 2 || f.Residue.Workers != 4 {
		t.Errorf("%s %v", f.Sentence, f.Reasons)
	}
}

// poolSettings are eight workers who share a client with a pool of four, keep their
// connections while they wait for a lock, and give them back to work under it.
func poolSettings() swarm.Settings {
	set := swarm.Defaults()
	set.WorkersPerInstance, set.Client.PoolSize, set.Client.PoolTimeoutMS = 8, 4, 100
	set.Waiter, set.Holder = swarm.WaiterKeeps, swarm.HolderReturns
	set.Lock.HoldMS = 15
	return set
}

// A real pool deadlocks with itself, at a server that is all but empty, and the
// censuses of the harness prove it.
func TestRealPoolDeadlockIsProved(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	ws, err := server.NewWorkspace("pool")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.Close() }()
	redis, err := server.StartProcess(t.Context(), server.Spec{Workspace: ws, Name: "redis", Config: server.Config{"maxclients": "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = redis.Stop(context.Background()) }()
	control, err := server.OpenControl(t.Context(), redis.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = control.Close() }()

	j := judgeOf()
	j.sc.Swarm, j.sc.Server.MaxClients = poolSettings(), 1000
	j.t.incident, j.t.trigger = span{0, time.Minute}, 0
	a := &armRun{sc: j.sc, server: redis, started: time.Now()}
	a.swarm = swarm.Start(t.Context(), swarm.Config{
		Target: swarm.Target{Addr: redis.Endpoint().Addr}, Settings: j.sc.Swarm, Prefix: "t", Seed: 1,
		Elapsed: a.elapsed, Record: func(history.Op) {},
	})
	defer a.swarm.Stop()
	var f waitgraph.Analysis
	for a.elapsed() < 10*time.Second && !f.Proved {
		time.Sleep(200 * time.Millisecond)
		j.h.Census = append(j.h.Census, a.census(t.Context(), control.Sampler))
		f = found(&j)
	}
	last := j.h.Census[len(j.h.Census)-1]
	if f.Kind != waitgraph.Deadlock || !f.Checked {
		t.Fatalf("%s: %s %v\n%+v", f.Kind, f.Sentence, f.Reasons, last)
	}
	if r := f.Residue; r.Workers != 8 || r.Turns != 4 || r.Locks != 1 || r.Slots != 0 || !strings.Contains(f.Sentence, "4 workers hold all 4 turns of pool lockjam-0-0 and wait for lock") {
		t.Errorf("%s %+v", f.Sentence, r)
	}
	if n := last.Clients["lockjam-0-0"]; n != 4 || len(last.Clients) != 1 || last.Slots < 990 {
		t.Errorf("%v of %d slots are taken, want the pool's four", last.Clients, last.Slots)
	}
	t.Logf("%s (%.0f ms after the start)", f.Sentence, f.AtMS)
}

// surged is one instance whose eight workers have a lock each and never wait, and
// that becomes eight instances, which makes eight who want each lock.
const surged = `
name: quick
title: A pool that is smaller than those who share it
server: {maxclients: 1000, config: {save: '""'}}
swarm:
  workers_per_instance: 8
  waiter: keeps-connection
  holder: returns-connection
  client: {pool_size: 4, pool_timeout_ms: 100}
  lock: {tenants: 8, hold_ms: 15, poll_ms: 5}
  arrivals: {tenant: by-worker, think_ms: 5}
trigger: {kind: surge, instances: 8}
phases: {baseline_ms: 500, incident_ms: 2000, recovery_ms: 1000}
incident: {for_ms: 500, kind: deadlock}
cure: {hold_ms: 500}
arms:
  - {name: control, remedy: none, expect: {verdict: no-effect}}
`

// More instances, each with room enough at the server, and none can go on.
func TestPoolDeadlockAfterASurge(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	o := quickOptions(t, "no-effect")
	sc, err := scenario.Parse("quick.yaml", []byte(surged), Known())
	if err != nil {
		t.Fatal(err)
	}
	o.Scenarios = []*scenario.Scenario{sc}
	run, folder, err := RunSuite(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	arm := run.Scenarios[0].Arms[0]
	if run.Outcome != Pass || arm.Deadlock == nil || !arm.Deadlock.Proved || !arm.Deadlock.Checked {
		t.Fatalf("%s %v %+v", run.Outcome, arm.Reasons, arm.Deadlock)
	}
	// All turns are kept by who waits. A lock may have come free when nobody had a turn
	// left to take it with.
	if d := arm.Deadlock; d.Residue.Slots != 0 || d.Residue.Turns != 32 || d.Residue.Locks == 0 || !strings.Contains(d.Sentence, "hold all 32 turns of 8 pools") {
		t.Errorf("%+v", d)
	}
	// Who kept a turn since when is in the recording.
	if _, changed, err := Rejudge(folder); err != nil || len(changed) > 0 {
		t.Errorf("judged again: %v, changed %v", err, changed)
	}
	h, err := history.Load(filepath.Join(folder, "quick", "control", historyFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range h.Samples {
		if s.Server != nil && s.Server.Connected > 50 {
			t.Fatalf("%d clients are connected, so that the server may have to do with it", s.Server.Connected)
		}
	}
	t.Logf("%s (%.0f ms after the surge)", arm.Deadlock.Sentence, arm.Deadlock.AfterMS)
}
