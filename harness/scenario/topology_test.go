package scenario

import (
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/server"
)

const pair = `name: pair
title: A pair with a Sentinel
server: {maxclients: 8, topology: sentinel}
swarm: {lock: {wait_replicas: 1}}
trigger: {kind: failover, lag_ms: 200, instances: 2}
arms:
  - name: control
  - name: restarted
    remedy: restart-server
  - name: apart
    prevention: apart
    server: {maxclients: 9}
`

func TestTopologies(t *testing.T) {
	k := known
	fine := strings.Replace(pair, "restart-server", "raise-maxclients-live", 1)
	s, err := parse("x.yaml", []byte(fine), k, "")
	if err != nil || s.Server.Topology != server.Sentinel || s.Arms[2].Server.Topology != server.Sentinel {
		t.Fatalf("%+v, %v", s, err)
	}
	if s := mustParse(t, whole); s.Server.Topology != server.Single {
		t.Errorf("without a word of it the topology is %q", s.Server.Topology)
	}
	k.restarting = []string{"restart-server"}
	cluster := strings.NewReplacer("topology: sentinel", "topology: cluster", "{wait_replicas: 1}", "{}",
		"kind: failover, lag_ms: 200", "kind: surge", "restart-server", "raise-maxclients-live").Replace(pair)
	if _, err := parse("x.yaml", []byte(cluster), k, ""); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ in, old, new, want string }{
		{fine, "topology: sentinel", "topology: mesh", `server.topology: "mesh": want single, sentinel or cluster`},
		{fine, "lag_ms: 200, ", "", "trigger.lag_ms: missing: want 1 to 5000 (a failover needs a replica that lags)"},
		{fine, "lag_ms: 200", "lag_ms: 5001", "trigger.lag_ms: 5001: want 1 to 5000"},
		{fine, "instances: 2", "instances: 1", "trigger.instances: 1: want more than the 1 that run before the surge"},
		{fine, "wait_replicas: 1", "wait_replicas: 2", "swarm.lock.wait_replicas: 2: want 0 to 1"},
		{fine, "wait_replicas: 1", "wait_replicas: 1, wait_replicas_ms: 0",
			"swarm.lock.wait_replicas_ms: 0: want 1 to 3600000 (WAIT would wait for ever)"},
		{fine, "maxclients: 9", "maxclients: 9, topology: single",
			"arms[2].server.topology: single: an arm has the scenario's, sentinel"},
		{fine, "raise-maxclients-live", "restart-server",
			`arms[1].remedy: "restart-server": only a single server can be restarted, and this one is a sentinel`},
		{fine, "8, topology: sentinel}\nswarm: {lock: {wait_replicas: 1}}", "8}",
			`trigger.kind: the trigger "failover" takes server.topology sentinel, and not single`},
		{cluster, "lock: {}", "lock: {wait_replicas: 1}",
			"swarm.lock.wait_replicas: 1: only server.topology sentinel has a replica to wait for"},
		{cluster, "lock: {}", "waiter: keeps-connection",
			`swarm.waiter: "keeps-connection": go-redis's client of a cluster gives no connection away to be kept`},
		{cluster, "lock: {}", "checkout: nested, client: {pool_size: 2}",
			`swarm.checkout: "nested": go-redis's client of a cluster gives no connection away to be kept`},
		{cluster, "lock: {}", "limiter: {decision: transaction}",
			`swarm.limiter.decision: "transaction": only locked or script on a cluster`},
		{cluster, "server: {maxclients: 9}", "swarm: {waiter: keeps-connection}",
			`arms[2].swarm.waiter: "keeps-connection": go-redis's client of a cluster gives no connection away to be kept`},
		{cluster, "lock: {}", "arrivals: {ramp_ms: -1}", "swarm.arrivals.ramp_ms: -1: want 0 to 3600000"},
		{cluster, "lock: {}", "arrivals: {kind: open, rate_per_s: 1, ramp_ms: 1}",
			"swarm.arrivals.ramp_ms: only closed arrivals have workers that make their own requests"},
		{cluster, "arms:", "incident: {faults: -1}\narms:", "incident.faults: -1: want 0 to 1000000000"},
	} {
		if !strings.Contains(c.in, c.old) {
			t.Fatalf("there is no %q", c.old)
		}
		_, err := parse("x.yaml", []byte(strings.Replace(c.in, c.old, c.new, 1)), k, "")
		if err == nil || !strings.HasSuffix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %s", c.new, err, c.want)
		}
	}
}
