package swarm

import "time"

// Millis is a duration in milliseconds, as scenario files write it.
type Millis float64

// Duration converts to nanoseconds.
func (m Millis) Duration() time.Duration {
	return time.Duration(float64(m) * float64(time.Millisecond))
}

// Settings is everything about the swarm that can decide whether a failure
// happens. It is read from a scenario file; Defaults fills what a file leaves
// out, and the whole of it is stored with the run.
type Settings struct {
	// A service instance is one deployed process: it owns go-redis clients and
	// runs workers that share them, worker i using client i modulo their number.
	Instances          int `yaml:"instances" json:"instances"`
	WorkersPerInstance int `yaml:"workers_per_instance" json:"workers_per_instance"` // they share its clients, in turn
	// go-redis clients, each with a pool of its own
	ClientsPerInstance int `yaml:"clients_per_instance" json:"clients_per_instance"`

	Client ClientOptions `yaml:"client" json:"client"`

	// Waiter says what a worker that waits for a lock does with its connection
	// between two tries.
	Waiter Waiter `yaml:"waiter" json:"waiter"`
	// Holder says what a worker that holds a lock does with its connection
	// while it works.
	Holder Holder `yaml:"holder" json:"holder"`
	// Checkout says how many of its client's connections a worker has in hand for one
	// decision.
	Checkout Checkout `yaml:"checkout" json:"checkout"`
	// RedialMS is how long a worker waits after a failed command, in
	// milliseconds, before it tries again.
	RedialMS Millis `yaml:"redial_ms" json:"redial_ms"`
	// RedialJitterMS lengthens each of these waits by a random time up to so much, in
	// milliseconds, so that workers that failed together do not try again together.
	RedialJitterMS Millis `yaml:"redial_jitter_ms" json:"redial_jitter_ms,omitempty"`

	Lock     LockSettings    `yaml:"lock" json:"lock"`
	Limiter  LimiterSettings `yaml:"limiter" json:"limiter"`
	Arrivals ArrivalSettings `yaml:"arrivals" json:"arrivals"`

	// ReplaceAfterMS is how long an orchestrator takes to put a new worker in
	// a crashed one's place, in milliseconds.
	ReplaceAfterMS Millis `yaml:"replace_after_ms" json:"replace_after_ms"`
}

// Waiter is what a worker does with its connection while it waits for a lock.
type Waiter string

const (
	// WaiterKeeps takes one connection out of the pool (redis.Client.Conn)
	// and keeps it from the first try to the grant.
	WaiterKeeps Waiter = "keeps-connection"
	// WaiterReturns takes a connection per command; between two tries it lies
	// in the pool, where others can use it, but stays open: it still holds
	// its slot of the server.
	WaiterReturns Waiter = "returns-connection"
)

// Holder is what a worker does with its connection while it holds a lock.
type Holder string

const (
	// HolderKeeps goes on with the connection that the lock was taken with.
	HolderKeeps Holder = "keeps-connection"
	// HolderReturns gives its connection back to the pool while it works, and
	// takes one out of the pool for every command after that. Where others keep
	// theirs while they wait for a lock (WaiterKeeps), and share a pool that has
	// not one for each, they can hold every turn of the pool that the holder
	// needs to release: the pool deadlocks by itself. With WaiterReturns no worker
	// has a connection to keep, and this is the same in effect as HolderKeeps.
	HolderReturns Holder = "returns-connection"
	// HolderRedials closes its client while it works and opens a new one to
	// write its result and release, as services do that open a connection per
	// unit of work. It needs one client per worker.
	HolderRedials Holder = "redials"
)

// Checkout is how many connections a decision takes.
type Checkout string

const (
	// CheckoutSingle is one at a time.
	CheckoutSingle Checkout = "single"
	// CheckoutNested keeps one from the beginning of the decision to its end, as a
	// transaction has it, and takes a second one of the same pool for the commands.
	CheckoutNested Checkout = "nested"
)

// LockSettings is how locks are taken and waited for.
type LockSettings struct {
	Tenants int    `yaml:"tenants" json:"tenants"` // one lock and one counter each
	TTLMS   Millis `yaml:"ttl_ms" json:"ttl_ms"`   // 0: the lock never expires
	// the work that is done inside the lock
	HoldMS Millis `yaml:"hold_ms" json:"hold_ms"`
	// between two tries, the base of any backoff
	PollMS  Millis  `yaml:"poll_ms" json:"poll_ms"`
	Backoff Backoff `yaml:"backoff" json:"backoff"` //
	// the longest pause that backoff reaches
	BackoffMaxMS     Millis `yaml:"backoff_max_ms" json:"backoff_max_ms"`
	AcquireTimeoutMS Millis `yaml:"acquire_timeout_ms" json:"acquire_timeout_ms"` // 0: waits for ever
	// when the acquire timeout has passed
	OnGiveUp GiveUp  `yaml:"on_give_up" json:"on_give_up"`
	Release  Release `yaml:"release" json:"release"` // how a holder gives its lock back
	// ReleaseTimeoutMS is how long a holder whose commands fail tries each again, to
	// read, to write its result and to release, before it goes on to the next request.
	// It leaves its lock behind then, to the TTL. 0: for ever.
	ReleaseTimeoutMS Millis `yaml:"release_timeout_ms" json:"release_timeout_ms"`

	// RenewMS is how often a holder at work extends its lock's TTL, in milliseconds; 0:
	// never. It needs a connection for that: a holder that redials opens one each time,
	// and closes it again. A renewal that fails is tried again after RedialMS, and the
	// work goes on; one that finds the lock gone is the last.
	RenewMS Millis `yaml:"renew_ms" json:"renew_ms"`

	// WaitReplicas is how many replicas have to acknowledge a lock before it counts
	// (WAIT), else it is given back, and its fencing token before the work begins. 0:
	// none is waited for, and a failover can lose both.
	WaitReplicas int `yaml:"wait_replicas" json:"wait_replicas,omitempty"`
	// WaitReplicasMS is how long they are waited for, in milliseconds.
	WaitReplicasMS Millis `yaml:"wait_replicas_ms" json:"wait_replicas_ms,omitempty"`

	// Verify reads the owner of a lock that was not granted: if it is the worker's own token,
	// an earlier try was granted, and the answer lost. It is a GET more for every try
	// that fails. (SET with NX and GET tells it in one, from Redis 7.0 on.)
	Verify bool `yaml:"verify" json:"verify"`

	// Pair reports whether a decision takes the lock of its tenant's partner as well, and
	// which of the two first.
	Pair      Pair   `yaml:"pair" json:"pair"`
	PairGapMS Millis `yaml:"pair_gap_ms" json:"pair_gap_ms"` // the work between the first lock and the second
	// PairWaitMS is how long a worker keeps the first lock while the second is not to be
	// had. Then it lets go of it, and begins again after a pause of its backoff. 0: for
	// ever.
	PairWaitMS Millis `yaml:"pair_wait_ms" json:"pair_wait_ms"`
}

// Pair is how a decision takes two locks, as a transfer between two accounts does.
// The first half of the tenants have their partners in the second half.
type Pair string

const (
	PairNone    Pair = "none"    // a decision takes one lock
	PairOrdered Pair = "ordered" // the lower tenant's first, for every request
	// PairOwnFirst takes the lock of the tenant whose request it is first. Two requests
	// of two partners then take the same locks in opposite orders.
	PairOwnFirst Pair = "own-first"
)

// Partner is the tenant whose lock goes with a tenant's; false where there is none.
func (l LockSettings) Partner(tenant int32) (int32, bool) {
	half := int32(l.Tenants / 2)
	switch {
	case l.Pair != PairOrdered && l.Pair != PairOwnFirst:
		return 0, false
	case tenant < half:
		return tenant + half, true
	}
	return tenant - half, true
}

// Release is how a holder gives its lock back.
type Release string

const (
	// ReleaseToken deletes the lock if it still holds the token that it was taken with,
	// in one step.
	ReleaseToken Release = "token"
	// ReleaseBlind deletes the lock, whosever it is by then. A holder whose lease has run
	// out deletes the lock of its present holder.
	ReleaseBlind Release = "blind"
)

// GiveUp is what a worker does with its connection when it gives up waiting. Its
// request has failed; it goes on to the next one either way.
type GiveUp string

const (
	// GiveUpKeeps leaves the connection in its client's pool, which keeps it open:
	// a worker that gave up waiting for a lock has not given up its slot of the server.
	GiveUpKeeps GiveUp = "keeps-connection"
	// GiveUpCloses closes the client and opens a new one for the next request. It
	// needs one client per worker.
	GiveUpCloses GiveUp = "closes-connection"
)

// Backoff says how the pause between two tries grows.
type Backoff string

const (
	BackoffNone        Backoff = "none"        // always PollMS
	BackoffExponential Backoff = "exponential" // doubles from PollMS up to BackoffMaxMS
	BackoffFullJitter  Backoff = "full-jitter" // uniform between 0 and what exponential would wait
)

// LimiterSettings is the fixed-window rate limit that the lock guards.
type LimiterSettings struct {
	WindowMS Millis   `yaml:"window_ms" json:"window_ms"` // the length of a window of the rate limit
	Limit    int64    `yaml:"limit" json:"limit"`         // requests admitted per tenant and window
	Decision Decision `yaml:"decision" json:"decision"`
}

// Decision is how a request is decided: what makes reading the counter and
// writing it back one step. Only DecisionLocked takes locks; the lock's HoldMS,
// PollMS, Backoff, AcquireTimeoutMS and OnGiveUp then stand for the work of a
// decision, and for trying again.
type Decision string

const (
	// DecisionLocked reads, works and writes under the tenant's lock.
	DecisionLocked Decision = "locked"
	// DecisionTransaction watches the counter, reads it, works, and writes it in
	// MULTI and EXEC, and begins again if another worker wrote it in between. The
	// connection that watches stays until EXEC: Waiter and Holder have no say.
	DecisionTransaction Decision = "transaction"
	// DecisionScript works, and then lets a script on the server read, compare and
	// write. Waiter has no say; a holder that redials does so for its work here, too.
	DecisionScript Decision = "script"
)

// locks reports whether decisions are made under a lock.
func (l LimiterSettings) locks() bool {
	return l.Decision != DecisionTransaction && l.Decision != DecisionScript
}

// ArrivalSettings says where requests come from.
type ArrivalSettings struct {
	Kind     Arrivals `yaml:"kind" json:"kind"`
	Tenant   Tenant   `yaml:"tenant" json:"tenant"`
	ThinkMS  Millis   `yaml:"think_ms" json:"think_ms"`     // closed: pause between two decisions of a worker
	RatePerS float64  `yaml:"rate_per_s" json:"rate_per_s"` // open: Poisson arrivals per second
	// open: requests that may wait for a worker; more are dropped and counted
	Queue int `yaml:"queue" json:"queue"`

	// DeadlineMS is how long the caller of an open arrival waits for its answer, in
	// milliseconds; 0: for ever. The worker does not know when its caller has gone: it
	// does the work all the same, and what comes of it counts as failed.
	DeadlineMS Millis `yaml:"deadline_ms" json:"deadline_ms"`
	// Retries is how often a caller asks again that has had no answer, each time with a
	// new request and deadline.
	Retries int `yaml:"retries" json:"retries"`
	// RetryBudget is the share of requests that may be retries, over all callers; 0
	// sets no limit. It is how Finagle and gRPC keep retries from multiplying load.
	RetryBudget float64 `yaml:"retry_budget" json:"retry_budget"`

	// RampMS spreads the first requests of the workers that run from the start evenly
	// over so many milliseconds (closed). Without it work that takes seconds is begun,
	// and ended, by all at once.
	RampMS Millis `yaml:"ramp_ms" json:"ramp_ms,omitempty"`
	// ThinkJitterMS lengthens each of a worker's pauses by a random time up to so much,
	// in milliseconds (closed). Many workers that all pause for as long, and for longer
	// than they work, fall into step when something has held them all up.
	ThinkJitterMS Millis `yaml:"think_jitter_ms" json:"think_jitter_ms,omitempty"`
}

// Arrivals tells a closed system (a worker's next request waits for its last)
// from an open one (requests come no matter what).
type Arrivals string

const (
	Closed Arrivals = "closed" // each worker makes its next request when it is done with its last
	Open   Arrivals = "open"   // requests come at a rate, and wait for a worker
)

// Tenant says whose requests a worker serves.
type Tenant string

const (
	// TenantAny draws the tenant of every request. In a closed system the
	// workers then bunch up behind some locks and leave others idle (a
	// Gordon-Newell network: with 16 workers and 4 locks each lock is idle a
	// sixth of the time).
	TenantAny Tenant = "any"
	// TenantByWorker serves the same tenant always, workers spread evenly, as
	// where instances are sharded by tenant: every lock has its waiters.
	TenantByWorker Tenant = "by-worker"
)

// ClientOptions is every go-redis option that a scenario can set, passed to
// redis.Options as it stands, so -1 means what go-redis takes it for. Nothing
// is left to go-redis's defaults: these multiply load (four dials a command,
// ten connections a core) and differ between versions.
type ClientOptions struct {
	// connections in each client's pool
	PoolSize int `yaml:"pool_size" json:"pool_size"`
	// opened ahead, and kept; 0: none
	MinIdleConns int `yaml:"min_idle_conns" json:"min_idle_conns"`
	// more are closed when they are given back; 0: no limit
	MaxIdleConns int `yaml:"max_idle_conns" json:"max_idle_conns"`
	// of the pool at any time; 0: no limit
	MaxActiveConns int `yaml:"max_active_conns" json:"max_active_conns"`
	// at most so many at a time; 0: as many as the pool has connections
	MaxConcurrentDials int `yaml:"max_concurrent_dials" json:"max_concurrent_dials"`
	// the connection that has been idle longest is used first, and not last
	PoolFIFO bool `yaml:"pool_fifo" json:"pool_fifo"`
	// how long a command waits for a connection of the pool
	PoolTimeoutMS Millis `yaml:"pool_timeout_ms" json:"pool_timeout_ms"`
	// of a command that failed; -1: none
	MaxRetries int `yaml:"max_retries" json:"max_retries"`
	// the least that is waited before a retry
	MinRetryBackoffMS Millis `yaml:"min_retry_backoff_ms" json:"min_retry_backoff_ms"`
	// the most that is waited before a retry
	MaxRetryBackoffMS Millis `yaml:"max_retry_backoff_ms" json:"max_retry_backoff_ms"`
	// for one try to connect
	DialTimeoutMS Millis `yaml:"dial_timeout_ms" json:"dial_timeout_ms"`
	// tries to connect, per connection
	DialerRetries int    `yaml:"dialer_retries" json:"dialer_retries"`
	DialerRetryMS Millis `yaml:"dialer_retry_ms" json:"dialer_retry_ms"` // between two of them
	// for a reply; -1: none
	ReadTimeoutMS Millis `yaml:"read_timeout_ms" json:"read_timeout_ms"`
	// for sending a command; -1: none
	WriteTimeoutMS Millis `yaml:"write_timeout_ms" json:"write_timeout_ms"`
	// the deadline of a context also ends what is on the socket
	ContextTimeoutEnabled bool `yaml:"context_timeout_enabled" json:"context_timeout_enabled"`
	// -1: never closed for idleness
	ConnMaxIdleTimeMS Millis `yaml:"conn_max_idle_time_ms" json:"conn_max_idle_time_ms"`
	ConnMaxLifetimeMS Millis `yaml:"conn_max_lifetime_ms" json:"conn_max_lifetime_ms"` // 0: no limit
	// per connection; 0: go-redis's own size
	ReadBufferBytes int `yaml:"read_buffer_bytes" json:"read_buffer_bytes"`
	// per connection; 0: go-redis's own size
	WriteBufferBytes int `yaml:"write_buffer_bytes" json:"write_buffer_bytes"`
	Protocol         int `yaml:"protocol" json:"protocol"` // RESP 2 or 3
	// no CLIENT SETINFO on connecting
	DisableIdentity bool `yaml:"disable_identity" json:"disable_identity"`
	// HandshakeMS is for how long each new connection keeps the server from everything
	// else before it can be used, in milliseconds: a TLS handshake, or a slow
	// authentication. DEBUG SLEEP stands for it, which costs no CPU; the server has to
	// allow it. It is no option of go-redis's, and go-redis knows nothing of it. 0:
	// nothing.
	HandshakeMS Millis `yaml:"handshake_ms" json:"handshake_ms,omitempty"`
}

// Defaults is one worker and client per instance, a single connection that is
// neither retried nor reaped, and buffers that let ten thousand clients fit a
// laptop (12 KiB each instead of go-redis's 80).
func Defaults() Settings {
	return Settings{
		Instances: 1, WorkersPerInstance: 1, ClientsPerInstance: 1,
		Client: ClientOptions{
			PoolSize: 1, MaxRetries: -1, MinRetryBackoffMS: 8, MaxRetryBackoffMS: 512,
			DialTimeoutMS: 1000, DialerRetries: 1, DialerRetryMS: 1,
			ReadTimeoutMS: 1000, WriteTimeoutMS: 1000, PoolTimeoutMS: 1000,
			ConnMaxIdleTimeMS: -1, ReadBufferBytes: 512, WriteBufferBytes: 512,
			Protocol: 2, DisableIdentity: true,
		},
		Waiter: WaiterReturns, Holder: HolderKeeps, Checkout: CheckoutSingle, RedialMS: 10,
		Lock: LockSettings{Tenants: 1, HoldMS: 5, PollMS: 5, Backoff: BackoffNone, BackoffMaxMS: 100,
			OnGiveUp: GiveUpKeeps, Release: ReleaseToken, Pair: PairNone, WaitReplicasMS: 100},
		Limiter:        LimiterSettings{WindowMS: 1000, Limit: 1 << 20, Decision: DecisionLocked},
		Arrivals:       ArrivalSettings{Kind: Closed, Tenant: TenantAny, Queue: 1024},
		ReplaceAfterMS: 100,
	}
}

// option passes a duration on to go-redis, where -1 is a word of its own and
// not a length of time.
func (m Millis) option() time.Duration {
	if m == -1 {
		return -1
	}
	return m.Duration()
}

// Workers is how many run before any trigger.
func (s Settings) Workers() int { return s.Instances * s.WorkersPerInstance }
