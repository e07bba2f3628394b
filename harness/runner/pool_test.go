package runner

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/process"
	"github.com/lockjam/lockjam/harness/standstill"
	"github.com/lockjam/lockjam/harness/swarm"
	"github.com/lockjam/lockjam/harness/waitgraph"
)

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
	redis, err := process.Start(t.Context(),
		server.Spec{Workspace: ws, Name: "redis", Config: server.Config{"maxclients": "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = redis.Stop(context.Background()) }()
	control, err := server.OpenControl(t.Context(), redis.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = control.Close() }()

	sc := scenario.Defaults()
	sc.Swarm, sc.Server.MaxClients = poolSettings(), 1000
	a := newArm(job{sc: &sc, options: &Options{}})
	a.host.server, a.rec.started = redis, time.Now()
	a.swarm = swarm.Start(t.Context(), swarm.Config{
		Target: swarm.Target{Addr: redis.Endpoint().Addr}, Settings: sc.Swarm, Prefix: "t", Seed: 1,
		Elapsed: a.rec.elapsed, Record: func(history.Op) {},
	})
	defer a.swarm.Stop()
	var f waitgraph.Analysis
	var taken []history.Census
	for a.rec.elapsed() < 10*time.Second && !f.Proved {
		time.Sleep(200 * time.Millisecond)
		taken = append(taken, newCounter(a).census(t.Context(), control.Sampler))
		if p := standstill.Decisive(standstill.Prover{Scenario: &sc}.Prove(taken),
			history.Span{From: 0, To: time.Minute}); p != nil {
			f = p.Analysis
		}
	}
	last := taken[len(taken)-1]
	if f.Kind != waitgraph.Deadlock || !f.Checked {
		t.Fatalf("%s: %s %v\n%+v", f.Kind, f.Sentence, f.Reasons, last)
	}
	if r := f.Residue; r.Workers != 8 || r.Turns != 4 || r.Locks != 1 || r.Slots != 0 ||
		!strings.Contains(f.Sentence, "4 workers hold all 4 turns of pool lockjam-0-0 and wait for lock") {
		t.Errorf("%s %+v", f.Sentence, r)
	}
	if n := last.Clients["lockjam-0-0"]; n != 4 || len(last.Clients) != 1 || last.Slots < 990 {
		t.Errorf("%v of %d slots are taken, want the pool's four", last.Clients, last.Slots)
	}
	t.Logf("%s (%.0f ms after the start)", f.Sentence, f.AtMS)
}

// surged is one instance whose eight workers have a lock each and never wait, and
// that becomes eight instances, which makes eight workers that want each lock.
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
	sc, err := scenario.Parse("quick.yaml", []byte(surged))
	if err != nil {
		t.Fatal(err)
	}
	o.Scenarios = []*scenario.Scenario{sc}
	run, folder, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	arm := run.Scenarios[0].Arms[0]
	if run.Outcome != result.Pass || arm.Deadlock == nil || !arm.Deadlock.Proved || !arm.Deadlock.Checked {
		t.Fatalf("%s %v %+v", run.Outcome, arm.Reasons, arm.Deadlock)
	}
	// All turns are kept by waiters. A lock may have come free when no worker had a turn
	// left to take it with.
	if d := arm.Deadlock; d.Residue.Slots != 0 || d.Residue.Turns != 32 || d.Residue.Locks == 0 ||
		!strings.Contains(d.Sentence, "hold all 32 turns of 8 pools") {
		t.Errorf("%+v", d)
	}
	// The recording tells which worker kept a turn since when.
	if _, changed, err := Rejudge(folder); err != nil || len(changed) > 0 {
		t.Errorf("judged again: %v, changed %v", err, changed)
	}
	h, err := history.Load(filepath.Join(folder, "quick", "control", rundir.HistoryFile))
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

// poolSettings are eight workers that share a client with a pool of four, keep their
// connections while they wait for a lock, and give them back to work under it.
func poolSettings() swarm.Settings {
	set := swarm.Defaults()
	set.WorkersPerInstance, set.Client.PoolSize, set.Client.PoolTimeoutMS = 8, 4, 100
	set.Waiter, set.Holder = swarm.WaiterKeeps, swarm.HolderReturns
	set.Lock.HoldMS = 15
	return set
}
