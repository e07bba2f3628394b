// Package metrics tells Prometheus what a run is doing.
package metrics

import (
	"net/http"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
)

// Live is a run that goes on, in figures. Counters go by scenario, arm and image, of
// which there are as many as the run has, and add up over repeats and attempts. What an
// arm is doing goes by its repeat as well, and is dropped when the arm has finished.
type Live struct {
	registry *prometheus.Registry

	decisions, rejected                *prometheus.CounterVec
	finished, repeated, replies        *prometheus.CounterVec
	workers, waiting, connected, limit *prometheus.GaugeVec
	phase, run                         *prometheus.GaugeVec
	running                            prometheus.Gauge

	mu   sync.Mutex
	arms map[key]*result.Load // of those that run: the last sample, nil before the first
}

// key tells an arm from the others that run.
type key struct {
	scenario, arm, image string
	repeat               int
}

var (
	perArm    = []string{"scenario", "arm", "image"} // image is empty in a run on one
	perRepeat = append(perArm[:3:3], "repeat")
)

func (k key) arm3() []string { return []string{k.scenario, k.arm, k.image} }

func (k key) labels() []string { return append(k.arm3(), strconv.Itoa(k.repeat)) }

// New has nothing to tell yet but what it was built from.
func New() *Live {
	l := &Live{registry: prometheus.NewRegistry(), arms: map[key]*result.Load{}}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "lockjam", Name: name, Help: help}, labels)
		l.registry.MustRegister(c)
		return c
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "lockjam", Name: name, Help: help}, labels)
		l.registry.MustRegister(g)
		return g
	}
	l.decisions = counter("decisions_total", "Rate-limit decisions completed.", perArm...)
	l.rejected = counter("rejected_connections_total",
		"Connections that the arm's server rejected while it was watched; a restart of the server does not set it back.", perArm...)
	l.replies = counter("error_replies_total", "Error replies of Redis to the workers, by their first word.",
		append(perArm[:3:3], "prefix")...)
	l.finished = counter("arms_finished_total", "Arms that have finished, by outcome.", "outcome")
	l.repeated = counter("arms_repeated_total", "Attempts that were discarded for noise, and the arm run again.",
		perArm...)
	l.workers = gauge("workers", "Workers that run.", perRepeat...)
	l.waiting = gauge("waiting_workers", "Workers that wait for a lock or a connection.", perRepeat...)
	l.connected = gauge("connected_clients",
		"Clients of the arm's server, as it says: more than maxclients where that was lowered meanwhile. Missing while it does not answer.", perRepeat...)
	l.limit = gauge("maxclients", "Client slots of the arm's server, as it says; missing while it does not answer.",
		perRepeat...)
	l.phase = gauge("arm_phase", "1 for the phase that an arm is in.", append(perRepeat[:4:4], "phase")...)
	l.run = gauge("run_info", "The run, by its id and seed.", "id", "seed")
	l.running = gauge("arms_running", "Arms that run.").WithLabelValues()
	for _, outcome := range []result.Outcome{result.Pass, result.Fail, result.Inconclusive} {
		l.finished.WithLabelValues(string(outcome))
	}
	e := result.ThisEnvironment()
	gauge("build_info", "What lockjam was built from.", "version", "go_redis", "go").WithLabelValues(e.Lockjam,
		e.GoRedis, e.Go).Set(1)
	return l
}

// Handler answers scrapes, in OpenMetrics where the client asks for it.
func (l *Live) Handler() http.Handler {
	return promhttp.HandlerFor(l.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// Observe takes note of an event. It may be called from several goroutines at once.
func (l *Live) Observe(e result.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := key{e.Scenario, e.Arm, e.Image, e.Repeat}
	switch e.Kind {
	case result.RunStarted:
		l.run.WithLabelValues(e.Run.ID, strconv.FormatUint(e.Run.Seed, 10)).Set(1)
	case result.ArmStarted:
		l.arms[k] = nil
		l.decisions.WithLabelValues(k.arm3()...)
		l.rejected.WithLabelValues(k.arm3()...)
	case result.ArmRepeated:
		l.repeated.WithLabelValues(k.arm3()...).Inc()
		l.forget(k)
	case result.ArmFinished:
		l.finished.WithLabelValues(string(e.Result.Outcome)).Inc()
		l.forget(k)
	case result.PhaseEvent:
		l.enter(k, e.Name)
	case result.Sampled:
		l.sample(k, e.Load)
	}
	l.running.Set(float64(len(l.arms)))
}

// enter moves an arm to its next phase.
func (l *Live) enter(k key, phase string) {
	l.phase.DeletePartialMatch(k.match())
	if phase != history.End {
		l.phase.WithLabelValues(append(k.labels(), phase)...).Set(1)
	}
}

func (k key) match() prometheus.Labels {
	return prometheus.Labels{"scenario": k.scenario, "arm": k.arm, "image": k.image, "repeat": strconv.Itoa(k.repeat)}
}

// sample takes over what has changed since the last one.
func (l *Live) sample(k key, now *result.Load) {
	last, running := l.arms[k]
	if !running || now == nil {
		return
	}
	l.workers.WithLabelValues(k.labels()...).Set(float64(now.Workers))
	l.waiting.WithLabelValues(k.labels()...).Set(float64(now.Waiting))
	decided := now.Decisions
	if last != nil {
		decided -= last.Decisions
	}
	l.decisions.WithLabelValues(k.arm3()...).Add(float64(max(decided, 0)))
	for prefix, n := range now.ErrorReplies {
		if last != nil {
			n -= last.ErrorReplies[prefix]
		}
		l.replies.WithLabelValues(append(k.arm3(), prefix)...).Add(float64(max(n, 0)))
	}
	next := *now
	if answered := now.MaxClients > 0; answered {
		l.connected.WithLabelValues(k.labels()...).Set(float64(now.Connected))
		l.limit.WithLabelValues(k.labels()...).Set(float64(now.MaxClients))
		l.rejected.WithLabelValues(k.arm3()...).Add(float64(growth(last, now)))
	} else {
		l.connected.DeleteLabelValues(k.labels()...)
		l.limit.DeleteLabelValues(k.labels()...)
		if last != nil {
			next.Rejected, next.MaxClients = last.Rejected, last.MaxClients
		}
	}
	l.arms[k] = &next
}

// growth of the server's counter of rejections. What it was before the first answer is
// not the arm's; one that went back was set to 0 by a restart, and counts from there.
func growth(last, now *result.Load) int64 {
	switch {
	case last == nil || last.MaxClients == 0:
		return 0
	case now.Rejected < last.Rejected:
		return now.Rejected
	}
	return now.Rejected - last.Rejected
}

// forget drops what an arm was doing.
func (l *Live) forget(k key) {
	delete(l.arms, k)
	for _, g := range []*prometheus.GaugeVec{l.workers, l.waiting, l.connected, l.limit} {
		g.DeleteLabelValues(k.labels()...)
	}
	l.phase.DeletePartialMatch(k.match())
}
