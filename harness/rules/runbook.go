package rules

// head stands at the top of the file.
const head = `# Alerts for Prometheus, over the metrics of redis_exporter (its default namespace,
# redis_). Written by "lockjam rules"; --interval makes the windows anew.
#
# Group runbook has the thresholds of the runbook as it words them, each with what
# lockjam measured of it. Group lockjam has what the measurements support in their place.
#
# What no rule here can see: goodput, the age of requests, who holds a lock, and whether
# two hold the same one. Only the services themselves know. Without an alert of their own
# on completed requests per second and on the oldest request in progress, nothing fires
# in orphaned-lock, lease-expiry, unsafe-release, lock-convoy, retry-storm,
# pool-self-deadlock and failover-lost-lock.
`

// blind is what all rules have in common that read the server's figures.
const blind = `redis_exporter dials for every scrape. While every slot is taken it is refused as everybody is, and this figure is missing: see RedisExporterLockedOut.`

// runbook has a rule for each threshold of the runbook. M1 and M2 are the metrics that
// A1 and A2 read; for M3 the runbook names no threshold, and half of what it was is what
// lockjam reads it by.
var runbook = []Rule{
	{
		Name: "RunbookClientsOver80Percent", Claim: "A1", Metric: "M1", Severity: Info,
		Expr:    `redis_connected_clients / redis_config_maxclients > 0.8`,
		Summary: `{{ $labels.instance }}: {{ $value | humanizePercentage }} of maxclients are connected`,
		Why: `The runbook's threshold as it stands. It sees a crowd that comes slowly: where the last fifth of the slots goes between two scrapes, no scrape finds it there. ` +
			blind,
		Signal: "client-saturation", Verdict: "conditional",
		Fires: []string{"slot-lock-deadlock", "severed-holder", "renewal-starvation", "reconnect-storm",
			"connection-leak", "blocked-release", "cluster-hot-shard"},
		Silent: []string{"orphaned-lock", "lease-expiry", "unsafe-release", "pool-self-deadlock", "nested-checkout",
			"lock-order-inversion", "lost-reply"},
	},
	{
		Name: "RunbookConnectionsRejected", Claim: "A2", Metric: "M2", Severity: Info,
		Expr:    `redis_rejected_connections_total > 0`,
		Summary: `{{ $labels.instance }}: {{ $value }} connections were rejected since the server started`,
		Why: `The runbook's threshold as it stands. The counter only grows, so this begins when the exporter finds a slot again, which is when the incident is over, and then fires until the server is restarted. ` +
			blind,
		Signal: "rejected-connections", Verdict: "conditional",
		Fires: []string{"slot-lock-deadlock", "severed-holder", "renewal-starvation", "reconnect-storm",
			"connection-leak", "blocked-release", "cluster-hot-shard"},
		Silent: []string{"orphaned-lock", "lease-expiry", "unsafe-release", "pool-self-deadlock", "nested-checkout",
			"lock-order-inversion", "lost-reply"},
	},
	{
		Name: "RunbookLatencyOver10ms", Claim: "A3", Severity: Info,
		Expr: `sum by (job, instance) (rate(redis_commands_duration_seconds_total[$short]))
  / sum by (job, instance) (rate(redis_commands_total[$short])) > 0.010`,
		Summary: `{{ $labels.instance }}: a command takes {{ $value | humanizeDuration }} on average`,
		Why: `The runbook's threshold, as the mean over all commands of the last $short. It is the time that Redis executes a command; how long the command waited to be read is not in it. Where work stands still for want of locks or slots Redis answers as fast as ever, and many fast commands hide a slow one. ` +
			blind,
		Signal: "command-latency-server", Verdict: "conditional",
		Fires: []string{"slow-server"},
		Silent: []string{"slot-lock-deadlock", "orphaned-lock", "severed-holder", "lease-expiry", "unsafe-release",
			"renewal-starvation", "lock-convoy", "retry-storm",
			"reconnect-storm", "pool-self-deadlock", "nested-checkout", "connection-leak", "blocked-release",
			"lock-order-inversion"},
	},
	{
		Name: "RunbookCommandsHalved", Claim: "M3", Severity: Info,
		Expr:    `rate(redis_commands_processed_total[$short]) < 0.5 * rate(redis_commands_processed_total[$long] offset $long)`,
		Summary: `{{ $labels.instance }}: {{ $value | humanize }} commands per second, less than half of before`,
		Why: `The runbook names the metric and no threshold: this is less than half of what it was $long ago. Waiters that poll are commands too, so in most standstills it stays silent; a quiet evening looks the same as a failure. ` +
			blind,
		Signal: "command-throughput", Verdict: "conditional",
		Fires: []string{"nested-checkout", "connection-leak", "slow-server"},
		Silent: []string{"slot-lock-deadlock", "orphaned-lock", "severed-holder", "lease-expiry", "unsafe-release",
			"renewal-starvation", "lock-convoy", "retry-storm", "pool-self-deadlock", "blocked-release"},
	},
}
