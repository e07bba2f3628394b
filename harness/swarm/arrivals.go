package swarm

import (
	"context"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// request is one call of the rate limiter.
type request struct {
	tenant   int32
	intended time.Duration // when it was meant to start, whether or not a worker was free
	call     *call         // nil where no caller has a deadline
}

// arrivals hands requests to workers. In a closed system a worker makes its
// own next request; in an open one requests come at their own rate and wait in
// a bounded queue, with the moment they were meant to start: measuring from
// the moment a worker took them up would leave out the waiting (coordinated
// omission).
type arrivals struct {
	settings ArrivalSettings
	tenants  int32
	workers  int          // that run from the start
	queue    chan request // nil in a closed system
	dropped  atomic.Int64
	hot      atomic.Int32  // 1 and up: all requests are for this tenant less one
	rate     atomic.Uint64 // math.Float64bits of the requests per second, of an open system
	callers  callers
}

func newArrivals(s Settings) *arrivals {
	a := &arrivals{settings: s.Arrivals, tenants: int32(s.Lock.Tenants), workers: s.Workers()}
	if s.Arrivals.Kind == Open {
		a.queue = make(chan request, s.Arrivals.Queue)
	}
	a.setRate(s.Arrivals.RatePerS)
	a.callers.set(s.Arrivals)
	return a
}

// late is how long after the others of the start a worker begins, by its id.
func (a *arrivals) late(id int) time.Duration {
	if id > a.workers {
		return 0 // it comes later by itself
	}
	return a.settings.RampMS.Duration() * time.Duration(id-1) / time.Duration(a.workers)
}

// next waits for a worker's next request; false ends the worker.
func (a *arrivals) next(ctx context.Context, w *worker) (request, bool) {
	if a.queue == nil {
		ok := sleep(ctx, spread(a.settings.ThinkMS, a.settings.ThinkJitterMS, w.rng)+w.late)
		w.late = 0
		tenant := int32(w.place) % a.tenants
		if a.settings.Tenant == TenantAny {
			tenant = w.rng.Int32N(a.tenants)
		}
		return request{tenant: a.of(tenant), intended: w.elapsed()}, ok
	}
	// Of two that are ready select takes either: a worker that is told to stop takes nothing up.
	if ctx.Err() != nil {
		return request{}, false
	}
	select {
	case <-ctx.Done():
		return request{}, false
	case r := <-a.queue:
		return r, true
	}
}

// generate offers requests as a Poisson process until the context ends. It
// catches up after a late timer, so that the rate holds on a busy machine.
func (a *arrivals) generate(ctx context.Context, rng *rand.Rand, elapsed func() time.Duration) {
	gap := func() time.Duration {
		return time.Duration(rng.ExpFloat64() / math.Float64frombits(a.rate.Load()) * float64(time.Second))
	}
	for at := elapsed() + gap(); sleep(ctx, at-elapsed()); at += gap() {
		a.call(ctx, request{tenant: a.of(rng.Int32N(a.tenants)), intended: at}, 0, elapsed)
	}
}

// offer puts a request into the queue, or drops it.
func (a *arrivals) offer(r request) {
	select {
	case a.queue <- r:
	default:
		a.dropped.Add(1)
	}
}

func (a *arrivals) setRate(perSecond float64) { a.rate.Store(math.Float64bits(perSecond)) }

// Spike lets requests come at another rate for a while, as when a batch job or a
// news item sends everybody at once. It ends early with the context.
// In a closed system there is no rate, and nothing happens.
func (s *Swarm) Spike(ctx context.Context, perSecond float64, length time.Duration) {
	s.arrivals.setRate(perSecond)
	defer s.arrivals.setRate(s.config.Settings.Arrivals.RatePerS)
	sleep(ctx, length)
}

// of is the tenant that a request is for: its own, or the hot one.
func (a *arrivals) of(tenant int32) int32 {
	if hot := a.hot.Load(); hot > 0 {
		return hot - 1
	}
	return tenant
}

// Focus makes every request from now on ask for one tenant, as when one customer
// out of many is on everybody's mind. What waits in a queue already stays as it is.
func (s *Swarm) Focus(tenant int32) { s.arrivals.hot.Store(tenant + 1) }
