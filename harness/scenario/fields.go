package scenario

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/swarm"
)

// This file is the one source of what each setting of a scenario is: its bounds, its words,
// and the text that editors show. Validation and the JSON Schema both come from it.

// Field is one setting, or a group of them.
type Field struct {
	Key      string               // as in messages; arms[] is every arm, signals.* every signal
	Text     string               // for people
	Range    *Range               // of a number; nil: any
	Words    []Word               // the only texts that it takes; nil: any
	Name     bool                 // lower-case words joined by hyphens, see CheckName
	Required bool                 // in what it is part of, if that is there
	When     func(*Scenario) bool // where Range and Words hold; nil: everywhere
	Free     bool                 // elsewhere it may be anything; else it must not be there
}

// Range is a range of numbers, both ends included.
type Range struct {
	Low, High float64
	Also      []float64 // values outside that have a meaning of their own, like the 0 that is never
	Below     string    // what is wrong under Low, where it does not go without saying; %s is the trigger
}

// Word is a text that a setting may have, and what it means.
type Word struct{ Text, Says string }

// Unit is the unit of a number, from the end of its name: keys carry their units.
func (f Field) Unit() string {
	for _, u := range []struct{ suffix, unit string }{
		{"_per_s", "per second"}, {"_ms", "milliseconds"}, {"_bytes", "bytes"}, {"ratio", "share"},
	} {
		if strings.HasSuffix(f.Key, u.suffix) {
			return u.unit
		}
	}
	return ""
}

// Fields are all settings, in the order in which they are checked.
func Fields() []Field {
	return slices.Concat(headFields, serverFields, topologyFields, swarmFields, clientFields, lockFields,
		arrivalsFields, triggerFields,
		measureFields, phasesFields, watchFields, signalsFields, armsFields)
}

// fieldAt is the field of a key; what an arm changes has the bounds of the scenario's.
func fieldAt(key string) Field {
	for _, f := range Fields() {
		if f.Key == key {
			return f
		}
	}
	return Field{}
}

// at is the setting of a scenario at a key that is in neither a list nor a map.
func (s *Scenario) at(key string) reflect.Value {
	v := reflect.ValueOf(s).Elem()
	for name := range strings.SplitSeq(key, ".") {
		t := v.Type()
		i := 0
		for t.Field(i).Tag.Get("yaml") != name {
			i++
		}
		v = v.Field(i)
	}
	return v
}

// number is a setting that is a number.
func (s *Scenario) number(key string) float64 {
	if v := s.at(key); v.CanFloat() {
		return v.Float()
	} else {
		return float64(v.Int())
	}
}

func openArrivals(s *Scenario) bool { return s.Swarm.Arrivals.Kind == swarm.Open }

func listensToMonitor(s *Scenario) bool { return s.Watch.MonitorMS > 0 }

// KindWords are the kinds of standstill that a scenario can expect to be proved.
var KindWords = []Word{
	{"deadlock", "Workers wait for each other, in a circle, for ever."},
	{"exhausted", "There is no cycle and no dead holder; live holders have all units and never give them back."},
	{"orphaned", "It would all go on if the dead gave back what they hold."},
	{"refused", "The server answers what workers send with an error, all the time, and it would all go on if it accepted that."},
	{"transient-deadlock", "A standstill that the end of a TTL or of a wait will break."},
}

// VerdictWords are the verdicts that an arm can expect, on remedies and on preventions.
var VerdictWords = []Word{
	{"cured", "restored, and it lasted"},
	{"relapsed", "work went on for a moment, and stopped again"},
	{"partial", "better than the incident, worse than the baseline"},
	{"no-effect", "nothing moved"},
	{"blocked", "it could not be applied"},
	{"prevented", "the trigger made no difference that lasts"},
	{"mitigated", "goodput suffered, and did not stay down"},
	{"not-prevented", "the incident took place"},
}

var headFields = []Field{
	{
		Key:  "claims",
		Text: "of the runbook that it bears on",
	},
	{
		Key: "name", Name: true, Required: true,
		Text: "the mechanism, in lower-case words joined by hyphens",
	},
	{
		Key:  "summary",
		Text: "a paragraph: what happens and why",
	},
	{
		Key: "title", Required: true,
		Text: "one line for lists and tables",
	},
}

var serverFields = []Field{
	{
		Key:  "server",
		Text: "server is the Redis that every arm starts afresh.",
	},
	{
		Key: "server.config",
		Text: "config are further redis.conf directives, each with a text as its value, or a list of " +
			"texts where redis.conf has it several times. They are read back from the server.",
	},
	{
		Key:  "server.config_if_known",
		Text: "config_if_known are directives that older servers do not know, and do without.",
	},
	{
		Key:      "server.maxclients",
		Required: true, Range: &Range{Low: server.ControlConnections + 1, High: maxServerClients,
			Below: fmt.Sprintf("too small to hold the %d control connections", server.ControlConnections)},
		Text: "control connections included",
	},
}

var topologyFields = []Field{
	{
		Key: "server.topology",
		Text: "topology is single; sentinel, a primary and a replica with a Sentinel; or cluster, three " +
			"shards. Each node has maxclients and config. What is not single is several processes, " +
			"or containers that share this machine's network; an address is one server.",
		Words: []Word{
			{"single", `one server; "" is the same`},
			{"sentinel", "a primary and a replica, and a Sentinel that fails over from one to the other"},
			{"cluster", "three primaries that share the hash slots"},
		},
	},
}

var swarmFields = []Field{
	{
		Key: "swarm",
		Text: "swarm is everything about the swarm that can decide whether a failure happens. It is " +
			"read from a scenario file; Defaults fills what a file leaves out, and the whole of it is " +
			"stored with the run.",
	},
	{
		Key: "swarm.checkout",
		Text: "checkout says how many of its client's connections a worker has in hand for one " +
			"decision.",
		Words: []Word{
			{"single", "One at a time."},
			{"nested", "Keeps one from the beginning of the decision to its end, as a transaction has it, " +
				"and takes a second one of the same pool for the commands."},
		},
	},
	{
		Key:  "swarm.holder",
		Text: "holder says what a worker that holds a lock does with its connection while it works.",
		Words: []Word{
			{"keeps-connection", "Goes on with the connection that the lock was taken with."},
			{"returns-connection", "Gives its connection back to the pool while it works, and takes one out of the pool " +
				"for every command after that. Where others keep theirs while they wait for a lock " +
				"(keeps-connection), and share a pool that has not one for each, they can hold every " +
				"turn of the pool that the holder needs to release: the pool deadlocks by itself. " +
				"With returns-connection no worker has a connection to keep, and this is the same in " +
				"effect as keeps-connection."},
			{"redials", "Closes its client while it works and opens a new one to write its result and " +
				"release, as services do that open a connection per unit of work. It needs one client " +
				"per worker."},
		},
	},
	{
		Key:   "swarm.instances",
		Range: &Range{Low: 1, High: maxWorkers},
		Text: "A service instance is one deployed process: it owns go-redis clients and runs workers " +
			"that share them, worker i using client i modulo their number.",
	},
	{
		Key:  "swarm.limiter",
		Text: "limiter is the fixed-window rate limit that the lock guards.",
	},
	{
		Key: "swarm.limiter.decision",
		Text: "decision is how a request is decided: what makes reading the counter and writing it back " +
			"one step. Only locked takes locks; the lock's hold_ms, poll_ms, Backoff, " +
			"acquire_timeout_ms and on_give_up then stand for the work of a decision, and for trying " +
			"again.",
		Words: []Word{
			{"locked", "Reads, works and writes under the tenant's lock."},
			{"transaction", "Watches the counter, reads it, works, and writes it in MULTI and EXEC, and begins " +
				"again if somebody else wrote it in between. The connection that watches stays until " +
				"EXEC: Waiter and Holder have no say."},
			{"script", "Works, and then lets a script on the server read, compare and write. Waiter has no " +
				"say; a holder that redials does so for its work here, too."},
		},
	},
	{
		Key:   "swarm.limiter.limit",
		Range: &Range{Low: 1, High: maxAdmitted},
		Text:  "requests admitted per tenant and window",
	},
	{
		Key:   "swarm.limiter.window_ms",
		Range: &Range{Low: 1, High: maxPauseMS},
		Text:  "the length of a window of the rate limit",
	},
	{
		Key:   "swarm.redial_jitter_ms",
		Range: &Range{Low: 0, High: maxPauseMS},
		Text: "redial_jitter_ms lengthens each of these waits by a random time up to so much, in " +
			"milliseconds, so that those who failed together do not try again together.",
	},
	{
		Key:   "swarm.redial_ms",
		Range: &Range{Low: minPauseMS, High: maxPauseMS, Below: "a shorter pause would spin"},
		Text: "redial_ms is how long a worker waits after a failed command, in milliseconds, before it " +
			"tries again.",
	},
	{
		Key:   "swarm.replace_after_ms",
		Range: &Range{Low: 0, High: maxPauseMS},
		Text: "replace_after_ms is how long an orchestrator takes to put a new worker in a crashed " +
			"one's place, in milliseconds.",
	},
	{
		Key: "swarm.waiter",
		Text: "waiter says what a worker that waits for a lock does with its connection between two " +
			"tries.",
		Words: []Word{
			{"returns-connection", "Takes a connection per command; between two tries it lies in the pool, where others " +
				"can use it, but stays open: it still holds its slot of the server."},
			{"keeps-connection", "Takes one connection out of the pool (redis.Client.Conn) and keeps it from the first " +
				"try to the grant."},
		},
	},
	{
		Key:   "swarm.workers_per_instance",
		Range: &Range{Low: 1, High: maxWorkers},
		Text:  "they share its clients, in turn",
	},
	{
		Key:   "swarm.clients_per_instance",
		Range: &Range{Low: 1, High: maxWorkers},
		Text:  "go-redis clients, each with a pool of its own",
	},
}

var clientFields = []Field{
	{
		Key: "swarm.client",
		Text: "client is every go-redis option that a scenario can set, passed to redis.Options as it " +
			"stands, so -1 means what go-redis takes it for. Nothing is left to go-redis's defaults: " +
			"these multiply load (four dials a command, ten connections a core) and differ between " +
			"versions.",
	},
	{
		Key: "swarm.client.conn_max_idle_time_ms",
		Range: &Range{Low: minPauseMS, High: maxPauseMS, Also: []float64{-1},
			Below: "go-redis would take its own default; -1 is no limit"},
		Text: "-1: never closed for idleness",
	},
	{
		Key:   "swarm.client.conn_max_lifetime_ms",
		Range: &Range{Low: 0, High: maxPauseMS},
		Text:  "0: no limit",
	},
	{
		Key:  "swarm.client.context_timeout_enabled",
		Text: "the deadline of a context also ends what is on the socket",
	},
	{
		Key:   "swarm.client.dial_timeout_ms",
		Range: &Range{Low: minPauseMS, High: maxPauseMS, Below: "go-redis would take its own default"},
		Text:  "for one try to connect",
	},
	{
		Key:   "swarm.client.dialer_retries",
		Range: &Range{Low: 1, High: maxAttempts, Below: "go-redis would take its own default"},
		Text:  "tries to connect, per connection",
	},
	{
		Key:   "swarm.client.dialer_retry_ms",
		Range: &Range{Low: minPauseMS, High: maxPauseMS, Below: "go-redis would take its own default"},
		Text:  "between two of them",
	},
	{
		Key:  "swarm.client.disable_identity",
		Text: "no CLIENT SETINFO on connecting",
	},
	{
		Key:   "swarm.client.handshake_ms",
		Range: &Range{Low: 0, High: maxScriptMS},
		Text: "handshake_ms is for how long each new connection keeps the server from everything else " +
			"before it can be used, in milliseconds: a TLS handshake, or a slow authentication. DEBUG " +
			"SLEEP stands for it, which costs no CPU; the server has to allow it. It is no option of " +
			"go-redis's, and go-redis knows nothing of it. 0: nothing.",
	},
	{
		Key:   "swarm.client.max_active_conns",
		Range: &Range{Low: 0, High: maxWorkers},
		Text:  "of the pool at any time; 0: no limit",
	},
	{
		Key:   "swarm.client.max_concurrent_dials",
		Range: &Range{Low: 0, High: maxWorkers},
		Text:  "at most so many at a time; 0: as many as the pool has connections",
	},
	{
		Key:   "swarm.client.max_idle_conns",
		Range: &Range{Low: 0, High: maxWorkers},
		Text:  "more are closed when they are given back; 0: no limit",
	},
	{
		Key: "swarm.client.max_retries",
		Range: &Range{Low: 1, High: maxAttempts, Also: []float64{-1},
			Below: "go-redis would take 0 for 3 retries; -1 is none"},
		Text: "of a command that failed; -1: none",
	},
	{
		Key:   "swarm.client.max_retry_backoff_ms",
		Range: &Range{Low: minPauseMS, High: maxPauseMS, Below: "go-redis would take its own default"},
		Text:  "the most that is waited before a retry",
	},
	{
		Key:   "swarm.client.min_idle_conns",
		Range: &Range{Low: 0, High: maxWorkers},
		Text:  "opened ahead, and kept; 0: none",
	},
	{
		Key:   "swarm.client.min_retry_backoff_ms",
		Range: &Range{Low: minPauseMS, High: maxPauseMS, Below: "go-redis would take its own default"},
		Text:  "the least that is waited before a retry",
	},
	{
		Key:  "swarm.client.pool_fifo",
		Text: "the connection that has been idle longest is used first, and not last",
	},
	{
		Key:   "swarm.client.pool_size",
		Range: &Range{Low: 1, High: maxWorkers, Below: "go-redis would take its own default"},
		Text:  "connections in each client's pool",
	},
	{
		Key:   "swarm.client.pool_timeout_ms",
		Range: &Range{Low: minPauseMS, High: maxPauseMS, Below: "go-redis would take its own default"},
		Text:  "how long a command waits for a connection of the pool",
	},
	{
		Key:  "swarm.client.protocol",
		Text: "RESP 2 or 3",
	},
	{
		Key:   "swarm.client.read_buffer_bytes",
		Range: &Range{Low: 64, High: maxBufferBytes, Also: []float64{0}},
		Text:  "per connection; 0: go-redis's own size",
	},
	{
		Key: "swarm.client.read_timeout_ms",
		Range: &Range{Low: minPauseMS, High: maxPauseMS, Also: []float64{-1},
			Below: "go-redis would take its own default; -1 is no limit"},
		Text: "for a reply; -1: none",
	},
	{
		Key:   "swarm.client.write_buffer_bytes",
		Range: &Range{Low: 64, High: maxBufferBytes, Also: []float64{0}},
		Text:  "per connection; 0: go-redis's own size",
	},
	{
		Key: "swarm.client.write_timeout_ms",
		Range: &Range{Low: minPauseMS, High: maxPauseMS, Also: []float64{-1},
			Below: "go-redis would take its own default; -1 is no limit"},
		Text: "for sending a command; -1: none",
	},
}

var lockFields = []Field{
	{
		Key:  "swarm.lock",
		Text: "lock is how locks are taken and waited for.",
	},
	{
		Key:   "swarm.lock.acquire_timeout_ms",
		Range: &Range{Low: 0, High: maxPauseMS},
		Text:  "0: waits for ever",
	},
	{
		Key:  "swarm.lock.backoff",
		Text: "backoff says how the pause between two tries grows.",
		Words: []Word{
			{"none", "always poll_ms"},
			{"exponential", "doubles from poll_ms up to backoff_max_ms"},
			{"full-jitter", "uniform between 0 and what exponential would wait"},
		},
	},
	{
		Key:   "swarm.lock.backoff_max_ms",
		Range: &Range{Low: 0, High: maxPauseMS},
		Text:  "the longest pause that backoff reaches",
	},
	{
		Key:   "swarm.lock.hold_ms",
		Range: &Range{Low: 0, High: maxPauseMS},
		Text:  "the work that is done inside the lock",
	},
	{
		Key:  "swarm.lock.on_give_up",
		Text: "when the acquire timeout has passed",
		Words: []Word{
			{"keeps-connection", "Leaves the connection in its client's pool, which keeps it open: who gave up waiting " +
				"for a lock has not given up its slot of the server."},
			{"closes-connection", "Closes the client and opens a new one for the next request. It needs one client per " +
				"worker."},
		},
	},
	{
		Key: "swarm.lock.pair",
		Text: "pair says whether a decision takes the lock of its tenant's partner as well, and which " +
			"of the two first.",
		Words: []Word{
			{"none", "a decision takes one lock"},
			{"ordered", "the lower tenant's first, for every request"},
			{"own-first", "Takes the lock of the tenant whose request it is first. Two requests of two partners " +
				"then take the same locks in opposite orders."},
		},
	},
	{
		Key:   "swarm.lock.pair_gap_ms",
		Range: &Range{Low: 0, High: maxPauseMS},
		Text:  "the work between the first lock and the second",
	},
	{
		Key:   "swarm.lock.pair_wait_ms",
		Range: &Range{Low: 0, High: maxPauseMS},
		Text: "pair_wait_ms is how long a worker keeps the first lock while the second is not to be " +
			"had. Then it lets go of it, and begins again after a pause of its backoff. 0: for ever.",
	},
	{
		Key:   "swarm.lock.poll_ms",
		Range: &Range{Low: minPauseMS, High: maxPauseMS, Below: "a shorter pause would spin"},
		Text:  "between two tries, the base of any backoff",
	},
	{
		Key:  "swarm.lock.release",
		Text: "how a holder gives its lock back",
		Words: []Word{
			{"token", "Deletes the lock if it still holds the token that it was taken with, in one step."},
			{"blind", "Deletes the lock, whosever it is by then. A holder whose lease has run out deletes " +
				"the lock of whoever holds it now."},
		},
	},
	{
		Key:   "swarm.lock.release_timeout_ms",
		Range: &Range{Low: 0, High: maxPauseMS},
		Text: "release_timeout_ms is how long a holder whose commands fail tries each again, to read, " +
			"to write its result and to release, before it goes on to the next request. It leaves its " +
			"lock behind then, to the TTL. 0: for ever.",
	},
	{
		Key:   "swarm.lock.renew_ms",
		Range: &Range{Low: 1, High: maxPauseMS, Also: []float64{0}, Below: "0 is never"},
		Text: "renew_ms is how often a holder at work extends its lock's TTL, in milliseconds; 0: " +
			"never. It needs a connection for that: a holder that redials opens one each time, and " +
			"closes it again. A renewal that fails is tried again after redial_ms, and the work goes " +
			"on; one that finds the lock gone is the last.",
	},
	{
		Key:   "swarm.lock.tenants",
		Range: &Range{Low: 1, High: maxTenants},
		Text:  "one lock and one counter each",
	},
	{
		Key:   "swarm.lock.ttl_ms",
		Range: &Range{Low: 1, High: maxTTLMS, Also: []float64{0}, Below: "0 is a lock that never expires"},
		Text:  "0: the lock never expires",
	},
	{
		Key: "swarm.lock.verify",
		Text: "verify asks who has a lock that was not granted: if it is the worker's own token, an " +
			"earlier try was granted, and the answer lost. It is a GET more for every try that fails. " +
			"(SET with NX and GET tells it in one, from Redis 7.0 on.)",
	},
	{
		Key:   "swarm.lock.wait_replicas",
		Range: &Range{Low: 0, High: 1},
		Text: "wait_replicas is how many replicas have to acknowledge a lock before it counts (WAIT), " +
			"else it is given back, and its fencing token before the work begins. 0: none is waited " +
			"for, and a failover can lose both.",
	},
	{
		Key:   "swarm.lock.wait_replicas_ms",
		Range: &Range{Low: 1, High: maxPauseMS, Below: "WAIT would wait for ever"},
		Text:  "wait_replicas_ms is how long they are waited for, in milliseconds.",
	},
}

var arrivalsFields = []Field{
	{
		Key:  "swarm.arrivals",
		Text: "arrivals says where requests come from.",
	},
	{
		Key:  "swarm.arrivals.deadline_ms",
		When: openArrivals, Range: &Range{Low: 0, High: maxPauseMS},
		Text: "deadline_ms is how long the caller of an open arrival waits for its answer, in " +
			"milliseconds; 0: for ever. The worker does not know when its caller has gone: it does " +
			"the work all the same, and what comes of it counts as failed.",
	},
	{
		Key: "swarm.arrivals.kind",
		Text: "kind tells a closed system (a worker's next request waits for its last) from an open one " +
			"(requests come no matter what).",
		Words: []Word{
			{"closed", "each worker makes its next request when it is done with its last"},
			{"open", "requests come at a rate, and wait for a worker"},
		},
	},
	{
		Key:  "swarm.arrivals.queue",
		When: openArrivals, Range: &Range{Low: 1, High: maxQueue},
		Text: "open: requests that may wait for a worker; more are dropped and counted",
	},
	{
		Key:   "swarm.arrivals.ramp_ms",
		Range: &Range{Low: 0, High: maxPauseMS},
		Text: "ramp_ms spreads the first requests of the workers that run from the start evenly over so " +
			"many milliseconds (closed). Without it work that takes seconds is begun, and ended, by " +
			"all at once.",
	},
	{
		Key:  "swarm.arrivals.rate_per_s",
		When: openArrivals, Range: &Range{Low: 0.01, High: maxRate, Below: "open arrivals need a rate"},
		Text: "open: Poisson arrivals per second",
	},
	{
		Key:  "swarm.arrivals.retries",
		When: openArrivals, Range: &Range{Low: 0, High: maxRetries},
		Text: "retries is how often a caller asks again that has had no answer, each time with a new " +
			"request and deadline.",
	},
	{
		Key:  "swarm.arrivals.retry_budget",
		When: openArrivals, Range: &Range{Low: 0, High: 1},
		Text: "retry_budget is the share of requests that may be retries, over all callers; 0 sets no " +
			"limit. It is how Finagle and gRPC keep retries from multiplying load.",
	},
	{
		Key:  "swarm.arrivals.tenant",
		Text: "tenant says whose requests a worker serves.",
		Words: []Word{
			{"any", "Draws the tenant of every request. In a closed system the workers then bunch up " +
				"behind some locks and leave others idle (a Gordon-Newell network: with 16 workers " +
				"and 4 locks each lock is idle a sixth of the time)."},
			{"by-worker", "Serves the same tenant always, workers spread evenly, as where instances are sharded " +
				"by tenant: every lock has its waiters."},
		},
	},
	{
		Key:   "swarm.arrivals.think_jitter_ms",
		Range: &Range{Low: 0, High: maxPauseMS},
		Text: "think_jitter_ms lengthens each of a worker's pauses by a random time up to so much, in " +
			"milliseconds (closed). Many workers that all pause for as long, and for longer than they " +
			"work, fall into step when something has held them all up.",
	},
	{
		Key:   "swarm.arrivals.think_ms",
		Range: &Range{Low: 0, High: maxPauseMS},
		Text:  "closed: pause between two decisions of a worker",
	},
}

var triggerFields = []Field{
	{
		Key:  "trigger",
		Text: "what starts the incident",
	},
	{
		Key:   "trigger.count",
		Range: &Range{Low: 1, High: maxServerClients, Below: "a %s needs a number"},
		Text:  "of connections, or of locks",
	},
	{
		Key:   "trigger.drop_ms",
		Range: &Range{Low: 1, High: maxPhaseMS, Below: "%s needs a length"},
		Text:  "how long replies vanish at a time, in milliseconds",
	},
	{
		Key:   "trigger.every_ms",
		Range: &Range{Low: 0, High: maxPhaseMS},
		Text:  "from the beginning of one to that of the next, in milliseconds; 0: there is one",
	},
	{
		Key:   "trigger.for_ms",
		Range: &Range{Low: 1, High: maxPhaseMS, Below: "a %s has an end"},
		Text:  "how long it lasts, in milliseconds",
	},
	{
		Key:   "trigger.hold_ms",
		Range: &Range{Low: minPauseMS, High: maxPauseMS, Below: "a %s needs to know how slow"},
		Text:  "how long the work under a lock takes, in milliseconds",
	},
	{
		Key:   "trigger.instances",
		Range: &Range{Low: 1, High: maxWorkers, Below: "a %s needs instances"},
		Text:  "how many service instances run from then on",
	},
	{
		Key:  "trigger.kind",
		Text: "which trigger",
	},
	{
		Key:   "trigger.lag_ms",
		Range: &Range{Low: 1, High: maxLagMS, Below: "a %s needs a replica that lags"},
		Text:  "how far a replica lags behind, in milliseconds",
	},
	{
		Key:   "trigger.pool_size",
		Range: &Range{Low: 0, High: maxWorkers},
		Text:  "of the client that leaks; 0: it never stands in the way",
	},
	{
		Key:   "trigger.rate_per_s",
		Range: &Range{Low: 0.01, High: maxRate, Below: "a %s needs a rate"},
		Text:  "requests, or leaked connections, per second for as long as it lasts",
	},
	{
		Key:   "trigger.script_ms",
		Range: &Range{Low: 1, High: maxScriptMS, Below: "a %s needs the time that one script takes"},
		Text:  "how long one script keeps the server busy, in milliseconds",
	},
	{
		Key:   "trigger.workers",
		Range: &Range{Low: 1, High: maxWorkers, Below: "a trigger of that kind needs workers"},
		Text:  "how many workers each instance runs from then on",
	},
}

var measureFields = []Field{
	{
		Key: "cure",
		Text: "cure says when goodput counts as restored: the lower bound of the 95% interval of " +
			"goodput over baseline is at least ratio from some moment on, and no window of " +
			"relapse_window_ms falls under relapse_ratio. At least hold_ms of the recovery must lie " +
			"behind that moment. Where the incident is safety violations, it is over when there are no " +
			"more of them, and ratio is of the goodput at the end of the incident: to exclude each " +
			"other again may cost what not to do so had gained.",
	},
	{
		Key:   "cure.hold_ms",
		Range: &Range{Low: 0, High: maxPhaseMS},
		Text:  "for how long it has to last",
	},
	{
		Key:  "cure.ratio",
		Text: "of the baseline's goodput, at least",
	},
	{
		Key:  "cure.relapse_ratio",
		Text: "of the baseline's; less for a window is a relapse",
	},
	{
		Key:   "cure.relapse_window_ms",
		Range: &Range{Low: MinWindowMS, High: maxPhaseMS},
		Text:  "the length of such a window",
	},
	{
		Key: "incident",
		Text: "incident says when the failure counts as reproduced: goodput over the last for_ms " +
			"milliseconds of the incident phase is at most goodput_ratio of the baseline's, or there " +
			"were at least faults safety violations in that time. Without a trigger there is no incident " +
			"to reproduce.",
	},
	{
		Key:   "incident.faults",
		Range: &Range{Low: 0, High: maxAdmitted},
		Text: "faults is how many times safety is broken at the end of the incident, at least, where " +
			"that is the failure and not a loss of goodput; 0: goodput is what is lost.",
	},
	{
		Key:   "incident.for_ms",
		Range: &Range{Low: MinWindowMS, High: maxPhaseMS},
		Text:  "at the end of the incident",
	},
	{
		Key:  "incident.goodput_ratio",
		Text: "of the baseline's goodput, at most",
	},
	{
		Key: "incident.kind",
		Text: `kind is what the wait-for graph has to prove (deadlock, orphaned, ...); "" expects ` +
			`nothing.`,
	},
}

var phasesFields = []Field{
	{
		Key:  "phases",
		Text: "phases says how long each phase runs, in milliseconds.",
	},
	{
		Key:   "phases.baseline_max_ms",
		Range: &Range{Low: minPhaseMS, High: maxPhaseMS},
		Text:  "how long to wait for such a stretch",
	},
	{
		Key:   "phases.baseline_ms",
		Range: &Range{Low: minPhaseMS, High: maxPhaseMS},
		Text:  "the stretch that has to be steady",
	},
	{
		Key:   "phases.incident_ms",
		Range: &Range{Low: minPhaseMS, High: maxPhaseMS},
		Text:  "from the trigger to the remedy",
	},
	{
		Key:   "phases.prevention_ms",
		Range: &Range{Low: minPhaseMS, High: maxPhaseMS},
		Text:  "from the trigger to the end of an arm with a prevention",
	},
	{
		Key:   "phases.recovery_ms",
		Range: &Range{Low: 0, High: maxPhaseMS},
		Text:  "from the end of the remedy",
	},
}

var watchFields = []Field{
	{
		Key:  "watch",
		Text: "watch says how often things are looked at that cost something; 0 is never.",
	},
	{
		Key:   "watch.canary_ms",
		Range: &Range{Low: 50, High: maxPauseMS, Also: []float64{0}, Below: "0 is never"},
		Text:  "a raw socket that dials: while there is room it takes a slot for 30 ms",
	},
	{
		Key:   "watch.locks_ms",
		Range: &Range{Low: 100, High: maxPauseMS, Also: []float64{0}, Below: "0 is never"},
		Text:  "SCAN for the lock keys",
	},
	{
		Key:  "watch.monitor_for_ms",
		When: listensToMonitor, Free: true,
		Range: &Range{Low: 50, High: maxPauseMS, Below: "MONITOR would hear nothing"},
		Text:  "the length of a burst",
	},
	{
		Key:   "watch.monitor_ms",
		Range: &Range{Low: 200, High: maxPauseMS, Also: []float64{0}, Below: "0 is never"},
		Text:  "from one burst of MONITOR to the next",
	},
	{
		Key:   "watch.probe_ms",
		Range: &Range{Low: 200, High: maxPhaseMS, Also: []float64{0}, Below: "0 is never"},
		Text: "probe_ms is how long each probe may take after the recovery of the control arm: the " +
			"runbook's MONITOR command, and one more slot than maxclients.",
	},
}

var signalsFields = []Field{
	{
		Key:  "signals",
		Text: "by name; a signal that is not named may do as it likes",
	},
	{
		Key: "signals.*.expect", Required: true,
		Text: "expect is what a signal should do.",
		Words: []Word{
			{"fire", "it has to fire during the incident"},
			{"silent", "it must not"},
			{"any", "either will do"},
		},
	},
	{
		Key:  "signals.*.params",
		Text: "the signal's, where they are not its defaults",
	},
	{
		Key:  "signals.*.within_ms",
		Text: "fire: from the trigger; 0: any time in the incident",
	},
}

var armsFields = []Field{
	{
		Key: "arms", Required: true,
		Text: "each is one run of the scenario on a fresh server",
	},
	{
		Key: "arms[].against",
		Text: "against names arms that do a part of what this one does, or the same without what is new " +
			"in it: a cure is compared with them, beside the control.",
	},
	{
		Key:  "arms[].claim",
		Text: "claim is the runbook's, if the prevention is the runbook's.",
	},
	{
		Key:  "arms[].expect",
		Text: "expect is what was measured, repeatedly, for this arm.",
	},
	{
		Key:  "arms[].expect.unsafe",
		Text: "whether it breaks safety; null expects nothing",
	},
	{
		Key:  "arms[].expect.verdict",
		Text: `of the remedy; "" expects nothing`,
	},
	{
		Key: "arms[].extended",
		Text: "extended arms are left out of the runbook suite, which takes under a minute: they run " +
			"with --all, and where their scenario is named.",
	},
	{
		Key: "arms[].name", Name: true, Required: true,
		Text: "lower-case words joined by hyphens",
	},
	{
		Key:  "arms[].params",
		Text: "the remedy's",
	},
	{
		Key:  "arms[].phases",
		Text: "What differs in this arm; what is left out is the scenario's.",
	},
	{
		Key: "arms[].prevention", Name: true,
		Text: `prevention names what is in force from the start; "" is nothing.`,
	},
	{
		Key:  "arms[].remedy",
		Text: `"" is the same as none`,
	},
	{
		Key:  "arms[].server",
		Text: "What differs in this arm; what is left out is the scenario's.",
	},
	{
		Key:  "arms[].signals",
		Text: "by name, each as a whole; the others are the scenario's",
	},
	{
		Key: "arms[].swarm",
		Text: "What differs in this arm; what is left out is the scenario's. for a rollout: what is " +
			"rolled out",
	},
	{
		Key:  "arms[].trigger",
		Text: "What differs in this arm; what is left out is the scenario's.",
	},
	{
		Key:  "arms[].why",
		Text: "what this arm is there to tell",
	},
}
