package rules

// corrected is what the measurements support. docs/alerts.md has what a real Prometheus
// saw of each.
var corrected = []Rule{
	// A scrape is a client that dials, and the first to be told. The error's text never
	// says that the server is full: it is what the exporter's client library makes of a
	// connection that closes. It has a port number in it, another one each time, so it is
	// only looked up here, and the alert goes by redis_up. A server that is gone refuses
	// the dial, which reads "dial tcp ...: connection refused".
	{
		Name: "RedisExporterLockedOut", Severity: Critical,
		Expr: `redis_up == 0
  and on (job, instance)
redis_exporter_last_scrape_error{err=~".*(EOF|broken pipe|connection reset by peer|max number of clients reached).*"} == 1`,
		For:     "$short",
		Summary: `{{ $labels.instance }}: Redis takes the exporter's connections and closes them; every client slot is probably taken`,
		Why: `For $short each scrape got a connection that the server closed at once, as it does with everybody while it is full. All other figures of the server are missing meanwhile, and redis-cli is refused too. ` +
			`What helps if it is full: CONFIG SET maxclients over a connection that was open before.`,
	},
	{
		Name: "RedisUnanswered", Severity: Critical,
		Expr: `up == 0
  and on (job, instance)
present_over_time(redis_up[1d])`,
		For:     "$short",
		Summary: `{{ $labels.instance }}: Redis or its exporter does not answer a scrape in time`,
		Why: `The scrape timed out, or the exporter is gone. A server that is held up (CLIENT PAUSE, a long script, a fork, a machine that swaps) counts the time it spends on commands, and it spends none: its own figures show nothing. ` +
			`A pause that is shorter than scrape_timeout is not seen.`,
	},
	// As A2, but for its growth: increase() takes a counter that went back for a restart.
	{
		Name: "RedisConnectionsRejected", Claim: "A2", Severity: Warning,
		Expr:    `increase(redis_rejected_connections_total[$long]) > 0`,
		Summary: `{{ $labels.instance }}: some {{ $value | humanize }} connections were rejected in the last $long`,
		Why: `The counter's growth and not its value, so it clears $long after the last rejection, and a restart that sets it back does no harm. While the server is full it cannot be read, so RedisExporterLockedOut comes first. ` +
			`If the server was full for longer than $long, this stays silent afterwards. If it fires while goodput is as ever, suspect the locks: renewals may have been refused.`,
	},
	// As A1, but it lasts, and goes on through scrapes that were refused.
	{
		Name: "RedisSlotsNearlyTaken", Claim: "A1", Severity: Warning,
		Expr: `last_over_time(redis_connected_clients[$long])
  / last_over_time(redis_config_maxclients[$long]) > 0.8`,
		For:     "$short",
		Summary: `{{ $labels.instance }}: {{ $value | humanizePercentage }} of maxclients are connected, or were when the exporter was last let in`,
		Why: `For $short more than 80% of the slots were taken, as far as it could be read: a scrape that is refused does not clear it. It is the warning before a connection leak fills the server, if the last fifth of the slots takes longer than a few scrapes. ` +
			`It is silent where locks are orphaned and where a client's pool is what is short.`,
	},
	// As A3, but command by command: the mean over all of them hides a slow one.
	{
		Name: "RedisSlowCommand", Claim: "A3", Severity: Warning,
		Expr:    `rate(redis_commands_duration_seconds_total[$short]) / rate(redis_commands_total[$short]) > 0.010`,
		For:     "$short",
		Summary: `{{ $labels.instance }}: {{ $labels.cmd }} takes {{ $value | humanizeDuration }} on average`,
		Why: `For $short one command kept Redis busy for over 10 ms each time, and everybody else waited. SLOWLOG GET names the call. ` +
			`The scripts of one server share a row (evalsha), so fast ones may hide a slow one.`,
	},
	// As M3, but only while the clients are all there: fewer of them send less.
	{
		Name: "RedisCommandsHalved", Claim: "M3", Severity: Warning,
		Expr: `rate(redis_commands_processed_total[$short]) < 0.5 * rate(redis_commands_processed_total[$long] offset $long)
  and
redis_connected_clients >= 0.9 * avg_over_time(redis_connected_clients[$long] offset $long)`,
		For:     "$short",
		Summary: `{{ $labels.instance }}: {{ $value | humanize }} commands per second, less than half of before, from as many clients`,
		Why: `For $short as many clients as before have sent less than half as many commands: they wait for something, such as a connection of their own pool, a lock, or Redis. ` +
			`It is silent where waiters poll, which is most standstills.`,
	},
	// A refusal is quick, so latency and the number of commands look healthy. ERR and
	// NOSCRIPT are part of healthy traffic (what a library tries when it connects, a script's
	// first EVALSHA), and so are redirects while there are fewer of them than commands.
	{
		Name: "RedisCommandsRefused", Severity: Warning,
		Expr: `(rate(redis_errors_total{err!~"ASK|ERR|MOVED|NOSCRIPT"}[$short]) > 2)
  > on (job, instance) group_left ()
0.01 * rate(redis_commands_processed_total[$short])
or
(rate(redis_errors_total{err=~"ASK|MOVED"}[$short]) > 10)
  > on (job, instance) group_left ()
rate(redis_commands_processed_total[$short])`,
		For:     "$short",
		Summary: `{{ $labels.instance }}: Redis answers {{ $value | humanize }} commands per second with {{ $labels.err }}`,
		Why: `For $short more than one command in a hundred, and more than 2 per second, were answered with this error: OOM, maxmemory is reached and nothing may be evicted; MISCONF, the snapshot cannot be written; READONLY, it is a replica; BUSY, a script runs; NOPERM and NOAUTH, the clients' user may not. ` +
			`A lock whose release is refused stays taken. MOVED and ASK count where there are more of them than commands carried out, ERR and NOSCRIPT do not count at all. Redis counts errors by their first word from 6.2 on; before that this is silent.`,
	},
}
