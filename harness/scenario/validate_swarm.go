package scenario

import (
	"github.com/lockjam/lockjam/harness/swarm"
)

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
