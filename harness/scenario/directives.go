package scenario

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/server"
)

// checkDirectives are those of redis.conf that a scenario may set: what a failure is made of. Nothing in it makes the
// checkServer dial, listen, load or write anything beyond its folder.
var directives = wordsOf(`
	timeout tcp-keepalive tcp-backlog hz dynamic-hz databases
	save appendonly appendfsync appendfilename appenddirname dbfilename no-appendfsync-on-rewrite stop-writes-on-bgsave-error
	auto-aof-rewrite-percentage auto-aof-rewrite-min-size aof-load-truncated aof-use-rdb-preamble aof-timestamp-enabled
	aof-rewrite-incremental-fsync rdb-save-incremental-fsync rdbcompression rdbchecksum rdb-key-save-delay key-load-delay
	shutdown-timeout shutdown-on-sigterm shutdown-on-sigint
	maxmemory maxmemory-policy maxmemory-samples maxmemory-clients maxmemory-eviction-tenacity
	replica-ignore-maxmemory slave-ignore-maxmemory lfu-log-factor lfu-decay-time active-expire-effort
	lazyfree-lazy-eviction lazyfree-lazy-expire lazyfree-lazy-server-del lazyfree-lazy-user-del lazyfree-lazy-user-flush
	activerehashing activedefrag active-defrag-ignore-bytes active-defrag-threshold-lower active-defrag-threshold-upper
	active-defrag-cycle-min active-defrag-cycle-max active-defrag-max-scan-fields
	client-output-buffer-limit client-query-buffer-limit proto-max-bulk-len
	max-new-connections-per-cycle max-new-tls-connections-per-cycle maxclients-reserved
	io-threads io-threads-do-reads
	lua-time-limit busy-reply-threshold
	slowlog-log-slower-than slowlog-max-len latency-monitor-threshold latency-tracking latency-tracking-info-percentiles
	commandlog-execution-slower-than commandlog-slow-execution-max-len
	commandlog-request-larger-than commandlog-large-request-max-len
	commandlog-reply-larger-than commandlog-large-reply-max-len
	tracking-table-max-keys notify-keyspace-events loglevel
	requirepass user acl-pubsub-default acllog-max-len rename-command enable-debug-command
	min-replicas-to-write min-replicas-max-lag min-slaves-to-write min-slaves-max-lag
	repl-timeout repl-ping-replica-period repl-ping-slave-period repl-backlog-size repl-backlog-ttl
	repl-diskless-sync repl-diskless-sync-delay repl-diskless-load repl-disable-tcp-nodelay
	replica-read-only slave-read-only replica-serve-stale-data slave-serve-stale-data
	replica-lazy-flush slave-lazy-flush replica-priority slave-priority
	cluster-require-full-coverage cluster-allow-reads-when-down
	hash-max-listpack-entries hash-max-listpack-value hash-max-ziplist-entries hash-max-ziplist-value
	list-max-listpack-size list-max-ziplist-size list-compress-depth set-max-intset-entries
	zset-max-listpack-entries zset-max-listpack-value zset-max-ziplist-entries zset-max-ziplist-value
	hll-sparse-max-bytes stream-node-max-bytes stream-node-max-entries`)

// several are those that redis.conf may have on several lines.
var several = []string{"client-output-buffer-limit", "rename-command", "save", "user"}

// fileNames are those whose value is the name of a file in the server's folder.
var fileNames = []string{"appenddirname", "appendfilename", "dbfilename"}

const (
	elsewhere = "no server that lockjam starts dials another, except as server.topology says"
	listens   = "lockjam binds the server to loopback"
	keepsLog  = "lockjam keeps the log with the run"
	noCode    = "a scenario does not load or run code"
	itself    = "lockjam keeps track of the process itself"
	plainTCP  = "lockjam talks plain TCP to the servers that it starts"
	protected = "what it protects is the machine and not the scenario's"
)

// reserved are directives that a scenario may not set although authors may want to, with
// the reason for each.
var reserved = map[string]string{
	"maxclients": "server.maxclients sets it",
	"port":       "lockjam picks a free one when it starts the server",
	"bind":       listens, "bind-source-addr": listens,
	"protected-mode": "lockjam sets it, together with the address",
	"unixsocket":     "lockjam talks TCP, for a socket file has no slot to fight for",
	"unixsocketperm": "lockjam talks TCP, for a socket file has no slot to fight for",
	"dir":            "lockjam gives every server a folder of its own",
	"logfile":        keepsLog, "syslog-enabled": keepsLog, "syslog-ident": keepsLog, "syslog-facility": keepsLog,
	"pidfile":    itself,
	"daemonize":  "lockjam keeps the server in the foreground",
	"supervised": "lockjam keeps the server in the foreground",
	"include":    "a scenario is one file", "aclfile": "a scenario is one file: user sets one",
	"replicaof": elsewhere, "slaveof": elsewhere, "masterauth": elsewhere, "masteruser": elsewhere,
	"primaryauth": elsewhere, "primaryuser": elsewhere,
	"cluster-enabled": "server.topology does", "cluster-config-file": "server.topology does",
	"cluster-node-timeout": "server.topology does", "cluster-port": "server.topology does",
	"loadmodule": noCode, "enable-module-command": noCode,
	"enable-protected-configs": protected, "oom-score-adj": protected, "oom-score-adj-values": protected,
}

// reservedFamilies are the same by how they begin.
var reservedFamilies = map[string]string{
	"tls-": plainTCP, "cluster-announce": elsewhere, "replica-announce": elsewhere, "slave-announce": elsewhere,
	"sentinel": "server.topology does", "rdma-": plainTCP,
}

var directivePattern = regexp.MustCompile(`^[a-z][a-z0-9._-]*$`)

func wordsOf(text string) []string { return slices.Sorted(strings.FieldsSeq(text)) }

// Directives are those of redis.conf that a scenario may set, sorted.
func Directives() []string { return slices.Clone(directives) }

// SeveralLines reports whether redis.conf may have a directive on several lines.
func SeveralLines(directive string) bool { return slices.Contains(several, directive) }

func checkDirectives(c *checker, of string, config map[string]string) {
	for directive, value := range config {
		// redis.conf has other words for what YAML calls true and false, and no directive takes these.
		if word, boolean := map[string]string{"true": "yes", "false": "no"}[value]; boolean {
			config[directive] = word
		}
	}
	if c.vocabulary.recorded { // no server is started with it
		return
	}
	for directive, value := range config {
		key := join(of, directive)
		lower := strings.ToLower(directive) // Redis does not mind the case
		why := refusal(lower)
		switch {
		case !directivePattern.MatchString(lower):
			c.fail(on(key), "want a directive of redis.conf, in lower case")
		case why != "":
			c.fail(on(key), "a scenario cannot set it: %s", why)
		case lower != directive:
			c.fail(on(key), "want a directive of redis.conf, in lower case")
		}
		for line := range strings.SplitSeq(value, "\n") {
			checkDirective(c, key, directive, line)
		}
	}
}

// checkDirective checks one line of redis.conf.
func checkDirective(c *checker, key, directive, line string) {
	words, ok := server.ConfigWords(line)
	switch {
	case !ok:
		c.fail(on(key), "%s: the quotes do not match", quote(line))
	case len(words) == 0:
		c.fail(on(key), `empty: write '""' for an empty value`)
	case !slices.Contains(fileNames, directive):
	case strings.ContainsAny(line+words[0], `/\`), words[0] == ".", words[0] == "..":
		c.fail(on(key), "%s: want the name of a file in the server's folder, not a path", quote(line))
	}
}

// refusal says why a scenario may not set a directive; "" if it may.
func refusal(directive string) string {
	if slices.Contains(directives, directive) {
		return ""
	}
	if why, ok := reserved[directive]; ok {
		return why
	}
	for prefix, why := range reservedFamilies {
		if strings.HasPrefix(directive, prefix) {
			return why
		}
	}
	why := "it is none of those that scenarios need (lockjam show --schema lists them)"
	if near := nearest(directive, directives); near != "" {
		why += fmt.Sprintf("; did you mean %q?", near)
	}
	return why
}
