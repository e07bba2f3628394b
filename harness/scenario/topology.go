package scenario

import (
	"slices"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/swarm"
	"github.com/lockjam/lockjam/harness/triggers"
)

// checkTopology checks what depends on how many nodes the server has.
func checkTopology(c *checker, s *Scenario) {
	const at = "server.topology"
	c.check(s, topologyFields)
	if t, ok := triggers.Find(s.Trigger.Kind); ok && len(t.Topologies) > 0 &&
		!slices.Contains(t.Topologies, s.Server.Topology) {
		c.fail(on("trigger.kind", at), "the trigger %s takes %s %s, and not %s", quote(t.Name), at,
			either(plain(t.Topologies)), s.Server.Topology)
	}
	if s.Swarm.Lock.WaitReplicas > 0 && s.Server.Topology != server.Sentinel {
		c.fail(on("swarm.lock.wait_replicas", at), "%d: only %s %s has a replica to wait for",
			s.Swarm.Lock.WaitReplicas, at, server.Sentinel)
	}
	if s.Server.Topology != server.Cluster {
		return
	}
	if s.Swarm.Waiter == swarm.WaiterKeeps {
		c.fail(on("swarm.waiter", at), "%s: go-redis's client of a cluster gives no connection away to be kept",
			quote(string(s.Swarm.Waiter)))
	}
	if s.Swarm.Checkout == swarm.CheckoutNested {
		c.fail(on("swarm.checkout", at), "%s: go-redis's client of a cluster gives no connection away to be kept",
			quote(string(s.Swarm.Checkout)))
	}
	if s.Swarm.Limiter.Decision == swarm.DecisionTransaction {
		c.fail(on("swarm.limiter.decision", at), "%s: only locked or script on a cluster",
			quote(string(s.Swarm.Limiter.Decision)))
	}
}

// checkOneNode refuses in an arm what only a single server can do, and a topology of its own.
func checkOneNode(c *checker, key string, s *Scenario, a *Arm) {
	if a.Server != nil && a.Server.Topology != s.Server.Topology {
		c.fail(on(key+".server.topology", "server.topology"), "%s: an arm has the scenario's, %s", a.Server.Topology,
			s.Server.Topology)
	}
	if s.Server.Topology.Several() && slices.Contains(c.vocabulary.restarting, a.Remedy) {
		c.fail(on(key+".remedy", "server.topology"), "%s: only a single server can be restarted, and this one is a %s",
			quote(a.Remedy), s.Server.Topology)
	}
}

func plain[T ~string](words []T) []string {
	all := make([]string, len(words))
	for i, word := range words {
		all[i] = string(word)
	}
	return all
}
