package harness

// claim is a line of the runbook. The ids are stable.
type claim struct {
	id, words string
	// instead is what to do where it is refuted, or holds only here and there.
	instead string
}

// runbook lists the claims in the runbook's order.
var runbook = []claim{
	{"S1", `Applications receiving "ERR max number of clients reached" errors`,
		"Do not search logs for that text: go-redis says broken pipe, connection reset by peer or EOF. Alert on the increase of rejected_connections, or dial with a raw socket and read."},
	{"S2", "Increased latency and timeouts in Redis operations",
		"Measure whole requests, those still in progress included: single commands stay fast, and nothing times out where nobody has set a timeout."},
	{"S3", "Services unable to acquire locks, leading to degraded throughput", ""},
	{"S4", "High number of rejected connections and client connection errors in logs",
		"Where these are silent and goodput is gone, look for locks without TTL whose owner is dead."},
	{"D1", `redis-cli --scan --pattern "lock:*": look for a high number of lock keys indicating contention`,
		"The number of keys is the number of things that are locked, however many wait for them. Look twice: a lock without TTL that holds the same token after longer than the work takes is stuck. OBJECT IDLETIME does not show it: a SET NX that fails counts as an access."},
	{"D2", `redis-cli monitor | grep "SET lock:": monitor for repeated attempts to set locks without success`,
		`MONITOR quotes what it prints: grep -iE '"(set|setnx)" "lock:'. Open the connection beforehand, and look for a lock that is tried and never deleted.`},
	{"R1", `Release stale locks: redis-cli --scan --pattern "lock:*" | xargs redis-cli del`,
		"Where the server is full it cannot be carried out: keep a connection open beforehand, and raise maxclients with CONFIG SET instead."},
	{"R1w", "WARNING: this will forcefully release all locks. Ensure this is safe for your application logic", ""},
	{"R2", "Increase the client limit: edit redis.conf (maxclients 10000), restart the server",
		"Raise it with CONFIG SET maxclients: nothing is restarted, and no lock is dropped from under its holder. For orphaned locks, delete them."},
	{"R2m", "Monitor the client connections to ensure stability", "Watch goodput: connections are as steady where nothing moves."},
	{"P1", "Implement a backoff strategy for retrying lock acquisition",
		"A waiter that backs off keeps its slot. Let holders keep the connection that they need for the release, and keep the limit above what all clients together can open."},
	{"P2", "Use a shorter TTL for locks to prevent long-held locks",
		"A TTL bounds a stall by taking locks from the living: longer than the longest work, with a fencing token that the storage checks."},
	{"P3", "Use Redis transactions (MULTI/EXEC) to ensure atomic operations", ""},
	{"P4", "Set a reasonable timeout for lock acquisition attempts",
		"To give up frees no slot while the pool keeps the connection: let waiters hang up, and holders keep theirs for the release."},
	{"M1", "info clients: connected_clients", "Watch goodput as well: connected_clients says nothing about locks that nobody will release."},
	{"M2", "info stats: rejected_connections", "Watch goodput as well: nobody is rejected where locks are orphaned."},
	{"M3", "info stats: total_commands_processed",
		"Watch the rate of grants or of completed requests: waiters that poll keep this counter growing."},
	{"A1", "Connected clients > 80% of maxclients", "Keep it, and alert on goodput too: it is silent where locks are orphaned."},
	{"A2", "Rejected connections > 0", "Alert on its increase, not on its value, which never clears; and on goodput too."},
	{"A3", "Average command latency > 10 ms", "Alert on goodput or on the response time of requests: where work stands still for want of locks or slots, what Redis answers it answers as fast as ever."},
	{"C1", "Ensure Redis configuration is optimized for high concurrency", ""},
	{"C2", "Implement monitoring for lock contention and client limits",
		"Monitor goodput and the age of requests in progress as well: they see whatever stands still, whatever it is that is short. Broken exclusion they do not see."},
	{"C3", "Review and test lock acquisition and release logic", ""},
	{"C4", "Validate that all services handle lock acquisition failures gracefully", ""},
}

// ClaimWords are the runbook's words for a claim, in short; "" if it has none of that
// id.
func ClaimWords(id string) string {
	for _, c := range runbook {
		if c.id == id {
			return c.words
		}
	}
	return ""
}

// ClaimInstead is what to do where a claim is refuted, or holds only here and there;
// "" if nothing stands in its place.
func ClaimInstead(id string) string {
	for _, c := range runbook {
		if c.id == id {
			return c.instead
		}
	}
	return ""
}
