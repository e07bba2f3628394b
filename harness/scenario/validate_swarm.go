package scenario

import "github.com/lockjam/lockjam/harness/swarm"

func checkSwarm(c *checker, of *Scenario) {
	c.check(of, swarmFields)
	s := &of.Swarm
	if s.Checkout == swarm.CheckoutNested && s.Client.PoolSize < 2 {
		c.fail(on("swarm.checkout", "swarm.client.pool_size"),
			"%s: a decision takes two connections, and the pool has %d",
			quote(string(s.Checkout)), s.Client.PoolSize)
	}
	checkWorkers(c, "swarm.instances", s.Instances, s)
	if s.ClientsPerInstance > s.WorkersPerInstance {
		c.fail(on("swarm.clients_per_instance", "swarm.workers_per_instance"),
			"%d: more clients than the %d workers per instance leaves some idle", s.ClientsPerInstance,
			s.WorkersPerInstance)
	}
	if s.Holder == swarm.HolderRedials {
		checkHangsUp(c, "swarm.holder", "a holder that redials", s)
	}
	if s.Lock.OnGiveUp == swarm.GiveUpCloses {
		checkHangsUp(c, "swarm.lock.on_give_up", "a worker that gives up", s)
	}
}

// checkHangsUp checks that a worker which closes its client, as the setting at key has it, closes
// no other worker's connection with it.
func checkHangsUp(c *checker, key, who string, s *swarm.Settings) {
	if s.ClientsPerInstance < s.WorkersPerInstance {
		c.fail(on("swarm.clients_per_instance", "swarm.workers_per_instance", key),
			"%d: %s closes its client, so each of the %d workers per instance needs its own",
			s.ClientsPerInstance, who, s.WorkersPerInstance)
	}
	if s.Client.PoolSize != 1 {
		c.fail(on("swarm.client.pool_size", key), "%d: want 1, for %s has one connection to close", s.Client.PoolSize,
			who)
	}
}

// checkWorkers bounds how many workers so many instances have.
func checkWorkers(c *checker, key string, instances int, s *swarm.Settings) {
	// A factor so large that the product overflows has failed by itself.
	if n := instances * s.WorkersPerInstance; n > maxWorkers {
		c.fail(on(key, "swarm.workers_per_instance"), "%d instances of %d workers are %d workers: want at most %d",
			instances, s.WorkersPerInstance, n, maxWorkers)
	}
}

// checkClient keeps out the zeros that go-redis replaces by defaults of its own,
// which no run would have on record, and negative durations: go-redis knows -1
// nanosecond, but not -1 millisecond.
func checkClient(c *checker, s *Scenario) {
	c.check(s, clientFields)
	o := s.Swarm.Client
	if o.MinRetryBackoffMS > o.MaxRetryBackoffMS {
		c.fail(on("swarm.client.min_retry_backoff_ms", "swarm.client.max_retry_backoff_ms"),
			"%s: more than max_retry_backoff_ms, %s",
			figure(float64(o.MinRetryBackoffMS)), figure(float64(o.MaxRetryBackoffMS)))
	}
	if o.Protocol != 2 && o.Protocol != 3 {
		c.fail(on("swarm.client.protocol"), "%d: want 2 or 3", o.Protocol)
	}
}

func checkLock(c *checker, s *Scenario) {
	c.check(s, lockFields)
	l := s.Swarm.Lock
	if l.RenewMS > 0 && l.RenewMS >= l.TTLMS {
		c.fail(on("swarm.lock.renew_ms", "swarm.lock.ttl_ms"),
			"%s: want less than ttl_ms, %s, or there is nothing to renew",
			figure(float64(l.RenewMS)), figure(float64(l.TTLMS)))
	}
	checkPair(c, &s.Swarm)
	if l.OnGiveUp == swarm.GiveUpCloses && l.AcquireTimeoutMS == 0 {
		c.fail(on("swarm.lock.on_give_up", "swarm.lock.acquire_timeout_ms"),
			"%s: without an acquire_timeout_ms no worker gives up", quote(string(l.OnGiveUp)))
	}
	if l.Backoff != swarm.BackoffNone && l.BackoffMaxMS < l.PollMS {
		c.fail(on("swarm.lock.backoff_max_ms", "swarm.lock.poll_ms", "swarm.lock.backoff"),
			"%s: want at least poll_ms, %s",
			figure(float64(l.BackoffMaxMS)), figure(float64(l.PollMS)))
	}
}

// checkPair checks decisions that take two locks.
func checkPair(c *checker, s *swarm.Settings) {
	const pair, gap, wait = "swarm.lock.pair", "swarm.lock.pair_gap_ms", "swarm.lock.pair_wait_ms"
	l := s.Lock
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
		c.fail(on(pair, "swarm.limiter.decision"), "%s: a decision by %s takes no lock", quote(string(l.Pair)),
			s.Limiter.Decision)
	}
}

func checkArrivals(c *checker, s *Scenario) {
	const kind, rate, queue, think = "swarm.arrivals.kind", "swarm.arrivals.rate_per_s", "swarm.arrivals.queue",
		"swarm.arrivals.think_ms"
	const tenant, deadline, retries, budget, ramp = "swarm.arrivals.tenant", "swarm.arrivals.deadline_ms",
		"swarm.arrivals.retries", "swarm.arrivals.retry_budget", "swarm.arrivals.ramp_ms"
	const jitter = "swarm.arrivals.think_jitter_ms"
	c.check(s, arrivalsFields)
	a := &s.Swarm.Arrivals
	switch a.Kind {
	case swarm.Open:
		if a.Tenant == swarm.TenantByWorker {
			c.fail(on(tenant, kind), "only closed arrivals are by worker; an open one is taken up by any free worker")
		}
		for _, key := range []string{think, jitter} {
			if c.has(key) {
				c.fail(on(key, kind), "only closed arrivals pause between two requests")
			}
		}
		if c.has(ramp) {
			c.fail(on(ramp, kind), "only closed arrivals have workers that make their own requests")
		}
		checkCallers(c, a)
	case swarm.Closed:
		for _, key := range []string{rate, queue, deadline, retries, budget} {
			if c.has(key) {
				c.fail(on(key, kind), "only open arrivals have one")
			}
		}
	}
}

// checkCallers checks how callers without an answer ask again.
func checkCallers(c *checker, a *swarm.ArrivalSettings) {
	const deadline, retries, budget = "swarm.arrivals.deadline_ms", "swarm.arrivals.retries",
		"swarm.arrivals.retry_budget"
	if a.Retries > 0 && a.DeadlineMS == 0 {
		c.fail(on(retries, deadline), "%d: a caller that waits for ever does not ask again: set deadline_ms", a.Retries)
	}
	if a.RetryBudget > 0 && a.Retries == 0 {
		c.fail(on(budget, retries), "%s: there are no retries to limit", figure(a.RetryBudget))
	}
}
