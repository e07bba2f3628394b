package harness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/signals"
	"github.com/lockjam/lockjam/harness/watch"
)

// LookoutOptions is which Redis to look at, and how.
type LookoutOptions struct {
	Endpoint   server.Endpoint
	For        time.Duration                 // 0: until the context ends
	Baseline   time.Duration                 // from the start on: what counts as normal
	LockPrefix string                        // of the keys that are locks, such as "lock:"
	Monitor    bool                          // listen to MONITOR, over a second connection
	Canary     bool                          // dial, over and over, as a client would
	Params     map[string]map[string]float64 // of signals, by name, where they differ from the defaults
	Observe    func(Sighting)
}

// Sighting is what is seen in one second. Rates are over that second; a figure that
// was not read is null.
type Sighting struct {
	AtMS         float64         `json:"at_ms"`
	Error        string          `json:"error,omitempty"` // why the server said nothing
	Connected    *int64          `json:"connected_clients"`
	MaxClients   *int64          `json:"maxclients"`
	RejectedPerS *float64        `json:"rejected_per_s"`
	CommandsPerS *float64        `json:"commands_per_s"`
	LockKeys     *int64          `json:"lock_keys"`
	NoTTL        *int64          `json:"lock_keys_without_ttl"`
	OldestIdleS  *float64        `json:"oldest_idle_s"`
	Signals      []SignalSighted `json:"signals"`
}

// SignalSighted is what one signal says.
type SignalSighted struct {
	Name        string   `json:"name"`
	Claim       string   `json:"claim,omitempty"`
	Unavailable string   `json:"unavailable,omitempty"` // why it says nothing here
	Firing      bool     `json:"firing"`
	FiredAtMS   *float64 `json:"fired_at_ms"` // when it fired first; null if it never did
	FiringMS    float64  `json:"firing_ms"`   // how long, all told
}

// Lookout runs the signals against a Redis that runs already. It reads over one
// connection that it opens at the start and keeps, and writes nothing. A
// connection that is lost is opened again, once a second, for as long as it takes.
//
// It returns what was seen last. The error wraps server.ErrUnavailable where there
// was no connection to be had at the start, or none at the end.
func Lookout(ctx context.Context, o LookoutOptions) (Sighting, error) {
	l := &lookout{o: o, started: time.Now(), firedAt: map[string]float64{}, counted: map[string]time.Duration{}, firing: map[string]time.Duration{}}
	over, err := l.connect(ctx)
	if err != nil {
		return Sighting{}, err
	}
	if o.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.For)
		defer cancel()
	}
	c := watch.Config{Elapsed: l.elapsed, Record: l.record, LockPrefix: o.LockPrefix, LocksEvery: time.Second}
	if o.Monitor {
		c.MonitorEvery, c.MonitorFor = time.Second, 200*time.Millisecond
	}
	if o.Canary {
		c.CanaryEvery = 200 * time.Millisecond
	}
	w := watch.New(c, over)
	running, stop := context.WithCancel(ctx)
	defer func() {
		stop()
		l.running.Wait()
		l.disconnect()
		w.Wait()
	}()
	l.running.Go(func() { w.Run(running) })
	return l.look(ctx, w)
}

type lookout struct {
	o       LookoutOptions
	started time.Time
	running sync.WaitGroup
	close   []func() error

	mu      sync.Mutex
	samples []history.Sample

	firedAt map[string]float64       // ms, by signal
	counted map[string]time.Duration // until when its firings have been added up
	firing  map[string]time.Duration // the sum
}

func (l *lookout) elapsed() time.Duration { return time.Since(l.started) }

func (l *lookout) record(s history.Sample) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.samples = append(l.samples, s)
}

// connect opens the connection that is read over, and the one for MONITOR if that
// was asked for.
func (l *lookout) connect(ctx context.Context) (watch.Connections, error) {
	e := l.o.Endpoint
	client, raw, err := server.OpenWatch(ctx, e)
	if err != nil {
		return watch.Connections{}, unreachable(e, err)
	}
	over := watch.Connections{Client: client, NoCanary: "nobody asked for one"}
	l.close = []func() error{raw.Close, client.Close}
	if l.o.Canary {
		over.Dial, over.NoCanary = e.Dial, ""
		if e.TLS != nil {
			over.Dial, over.NoCanary = nil, watch.NoCanaryOverTLS
		}
	}
	if l.o.Monitor {
		monitor, err := server.OpenRaw(ctx, e, "lockjam-watch-monitor")
		if err != nil {
			l.disconnect()
			return watch.Connections{}, unreachable(e, err)
		}
		l.close = append(l.close, monitor.Close)
		over.Listener = watch.NewListener(monitor, e, "lockjam-watch-monitor")
	}
	return over, nil
}

func unreachable(e server.Endpoint, err error) error {
	if errors.Is(err, server.ErrRefused) {
		return fmt.Errorf("%w: the server at %s lets nobody in (%w): begin to watch before the incident, or make room", server.ErrUnavailable, e.Addr, server.ErrRefused)
	}
	return fmt.Errorf("%w: %w", server.ErrUnavailable, err)
}

func (l *lookout) disconnect() {
	for _, c := range l.close {
		_ = c()
	}
	l.close = nil
}

// look reports once a second until the context ends.
func (l *lookout) look(ctx context.Context, w *watch.Watcher) (last Sighting, err error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var lost error
	for {
		select {
		case cause := <-w.Lost():
			w.Use(watch.Connections{})
			l.disconnect()
			lost = cause
			continue
		case <-tick.C:
		case <-ctx.Done():
			if lost != nil {
				err = fmt.Errorf("%w: the connection to %s was lost and did not come back: %w", server.ErrUnavailable, l.o.Endpoint.Addr, lost)
			}
			return l.sight(lost), err
		}
		last = l.sight(lost)
		if l.o.Observe != nil {
			l.o.Observe(last)
		}
		if lost != nil {
			if over, err := l.connect(ctx); err == nil {
				w.Use(over)
				lost = nil
			}
		}
	}
}

// remembered is how far back the signals look, beside the baseline.
const remembered = time.Minute

// view is what the signals see: the baseline and the last minute.
func (l *lookout) view() signals.View {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.elapsed()
	l.samples = slices.DeleteFunc(l.samples, func(s history.Sample) bool {
		return s.At > l.o.Baseline && s.At < now-remembered
	})
	v := signals.View{Samples: slices.Clone(l.samples)}
	if now >= l.o.Baseline {
		v.Baseline = signals.Span{To: l.o.Baseline}
	}
	return v
}

// sight sums up the last second.
func (l *lookout) sight(lost error) Sighting {
	v := l.view()
	now := l.elapsed()
	s := Sighting{AtMS: millis(now), Signals: []SignalSighted{}}
	if lost != nil {
		s.Error = "the connection was lost: " + lost.Error()
	}
	s.counters(v.Samples, now)
	for _, signal := range signals.All() {
		seen := SignalSighted{Name: signal.Name, Claim: signal.Claim, Unavailable: signal.Unavailable(v)}
		if seen.Unavailable == "" {
			l.fires(&seen, signal.Firings(v, signal.Params.With(l.o.Params[signal.Name])))
		}
		s.Signals = append(s.Signals, seen)
	}
	return s
}

// fires adds up what is new since the last time. What ended long ago has been
// counted, and where the samples around it are forgotten it may look new.
func (l *lookout) fires(s *SignalSighted, firings []signals.Firing) {
	for _, f := range firings {
		s.Firing = s.Firing || f.Open
		if !f.Open && f.To < l.elapsed()-remembered/2 {
			continue
		}
		if _, before := l.firedAt[s.Name]; !before {
			l.firedAt[s.Name] = millis(f.From)
		}
		l.firing[s.Name] += max(f.To-max(f.From, l.counted[s.Name]), 0)
		l.counted[s.Name] = max(f.To, l.counted[s.Name])
	}
	if at, ok := l.firedAt[s.Name]; ok {
		s.FiredAtMS = &at
	}
	s.FiringMS = round(millis(l.firing[s.Name]), 0)
}

// counters reads the newest sample, and how its counters grew within a second.
func (s *Sighting) counters(samples []history.Sample, now time.Duration) {
	var recent []history.Sample
	for _, sample := range samples {
		if sample.At >= now-1100*time.Millisecond {
			recent = append(recent, sample)
		}
	}
	var first, last *history.Sample
	for i, sample := range recent {
		if k := sample.Locks; k != nil && k.Error == "" {
			idle := k.OldestIdle.Seconds()
			s.LockKeys, s.NoTTL, s.OldestIdleS = &k.Keys, &k.NoTTL, &idle
		}
		if sample.Server == nil {
			continue
		}
		if first == nil || first.Server.RunID != sample.Server.RunID {
			first = &recent[i]
		}
		last = &recent[i]
	}
	if last == nil {
		if s.Error == "" && len(recent) > 0 {
			s.Error = recent[len(recent)-1].Error
		}
		return
	}
	had := func(field string) bool { _, missing := last.Server.Missing[field]; return !missing }
	if had("connected_clients") {
		s.Connected = &last.Server.Connected
	}
	if had("maxclients") {
		s.MaxClients = &last.Server.MaxClients
	}
	over := (last.At - first.At).Seconds()
	grew := func(field string, from, to int64) *float64 {
		if !had(field) || over <= 0 {
			return nil
		}
		v := round(float64(to-from)/over, 1)
		return &v
	}
	s.RejectedPerS = grew("rejected_connections", first.Server.Rejected, last.Server.Rejected)
	s.CommandsPerS = grew("total_commands_processed", first.Server.Commands, last.Server.Commands)
}

// Fired lists the signals that fired at any time.
func (s Sighting) Fired() []string {
	var names []string
	for _, signal := range s.Signals {
		if signal.FiredAtMS != nil {
			names = append(names, signal.Name)
		}
	}
	return names
}
