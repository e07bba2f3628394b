// Package watch looks at a Redis while something happens to it: its counters, its
// lock keys, what MONITOR shows of them, and what it tells a client that comes to
// a full house. It writes nothing, opens no connection of its own but the canary's,
// and what it cannot read it says it could not.
package sampler

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/history"
)

// SampleEvery is how often the server's counters are read.
const Every = 100 * time.Millisecond

// Config is what is watched, and where it goes.
type Config struct {
	Elapsed func() time.Duration // since the one start of all offsets
	Record  func(history.Sample) // told of one at a time

	ServerCPU    func() time.Duration // see history.Sample; nil where it cannot be seen
	Swarm        func() history.Swarm // the workers' own counts; nil where the clients are others'
	Census       func(*redis.Client) history.Census
	RecordCensus func(history.Census)

	LockPrefix string // of the keys that are locks
	// How often each part is looked at; 0 is never. MONITOR is listened to for
	// MonitorFor at a time: it shows every command of every client, and Redis pays
	// for each.
	LocksEvery, CanaryEvery, MonitorEvery, MonitorFor time.Duration
}

// Connections are what a Watcher reads over. They are opened before it is needed,
// for a full server admits no client.
type Connections struct {
	Client   *redis.Client                           // one connection, without timeouts; see server.Control
	Listener *Listener                               // nil: no MONITOR
	Dial     func(context.Context) (net.Conn, error) // of the canary; nil: no canary
	NoCanary string                                  // why there is none
}

// Watcher takes the samples. A server that does not answer does not hold them up:
// they come without the server's part until it does, since that is what an
// incident looks like from outside.
type Sampler struct {
	config Config
	canary *canary
	lost   chan error // the server went away, and not by our doing

	mu       sync.Mutex
	over     Connections   // empty while the server is being restarted
	asked    chan struct{} // closed when the query under way is answered; nil if there is none
	answer   reading
	answered time.Duration    // when
	late     bool             // the answer is not taken yet
	heard    *history.Monitor // since the last sample
	queries  sync.WaitGroup
	stolen   atomic.Int64 // ns, since the last sample

	// What the questions remember; only the one query at a time touches ledger, keys and stood.
	own    own
	ledger ledger
	keys   *keys
	stood  map[string]string // INFO, when the standing sections were in it last

	counting bool // whether censuses are taken
	census   pace
	locks    pace
	standing pace
}

// reading is one answer of the server.
type reading struct {
	server *history.Server
	locks  *history.Locks
	took   time.Duration
	err    error
}

// New makes a Watcher that reads over the given connections. It does nothing until
// Run or Now.
func New(c Config, over Connections) *Sampler {
	w := &Sampler{config: c, over: over, lost: make(chan error, 1), keys: newKeys(c.LockPrefix + "*")}
	if c.CanaryEvery > 0 && over.Dial != nil {
		w.canary = newCanary(w.dial, c.CanaryEvery)
		w.canary.ran, w.canary.turnedDown = w.own.ran, w.own.refused
	}
	w.count(over)
	return w
}

// Use directs the watcher to other connections; none stops its questions. Those
// of before are closed by then.
func (w *Sampler) Use(over Connections) {
	w.own.reopened()
	w.count(over)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = over
	w.late = false // of the server before, or its life before
	w.standing = pace{}
}

// count makes what is asked over the connections count as the watching's own.
func (w *Sampler) count(over Connections) {
	w.own.counts(over.Client)
	if over.Listener != nil {
		over.Listener.ran = w.own.ran
	}
}

// Lost delivers the error with which the server went away, unless it was lockjam that
// closed the connection.
func (w *Sampler) Lost() <-chan error { return w.lost }

// Wait returns when no query is under way. The owner of the connection closes it
// to cut that short.
func (w *Sampler) Wait() { w.queries.Wait() }

// NoCanaryOverTLS is why a server that speaks TLS gets no canary: it turns a client
// away before the handshake, and says nothing then (networking.c,
// acceptCommonHandler).
const NoCanaryOverTLS = "over TLS a full server hangs up without a word"

var errAway = errors.New(NoConnection)

// dial is the canary's.
func (w *Sampler) dial(ctx context.Context) (net.Conn, error) {
	w.mu.Lock()
	dial := w.over.Dial
	w.mu.Unlock()
	if dial == nil {
		return nil, errAway
	}
	return dial(ctx)
}

// Run samples until the context ends. See Wait for the query that may be under
// way then.
func (w *Sampler) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if w.config.Swarm != nil {
		wg.Go(func() { measureDelays(ctx, w) })
	}
	if w.canary != nil {
		wg.Go(func() { w.canary.run(ctx) })
	}
	if w.config.MonitorEvery > 0 {
		wg.Go(func() { w.listen(ctx) })
	}
	tick := time.NewTicker(Every)
	defer tick.Stop()
	for {
		if r := w.ask(ctx); !errors.Is(r.err, errOver) {
			// else it is the end of the watching, and says nothing of the server
			w.sample(r)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// A sleeper that asks for nap and is woken more than grace late was kept from
// running, and so was everything else in this process: by other programs, by a
// paused virtual machine, or by a swarm that is too large for the machine.
const (
	nap   = 5 * time.Millisecond
	grace = time.Millisecond
)

// measureDelays adds up how late it is woken (as jHiccup does). Goodput that is
// lost while lockjam itself does not run says nothing about Redis.
func measureDelays(ctx context.Context, w *Sampler) {
	for ctx.Err() == nil {
		begun := time.Now()
		time.Sleep(nap)
		if late := time.Since(begun) - nap; late > grace {
			w.stolen.Add(int64(late))
		}
	}
}

// listen puts what MONITOR shows beside the samples.
func (w *Sampler) listen(ctx context.Context) {
	tick := time.NewTicker(w.config.MonitorEvery)
	defer tick.Stop()
	for {
		w.mu.Lock()
		over := w.over.Listener
		w.mu.Unlock()
		if over != nil {
			heard := over.Listen(ctx, w.config.MonitorFor, w.config.Elapsed, w.config.LockPrefix)
			w.mu.Lock()
			// What ended because we closed the connection or the run is no finding.
			if w.over.Listener == over && ctx.Err() == nil {
				w.heard = &heard
			}
			w.mu.Unlock()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Now takes one sample.
func (w *Sampler) Now(ctx context.Context) history.Sample { return w.sample(w.ask(ctx)) }

func (w *Sampler) sample(r reading) history.Sample {
	w.mu.Lock()
	defer w.mu.Unlock()
	sample := history.Sample{Took: r.took, SchedDelay: time.Duration(w.stolen.Swap(0)), Server: r.server,
		Locks: r.locks, Monitor: w.heard}
	w.heard = nil
	if w.canary != nil {
		counts := w.canary.counts()
		sample.Canary = &counts
	} else if why := w.over.NoCanary; why != "" {
		sample.Canary = &history.Canary{Error: why}
	}
	if w.config.Swarm != nil {
		sample.Swarm = w.config.Swarm()
	}
	if w.config.ServerCPU != nil {
		sample.ServerCPU = w.config.ServerCPU()
	}
	sample.At = w.config.Elapsed()
	if r.err != nil {
		sample.Error = r.err.Error()
	}
	w.config.Record(sample)
	return sample
}

// patience is how long a sample waits for the server's part. An answer that comes later
// is the next sample's, and its connection is never given up: a new one would need a
// slot.
const patience = Every * 8 / 10

var (
	errNoAnswer = errors.New(NoAnswer)
	errOver     = errors.New("the watching ended before the server answered")
)

// Errors of samples that are not the server's own words.
const (
	NoAnswer     = "the server did not answer in time"
	NoConnection = "there is no connection to the server at the moment"
)

func (w *Sampler) ask(ctx context.Context) reading {
	w.mu.Lock()
	if w.over.Client == nil {
		w.mu.Unlock()
		return reading{err: errAway}
	}
	// A reply that was not waited for any more when it came: a server that is slow to answer
	// may do so once in seconds. It is as old as the time between two samples at most.
	if w.late && w.config.Elapsed()-w.answered < Every {
		defer w.mu.Unlock()
		return takeAnswer(w)
	}
	if w.asked == nil {
		w.asked = make(chan struct{})
		client, done := w.over.Client, w.asked
		w.queries.Go(func() { w.query(client, done) })
	}
	asked := w.asked
	w.mu.Unlock()

	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-asked:
		w.mu.Lock()
		defer w.mu.Unlock()
		return takeAnswer(w)
	case <-timer.C:
		return reading{took: patience, err: errNoAnswer}
	case <-ctx.Done():
		return reading{err: errOver}
	}
}

// takeAnswer returns the latest reading and its waiters, and marks it consumed. The caller
// holds the sampler's mu.
func takeAnswer(w *Sampler) reading {
	w.late = false
	return w.answer
}

// query asks the server for everything that is due, over the one connection.
func (w *Sampler) query(c *redis.Client, done chan struct{}) {
	ctx := context.Background()
	begun := time.Now()
	server, err := w.readServer(ctx, c)
	r := reading{server: server, took: time.Since(begun), err: err}
	var census *history.Census
	if err == nil && w.due(&w.locks, w.config.LocksEvery) {
		begun := w.config.Elapsed()
		var locks history.Locks
		locks, err = w.keys.look(ctx, c, server.RunID)
		r.locks = &locks
		w.rest(&w.locks, w.config.Elapsed()-begun)
	}
	if err == nil && censusDue(w) {
		taken := w.config.Census(c)
		census = &taken
		w.rest(&w.census, taken.Took)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if census != nil && w.counting { // the recorder may be closed once counting has ended
		w.config.RecordCensus(*census)
	}
	w.answer, w.answered = r, w.config.Elapsed()
	w.late = w.over.Client == c // until it is taken
	w.asked = nil
	close(done)
	// The connection has no timeouts: unless we closed it ourselves, an error that
	// is not the server's own answer means that the server is gone.
	var answer redis.Error
	if err != nil && w.over.Client == c && !errors.As(err, &answer) {
		select {
		case w.lost <- err:
		default:
		}
	}
}

// duty bounds what looking may cost: whatever takes a while is not looked at again before
// so many times as long.
const duty = 20

// pace is when something is looked at again. It needs the watcher's mu.
type pace struct {
	next time.Duration // not before
	took time.Duration // the last time
}

// due reports whether it is time for something that is looked at every so often.
func (p *pace) due(now, every time.Duration) bool {
	if every <= 0 || now < p.next {
		return false
	}
	p.next = now + every
	return true
}

// rest puts off what takes long, which is what took long twice in a row: a machine that
// stalls for a moment makes anything take long once, and a census that was put off for
// it would miss the incident.
func (p *pace) rest(now, took time.Duration) {
	p.next = max(p.next, now+duty*min(took, p.took))
	p.took = took
}

func (w *Sampler) due(p *pace, every time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return p.due(w.config.Elapsed(), every)
}

func (w *Sampler) rest(p *pace, took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p.rest(w.config.Elapsed(), took)
}

// Count begins or ends the taking of censuses: one with every sample, as far as
// their cost allows. None is recorded after it has ended.
func (w *Sampler) Count(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counting = on
}

func censusDue(w *Sampler) bool {
	w.mu.Lock()
	counting := w.counting
	w.mu.Unlock()
	return counting && w.due(&w.census, Every/2)
}
