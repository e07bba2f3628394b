package scenario

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/swarm"
	"github.com/lockjam/lockjam/harness/triggers"
)

// decodeWhole is a scenario in which every part is there to be spoilt.
const whole = `name: whole
title: Every part is there
server:
  maxclients: 32
  config: {appendonly: "no"}
swarm:
  instances: 4
  workers_per_instance: 2
  clients_per_instance: 2
  waiter: returns-connection
  holder: redials
  redial_ms: 20
  replace_after_ms: 100
  client:
    pool_size: 1
    max_retries: -1
    min_retry_backoff_ms: 8
    dial_timeout_ms: 1000
    dialer_retries: 1
    read_timeout_ms: -1
    conn_max_idle_time_ms: -1
    read_buffer_bytes: 0
    write_buffer_bytes: 64
    protocol: 2
  lock:
    tenants: 4
    ttl_ms: 0
    hold_ms: 0
    poll_ms: 10
    backoff: full-jitter
    backoff_max_ms: 20
    acquire_timeout_ms: 0
    on_give_up: keeps-connection
  limiter: {window_ms: 1000, limit: 100, decision: script}
  arrivals:
    kind: open
    rate_per_s: 50
    queue: 1
trigger:
  kind: surge
  instances: 96
phases:
  baseline_ms: 1000
  baseline_max_ms: 8000
  incident_ms: 2000
  recovery_ms: 3000
watch:
  locks_ms: 500
  canary_ms: 0
  monitor_ms: 1000
  monitor_for_ms: 200
  probe_ms: 700
claims: [S1, A1]
incident:
  goodput_ratio: 0
  for_ms: 1000
cure:
  ratio: 0.9
  relapse_ratio: 0.5
  relapse_window_ms: 500
  hold_ms: 1500
signals:
  goodput-collapse: {expect: silent}
  deadlock:
    expect: fire
    within_ms: 2000
    params: {after_ms: 1}
arms:
  - name: control
    remedy: none
    expect: {verdict: no-effect}
  - name: raise
    remedy: raise-maxclients-live
    params: {maxclients: "10000"}
    expect: {verdict: cured}
`

func TestWholeIsValid(t *testing.T) { mustParse(t, whole) }

// Every row changes one place of the whole scenario. The problem is to be
// reported in that line, and no other problem with it.
func TestValidation(t *testing.T) {
	tests := []struct{ old, new, want string }{
		// Names become folders and turn up in reports.
		{"name: whole", "name: ../whole",
			`name: "../whole": want lower-case words joined by hyphens, at most 64 letters`},
		{"name: whole", "name: Whole", `name: "Whole": want lower-case words joined by hyphens, at most 64 letters`},
		{"name: whole", "name: a--b", `name: "a--b": want lower-case words joined by hyphens, at most 64 letters`},
		{"name: whole", `name: "<b>"`, `name: "<b>": want lower-case words joined by hyphens, at most 64 letters`},
		{"name: whole", `name: "whole\n"`,
			`name: "whole\n": want lower-case words joined by hyphens, at most 64 letters`},
		{"name: whole", "name: " + strings.Repeat("a", 65), `name: "` + strings.Repeat("a", 64) +
			`"...: want lower-case words joined by hyphens, at most 64 letters`},
		{"title: Every part is there", `title: " "`, "title: empty: want a line that says what happens"},
		{"title: Every part is there", `title: "a\nb"`, `title: "a\nb": want one line`},

		{"maxclients: 32", "maxclients: 2",
			"server.maxclients: 2: want 4 to 100000 (too small to hold the 3 control connections)"},
		{"maxclients: 32", "maxclients: 100001", "server.maxclients: 100001: want 4 to 100000"},
		{`appendonly: "no"`, "maxclients: '5'",
			"server.config.maxclients: a scenario cannot set it: server.maxclients sets it"},
		{`appendonly: "no"`, "port: '5'",
			"server.config.port: a scenario cannot set it: lockjam picks a free one when it starts the server"},
		// Redis does not mind the case, so the reserved ones could slip through in another.
		{`appendonly: "no"`, "Port: '5'",
			"server.config.Port: a scenario cannot set it: lockjam picks a free one when it starts the server"},
		{`appendonly: "no"`, "SlaveOf: 192.0.2.1 6379",
			"server.config.SlaveOf: a scenario cannot set it: no server that lockjam starts dials another, except as server.topology says"},
		{`appendonly: "no"`, "Appendonly: 'no'",
			"server.config.Appendonly: want a directive of redis.conf, in lower case"},
		{`appendonly: "no"`, "slaveof: no one",
			"server.config.slaveof: a scenario cannot set it: no server that lockjam starts dials another, except as server.topology says"},
		{`appendonly: "no"`, "tls-port: '5'",
			"server.config.tls-port: a scenario cannot set it: lockjam talks plain TCP to the servers that it starts"},
		{`appendonly: "no"`, "cluster-announce-ip: 192.0.2.1",
			"server.config.cluster-announce-ip: a scenario cannot set it: no server that lockjam starts dials another, except as server.topology says"},
		{`appendonly: "no"`, "maxmemmory: '5'",
			`server.config.maxmemmory: a scenario cannot set it: it is none of those that scenarios need (lockjam show --schema lists them); did you mean "maxmemory"?`},
		{`appendonly: "no"`, "dbfilename: ../x",
			`server.config.dbfilename: "../x": want the name of a file in the server's folder, not a path`},
		{`appendonly: "no"`, `dbfilename: '"\x2e\x2e"'`,
			`server.config.dbfilename: "\"\\x2e\\x2e\"": want the name of a file in the server's folder, not a path`},
		{`appendonly: "no"`, `requirepass: '"x'`, `server.config.requirepass: "\"x": the quotes do not match`},
		{`appendonly: "no"`, `save: ["3600 1", "5 1\nport 5"]`, `server.config.save[1]: "5 1\nport 5": want one line`},
		{`appendonly: "no"`, "hz: ['10', '20']", "server.config.hz: want text, not a list"},
		{`appendonly: "no"`, "save: []", `server.config.save: empty: write '""' for an empty value`},
		// One more line of redis.conf, in the key or in the value.
		{`appendonly: "no"`, `"save 1\nport": "5"`,
			`server.config."save 1\nport": want a directive of redis.conf, in lower case`},
		{`appendonly: "no"`, `save: "1\nport 5"`, `server.config.save: "1\nport 5": want one line`},
		{`appendonly: "no"`, `save: ""`, `server.config.save: empty: write '""' for an empty value`},

		{"  instances: 4", "  instances: 0", "swarm.instances: 0: want 1 to 30000"},
		{"  instances: 4", "  instances: 9223372036854775807",
			"swarm.instances: 9.223372036854776e+18: want 1 to 30000"},
		{"instances: 96", "instances: 15001",
			"trigger.instances: 15001 instances of 2 workers are 30002 workers: want at most 30000"},
		{"clients_per_instance: 2", "clients_per_instance: 3",
			"swarm.clients_per_instance: 3: more clients than the 2 workers per instance leaves some idle"},
		{"clients_per_instance: 2", "clients_per_instance: 1",
			"swarm.clients_per_instance: 1: a holder that redials closes its client, so each of the 2 workers per instance needs its own"},
		{"pool_size: 1", "pool_size: 2",
			"swarm.client.pool_size: 2: want 1, for a holder that redials has one connection to close"},
		{"waiter: returns-connection", "waiter: returns",
			`swarm.waiter: "returns": want returns-connection or keeps-connection`},
		{"holder: redials", `holder: ""`, `swarm.holder: "": want keeps-connection, returns-connection or redials`},
		{"redial_ms: 20", "redial_ms: 0", "swarm.redial_ms: 0: want 0.1 to 3600000 (a shorter pause would spin)"},
		{"replace_after_ms: 100", "replace_after_ms: -1", "swarm.replace_after_ms: -1: want 0 to 3600000"},
		{"window_ms: 1000, limit", "window_ms: 0, limit", "swarm.limiter.window_ms: 0: want 1 to 3600000"},
		{"decision: script", "decision: lua", `swarm.limiter.decision: "lua": want locked, transaction or script`},
		{"limit: 100", "limit: 0", "swarm.limiter.limit: 0: want 1 to 1000000000"},

		// What go-redis would replace by a default of its own.
		{"max_retries: -1", "max_retries: 0",
			"swarm.client.max_retries: 0: want 1 to 1000 (go-redis would take 0 for 3 retries; -1 is none)"},
		{"max_retries: -1", "max_retries: -2",
			"swarm.client.max_retries: -2: want 1 to 1000 (go-redis would take 0 for 3 retries; -1 is none)"},
		{"dial_timeout_ms: 1000", "dial_timeout_ms: 0",
			"swarm.client.dial_timeout_ms: 0: want 0.1 to 3600000 (go-redis would take its own default)"},
		{"dialer_retries: 1", "dialer_retries: 0",
			"swarm.client.dialer_retries: 0: want 1 to 1000 (go-redis would take its own default)"},
		{"read_timeout_ms: -1", "read_timeout_ms: 0",
			"swarm.client.read_timeout_ms: 0: want 0.1 to 3600000 (go-redis would take its own default; -1 is no limit)"},
		{"min_retry_backoff_ms: 8", "min_retry_backoff_ms: 513",
			"swarm.client.min_retry_backoff_ms: 513: more than max_retry_backoff_ms, 512"},
		{"read_buffer_bytes: 0", "read_buffer_bytes: 63", "swarm.client.read_buffer_bytes: 63: want 64 to 1048576"},
		{"write_buffer_bytes: 64", "write_buffer_bytes: -64",
			"swarm.client.write_buffer_bytes: -64: want 64 to 1048576"},
		{"protocol: 2", "protocol: 4", "swarm.client.protocol: 4: want 2 or 3"},

		{"tenants: 4", "tenants: 10001", "swarm.lock.tenants: 10001: want 1 to 10000"},
		// Redis would round it down to no expiry at all.
		{"ttl_ms: 0", "ttl_ms: 0.5", "swarm.lock.ttl_ms: 0.5: want 1 to 86400000 (0 is a lock that never expires)"},
		{"hold_ms: 0", "hold_ms: -0.1", "swarm.lock.hold_ms: -0.1: want 0 to 3600000"},
		{"poll_ms: 10", "poll_ms: 0", "swarm.lock.poll_ms: 0: want 0.1 to 3600000 (a shorter pause would spin)"},
		{"backoff: full-jitter", "backoff: jitter",
			`swarm.lock.backoff: "jitter": want none, exponential or full-jitter`},
		{"backoff_max_ms: 20", "backoff_max_ms: 9", "swarm.lock.backoff_max_ms: 9: want at least poll_ms, 10"},
		{"acquire_timeout_ms: 0", "acquire_timeout_ms: 1e300",
			"swarm.lock.acquire_timeout_ms: 1e+300: want 0 to 3600000"},

		{"on_give_up: keeps-connection", "on_give_up: closes",
			`swarm.lock.on_give_up: "closes": want keeps-connection or closes-connection`},
		{"on_give_up: keeps-connection", "on_give_up: closes-connection",
			`swarm.lock.on_give_up: "closes-connection": without an acquire_timeout_ms no worker gives up`},

		{"locks_ms: 500", "locks_ms: 50", "watch.locks_ms: 50: want 100 to 3600000 (0 is never)"},
		{"canary_ms: 0", "canary_ms: 1", "watch.canary_ms: 1: want 50 to 3600000 (0 is never)"},
		{"monitor_for_ms: 200", "monitor_for_ms: 600",
			"watch.monitor_for_ms: 600: want at most half of monitor_ms, 1000"},
		{"monitor_for_ms: 200", "monitor_for_ms: 0",
			"watch.monitor_for_ms: 0: want 50 to 3600000 (MONITOR would hear nothing)"},
		{"probe_ms: 700", "probe_ms: -1", "watch.probe_ms: -1: want 200 to 600000 (0 is never)"},
		{"[S1, A1]", "[S1, A9]", `claims[1]: the runbook has no claim "A9"; did you mean "A1"?`},
		{"[S1, A1]", "[S1, S1]", `claims[1]: "S1" is named twice`},
		{"rate_per_s: 50", "rate_per_s: 0",
			"swarm.arrivals.rate_per_s: 0: want 0.01 to 1000000 (open arrivals need a rate)"},
		{"queue: 1", "queue: 0", "swarm.arrivals.queue: 0: want 1 to 1000000"},
		{"queue: 1", "think_ms: 5", "swarm.arrivals.think_ms: only closed arrivals pause between two requests"},
		{"kind: open", "kind: opened", `swarm.arrivals.kind: "opened": want closed or open`},

		{"kind: surge", "kind: surges", `trigger.kind: "surges": want ` + either(plain(triggers.Names()))},
		{"kind: surge", "kind: sever-holders",
			"trigger.kind: sever-holders needs holders that have a connection to lose, and one that redials has none"},
		{"instances: 96", "instances: 4", "trigger.instances: 4: want more than the 4 that run before the surge"},
		{"instances: 96", "instances: 0", "trigger.instances: 0: want 1 to 30000 (a surge needs instances)"},

		{"baseline_ms: 1000", "baseline_ms: 199", "phases.baseline_ms: 199: want 200 to 600000"},
		{"baseline_max_ms: 8000", "baseline_max_ms: 999",
			"phases.baseline_max_ms: 999: want at least baseline_ms, 1000"},
		{"incident_ms: 2000", "incident_ms: 600001", "phases.incident_ms: 600001: want 200 to 600000"},
		{"for_ms: 1000", "for_ms: 0", "incident.for_ms: 0: want 200 to 600000"},
		{"recovery_ms: 3000", "recovery_ms: 1499", "phases.recovery_ms: 1499: want at least cure.hold_ms, 1500"},
		{"goodput_ratio: 0", "goodput_ratio: 1", "incident.goodput_ratio: 1: want 0 or more, and less than 1"},
		{"ratio: 0.9", "ratio: 2.1", "cure.ratio: 2.1: want more than 0, and at most 2"},
		{"relapse_ratio: 0.5", "relapse_ratio: 0.9",
			"cure.relapse_ratio: 0.9: want 0 or more, and less than cure.ratio, 0.9"},
		{"relapse_window_ms: 500", "relapse_window_ms: 0", "cure.relapse_window_ms: 0: want 200 to 600000"},
		{"hold_ms: 1500", "hold_ms: -1", "cure.hold_ms: -1: want 0 to 600000"},

		{"goodput-collapse: {expect: silent}", "goodput: {expect: silent}",
			"signals.goodput: unknown signal; known: deadlock, goodput-collapse"},
		{"goodput-collapse: {expect: silent}", "goodput-collapse: {}",
			"signals.goodput-collapse.expect: missing: want fire, silent or any"},
		{"goodput-collapse: {expect: silent}", "goodput-collapse: {expect: quiet}",
			`signals.goodput-collapse.expect: "quiet": want fire, silent or any`},
		{"goodput-collapse: {expect: silent}", "goodput-collapse: {expect: silent, within_ms: 1}",
			"signals.goodput-collapse.within_ms: only a signal that is to fire has a time to fire within"},
		{"within_ms: 2000", "within_ms: 2001", "signals.deadlock.within_ms: 2001: the incident is over after 2000"},
		{"within_ms: 2000", "within_ms: -1", "signals.deadlock.within_ms: -1: want 0 or more"},
		{"after_ms: 1", "after: 1", "signals.deadlock.params.after: unknown parameter; known: after_ms"},
		{"goodput-collapse: {expect: silent}", "goodput-collapse: {expect: any, params: {x: 1}}",
			"signals.goodput-collapse.params.x: unknown parameter; there are none"},

		{"- name: raise", "- name: control", `arms[1].name: "control": arms[0] has this name already`},
		{"- name: raise", "- name: a/b",
			`arms[1].name: "a/b": want lower-case words joined by hyphens, at most 64 letters`},
		{"- name: raise", "- why: no name", "arms[1].name: missing"},
		{"remedy: raise-maxclients-live", "remedy: pray",
			`arms[1].remedy: unknown remedy "pray"; known: none, raise-maxclients-live, restart-server`},
		{"remedy: none", "remedy: restart-server",
			`arms[0].remedy: "restart-server": want none, for the control shows what happens without a remedy`},
		{`maxclients: "10000"`, `maxclient: "10000"`,
			`arms[1].params.maxclient: unknown parameter; did you mean "maxclients"?`},
		{"verdict: cured", "verdict: healed",
			`arms[1].expect.verdict: unknown verdict "healed"; known: cured, no-effect, blocked`},
	}
	for _, test := range tests {
		t.Run(test.new, func(t *testing.T) { reportsOnly(t, test.old, test.new, test.want) })
	}
}

// reportsOnly replaces one place of the whole scenario.
func reportsOnly(t *testing.T, old, changed, want string) {
	t.Helper()
	// The marker tells apart places that share a word, as hold_ms does.
	before, after, ok := strings.Cut("\n"+whole, leading(old))
	if !ok {
		t.Fatalf("%q is not in the scenario", old)
	}
	source := strings.TrimPrefix(before+strings.Replace(leading(old), old, changed, 1)+after, "\n")
	at := strings.Count(before, "\n") + strings.Count(leading(old), "\n")
	_, err := parse("x.yaml", []byte(source), known, "")
	if err == nil {
		t.Fatal("accepted")
	}
	var line, column int
	_, scanned := fmt.Sscanf(err.Error(), "x.yaml:%d:%d:", &line, &column)
	message := strings.TrimPrefix(err.Error(), fmt.Sprintf("x.yaml:%d:%d: ", line, column))
	if scanned != nil || line != at || message != want {
		t.Errorf("got  %v\nwant x.yaml:%d:...: %s", err, at, want)
	}
}

// leading puts what comes before a key on its line in front of it.
func leading(old string) string {
	for _, before := range []string{"\n", "\n  ", "\n    ", "\n  - ", "\n  config: {", "\n  limiter: {",
		"\n  limiter: {window_ms: 1000, ", "\n  limiter: {window_ms: 1000, limit: 100, ", "\n    params: {",
		"\n    expect: {"} {
		if strings.Contains("\n"+whole, before+old) {
			return before + old
		}
	}
	return old
}

// What a file leaves out is reported at the nearest key above it, or at what
// it was compared with.
func TestValidationPointsAtTheNearestKey(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{"title", "title: The least that a scenario says\n", "", "x.yaml:1:1: title: missing"},
		{"arms", "arms:\n  - name: control\n", "", "x.yaml:1:1: arms: missing: want at least a control arm"},
		{"no arms", "arms:\n  - name: control\n", "arms: []\n",
			"x.yaml:4:1: arms: missing: want at least a control arm"},
		{"server", "server: {maxclients: 8}\n", "",
			"x.yaml:1:1: server.maxclients: missing: want 4 to 100000 (too small to hold the 3 control connections)"},
		{"maxclients", "{maxclients: 8}", "{}",
			"x.yaml:3:1: server.maxclients: missing: want 4 to 100000 (too small to hold the 3 control connections)"},
		{"surge of what", "arms:", "trigger:\n  kind: surge\narms:",
			"x.yaml:4:1: trigger.instances: missing: want 1 to 30000 (a surge needs instances)"},
		{"rate of what", "arms:", "swarm:\n  arrivals: {kind: open}\narms:",
			"x.yaml:5:3: swarm.arrivals.rate_per_s: missing: want 0.01 to 1000000 (open arrivals need a rate)"},
		// Compared with a default.
		{"backoff", "arms:", "swarm:\n  lock:\n    backoff: exponential\n    poll_ms: 200\narms:",
			"x.yaml:7:14: swarm.lock.backoff_max_ms: 100: want at least poll_ms, 200"},
		{"hold", "arms:", "trigger: {kind: surge, instances: 9}\ncure:\n  hold_ms: 3001\narms:",
			"x.yaml:6:12: phases.recovery_ms: 3000: want at least cure.hold_ms, 3001"},
		{"steady", "arms:", "phases: {baseline_ms: 9000}\narms:",
			"x.yaml:4:23: phases.baseline_max_ms: 8000: want at least baseline_ms, 9000"},
		{"reproduced", "arms:", "trigger: {kind: surge, instances: 9}\nincident: {for_ms: 2001}\narms:",
			"x.yaml:5:20: phases.incident_ms: 2000: want at least incident.for_ms, 2001"},
		{"clients", "arms:", "swarm: {workers_per_instance: 2, holder: redials}\narms:",
			"x.yaml:4:31: swarm.clients_per_instance: 1: a holder that redials closes its client, so each of the 2 workers per instance needs its own"},
		{"clients to close", "arms:", "swarm: {workers_per_instance: 2, lock: {acquire_timeout_ms: 5, on_give_up: closes-connection}}\narms:", "x.yaml:4:31: swarm.clients_per_instance: 1: a worker that gives up closes its client, so each of the 2 workers per instance needs its own"},
		{"a connection to close", "arms:",
			"swarm: {client: {pool_size: 2}, lock: {acquire_timeout_ms: 5, on_give_up: closes-connection}}\narms:",
			"x.yaml:4:29: swarm.client.pool_size: 2: want 1, for a worker that gives up has one connection to close"},
		{"parameter", "arms:", "arms:\n  - {name: up, remedy: raise-maxclients-live, params: {maxclients: ten}}",
			`x.yaml:5:68: arms[0].params.maxclients: "ten" is no number`},
		{"faults of a standstill", "arms:",
			"trigger: {kind: surge, instances: 9}\nincident: {kind: deadlock, faults: 3}\narms:",
			`x.yaml:5:36: incident.faults: 3: broken safety is no standstill that could be proved "deadlock"`},
		{"faults of nothing", "arms:", "incident: {faults: 3}\narms:",
			"x.yaml:4:20: incident.faults: 3: without a trigger there is no incident, and any safety violation fails the run"},
		{"less than none", "arms:", "trigger: {kind: surge, instances: 9}\nincident: {faults: -1}\narms:",
			"x.yaml:5:20: incident.faults: -1: want 0 to 1000000000"},
		{"slow without saying how", "arms:", "trigger: {kind: slow-work}\narms:",
			"x.yaml:4:1: trigger.hold_ms: missing: want 0.1 to 3600000 (a slow-work needs to know how slow)"},
		{"no slower than it is", "arms:", "trigger: {kind: slow-work, hold_ms: 5}\narms:",
			"x.yaml:4:37: trigger.hold_ms: 5: want more than the 5 that the work takes before"},
		{"a stall of nobody", "arms:",
			"swarm: {arrivals: {tenant: by-worker}}\ntrigger: {kind: stall-holders, hold_ms: 50}\narms:",
			"x.yaml:5:1: trigger.count: missing: want 1 to 100000 (a stall-holders needs a number)"},
		{"a stall of locks that are not there", "arms:",
			"swarm: {arrivals: {tenant: by-worker}}\ntrigger: {kind: stall-holders, hold_ms: 50, count: 2}\narms:",
			"x.yaml:5:52: trigger.count: 2: there are 1 locks"},
		{"a stall of those who are not there", "arms:", "trigger: {kind: stall-holders, hold_ms: 50, count: 1}\narms:",
			"x.yaml:4:17: trigger.kind: stall-holders needs a holder for every lock: set swarm.arrivals.tenant to by-worker, and as many workers as tenants"},
		{"slow instances", "arms:", "trigger: {kind: slow-work, hold_ms: 50, instances: 5}\narms:",
			`x.yaml:4:52: trigger.instances: the trigger "slow-work" has no instances`},
		{"kind of standstill", "arms:", "incident: {kind: dedlock}\narms:",
			`x.yaml:4:18: incident.kind: unknown kind of standstill "dedlock"; did you mean "deadlock"?`},
		// Settings that would do nothing.
		{"nested checkouts of one", "arms:", "swarm: {checkout: nested}\narms:",
			`x.yaml:4:19: swarm.checkout: "nested": a decision takes two connections, and the pool has 1`},
		{"more workers of what", "arms:", "trigger: {kind: more-workers}\narms:",
			"x.yaml:4:1: trigger.workers: missing: want 1 to 30000 (a trigger of that kind needs workers)"},
		{"more workers that are not", "arms:",
			"swarm: {workers_per_instance: 4}\ntrigger: {kind: more-workers, workers: 4}\narms:",
			"x.yaml:5:40: trigger.workers: 4: want more than the 4 that each instance has before"},
		{"more workers with nothing to share", "arms:", "trigger: {kind: more-workers, workers: 4}\narms:",
			"x.yaml:4:17: trigger.kind: workers with a client each have nothing to share with others"},
		{"too many workers", "arms:", "swarm: {instances: 5, workers_per_instance: 4}\ntrigger: {kind: more-workers, workers: 6001}\narms:", "x.yaml:5:40: trigger.workers: 5 instances of 6001 workers are 30005 workers: want at most 30000"},
		{"a pair of nothing", "arms:", "swarm: {lock: {tenants: 4, pair: both}}\narms:",
			`x.yaml:4:34: swarm.lock.pair: "both": want none, ordered or own-first`},
		{"a tenant without a partner", "arms:", "swarm: {lock: {tenants: 3, pair: ordered}}\narms:",
			`x.yaml:4:34: swarm.lock.pair: "ordered": of 3 tenants one has no partner`},
		{"a pair of locks without a lock", "arms:",
			"swarm: {limiter: {decision: script}, lock: {tenants: 4, pair: ordered}}\narms:",
			`x.yaml:4:63: swarm.lock.pair: "ordered": a decision by script takes no lock`},
		{"a gap without a pair", "arms:", "swarm: {lock: {pair_gap_ms: 3}}\narms:",
			"x.yaml:4:29: swarm.lock.pair_gap_ms: a decision takes one lock"},
		{"a wait without a pair", "arms:", "swarm: {lock: {pair_wait_ms: 3}}\narms:",
			"x.yaml:4:30: swarm.lock.pair_wait_ms: a decision takes one lock"},
		{"leak of nothing", "arms:", "trigger: {kind: leak, count: 9}\narms:",
			"x.yaml:4:1: trigger.rate_per_s: missing: want 0.01 to 1000000 (a leak needs a rate)"},
		{"leak without an end", "arms:", "trigger: {kind: leak, rate_per_s: 5}\narms:",
			"x.yaml:4:1: trigger.count: missing: want 1 to 100000 (a leak needs a number)"},
		{"leak from no pool", "arms:", "trigger: {kind: leak, rate_per_s: 5, count: 9, pool_size: -1}\narms:",
			"x.yaml:4:59: trigger.pool_size: -1: want 0 to 30000"},
		{"leak of instances", "arms:", "trigger: {kind: leak, rate_per_s: 5, count: 9, instances: 3}\narms:",
			`x.yaml:4:59: trigger.instances: the trigger "leak" has no instances`},
		{"leak too fast", "arms:", "trigger: {kind: leak, rate_per_s: 1001, count: 9}\narms:",
			"x.yaml:4:35: trigger.rate_per_s: 1001: want at most 1000: a leak is slow, or it is a crowd"},
		{"crowd without an end", "arms:", "trigger: {kind: crowd, count: 9}\narms:",
			"x.yaml:4:1: trigger.for_ms: missing: want 1 to 600000 (a crowd has an end)"},
		{"crowd of a kind", "arms:", "trigger: {kind: crowd, count: 9, for_ms: 5, rate_per_s: 3}\narms:",
			`x.yaml:4:57: trigger.rate_per_s: the trigger "crowd" has no rate_per_s`},
		{"instances without a surge", "arms:", "trigger: {instances: 5}\narms:",
			`x.yaml:4:22: trigger.instances: the trigger "none" has no instances`},
		{"rate of closed arrivals", "arms:", "swarm: {arrivals: {rate_per_s: 0}}\narms:",
			"x.yaml:4:32: swarm.arrivals.rate_per_s: only open arrivals have one"},
		{"renewals of what does not end", "arms:", "swarm: {lock: {renew_ms: 50}}\narms:",
			"x.yaml:4:26: swarm.lock.renew_ms: 50: want less than ttl_ms, 0, or there is nothing to renew"},
		{"renewals that come too late", "arms:", "swarm: {lock: {renew_ms: 50, ttl_ms: 50}}\narms:",
			"x.yaml:4:26: swarm.lock.renew_ms: 50: want less than ttl_ms, 50, or there is nothing to renew"},
		{"renewals all the time", "arms:", "swarm: {lock: {renew_ms: 0.5, ttl_ms: 50}}\narms:",
			"x.yaml:4:26: swarm.lock.renew_ms: 0.5: want 1 to 3600000 (0 is never)"},
		{"a release of some other kind", "arms:", "swarm: {lock: {release: hopeful}}\narms:",
			`x.yaml:4:25: swarm.lock.release: "hopeful": want token or blind`},
		{"deadline of closed arrivals", "arms:", "swarm: {arrivals: {deadline_ms: 9}}\narms:",
			"x.yaml:4:33: swarm.arrivals.deadline_ms: only open arrivals have one"},
		{"retries without a deadline", "arms:", "swarm: {arrivals: {kind: open, rate_per_s: 5, retries: 2}}\narms:",
			"x.yaml:4:56: swarm.arrivals.retries: 2: a caller that waits for ever does not ask again: set deadline_ms"},
		{"a budget for nothing", "arms:",
			"swarm: {arrivals: {kind: open, rate_per_s: 5, deadline_ms: 9, retry_budget: 0.1}}\narms:",
			"x.yaml:4:77: swarm.arrivals.retry_budget: 0.1: there are no retries to limit"},
		{"a budget over the whole", "arms:",
			"swarm: {arrivals: {kind: open, rate_per_s: 5, deadline_ms: 9, retries: 1, retry_budget: 1.5}}\narms:",
			"x.yaml:4:89: swarm.arrivals.retry_budget: 1.5: want 0 to 1"},
		{"a spike of closed arrivals", "arms:", "trigger: {kind: spike, rate_per_s: 5, for_ms: 5}\narms:",
			"x.yaml:4:17: trigger.kind: only open arrivals have a rate: in a closed system a worker asks again only when it has its answer"},
		{"a spike that is none", "arms:",
			"swarm: {arrivals: {kind: open, rate_per_s: 5}}\ntrigger: {kind: spike, rate_per_s: 5, for_ms: 5}\narms:",
			"x.yaml:5:36: trigger.rate_per_s: 5: want more than the 5 that come before the spike"},
		{"a spike without an end", "arms:",
			"swarm: {arrivals: {kind: open, rate_per_s: 5}}\ntrigger: {kind: spike, rate_per_s: 9}\narms:",
			"x.yaml:5:1: trigger.for_ms: missing: want 1 to 600000 (a spike has an end)"},
		{"the setting of another trigger", "arms:", "trigger: {kind: surge, instances: 9, for_ms: 5}\narms:",
			`x.yaml:4:46: trigger.for_ms: the trigger "surge" has no for_ms`},
		// A second arm with a remedy needs the first to be the control.
		{"no control", "- name: control", "- {name: a, remedy: restart-server}",
			"x.yaml:4:1: arms: no arm is called control: without it no remedy can earn credit"},
		// What the decoder could not use is not missing, nor too small for the rest.
		{"spoilt", "{maxclients: 8}", "{maxclient: 8}",
			`x.yaml:3:10: unknown key "maxclient" in server; did you mean "maxclients"?`},
		{"spoilt as a whole", "arms:", "trigger: {kind: surge, instances: x}\narms:",
			`x.yaml:4:35: trigger.instances: want a whole number, not the text "x"`},
		{"spoilt for others", "arms:",
			"phases: {incident_ms: x}\nsignals: {deadlock: {expect: fire, within_ms: 5000}}\narms:",
			`x.yaml:4:23: phases.incident_ms: want a number, not the text "x"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source := strings.Replace(minimal, test.old, test.new, 1)
			if _, err := parse("x.yaml", []byte(source), known, ""); err == nil || err.Error() != test.want {
				t.Errorf("got\n%v\nwant\n%s", err, test.want)
			}
		})
	}
}

// A pool that is smaller than the number of workers that share it is nothing to
// refuse: its deadlock is worth watching.
func TestHolderThatReturns(t *testing.T) {
	s := mustParse(t, minimal+`swarm:
  workers_per_instance: 8
  waiter: keeps-connection
  holder: returns-connection
  client: {pool_size: 4}
`)
	if s.Swarm.Holder != swarm.HolderReturns || s.Swarm.Waiter != swarm.WaiterKeeps {
		t.Errorf("holder %s, waiter %s", s.Swarm.Holder, s.Swarm.Waiter)
	}
}

// Without a trigger and without remedies nothing is cured, so there need be no
// time for it.
func TestControlsNeedNoRecovery(t *testing.T) {
	mustParse(t, minimal+"phases: {recovery_ms: 0, incident_ms: 200}\n")
}

func TestNearest(t *testing.T) {
	for word, want := range map[string]string{
		"": "", "poll-ms": "poll_ms", "poolms": "poll_ms", "ttl": "", "backof": "backoff", "sesitneuq": "",
		strings.Repeat("backoff", 20): "",
	} {
		if got := nearest(word, []string{"ttl_ms", "poll_ms", "backoff"}); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}
