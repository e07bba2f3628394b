package harness

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
)

// Where faults are what the incident consists of, goodput does not matter, and only
// what happens in the incident counts.
func TestReproducedByFaults(t *testing.T) {
	for _, c := range []struct {
		faults int64
		at     time.Duration // of the second grant
		want   bool
	}{
		{1, 2600 * time.Millisecond, true},
		{2, 2600 * time.Millisecond, false},
		{1, 1600 * time.Millisecond, false},
		{1, 3600 * time.Millisecond, false}, // after the incident; and before that, too long before its end
	} {
		sc, arm := testScenario()
		arm.Remedy = "none"
		sc.Incident.Faults = c.faults
		l := newLiteral().work(0, second, 200)
		for i, at := range []time.Duration{c.at - second/2, c.at} { // the second is granted while the first is at work
			l.h.Ops = append(l.h.Ops, history.Op{
				Worker: 2, Tenant: 1, Outcome: history.OK, Intended: at, Begun: at, Granted: at, Worked: at + second, Released: at + second, Ended: at + second, Fence: int64(i + 1),
			})
		}
		r := Judge(sc, arm, l.sampled())
		if r.Reproduced == nil || *r.Reproduced != c.want {
			t.Errorf("%+v: reproduced %v, %v", c, r.Reproduced, r.Reasons)
		}
		if !c.want && (r.Outcome != Inconclusive || !strings.Contains(fmt.Sprint(r.Reasons), "the incident was not reproduced")) {
			t.Errorf("%+v: %s, %v", c, r.Outcome, r.Reasons)
		}
	}
}

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
	run, _, err := RunSuite(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	first, second := run.Scenarios[0].Arms[0], run.Scenarios[1].Arms[0]
	if first.Outcome != Pass || second.Outcome != Inconclusive || run.Outcome != Inconclusive {
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
`), Known())
	if err != nil {
		t.Fatal(err)
	}
	o.Scenarios = []*scenario.Scenario{sc}
	run, folder, err := RunSuite(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	h, err := history.Load(filepath.Join(folder, "failover", "control", historyFile))
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
