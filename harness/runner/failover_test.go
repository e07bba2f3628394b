package runner

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
)

// A server that cannot be what a scenario needs leaves its arms open, and the rest of
// the run as it is.
func TestTopologyThatTheServerHasNot(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	o := quickOptions(t, "no-effect")
	pair := *o.Scenarios[0]
	pair.Name, pair.Server.Topology = "pair", server.Sentinel
	o.Scenarios = append(o.Scenarios, &pair)
	process := o.Start
	o.Start = func(ctx context.Context, spec server.Spec) (server.Server, error) {
		if spec.Topology.Several() {
			return server.Attach("redis://127.0.0.1:1")(ctx, spec)
		}
		return process(ctx, spec)
	}
	run, _, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	first, second := run.Scenarios[0].Arms[0], run.Scenarios[1].Arms[0]
	if first.Outcome != result.Pass || second.Outcome != result.Inconclusive || run.Outcome != result.Inconclusive {
		t.Errorf("%s and %s, and the run %s", first.Outcome, second.Outcome, run.Outcome)
	}
	want := "it cannot run here: topology sentinel is not supported by this kind of server: it needs several servers, and an address is a single server: use --server process, with redis-server or valkey-server on PATH"
	if fmt.Sprint(second.Reasons) != "["+want+"]" {
		t.Errorf("reasons %v, want %q", second.Reasons, want)
	}
	if run.Environment.Server.Kind != server.KindProcess {
		t.Errorf("the run's server is %+v", run.Environment.Server)
	}
}

// One arm goes through a failover: it is looked at on the new primary afterwards.
func TestFailoverArm(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	o := quickOptions(t, "no-effect")
	sc, err := scenario.Parse("failover.yaml", []byte(`
name: failover
title: A failover
server: {maxclients: 64, topology: sentinel, config: {save: '""'}}
swarm:
  instances: 6
  client: {pool_size: 100}
  redial_ms: 50
  lock: {tenants: 6, hold_ms: 5, poll_ms: 5, ttl_ms: 500}
  arrivals: {tenant: by-worker, think_ms: 5}
trigger: {kind: failover, lag_ms: 50, instances: 7}
phases: {baseline_ms: 500, incident_ms: 1500, recovery_ms: 0}
incident: {faults: 1, for_ms: 500}
cure: {hold_ms: 0}
arms:
  - {name: control}
`))
	if err != nil {
		t.Fatal(err)
	}
	o.Scenarios = []*scenario.Scenario{sc}
	run, folder, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	h, err := history.Load(filepath.Join(folder, "failover", "control", rundir.HistoryFile))
	if err != nil {
		t.Fatal(err)
	}
	runs := map[string]bool{}
	for _, s := range h.Samples {
		if s.Server != nil {
			runs[s.Server.RunID] = true
		}
	}
	if len(runs) != 2 {
		t.Errorf("%d servers were looked at, want the one before the failover and the one after it", len(runs))
	}
	arm := run.Scenarios[0].Arms[0]
	if last := arm.Phases[len(arm.Phases)-1]; last.Operations.OK == 0 || last.Classes["unreachable"] == 0 {
		t.Errorf("work goes on, and there was an outage: %+v", last)
	}
}
