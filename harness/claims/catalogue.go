// Package claims is the catalogue of the runbook's claims, each with its evaluator.
package claims

import "github.com/lockjam/lockjam/harness/result"

// Claim is a line of the runbook that can be tested. The ids are stable.
type Claim struct {
	ID, Words string
	Instead   string // what to do where it is refuted, or holds only in some scenarios

	evaluate evaluator
}

// evaluator answers a claim from the scenarios that bear on it: it sets the card's verdict,
// sentence and evidence, and leaves a card alone that nothing in them answers.
type evaluator func(card *result.Claim, on []result.Scenario)

// both evaluates with one, and lets the other add to its answer.
func both(first, then evaluator) evaluator {
	return func(card *result.Claim, on []result.Scenario) {
		first(card, on)
		then(card, on)
	}
}

// Runbook lists the claims in the runbook's order.
var Runbook = []Claim{
	{
		ID: "S1", evaluate: both(detection("refused-clients"), words),
		Words:   `Applications receiving "ERR max number of clients reached" errors`,
		Instead: "Do not search logs for that text: go-redis says broken pipe, connection reset by peer or EOF. Alert on the increase of rejected_connections, or dial with a raw socket and read.",
	},
	{
		ID: "S2", evaluate: both(detection("request-latency"), hangs),
		Words:   "Increased latency and timeouts in Redis operations",
		Instead: "Measure whole requests, those still in progress included: single commands stay fast, and nothing times out where no timeout is set.",
	},
	{
		ID: "S3", evaluate: detection("goodput-collapse"),
		Words: "Services unable to acquire locks, leading to degraded throughput",
	},
	{
		ID: "S4", evaluate: detection("client-errors", "rejected-connections"),
		Words:   "High number of rejected connections and client connection errors in logs",
		Instead: "Where these are silent and goodput is gone, look for locks without TTL whose owner is dead.",
	},
	{
		ID: "D1", evaluate: detection("lock-key-count"),
		Words:   `redis-cli --scan --pattern "lock:*": look for a high number of lock keys indicating contention`,
		Instead: "The number of keys is the number of things that are locked, however many wait for them. Look twice: a lock without TTL that holds the same token after longer than the work takes is stuck. OBJECT IDLETIME does not show it: a SET NX that fails counts as an access.",
	},
	{
		ID: "D2", evaluate: both(detection("lock-set-retries"), asWritten),
		Words:   `redis-cli monitor | grep "SET lock:": monitor for repeated attempts to set locks without success`,
		Instead: `MONITOR quotes what it prints: grep -iE '"(set|setnx)" "lock:'. Open the connection beforehand, and look for a lock that is tried and never deleted.`,
	},
	{
		ID: "R1", evaluate: action,
		Words:   `Release stale locks: redis-cli --scan --pattern "lock:*" | xargs redis-cli del`,
		Instead: "Where the server is full it cannot be carried out: keep a connection open beforehand, and raise maxclients with CONFIG SET instead.",
	},
	{
		ID: "R1w", evaluate: warning,
		Words: "WARNING: this will forcefully release all locks. Ensure this is safe for your application logic",
	},
	{
		ID: "R2", evaluate: action,
		Words:   "Increase the client limit: edit redis.conf (maxclients 10000), restart the server",
		Instead: "Raise it with CONFIG SET maxclients: nothing is restarted, and no lock is dropped from under its holder. For orphaned locks, delete them.",
	},
	{
		ID: "R2m", evaluate: settled,
		Words:   "Monitor the client connections to ensure stability",
		Instead: "Watch goodput: connections are as steady where nothing moves.",
	},
	{
		ID: "P1", evaluate: prevents,
		Words:   "Implement a backoff strategy for retrying lock acquisition",
		Instead: "A waiter that backs off keeps its slot. Let holders keep the connection that they need for the release, and keep the limit above what all clients together can open.",
	},
	{
		ID: "P2", evaluate: prevents,
		Words:   "Use a shorter TTL for locks to prevent long-held locks",
		Instead: "A TTL bounds a stall by taking locks from live holders: set it longer than the longest work, with a fencing token that the storage checks.",
	},
	{
		ID: "P3", evaluate: prevents,
		Words: "Use Redis transactions (MULTI/EXEC) to ensure atomic operations",
	},
	{
		ID: "P4", evaluate: prevents,
		Words:   "Set a reasonable timeout for lock acquisition attempts",
		Instead: "To give up frees no slot while the pool keeps the connection: let waiters hang up, and holders keep theirs for the release.",
	},
	{
		ID: "M1", evaluate: detection("client-saturation"),
		Words:   "info clients: connected_clients",
		Instead: "Watch goodput as well: connected_clients says nothing about orphaned locks.",
	},
	{
		ID: "M2", evaluate: both(detection("rejected-connections"), cumulative),
		Words:   "info stats: rejected_connections",
		Instead: "Watch goodput as well: no client is rejected where locks are orphaned.",
	},
	{
		ID: "M3", evaluate: detection("command-throughput"),
		Words:   "info stats: total_commands_processed",
		Instead: "Watch the rate of grants or of completed requests: waiters that poll keep this counter growing.",
	},
	{
		ID: "A1", evaluate: detection("client-saturation"),
		Words:   "Connected clients > 80% of maxclients",
		Instead: "Keep it, and alert on goodput too: it is silent where locks are orphaned.",
	},
	{
		ID: "A2", evaluate: both(detection("rejected-connections"), cumulative),
		Words:   "Rejected connections > 0",
		Instead: "Alert on its increase, not on its value, which never clears; and on goodput too.",
	},
	{
		ID: "A3", evaluate: detection("command-latency-client", "command-latency-server"),
		Words:   "Average command latency > 10 ms",
		Instead: "Alert on goodput or on the response time of requests: where work stands still for want of locks or slots, what Redis answers it answers as fast as ever.",
	},
	{
		ID: "C1", evaluate: prevents,
		Words: "Ensure Redis configuration is optimized for high concurrency",
	},
	{
		ID: "C2", evaluate: detection("client-saturation", "rejected-connections", "lock-key-count",
			"lock-set-retries"),
		Words:   "Implement monitoring for lock contention and client limits",
		Instead: "Monitor goodput and the age of requests in progress as well: they see whatever stands still, whatever it is that is short. Broken exclusion they do not see.",
	},
	{
		ID: "C3", evaluate: reviewed,
		Words: "Review and test lock acquisition and release logic",
	},
	{
		ID: "C4", evaluate: prevents,
		Words: "Validate that all services handle lock acquisition failures gracefully",
	},
}

// WordsOf are the runbook's words for a claim, in short; "" if it has none of that
// id.
func WordsOf(id string) string {
	for _, c := range Runbook {
		if c.ID == id {
			return c.Words
		}
	}
	return ""
}

// InsteadOf is what to do where a claim is refuted, or holds only here and there;
// "" if nothing stands in its place.
func InsteadOf(id string) string {
	for _, c := range Runbook {
		if c.ID == id {
			return c.Instead
		}
	}
	return ""
}

// IDs are the ids of all claims, in the runbook's order.
func IDs() []string {
	var ids []string
	for _, c := range Runbook {
		ids = append(ids, c.ID)
	}
	return ids
}

// Evaluate answers a claim from the scenarios of one server that bear on it.
func (c Claim) Evaluate(on []result.Scenario) result.Claim {
	card := result.Claim{
		ID: c.ID, Words: c.Words, Verdict: result.Untested, Because: noArm, Evidence: []result.Evidence{},
	}
	c.evaluate(&card, on)
	if card.Verdict == result.Refuted || card.Verdict == result.Conditional {
		card.Instead = c.Instead
	}
	return card
}
