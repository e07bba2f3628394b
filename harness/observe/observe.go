// Package observe runs the signals against a Redis that runs already (`lockjam watch`), and says
// what they show, second by second.
package observe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/sampler"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/signals"
	"github.com/lockjam/lockjam/harness/text"
)

// Options is which Redis to look at, and how.
type Options struct {
	Endpoint   server.Endpoint
	For        time.Duration                 // 0: until the context ends
	Baseline   time.Duration                 // from the start on: what counts as normal
	LockPrefix string                        // of the keys that are locks, such as "lock:"
	Monitor    bool                          // listen to MONITOR, over a second connection
	Canary     bool                          // dial, over and over, as a client would
	Params     map[string]map[string]float64 // of signals, by name, where they differ from the defaults
	Observe    func(Reading)
}

// What watch listens to, and how often it dials.
const (
	monitorEvery = time.Second
	monitorBurst = 200 * time.Millisecond
	canaryEvery  = 200 * time.Millisecond
)

// Setting is where the signals are going to be run, for [signals.CheckParams].
func (o Options) Setting() signals.Setting {
	in := signals.Setting{Lasts: o.For}
	if o.Monitor {
		in.Burst = monitorBurst
	}
	if o.Canary {
		in.CanaryEvery = canaryEvery
	}
	return in
}

// Run runs the signals against a Redis that runs already. It reads over one
// connection that it opens at the start and keeps, and writes nothing. A
// connection that is lost is opened again, once a second, for as long as it takes.
//
// It returns what was seen last. The error wraps server.ErrUnavailable where there
// was no connection to be had at the start, or none at the end.
func Run(ctx context.Context, o Options) (Reading, error) {
	l := &observer{
		o: o, firedAt: map[string]float64{}, counted: map[string]time.Duration{}, firing: map[string]time.Duration{},
		comparisons: map[string]*comparison{}, account: newAccount(), remembers: remembers(o),
	}
	if l.open = l.connect(ctx, firstAttempt); l.open.err != nil {
		return Reading{}, l.open.err
	}
	l.started = time.Now()
	if o.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.For)
		defer cancel()
	}
	c := sampler.Config{Elapsed: l.elapsed, Record: l.record, LockPrefix: o.LockPrefix, LocksEvery: time.Second}
	if o.Monitor {
		c.MonitorEvery, c.MonitorFor = monitorEvery, monitorBurst
	}
	if o.Canary {
		c.CanaryEvery = canaryEvery
	}
	w := sampler.New(c, l.open.over)
	running, stop := context.WithCancel(ctx)
	back := make(chan opened, 1) // of the one attempt that may be under way
	defer func() {
		stop()
		l.running.Wait()
		select {
		case late := <-back:
			late.shut()
		default:
		}
		l.open.shut()
		w.Wait()
	}()
	l.running.Go(func() { w.Run(running) })
	return l.look(running, w, back)
}

type observer struct {
	o       Options
	started time.Time
	running sync.WaitGroup
	open    opened

	mu       sync.Mutex
	lost     error // why there is no connection; nil while there is
	failed   error // why the last attempt to get another one came to nothing; nil before it is over
	samples  []history.Sample
	account  account
	role     role
	answered time.Duration // when the server answered last, be it that it will not say
	told     time.Duration // when INFO was told last
	refusal  string        // what was said instead

	remembers   time.Duration
	comparisons map[string]*comparison // by signal

	firedAt map[string]float64       // ms, by signal
	counted map[string]time.Duration // until when its firings have been added up
	firing  map[string]time.Duration // the sum
}

func (l *observer) elapsed() time.Duration { return time.Since(l.started) }

func (l *observer) record(s history.Sample) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Error = l.o.Endpoint.Redact(s.Error)
	l.samples = append(l.samples, s)
	switch {
	case s.Server != nil:
		l.answered, l.told, l.refusal = s.At, s.At, ""
		l.role.enter(s.Server.Role)
	case !unsaid(s):
		l.answered, l.refusal = s.At, s.Error
	}
	why := s.Error
	if l.lost != nil {
		why = l.away("no other one")
	}
	l.account.enter(s, why)
}

// away says what became of the connection, and why what is done about it has failed so
// far, if it has. It needs l.mu.
func (l *observer) away(done string) string {
	why := "the connection was lost: " + l.o.Endpoint.Redact(l.lost.Error())
	switch {
	case l.failed != nil:
		why += "; " + done + ": " + l.o.Endpoint.Redact(l.failed.Error())
	case done == trying:
		why += "; " + done
	}
	return why
}

const trying = "trying again"

// role is the server's part in replication, and its changes.
type role struct {
	now, before string // "" if not known
	changes     int
}

func (r *role) enter(now string) {
	if now == "" || now == r.now {
		return
	}
	if r.now != "" {
		r.before = r.now
		r.changes++
	}
	r.now = now
}

// opened are connections, and how to close them.
type opened struct {
	over  sampler.Connections
	close []func() error
	err   error // why there are none: an ErrUnavailable
	cause error // the same in the words of the server or of the network
}

func (o *opened) shut() {
	for _, c := range o.close {
		_ = c()
	}
	o.close = nil
}

// connect opens the connection that is read over, and the one for MONITOR if that
// was asked for, within a time.
func (l *observer) connect(ctx context.Context, limit time.Duration) (o opened) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("timed out after %v", limit))
	defer cancel()
	e := l.o.Endpoint
	client, raw, err := server.OpenWatch(ctx, e)
	if err != nil {
		return opened{err: unreachable(e, err), cause: err}
	}
	o.over = l.canary()
	o.over.Client = client
	o.close = []func() error{raw.Close, client.Close}
	if l.o.Monitor {
		monitor, err := server.OpenRaw(ctx, e, "lockjam-watch-monitor")
		if err != nil {
			o.shut()
			return opened{err: unreachable(e, err), cause: err}
		}
		o.close = append(o.close, monitor.Close)
		o.over.Listener = sampler.NewListener(monitor, e, "lockjam-watch-monitor")
	}
	return o
}

// canary is the part of the connections that needs none to be open.
func (l *observer) canary() sampler.Connections {
	switch e := l.o.Endpoint; {
	case !l.o.Canary:
		return sampler.Connections{NoCanary: "not requested"}
	case e.TLS != nil:
		return sampler.Connections{NoCanary: sampler.NoCanaryOverTLS}
	default:
		return sampler.Connections{Dial: e.Dial}
	}
}

func unreachable(e server.Endpoint, err error) error {
	if errors.Is(err, server.ErrRefused) {
		return fmt.Errorf("%w: the server at %s admits no client (%w): start watching before the incident, or free a slot", server.ErrUnavailable, e.Addr, server.ErrRefused)
	}
	return fmt.Errorf("%w: %w", server.ErrUnavailable, e.RedactError(err))
}

// firstAttempt bounds the opening of the connections at the start, and attempt that of
// others later: what takes longer than an answer may take is no connection to look over.
const (
	firstAttempt = 10 * time.Second
	attempt      = lately
)

// look reports once a second until the context ends. A connection that is lost is
// opened again in the background, since a server in trouble takes its time.
func (l *observer) look(ctx context.Context, w *sampler.Sampler, back chan opened) (Reading, error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	attempting := false
	again := func() {
		attempting = true
		l.running.Go(func() { back <- l.connect(ctx, attempt) })
	}
	for {
		select {
		case cause := <-w.Lost():
			if l.lose(cause) { // else it is the same trouble once more
				w.Use(l.canary())
				l.open.shut()
				if !attempting {
					again()
				}
			}
			continue
		case found := <-back:
			attempting = false
			if l.found(ctx, found) {
				l.open = found
				w.Use(found.over)
			}
			continue
		case <-ctx.Done():
			return l.sight(true), l.ended()
		case <-tick.C:
		}
		if seen := l.sight(false); l.o.Observe != nil {
			l.o.Observe(seen)
		}
		if l.isLost() && !attempting {
			again()
		}
	}
}

// lose takes note that the connection is gone, unless that is known.
func (l *observer) lose(cause error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost != nil {
		return false
	}
	l.lost, l.failed = cause, nil
	return true
}

// found takes note of an attempt to open the connections again: whether they are open. One
// that was cut off by the end of the watch says nothing.
func (l *observer) found(ctx context.Context, o opened) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case o.err == nil:
		l.lost, l.failed = nil, nil
	case ctx.Err() == nil:
		l.failed = o.cause
	}
	return o.err == nil
}

func (l *observer) isLost() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost != nil
}

// ended is the error of a watch that ends without a connection.
func (l *observer) ended() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost == nil {
		return nil
	}
	e := l.o.Endpoint
	err := fmt.Errorf("%w: the connection to %s was lost and did not come back: %w",
		server.ErrUnavailable, e.Addr, e.RedactError(l.lost))
	if l.failed != nil {
		err = fmt.Errorf("%w; the last attempt: %w", err, e.RedactError(l.failed))
	}
	return err
}

// remembered is how far back the signals look, beside the baseline.
const remembered = time.Minute

// lately is how old the server's last answer may be to say something of now.
const lately = 2 * time.Second

// view is what the signals see: the baseline and the last minute. Unanswered is for
// how long the server has said nothing, 0 if it has lately; stale is why what it
// told before says nothing of now, "" if it does.
func (l *observer) view() (v signals.View, unanswered time.Duration, stale string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.elapsed()
	l.forget(now)
	v.Samples = slices.Clone(l.samples)
	if unanswered = now - l.answered; unanswered < lately {
		unanswered = 0
	}
	switch untold := now - l.told; {
	case unanswered > 0:
		stale = notAnswered(unanswered)
	case untold >= lately:
		stale = fmt.Sprintf("INFO has told nothing for %.0f s: %s", untold.Seconds(), l.refusal)
	}
	return v, unanswered, stale
}

// sight sums up the last second, and at the end of the watch all that was not known.
func (l *observer) sight(last bool) Reading {
	v, unanswered, stale := l.view()
	now := l.elapsed()
	s := Reading{AtMS: text.Millis(now), UnansweredMS: text.Round(text.Millis(unanswered), 0),
		Signals: []SignalReading{}}
	s.counters(v.Samples, now)
	s.locks(v.Samples, now)
	s.monitor(v.Samples, now)
	if l.o.Canary {
		s.canary(v.Samples)
	}
	l.mu.Lock()
	switch {
	case l.lost != nil:
		s.Error = l.away(trying)
	case unanswered > 0:
		s.Error = stale
	}
	if s.RoleChanges = l.role.changes; s.RoleChanges > 0 {
		s.RoleBefore = &l.role.before
	}
	l.mu.Unlock()
	for _, signal := range signals.All() {
		s.Signals = append(s.Signals, readSignal(l, signal, v, stale, now))
	}
	l.unknown(&s, now, last)
	return s
}

// readSignal asks one signal.
func readSignal(l *observer, signal signals.Signal, v signals.View, stale string, now time.Duration) SignalReading {
	seen := SignalReading{Name: signal.Name, Claim: signal.Claim}
	params := signal.Params.With(l.o.Params[signal.Name])
	compared := l.compared(signal, v, now)
	if compared != nil {
		v.Baseline = compared.baseline
	}
	if seen.Unavailable = signal.Unavailable(v); seen.Unavailable == "" {
		addFirings(l, &seen, compared.after(signal.Firings(v, params)))
		seen.Unavailable = outdated(signal, v, stale, now)
	}
	compared.wait(&seen, signal, v, params)
	if seen.Unavailable != "" {
		seen.Firing = nil
	}
	if at, ok := l.firedAt[seen.Name]; ok {
		seen.FiredAtMS = &at
	}
	seen.FiringMS = text.Round(text.Millis(l.firing[seen.Name]), 0)
	return seen
}

// unknown adds what was not known so far; the gaps themselves at the end alone.
func (l *observer) unknown(s *Reading, now time.Duration, last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	gaps, total := l.account.server.so(now)
	s.UnknownMS = text.Round(text.Millis(total), 0)
	if last {
		s.Unknown = gaps
	}
	for i := range s.Signals {
		x := &s.Signals[i]
		gaps, total, known, differ := l.account.of(x.Name, now)
		if !known {
			continue
		}
		ms := text.Round(text.Millis(total), 0)
		x.UnknownMS = &ms
		if last && differ {
			x.Unknown = gaps
		}
	}
}

func notAnswered(d time.Duration) string {
	return fmt.Sprintf("the server has not answered for %.0f s", d.Seconds())
}

// outdated says why what a signal made of everything so far says nothing of now, ""
// where it does. What can be read without any answer to our questions is the
// canary's, and that one has to have been told something lately.
func outdated(signal signals.Signal, v signals.View, stale string, now time.Duration) string {
	bare := signals.View{Samples: slices.Clone(v.Samples), Baseline: v.Baseline}
	for i := range bare.Samples {
		s := &bare.Samples[i]
		s.Server, s.Locks, s.Monitor = nil, nil, nil
	}
	if signal.Unavailable(bare) == "" {
		return unheard(v.Samples, now)
	}
	if stale != "" {
		return stale
	}
	// What was read before its newest reading failed is old.
	var locks, monitor bool
	for i := range slices.Backward(bare.Samples) {
		s, was := &bare.Samples[i], v.Samples[i]
		s.Server = was.Server
		if !locks {
			s.Locks, locks = was.Locks, was.Locks != nil && was.Locks.Error != ""
		}
		if !monitor {
			s.Monitor, monitor = was.Monitor, was.Monitor != nil && was.Monitor.Error != ""
		}
	}
	return signal.Unavailable(bare)
}

// unheard says that nothing answered the canary lately, "" where something did.
func unheard(samples []history.Sample, now time.Duration) string {
	told := func(c *history.Canary) int64 { return c.Admitted + c.Refused + c.Cut }
	last, since := int64(-1), time.Duration(0) // since when it is what it is now
	for i := range samples {
		if c := samples[i].Canary; c != nil && told(c) != last {
			last, since = told(c), samples[i].At
		}
	}
	if now-since < lately {
		return ""
	}
	return fmt.Sprintf("nothing has answered the canary for %.0f s", (now - since).Seconds())
}

// addFirings adds up what is new since the last time. What ended long ago has been
// counted, and where the samples around it are forgotten it may look new.
func addFirings(l *observer, s *SignalReading, firings []signals.Firing) {
	on := false
	s.Firing = &on
	for _, f := range firings {
		on = on || f.Open
		if !f.Open && f.To < l.elapsed()-l.remembers/2 {
			continue
		}
		if _, before := l.firedAt[s.Name]; !before {
			l.firedAt[s.Name] = text.Millis(f.From)
		}
		l.firing[s.Name] += max(f.To-max(f.From, l.counted[s.Name]), 0)
		l.counted[s.Name] = max(f.To, l.counted[s.Name])
	}
}
