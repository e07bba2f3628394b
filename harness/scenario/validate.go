package scenario

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/lockjam/lockjam/harness/swarm"
	"github.com/lockjam/lockjam/harness/triggers"
)

const (
	maxServerClients = 100_000
	maxWorkers       = 20_000
	maxTenants       = 10_000
	maxAdmitted      = 1_000_000_000 // requests per tenant and window
	maxQueue         = 1_000_000
	maxRate          = 1_000_000 // arrivals per second
	maxAttempts      = 1_000     // of go-redis, per command or dial
	maxRetries       = 100       // of a caller that has had no answer
	maxBufferBytes   = 1 << 20

	maxPhaseMS = 10 * 60 * 1000
	minPhaseMS = 200
	maxPauseMS = 60 * 60 * 1000 // anything that a worker or a client waits for
	maxTTLMS   = 24 * 60 * 60 * 1000

	// From busy-reply-threshold on, five seconds by default, the server answers BUSY.
	maxScriptMS = 1000

	// A worker that polls or dials again more often than this only spins.
	minPauseMS = 0.1

	// A trigger has ten seconds for all that it does.
	maxLagMS = 5000
)

const (
	noRemedy = "none"
)

var (
	namePattern      = regexp.MustCompile(NamePattern)
	directivePattern = regexp.MustCompile(`^[a-z][a-z0-9._-]*$`)
)

// NamePattern and MaxName, in bytes, are what CheckName goes by.
const (
	NamePattern = `^[a-z0-9]+(-[a-z0-9]+)*$`
	MaxName     = 64
)

// reserved are the directives that a scenario may not set, and why.
var reserved = map[string]string{
	"maxclients":      "server.maxclients sets it",
	"port":            "lockjam picks a free one when it starts the server",
	"bind":            "lockjam binds the server to loopback",
	"protected-mode":  "lockjam sets it, together with the address",
	"unixsocket":      "lockjam talks TCP, for a socket file has no slot to fight for",
	"dir":             "lockjam gives every server a folder of its own",
	"logfile":         "lockjam keeps the log with the run",
	"pidfile":         "lockjam keeps track of the process itself",
	"daemonize":       "lockjam keeps the server in the foreground",
	"include":         "a scenario is one file",
	"replicaof":       "server.topology does",
	"cluster-enabled": "server.topology does",
	"loadmodule":      "a scenario does not load code",
}

// checker validates what the decoder has read. All of it is looked at, and
// what the decoder could not use is not complained about twice.
type checker struct {
	*decoder
	known  Known
	failed map[string]bool     // keys that were complained about
	arm    string              // "arms[2]." while what that arm changes is checked; "" for the scenario itself
	asked  func(string, Bound) // is told what is asked of each key; may be nil
}

// at is where a setting stands: in the arm, if the arm changes it.
func (c *checker) at(key string) string {
	if c.arm != "" && c.decoder.has(c.arm+key) {
		return c.arm + key
	}
	return key
}

func (c *checker) has(key string) bool { return c.decoder.has(c.at(key)) }

// scenario checks everything. It takes the name that the scenario must have;
// "" leaves it free.
func (c *checker) scenario(s *Scenario, name string) {
	c.head(s, name)
	c.server(&s.Server)
	c.swarm(&s.Swarm)
	c.client(&s.Swarm)
	c.lock(&s.Swarm)
	c.arrivals(&s.Swarm.Arrivals)
	c.trigger(s)
	c.topology(s)
	c.measures(s)
	c.phases(s)
	c.watch(&s.Watch)
	c.claims(s.Claims)
	c.signals(s)
	c.arms(s)
}

// fail complains about the first of the keys. The others are what it was
// compared with: if one of them is no good, there is nothing to compare, and
// if the first is not in the file, the message points at the one that is.
func (c *checker) fail(keys []string, format string, args ...any) {
	if c.arm != "" {
		keys = slices.Clone(keys)
		for i, key := range keys {
			keys[i] = c.at(key)
		}
		// What the arm leaves as it is has been looked at.
		if !slices.ContainsFunc(keys, func(key string) bool { return strings.HasPrefix(key, c.arm) }) {
			return
		}
	}
	if slices.ContainsFunc(keys, func(key string) bool { return c.failed[key] || c.spoilt(key) }) {
		return
	}
	c.failed[keys[0]] = true
	at := keys[max(0, slices.IndexFunc(keys, c.decoder.has))]
	if i := slices.IndexFunc(keys, func(key string) bool { return c.arm != "" && strings.HasPrefix(key, c.arm) }); i >= 0 {
		at = keys[i]
	}
	c.complain(c.place(at), "%s: %s", keys[0], fmt.Sprintf(format, args...))
}

func on(keys ...string) []string { return keys }

// limit is the range of one setting, both ends allowed.
type limit struct {
	key       string
	value     float64
	low, high float64
	why       string // what is wrong below the low end, where it does not go without saying
}

func (c *checker) within(limits ...limit) { c.withinOr(nil, limits...) }

// withinOr also lets through values that have a meaning of their own, like the 0
// that is never and the -1 that is no limit.
func (c *checker) withinOr(also []float64, limits ...limit) {
	for _, l := range limits {
		c.ask(l.key, Bound{Range: &Range{l.low, l.high, also}})
		if l.value >= l.low && l.value <= l.high || slices.Contains(also, l.value) {
			continue
		}
		why := ""
		if l.why != "" && l.value < l.low {
			why = " (" + l.why + ")"
		}
		c.fail(on(l.key), "%s: want %s to %s%s", c.shown(l.key, l.value), figure(l.low), figure(l.high), why)
	}
}

// shown is a number for a message; one that is not in the file is missing.
func (c *checker) shown(key string, value float64) string {
	if !c.has(key) && value == 0 {
		return "missing"
	}
	return figure(value)
}

func figure(v float64) string {
	if math.Abs(v) >= 1e15 {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// oneOf refuses a word that is none of the allowed ones.
func oneOf[T ~string](c *checker, key string, value T, allowed ...T) {
	c.ask(key, Bound{Words: plain(allowed)})
	if slices.Contains(allowed, value) {
		return
	}
	shown := quote(string(value))
	if !c.has(key) {
		shown = "missing"
	}
	c.fail(on(key), "%s: want %s", shown, words(allowed))
}

func plain[T ~string](words []T) []string {
	all := make([]string, len(words))
	for i, word := range words {
		all[i] = string(word)
	}
	return all
}

func words[T ~string](allowed []T) string {
	var b strings.Builder
	for i, word := range allowed {
		switch {
		case i == 0:
		case i == len(allowed)-1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(string(word))
	}
	return b.String()
}

// name refuses what is no name. Names become names of folders and containers.
func (c *checker) name(key, name string) {
	c.ask(key, Bound{Name: true})
	if !c.has(key) {
		c.fail(on(key), "missing")
	} else if err := CheckName(name); err != nil {
		c.fail(on(key), "%v", err)
	}
}

// CheckName says what is wrong with the name of a scenario or of an arm.
func CheckName(name string) error {
	if len(name) > MaxName || !namePattern.MatchString(name) {
		return fmt.Errorf("%s: want lower-case words joined by hyphens, at most %d letters", quote(name), MaxName)
	}
	return nil
}

// line refuses a text of several lines.
func (c *checker) line(key, text string) {
	if strings.Contains(text, "\n") {
		c.fail(on(key), "%s: want one line", quote(text))
	}
}

func (c *checker) head(s *Scenario, name string) {
	c.name("name", s.Name)
	if name != "" && s.Name != name {
		c.fail(on("name"), "%s: want %q, as the file is called", quote(s.Name), name)
	}
	switch title := strings.TrimSpace(s.Title); {
	case !c.has("title"):
		c.fail(on("title"), "missing")
	case title == "":
		c.fail(on("title"), "empty: want a line that says what happens")
	}
	c.line("title", s.Title)
}

func (c *checker) server(s *Server) {
	c.within(limit{"server.maxclients", float64(s.MaxClients), float64(c.known.ControlConnections + 1), maxServerClients,
		fmt.Sprintf("too small to hold the %d control connections", c.known.ControlConnections)})
	c.directives("server.config", s.Config)
	c.directives("server.config_if_known", s.ConfigIfKnown)
}

func (c *checker) directives(of string, config map[string]string) {
	for directive, value := range config {
		key := join(of, directive)
		if !directivePattern.MatchString(directive) {
			c.fail(on(key), "want a directive of redis.conf, in lower case")
		}
		if why, ok := reserved[directive]; ok {
			c.fail(on(key), "a scenario cannot set it: %s", why)
		}
		if strings.TrimSpace(value) == "" {
			c.fail(on(key), `empty: write '""' for an empty value`)
		}
		c.line(key, value)
	}
}

func (c *checker) swarm(s *swarm.Settings) {
	c.within(
		limit{"swarm.instances", float64(s.Instances), 1, maxWorkers, ""},
		limit{"swarm.workers_per_instance", float64(s.WorkersPerInstance), 1, maxWorkers, ""},
		limit{"swarm.clients_per_instance", float64(s.ClientsPerInstance), 1, maxWorkers, ""},
		limit{"swarm.redial_ms", float64(s.RedialMS), minPauseMS, maxPauseMS, "a shorter pause would spin"},
		limit{"swarm.redial_jitter_ms", float64(s.RedialJitterMS), 0, maxPauseMS, ""},
		limit{"swarm.replace_after_ms", float64(s.ReplaceAfterMS), 0, maxPauseMS, ""},
		limit{"swarm.limiter.window_ms", float64(s.Limiter.WindowMS), 1, maxPauseMS, ""},
		limit{"swarm.limiter.limit", float64(s.Limiter.Limit), 1, maxAdmitted, ""},
	)
	oneOf(c, "swarm.waiter", s.Waiter, swarm.WaiterReturns, swarm.WaiterKeeps)
	oneOf(c, "swarm.holder", s.Holder, swarm.HolderKeeps, swarm.HolderReturns, swarm.HolderRedials)
	oneOf(c, "swarm.checkout", s.Checkout, swarm.CheckoutSingle, swarm.CheckoutNested)
	if s.Checkout == swarm.CheckoutNested && s.Client.PoolSize < 2 {
		c.fail(on("swarm.checkout", "swarm.client.pool_size"), "%s: a decision takes two connections, and the pool has %d",
			quote(string(s.Checkout)), s.Client.PoolSize)
	}
	oneOf(c, "swarm.limiter.decision", s.Limiter.Decision, swarm.DecisionLocked, swarm.DecisionTransaction, swarm.DecisionScript)
	c.workers("swarm.instances", s.Instances, s)
	if s.ClientsPerInstance > s.WorkersPerInstance {
		c.fail(on("swarm.clients_per_instance", "swarm.workers_per_instance"),
			"%d: more clients than the %d workers per instance leaves some idle", s.ClientsPerInstance, s.WorkersPerInstance)
	}
	if s.Holder == swarm.HolderRedials {
		c.hangsUp("swarm.holder", "a holder that redials", s)
	}
	if s.Lock.OnGiveUp == swarm.GiveUpCloses {
		c.hangsUp("swarm.lock.on_give_up", "a worker that gives up", s)
	}
}

// hangsUp checks that who closes its client, as the setting at key has it, closes
// nobody else's connection with it.
func (c *checker) hangsUp(key, who string, s *swarm.Settings) {
	if s.ClientsPerInstance < s.WorkersPerInstance {
		c.fail(on("swarm.clients_per_instance", "swarm.workers_per_instance", key),
			"%d: %s closes its client, so each of the %d workers per instance needs its own",
			s.ClientsPerInstance, who, s.WorkersPerInstance)
	}
	if s.Client.PoolSize != 1 {
		c.fail(on("swarm.client.pool_size", key), "%d: want 1, for %s has one connection to close", s.Client.PoolSize, who)
	}
}

// workers bounds how many workers so many instances have.
func (c *checker) workers(key string, instances int, s *swarm.Settings) {
	// A factor so large that the product overflows has failed by itself.
	if n := instances * s.WorkersPerInstance; n > maxWorkers {
		c.fail(on(key, "swarm.workers_per_instance"), "%d instances of %d workers are %d workers: want at most %d",
			instances, s.WorkersPerInstance, n, maxWorkers)
	}
}

// client keeps out the zeros that go-redis replaces by defaults of its own,
// which no run would have on record, and negative durations: go-redis knows -1
// nanosecond, but not -1 millisecond.
func (c *checker) client(s *swarm.Settings) {
	const (
		defaulted = "go-redis would take its own default"
		endless   = "go-redis would take its own default; -1 is no limit"
		untried   = "go-redis would take 0 for 3 retries; -1 is none"
	)
	o := s.Client
	c.within(
		limit{"swarm.client.pool_size", float64(o.PoolSize), 1, maxWorkers, defaulted},
		limit{"swarm.client.min_idle_conns", float64(o.MinIdleConns), 0, maxWorkers, ""},
		limit{"swarm.client.max_idle_conns", float64(o.MaxIdleConns), 0, maxWorkers, ""},
		limit{"swarm.client.max_active_conns", float64(o.MaxActiveConns), 0, maxWorkers, ""},
		limit{"swarm.client.max_concurrent_dials", float64(o.MaxConcurrentDials), 0, maxWorkers, ""},
		limit{"swarm.client.pool_timeout_ms", float64(o.PoolTimeoutMS), minPauseMS, maxPauseMS, defaulted},
		limit{"swarm.client.min_retry_backoff_ms", float64(o.MinRetryBackoffMS), minPauseMS, maxPauseMS, defaulted},
		limit{"swarm.client.max_retry_backoff_ms", float64(o.MaxRetryBackoffMS), minPauseMS, maxPauseMS, defaulted},
		limit{"swarm.client.dial_timeout_ms", float64(o.DialTimeoutMS), minPauseMS, maxPauseMS, defaulted},
		limit{"swarm.client.dialer_retries", float64(o.DialerRetries), 1, maxAttempts, defaulted},
		limit{"swarm.client.dialer_retry_ms", float64(o.DialerRetryMS), minPauseMS, maxPauseMS, defaulted},
		limit{"swarm.client.handshake_ms", float64(o.HandshakeMS), 0, maxScriptMS, ""},
		limit{"swarm.client.conn_max_lifetime_ms", float64(o.ConnMaxLifetimeMS), 0, maxPauseMS, ""},
	)
	c.withinOr([]float64{-1},
		limit{"swarm.client.max_retries", float64(o.MaxRetries), 1, maxAttempts, untried},
		limit{"swarm.client.read_timeout_ms", float64(o.ReadTimeoutMS), minPauseMS, maxPauseMS, endless},
		limit{"swarm.client.write_timeout_ms", float64(o.WriteTimeoutMS), minPauseMS, maxPauseMS, endless},
		limit{"swarm.client.conn_max_idle_time_ms", float64(o.ConnMaxIdleTimeMS), minPauseMS, maxPauseMS, endless},
	)
	c.withinOr([]float64{0}, // go-redis's own size, which is worth comparing with
		limit{"swarm.client.read_buffer_bytes", float64(o.ReadBufferBytes), 64, maxBufferBytes, ""},
		limit{"swarm.client.write_buffer_bytes", float64(o.WriteBufferBytes), 64, maxBufferBytes, ""},
	)
	if o.MinRetryBackoffMS > o.MaxRetryBackoffMS {
		c.fail(on("swarm.client.min_retry_backoff_ms", "swarm.client.max_retry_backoff_ms"), "%s: more than max_retry_backoff_ms, %s",
			figure(float64(o.MinRetryBackoffMS)), figure(float64(o.MaxRetryBackoffMS)))
	}
	if o.Protocol != 2 && o.Protocol != 3 {
		c.fail(on("swarm.client.protocol"), "%d: want 2 or 3", o.Protocol)
	}
}

func (c *checker) lock(s *swarm.Settings) {
	l := s.Lock
	c.within(
		limit{"swarm.lock.tenants", float64(l.Tenants), 1, maxTenants, ""},
		limit{"swarm.lock.hold_ms", float64(l.HoldMS), 0, maxPauseMS, ""},
		limit{"swarm.lock.poll_ms", float64(l.PollMS), minPauseMS, maxPauseMS, "a shorter pause would spin"},
		limit{"swarm.lock.backoff_max_ms", float64(l.BackoffMaxMS), 0, maxPauseMS, ""},
		limit{"swarm.lock.acquire_timeout_ms", float64(l.AcquireTimeoutMS), 0, maxPauseMS, ""},
		limit{"swarm.lock.release_timeout_ms", float64(l.ReleaseTimeoutMS), 0, maxPauseMS, ""},
		limit{"swarm.lock.wait_replicas", float64(l.WaitReplicas), 0, 1, ""},
		limit{"swarm.lock.wait_replicas_ms", float64(l.WaitReplicasMS), 1, maxPauseMS, "WAIT would wait for ever"},
	)
	// Redis counts in whole milliseconds.
	c.withinOr([]float64{0}, limit{"swarm.lock.ttl_ms", float64(l.TTLMS), 1, maxTTLMS, "0 is a lock that never expires"})
	c.withinOr([]float64{0}, limit{"swarm.lock.renew_ms", float64(l.RenewMS), 1, maxPauseMS, "0 is never"})
	if l.RenewMS > 0 && l.RenewMS >= l.TTLMS {
		c.fail(on("swarm.lock.renew_ms", "swarm.lock.ttl_ms"), "%s: want less than ttl_ms, %s, or there is nothing to renew",
			figure(float64(l.RenewMS)), figure(float64(l.TTLMS)))
	}
	oneOf(c, "swarm.lock.release", l.Release, swarm.ReleaseToken, swarm.ReleaseBlind)
	c.pair(s)
	oneOf(c, "swarm.lock.on_give_up", l.OnGiveUp, swarm.GiveUpKeeps, swarm.GiveUpCloses)
	if l.OnGiveUp == swarm.GiveUpCloses && l.AcquireTimeoutMS == 0 {
		c.fail(on("swarm.lock.on_give_up", "swarm.lock.acquire_timeout_ms"), "%s: without an acquire_timeout_ms nobody gives up", quote(string(l.OnGiveUp)))
	}
	oneOf(c, "swarm.lock.backoff", l.Backoff, swarm.BackoffNone, swarm.BackoffExponential, swarm.BackoffFullJitter)
	if l.Backoff != swarm.BackoffNone && l.BackoffMaxMS < l.PollMS {
		c.fail(on("swarm.lock.backoff_max_ms", "swarm.lock.poll_ms", "swarm.lock.backoff"), "%s: want at least poll_ms, %s",
			figure(float64(l.BackoffMaxMS)), figure(float64(l.PollMS)))
	}
}

// pair checks decisions that take two locks.
func (c *checker) pair(s *swarm.Settings) {
	const pair, gap, wait = "swarm.lock.pair", "swarm.lock.pair_gap_ms", "swarm.lock.pair_wait_ms"
	l := s.Lock
	oneOf(c, pair, l.Pair, swarm.PairNone, swarm.PairOrdered, swarm.PairOwnFirst)
	c.within(limit{gap, float64(l.PairGapMS), 0, maxPauseMS, ""}, limit{wait, float64(l.PairWaitMS), 0, maxPauseMS, ""})
	if l.Pair == swarm.PairNone {
		for _, key := range []string{gap, wait} {
			if c.has(key) {
				c.fail(on(key, pair), "a decision takes one lock")
			}
		}
		return
	}
	if l.Tenants%2 != 0 {
		c.fail(on(pair, "swarm.lock.tenants"), "%s: of %d tenants one has no partner", quote(string(l.Pair)), l.Tenants)
	}
	if s.Limiter.Decision != swarm.DecisionLocked {
		c.fail(on(pair, "swarm.limiter.decision"), "%s: a decision by %s takes no lock", quote(string(l.Pair)), s.Limiter.Decision)
	}
}

func (c *checker) arrivals(a *swarm.ArrivalSettings) {
	const kind, rate, queue, think = "swarm.arrivals.kind", "swarm.arrivals.rate_per_s", "swarm.arrivals.queue", "swarm.arrivals.think_ms"
	const tenant, deadline, retries, budget, ramp = "swarm.arrivals.tenant", "swarm.arrivals.deadline_ms", "swarm.arrivals.retries", "swarm.arrivals.retry_budget", "swarm.arrivals.ramp_ms"
	const jitter = "swarm.arrivals.think_jitter_ms"
	oneOf(c, kind, a.Kind, swarm.Closed, swarm.Open)
	oneOf(c, tenant, a.Tenant, swarm.TenantAny, swarm.TenantByWorker)
	c.within(limit{think, float64(a.ThinkMS), 0, maxPauseMS, ""}, limit{ramp, float64(a.RampMS), 0, maxPauseMS, ""},
		limit{jitter, float64(a.ThinkJitterMS), 0, maxPauseMS, ""})
	switch a.Kind {
	case swarm.Open:
		if a.Tenant == swarm.TenantByWorker {
			c.fail(on(tenant, kind), "only closed arrivals are by worker; an open one is taken up by whoever is free")
		}
		c.within(limit{rate, a.RatePerS, 0.01, maxRate, "open arrivals need a rate"}, limit{queue, float64(a.Queue), 1, maxQueue, ""})
		for _, key := range []string{think, jitter} {
			if c.has(key) {
				c.fail(on(key, kind), "only closed arrivals pause between two requests")
			}
		}
		if c.has(ramp) {
			c.fail(on(ramp, kind), "only closed arrivals have workers that make their own requests")
		}
		c.callers(a)
	case swarm.Closed:
		for _, key := range []string{rate, queue, deadline, retries, budget} {
			if c.has(key) {
				c.fail(on(key, kind), "only open arrivals have one")
			}
		}
	}
}

// callers checks how those ask again who have had no answer.
func (c *checker) callers(a *swarm.ArrivalSettings) {
	const deadline, retries, budget = "swarm.arrivals.deadline_ms", "swarm.arrivals.retries", "swarm.arrivals.retry_budget"
	c.within(
		limit{deadline, float64(a.DeadlineMS), 0, maxPauseMS, ""},
		limit{retries, float64(a.Retries), 0, maxRetries, ""},
		limit{budget, a.RetryBudget, 0, 1, ""},
	)
	if a.Retries > 0 && a.DeadlineMS == 0 {
		c.fail(on(retries, deadline), "%d: a caller that waits for ever does not ask again: set deadline_ms", a.Retries)
	}
	if a.RetryBudget > 0 && a.Retries == 0 {
		c.fail(on(budget, retries), "%s: there are no retries to limit", figure(a.RetryBudget))
	}
}

// trigger checks what every trigger's settings have in common, and asks the trigger
// itself for the rest.
func (c *checker) trigger(s *Scenario) {
	const kind, instances = "trigger.kind", "trigger.instances"
	oneOf(c, kind, s.Trigger.Kind, triggers.Names()...)
	t, ok := triggers.Find(s.Trigger.Kind)
	if !ok {
		return
	}
	has := c.has
	if c.arm != "" && c.decoder.has(c.arm+kind) { // what an arm's own kind has no use for it does without
		has = func(key string) bool { return c.decoder.has(c.arm + key) }
	}
	for _, name := range names(s.Trigger) {
		if key := join("trigger", name); name != "kind" && has(key) && !slices.Contains(t.Uses, name) {
			c.fail(on(key, kind), "the trigger %s has no %s", quote(t.Name), name)
		}
	}
	if slices.Contains(t.Uses, "instances") {
		c.within(limit{instances, float64(s.Trigger.Instances), 1, maxWorkers, "a " + t.Name + " needs instances"})
		c.workers(instances, s.Trigger.Instances, &s.Swarm)
	}
	if slices.Contains(t.Uses, "workers") {
		c.within(limit{"trigger.workers", float64(s.Trigger.Workers), 1, maxWorkers, "a trigger of that kind needs workers"})
		under := s.Swarm
		under.WorkersPerInstance = s.Trigger.Workers
		c.workers("trigger.workers", under.Instances, &under)
	}
	for _, l := range []limit{
		{"trigger.rate_per_s", s.Trigger.RatePerS, 0.01, maxRate, "a " + t.Name + " needs a rate"},
		{"trigger.count", float64(s.Trigger.Count), 1, maxServerClients, "a " + t.Name + " needs a number"},
		{"trigger.lag_ms", float64(s.Trigger.LagMS), 1, maxLagMS, "a " + t.Name + " needs a replica that lags"},
		{"trigger.hold_ms", float64(s.Trigger.HoldMS), minPauseMS, maxPauseMS, "a " + t.Name + " needs to know how slow"},
		{"trigger.pool_size", float64(s.Trigger.PoolSize), 0, maxWorkers, ""},
		{"trigger.for_ms", float64(s.Trigger.ForMS), 1, maxPhaseMS, "a " + t.Name + " has an end"},
		{"trigger.script_ms", float64(s.Trigger.ScriptMS), 1, maxScriptMS, "a " + t.Name + " needs the time that one script takes"},
		{"trigger.drop_ms", float64(s.Trigger.DropMS), 1, maxPhaseMS, t.Name + " needs a length"},
		{"trigger.every_ms", float64(s.Trigger.EveryMS), 0, maxPhaseMS, ""},
	} {
		if !slices.Contains(t.Uses, strings.TrimPrefix(l.key, "trigger.")) {
			continue
		}
		if c.within(l); l.value < l.low && !has(l.key) { // an arm's own kind may want what its scenario does not say
			c.fail(on(l.key, kind), "missing (%s)", l.why)
		}
	}
	if t.Check == nil {
		return
	}
	for _, p := range t.Check(s.Trigger, s.Swarm) {
		c.fail(p.Keys, "%s", p.Message)
	}
}

// names are those of a struct's fields in a scenario file.
func names(settings any) []string {
	var all []string
	for f := range reflect.TypeOf(settings).Fields() {
		all = append(all, f.Tag.Get("yaml"))
	}
	return all
}

// measures checks what counts as reproduced and as cured. Some ranges are open
// at an end: no cure at a ratio of 0, no incident at the baseline's goodput.
func (c *checker) measures(s *Scenario) {
	c.within(
		// Goodput is counted in bins of 100 ms: less than two say nothing.
		limit{"incident.for_ms", float64(s.Incident.ForMS), 200, maxPhaseMS, ""},
		limit{"cure.relapse_window_ms", float64(s.Cure.RelapseWindowMS), 200, maxPhaseMS, ""},
		limit{"cure.hold_ms", float64(s.Cure.HoldMS), 0, maxPhaseMS, ""},
	)
	c.within(limit{"incident.faults", float64(s.Incident.Faults), 0, maxAdmitted, ""})
	if s.Incident.Faults > 0 && s.Incident.Kind != "" {
		c.fail(on("incident.faults", "incident.kind"), "%d: broken safety is no standstill that could be proved %s", s.Incident.Faults, quote(s.Incident.Kind))
	}
	if s.Incident.Faults > 0 && s.Trigger.Kind == triggers.None {
		c.fail(on("incident.faults", "trigger.kind"), "%d: without a trigger there is no incident, and any fault fails the run", s.Incident.Faults)
	}
	if k := s.Incident.Kind; k != "" && !slices.Contains(c.known.Kinds, k) {
		c.fail(on("incident.kind"), "unknown kind of standstill %s; %s", quote(k), hint(k, c.known.Kinds))
	}
	if r := s.Incident.GoodputRatio; r < 0 || r >= 1 {
		c.fail(on("incident.goodput_ratio"), "%s: want 0 or more, and less than 1", figure(r))
	}
	if r := s.Cure.Ratio; r <= 0 || r > 2 {
		c.fail(on("cure.ratio"), "%s: want more than 0, and at most 2", figure(r))
	}
	if r := s.Cure.RelapseRatio; r < 0 || r >= s.Cure.Ratio {
		c.fail(on("cure.relapse_ratio", "cure.ratio"), "%s: want 0 or more, and less than cure.ratio, %s", figure(r), figure(s.Cure.Ratio))
	}
}

func (c *checker) phases(s *Scenario) {
	const baseline, baselineMax, incident, recovery = "phases.baseline_ms", "phases.baseline_max_ms", "phases.incident_ms", "phases.recovery_ms"
	p := s.Phases
	c.within(
		limit{baseline, float64(p.BaselineMS), minPhaseMS, maxPhaseMS, ""},
		limit{baselineMax, float64(p.BaselineMaxMS), minPhaseMS, maxPhaseMS, ""},
		limit{incident, float64(p.IncidentMS), minPhaseMS, maxPhaseMS, ""},
		limit{recovery, float64(p.RecoveryMS), 0, maxPhaseMS, ""},
		limit{"phases.prevention_ms", float64(p.PreventionMS), minPhaseMS, maxPhaseMS, ""},
	)
	if p.BaselineMaxMS < p.BaselineMS {
		c.fail(on(baselineMax, baseline), "%s: want at least baseline_ms, %s", figure(float64(p.BaselineMaxMS)), figure(float64(p.BaselineMS)))
	}
	triggered := s.Trigger.Kind != triggers.None
	if triggered && p.IncidentMS < s.Incident.ForMS {
		c.fail(on(incident, "incident.for_ms", "trigger.kind"), "%s: want at least incident.for_ms, %s",
			figure(float64(p.IncidentMS)), figure(float64(s.Incident.ForMS)))
	}
	if (triggered || slices.ContainsFunc(s.Arms, remedied)) && p.RecoveryMS < s.Cure.HoldMS {
		c.fail(on(recovery, "cure.hold_ms", "trigger.kind", "arms"), "%s: want at least cure.hold_ms, %s",
			figure(float64(p.RecoveryMS)), figure(float64(s.Cure.HoldMS)))
	}
}

// watch bounds how often the server is looked at. A burst of MONITOR has to end
// before the next begins, with time left to compare it with.
func (c *checker) watch(w *Watch) {
	const every, length = "watch.monitor_ms", "watch.monitor_for_ms"
	c.withinOr([]float64{0},
		limit{"watch.locks_ms", float64(w.LocksMS), 100, maxPauseMS, "0 is never"},
		limit{"watch.canary_ms", float64(w.CanaryMS), 50, maxPauseMS, "0 is never"},
		limit{every, float64(w.MonitorMS), 200, maxPauseMS, "0 is never"},
		limit{"watch.probe_ms", float64(w.ProbeMS), 200, maxPhaseMS, "0 is never"},
	)
	if w.MonitorMS == 0 {
		return
	}
	c.within(limit{length, float64(w.MonitorForMS), 50, maxPauseMS, "MONITOR would hear nothing"})
	if w.MonitorForMS > w.MonitorMS/2 {
		c.fail(on(length, every), "%s: want at most half of monitor_ms, %s", figure(float64(w.MonitorForMS)), figure(float64(w.MonitorMS)))
	}
}

// claims refuses what the runbook does not say.
func (c *checker) claims(ids []string) {
	for i, id := range ids {
		key := fmt.Sprintf("claims[%d]", i)
		switch {
		case !slices.Contains(c.known.Claims, id):
			c.fail(on(key), "the runbook has no claim %s; %s", quote(id), hint(id, c.known.Claims))
		case slices.Contains(ids[:i], id):
			c.fail(on(key), "%s is named twice", quote(id))
		}
	}
}

func (c *checker) signals(s *Scenario) {
	for name, signal := range s.Signals {
		key := join("signals", name)
		params, ok := c.known.Signals[name]
		if !ok {
			c.fail(on(key), "unknown signal; %s", hint(name, slices.Sorted(maps.Keys(c.known.Signals))))
			continue
		}
		oneOf(c, key+".expect", signal.Expect, Fire, Silent, Any)
		within := key + ".within_ms"
		timed := c.has(within)
		if c.arm != "" { // an arm's expectation takes the place of the scenario's as a whole
			timed = c.decoder.has(c.arm + within)
		}
		switch {
		case timed && signal.Expect != Fire:
			c.fail(on(within, key+".expect"), "only a signal that is to fire has a time to fire within")
		case signal.WithinMS < 0:
			c.fail(on(within), "%s: want 0 or more", figure(float64(signal.WithinMS)))
		case signal.WithinMS > s.Phases.IncidentMS:
			c.fail(on(within, "phases.incident_ms"), "%s: the incident is over after %s",
				figure(float64(signal.WithinMS)), figure(float64(s.Phases.IncidentMS)))
		}
		for param := range signal.Params {
			c.param(key, param, params)
		}
	}
}

// param refuses a parameter that the signal or remedy at key does not have.
func (c *checker) param(key, param string, known []string) {
	if !slices.Contains(known, param) {
		c.fail(on(join(key+".params", param)), "unknown parameter; %s", hint(param, known))
	}
}

func remedied(a Arm) bool { return a.Remedy != "" && a.Remedy != noRemedy }

func (c *checker) arms(s *Scenario) {
	if len(s.Arms) == 0 {
		c.fail(on("arms"), "missing: want at least a %s arm", ControlArm)
		return
	}
	first := map[string]int{}
	for i := range s.Arms {
		a, key := &s.Arms[i], fmt.Sprintf("arms[%d]", i)
		if a.Remedy == "" {
			a.Remedy = noRemedy
		}
		c.name(key+".name", a.Name)
		if before, twice := first[a.Name]; twice && a.Name != "" {
			c.fail(on(key+".name"), "%s: arms[%d] has this name already", quote(a.Name), before)
		} else {
			first[a.Name] = i
		}
		c.remedy(key, a)
		c.prevention(key, a)
		c.changes(key, s, a)
		c.oneNode(key, s, a)
	}
	for i := range s.Arms {
		c.against(fmt.Sprintf("arms[%d]", i), &s.Arms[i], first)
	}
	if _, controlled := first[ControlArm]; !controlled && slices.ContainsFunc(s.Arms, remedied) {
		c.fail(on("arms"), "no arm is called %s: without it no remedy can earn credit", ControlArm)
	}
}

// against refuses comparisons with arms that are not there, or compare nothing.
func (c *checker) against(key string, a *Arm, arms map[string]int) {
	for i, name := range a.Against {
		at := fmt.Sprintf("%s.against[%d]", key, i)
		switch _, there := arms[name]; {
		case !there:
			c.fail(on(at), "no arm is called %s; %s", quote(name), hint(name, slices.Sorted(maps.Keys(arms))))
		case name == a.Name:
			c.fail(on(at), "%s: an arm is not compared with itself", quote(name))
		case name == ControlArm:
			c.fail(on(at), "%s: every arm is compared with it", quote(name))
		case slices.Contains(a.Against[:i], name):
			c.fail(on(at), "%s is named twice", quote(name))
		}
	}
}

// prevention checks what is in force in one arm from the start. An arm either
// prevents or remedies: who does both shows neither.
func (c *checker) prevention(key string, a *Arm) {
	changed := a.Swarm != nil || a.Server != nil || a.Trigger != nil || a.Phases != nil || len(a.Signals) > 0
	switch {
	case a.Prevention != "" && len(a.Signals) > 0:
		c.fail(on(key+".signals", key+".prevention"), "where a failure is kept from happening, nothing is expected of signals")
	case a.Prevention != "" && remedied(*a):
		c.fail(on(key+".prevention", key+".remedy"), "%s: an arm has a remedy or a prevention, not both", quote(a.Prevention))
	case a.Prevention != "" && a.Swarm == nil && a.Server == nil && a.Trigger == nil:
		c.fail(on(key+".prevention"), "%s: say in swarm, server or trigger what it is", quote(a.Prevention))
	case a.Prevention != "" && a.Name == ControlArm:
		c.fail(on(key+".prevention", key+".name"), "%s: the %s shows what happens without one", quote(a.Prevention), ControlArm)
	case a.Prevention != "":
		c.name(key+".prevention", a.Prevention)
	case a.Name == ControlArm && changed:
		c.fail(on(key+".name"), "the %s runs the scenario as it is: put what it changes into the scenario", ControlArm)
	}
	if a.Claim != "" && !slices.Contains(c.known.Claims, a.Claim) {
		c.fail(on(key+".claim"), "the runbook has no claim %s; %s", quote(a.Claim), hint(a.Claim, c.known.Claims))
	}
}

// changes checks the scenario as the arm runs it, as far as the arm changes it.
func (c *checker) changes(key string, s *Scenario, a *Arm) {
	under := s.For(*a)
	if a.Remedy == RolloutRemedy && a.Swarm != nil {
		under.Swarm = *a.Swarm
	}
	of := &checker{decoder: c.decoder, known: c.known, failed: map[string]bool{}, arm: key + "."}
	if a.Server != nil {
		of.server(&under.Server)
	}
	if a.Swarm != nil {
		of.swarm(&under.Swarm)
		of.client(&under.Swarm)
		of.lock(&under.Swarm)
		of.arrivals(&under.Swarm.Arrivals)
	}
	if a.Swarm != nil || a.Trigger != nil {
		of.trigger(under)
		of.topology(under)
	}
	if a.Phases != nil {
		of.phases(under)
	}
	of.signals(under)
	for name, signal := range a.Signals {
		if signal.Expect == "" {
			of.fail(on(join("signals", name)), "say what is to be expected")
		}
	}
}

// remedy checks what is done in one arm, and the verdict that is expected of it.
func (c *checker) remedy(key string, a *Arm) {
	if a.Name == ControlArm && remedied(*a) {
		c.fail(on(key+".remedy", key+".name"), "%s: want none, for the %s shows what happens without a remedy", quote(a.Remedy), ControlArm)
		return
	}
	params, ok := c.known.Remedies[a.Remedy]
	if !ok && remedied(*a) {
		c.fail(on(key+".remedy"), "unknown remedy %s; %s", quote(a.Remedy), hint(a.Remedy, slices.Sorted(maps.Keys(c.known.Remedies))))
		return
	}
	for param, value := range a.Params {
		c.param(key, param, params)
		if c.known.CheckParam == nil || !slices.Contains(params, param) {
			continue
		}
		if err := c.known.CheckParam(a.Remedy, param, value); err != nil {
			c.fail(on(join(key+".params", param)), "%v", err)
		}
	}
	verdicts := c.known.Verdicts
	if a.Prevention != "" {
		verdicts = c.known.Preventions
	}
	if v := a.Expect.Verdict; v != "" && !slices.Contains(verdicts, v) {
		c.fail(on(key+".expect.verdict"), "unknown verdict %s; %s", quote(v), hint(v, verdicts))
	}
}
