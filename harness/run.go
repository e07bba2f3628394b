package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/faults"
	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/remedies"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/signals"
	"github.com/lockjam/lockjam/harness/swarm"
	"github.com/lockjam/lockjam/harness/triggers"
	"github.com/lockjam/lockjam/harness/watch"
)

// Bounds on what is not the scenario's to say.
const (
	startWithin  = time.Minute
	remedyWithin = 30 * time.Second
	stopWithin   = 20 * time.Second
	hurryWithin  = 2 * time.Second // to put somebody else's server back, when a signal has ended the run
)

// armRun is one arm on its way from a fresh server to a closed journal. This
// file is the only one that knows the order of the phases.
type armRun struct {
	sc      *scenario.Scenario
	arm     scenario.Arm
	image   string // of the server
	on      string // the same, where the run has several
	remedy  remedies.Remedy
	options *Options
	folder  string // on disk
	prefix  string // of every key
	seed    uint64
	observe func(Event)
	live    *live // tells of signals while they fire

	started  time.Time
	server   server.Server
	network  *faults.Proxy // between the swarm and its server; nil where the trigger needs none
	config   server.Config
	control  *server.Control
	recorder *history.Recorder
	watcher  *watch.Watcher
	swarm    *swarm.Swarm
	undo     []func(context.Context) error

	going      sync.WaitGroup // what the trigger has begun
	endTrigger context.CancelFunc

	mu      sync.Mutex
	samples []history.Sample
}

func (a *armRun) elapsed() time.Duration { return time.Since(a.started) }

func (a *armRun) mark(kind history.MarkKind, name, detail string) {
	a.markAt(a.elapsed(), kind, name, detail)
}

func (a *armRun) step(did, answer string) { a.mark(history.StepMark, did, answer) }

func (a *armRun) markAt(at time.Duration, kind history.MarkKind, name, detail string) {
	a.recorder.Mark(history.Mark{At: at, Kind: kind, Name: name, Detail: detail})
	e := Event{Kind: EventKind(kind), Name: name, Detail: detail, AtMS: millis(at)}
	if kind == history.PhaseMark {
		e.AboutMS = millis(a.lengthOf(name))
	}
	a.live.mark(at, kind, name)
	a.observe(e)
}

// lengthOf is how long a phase takes at least; 0 where the scenario does not say.
func (a *armRun) lengthOf(phase string) time.Duration {
	p := a.sc.Phases
	switch {
	case phase == history.Warmup:
		return p.BaselineMS.Duration()
	case phase == history.Incident && a.arm.Prevention != "":
		return p.PreventionMS.Duration()
	case phase == history.Incident:
		return p.IncidentMS.Duration()
	case phase == history.Recovery:
		return p.RecoveryMS.Duration()
	}
	return 0
}

// run starts everything, goes through the phases, and takes everything down
// again, whatever happens in between.
func (a *armRun) run(ctx context.Context) (env ServerEnvironment, err error) {
	defer func() { err = errors.Join(err, a.takeDown(ctx)) }()
	if env, err = a.setUp(ctx); err != nil {
		return env, err
	}
	sampling, stopSampling := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { a.watcher.Run(sampling) })
	if a.options.Observe != nil {
		wg.Go(func() { a.live.run(sampling) })
	}
	defer wg.Wait()
	defer stopSampling()
	err = a.phases(ctx)
	a.swarm.Stop()
	return env, err
}

// phases is baseline, trigger, incident, remedy, recovery.
func (a *armRun) phases(ctx context.Context) (err error) {
	defer func() {
		// An arm that was cut short says so, or it would be judged for what it
		// had no time to show.
		cut := ""
		switch {
		case ctx.Err() != nil:
			cut = context.Cause(ctx).Error()
		case err != nil:
			cut = err.Error()
		}
		a.watcher.Count(false)
		a.mark(history.PhaseMark, history.End, cut)
		a.watcher.Now(ctx)
	}()
	a.mark(history.PhaseMark, history.Warmup, "")
	a.watcher.Count(true)
	stretch, ok, err := a.baseline(ctx)
	if err != nil || !ok {
		return err
	}
	a.markAt(stretch.from, history.PhaseMark, history.Baseline, "")
	a.mark(history.PhaseMark, history.Incident, "")
	a.watcher.Now(ctx)
	defer a.calm()
	if err := a.trigger(ctx); err != nil {
		return err
	}
	if a.arm.Prevention != "" {
		return a.wait(ctx, a.sc.Phases.PreventionMS.Duration())
	}
	if err := a.wait(ctx, a.sc.Phases.IncidentMS.Duration()); err != nil {
		return err
	}
	a.otherShards(ctx)
	if a.sc.Phases.RecoveryMS == 0 {
		return nil
	}
	a.calm()
	a.mark(history.PhaseMark, history.Recovery, "")
	a.watcher.Now(ctx)
	if err := a.applyRemedy(ctx); err != nil {
		return err
	}
	if err := a.wait(ctx, a.sc.Phases.RecoveryMS.Duration()); err != nil {
		return err
	}
	return a.probe(ctx)
}

// baseline waits until goodput has been steady for long enough to compare with.
func (a *armRun) baseline(ctx context.Context) (span, bool, error) {
	length := a.sc.Phases.BaselineMS.Duration()
	for a.elapsed() < a.sc.Phases.BaselineMaxMS.Duration() {
		if err := a.wait(ctx, watch.SampleEvery); err != nil {
			return span{}, false, err
		}
		if s, ok := steadyStretch(a.seen(), length, a.sc.Swarm.Lock.HoldMS.Duration()); ok {
			return s, true, nil
		}
	}
	return span{}, false, nil
}

// trigger starts the incident.
func (a *armRun) trigger(ctx context.Context) error {
	t, ok := triggers.Find(a.sc.Trigger.Kind)
	if !ok {
		return fmt.Errorf("%w: no trigger is called %q", ErrInternal, a.sc.Trigger.Kind)
	}
	if t.Name == triggers.None {
		return ctx.Err()
	}
	a.mark(history.TriggerMark, t.Name, t.Say(a.sc.Trigger, a.sc.Swarm))
	bounded, cancel := context.WithTimeout(ctx, remedyWithin+a.sc.Trigger.ForMS.Duration())
	defer cancel()
	defer a.cutting(bounded)()
	during, end := context.WithCancel(ctx)
	a.endTrigger = end
	in := &triggers.Incident{
		Settings: a.sc.Trigger, Of: a.sc.Swarm, Swarm: a.swarm,
		Note:           func(words string) { a.mark(history.NoteMark, "", words) },
		Begin:          func(what func(context.Context)) { a.going.Go(func() { what(during) }) },
		Admin:          func() *redis.Client { return a.control.Admin },
		Restart:        a.restartAsItWas,
		Reconfigurable: a.reconfigurable(),
		Failover:       a.failover,
	}
	if a.network != nil {
		in.Network = a.network
	}
	return t.Fire(bounded, in)
}

// calm ends what the trigger has begun, if that has not ended by itself. A command of
// its over the control connection that the server leaves unanswered ends with the
// connection.
func (a *armRun) calm() {
	if a.endTrigger == nil {
		return
	}
	a.endTrigger()
	patience, done := context.WithTimeout(context.Background(), hurryWithin)
	defer done()
	defer a.cutting(patience)()
	a.going.Wait()
	if a.network != nil {
		a.network.Heal()
	}
}

// cutting cuts the connection for remedies when the context ends, unless it is called
// off: a command over a control connection waits for its answer, whatever its
// context says.
func (a *armRun) cutting(ctx context.Context) (off func() bool) {
	admin := a.control.Admin
	return context.AfterFunc(ctx, func() { _ = admin.Close() })
}

func (a *armRun) applyRemedy(ctx context.Context) error {
	a.mark(history.RemedyMark, history.Begun, a.remedy.Name)
	within := cmp.Or(a.options.remedyWithin, remedyWithin)
	bounded, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	defer a.cutting(bounded)()
	err := a.remedy.Apply(bounded, a.incident())
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case bounded.Err() != nil:
		a.mark(history.RemedyMark, history.Blocked, fmt.Sprintf("it was not done after %v", within))
	case errors.Is(err, server.ErrNotOurs):
		a.mark(history.RemedyMark, history.NotOurs, reason(err))
	case errors.Is(err, remedies.ErrBlocked):
		a.mark(history.RemedyMark, history.Blocked, reason(err))
	case err != nil:
		return a.lost(ctx, err)
	default:
		a.mark(history.RemedyMark, history.Applied, a.remedy.Name)
	}
	return nil
}

// reason is what stood in a remedy's way, without the word "blocked" in front.
func reason(err error) string {
	return strings.TrimPrefix(err.Error(), remedies.ErrBlocked.Error()+": ")
}

// incident is what the remedy may act on.
func (a *armRun) incident() *remedies.Incident {
	in := &remedies.Incident{
		Server: a.server, Config: a.config, Params: a.remedy.Complete(a.arm.Params), Pattern: a.lockPattern(),
		Admin:   func() *redis.Client { return a.control.Admin },
		Restart: a.restart,
		Step:    a.step,
		Orphans: a.orphans,
		Rollout: a.rollout,
		Undo: func(back func(context.Context) error) {
			if a.attached() { // a server of our own is gone when the arm is over
				a.undo = append(a.undo, back)
			}
		},
	}
	in.Reconfigurable = a.reconfigurable()
	return in
}

// orphans takes two censuses, as the signal does.
func (a *armRun) orphans(ctx context.Context) (map[string]string, error) {
	var looks [2]history.Census
	for i := range looks {
		if i > 0 {
			if err := a.wait(ctx, watch.SampleEvery); err != nil {
				return nil, err
			}
		}
		if looks[i] = a.census(ctx, a.control.Admin); looks[i].Error != "" {
			return nil, fmt.Errorf("ask who holds what: %s", looks[i].Error)
		}
	}
	return signals.Orphans(&looks[0], &looks[1]), nil
}

// rollout replaces the instances by ones with the arm's settings, or with the same
// ones where the arm has none: the control for what a rollout does by itself.
func (a *armRun) rollout(ctx context.Context, waves int, pause time.Duration) error {
	to := a.sc.Swarm
	if a.arm.Swarm != nil {
		to = *a.arm.Swarm
	}
	return a.swarm.Rollout(ctx, to, waves, pause, func(done, of int) {
		a.step(fmt.Sprintf("wave %d of %d", done, of), "its instances run with the new settings")
	})
}

// lockPattern is the runbook's on a server of our own, and stays with the run's
// own keys on somebody else's.
func (a *armRun) lockPattern() string {
	if a.attached() {
		return swarm.LockPattern(a.prefix)
	}
	return "lock:*"
}

// reconfigurable says why the server's settings must stay as they are; nil if they
// need not.
func (a *armRun) reconfigurable() error {
	if a.attached() && !a.options.AllowDestructive {
		return fmt.Errorf("%w: its settings are changed only with --allow-destructive", server.ErrNotOurs)
	}
	return nil
}

// restart keeps the swarm out until the control connections are back: the
// first to dial a full server get its slots. The server reserves them where it
// can (Redis 7.0 and up, CONFIG allowed); behind the gate they are safe anywhere.
func (a *armRun) restart(ctx context.Context, c server.Config) error {
	a.swarm.Shut()
	defer a.swarm.Open()
	a.watcher.Use(watch.Connections{})
	_ = a.control.Close()
	restarted := a.server.Restart(ctx, c)
	control, err := server.OpenControl(ctx, a.server.Endpoint())
	if err != nil {
		return errors.Join(restarted, err)
	}
	a.control = control
	a.watcher.Use(a.connections())
	return restarted
}

// restartAsItWas is the restart of a trigger: a server that does not come back leaves
// nothing to be judged.
func (a *armRun) restartAsItWas(ctx context.Context) error {
	err := a.restart(ctx, a.config)
	switch {
	case err == nil || errors.Is(err, server.ErrNotOurs):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return a.lost(ctx, err)
}

// wait lets time pass, unless something happens that ends the arm.
func (a *armRun) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case err := <-a.swarm.Failed():
		return fmt.Errorf("%w: %w", ErrInternal, err)
	case <-a.recorder.Failed():
		return fmt.Errorf("%w: %w", ErrInternal, a.recorder.Err())
	case err := <-a.watcher.Lost():
		return a.lost(ctx, err)
	}
}

// lost records that the server went away. It is no fault of lockjam's, and
// nothing can be said of the arm.
func (a *armRun) lost(ctx context.Context, cause error) error {
	said := ""
	if log, err := a.server.Log(ctx); err == nil {
		lines := strings.Split(strings.TrimSpace(string(log)), "\n")
		said = "; the last line of its log: " + lines[len(lines)-1]
	}
	a.mark(history.NoteMark, "", fmt.Sprintf("the server went away in mid-run: %v%s", cause, said))
	return errServerLost
}

// errServerLost ends an arm early whose history says why.
var errServerLost = errors.New("the server went away")

// setUp starts the server, opens the control connections, and only then the swarm.
func (a *armRun) setUp(ctx context.Context) (ServerEnvironment, error) {
	bounded, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	err := a.start(bounded)
	if err != nil {
		return ServerEnvironment{}, a.several(a.startFailed(err))
	}
	if a.control, err = server.OpenControl(bounded, a.server.Endpoint()); err != nil {
		return ServerEnvironment{}, err
	}
	defer context.AfterFunc(bounded, func() { _ = a.control.Close() })()
	if err := a.limit(bounded); err != nil {
		return ServerEnvironment{}, err
	}
	env, err := a.environment(bounded)
	if err != nil {
		return env, err
	}
	if err := a.record(); err != nil {
		return env, err
	}
	target, err := a.target()
	if err != nil {
		return env, fmt.Errorf("%w: %w", ErrInternal, err)
	}
	a.swarm = swarm.Start(ctx, swarm.Config{
		Target:   target,
		Settings: a.sc.Swarm, Prefix: a.prefix, Seed: a.seed, Elapsed: a.elapsed, Record: a.recorder.Op, OnWork: a.options.OnWork,
	})
	a.watcher = a.newWatcher()
	return env, nil
}

// record opens the journal, and is the one start of all offsets.
func (a *armRun) record() (err error) {
	a.recorder, err = history.Create(filepath.Join(a.folder, historyFile), history.Header{
		Schema: history.Schema, Scenario: a.sc.Name, Arm: a.arm.Name, Image: a.on, Seed: a.seed, Started: time.Now().UTC(),
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInternal, err)
	}
	a.started = time.Now()
	return nil
}

// target is what the swarm works against.
func (a *armRun) target() (swarm.Target, error) {
	e := a.server.Endpoint()
	addr, err := a.front(e.Addr)
	t := swarm.Target{Addr: addr, Username: e.Username, Password: e.Password, DB: e.DB, TLS: e.TLS}
	if pair, ok := a.server.(server.Failover); ok {
		t.Sentinels, t.Primary = pair.Sentinels(), server.PrimaryName
	}
	for _, shard := range a.shards() {
		t.Shards = append(t.Shards, shard.Addr)
	}
	return t, err
}

// front puts a proxy in front of the server at addr where the trigger needs one, and
// returns what the swarm is to dial. Control connections do without.
func (a *armRun) front(addr string) (string, error) {
	if t, ok := triggers.Find(a.sc.Trigger.Kind); !ok || !t.Network {
		return addr, nil
	}
	var err error
	if a.network, err = faults.Start(addr); err != nil {
		return "", err
	}
	return a.network.Addr(), nil
}

// start starts the server. A directive that it does not know and that the scenario can
// do without is left out.
func (a *armRun) start(ctx context.Context) (err error) {
	ifKnown := maps.Clone(a.sc.Server.ConfigIfKnown)
	for {
		a.config = server.Config{"maxclients": strconv.Itoa(a.sc.Server.MaxClients)}.With(a.sc.Server.Config).With(ifKnown)
		a.server, err = a.options.Start(ctx, server.Spec{
			Config: a.config, Image: a.image, Workspace: a.options.workspace,
			Name:     filepath.Base(filepath.Dir(a.folder)) + "-" + filepath.Base(a.folder),
			Topology: a.sc.Server.Topology,
		})
		before := len(ifKnown)
		maps.DeleteFunc(ifKnown, func(directive, _ string) bool { return unknown(err, directive) })
		if len(ifKnown) == before {
			return err
		}
	}
}

// unknown says whether a server did not start because of a directive: it quotes the
// line (config.c, loadServerConfigFromString).
func unknown(err error, directive string) bool {
	return err != nil && strings.Contains(err.Error(), ">>> '"+directive+" ")
}

// startFailed tells a server that does not take the scenario's configuration from
// one that cannot be started (config.c, loadServerConfigFromString).
func (a *armRun) startFailed(err error) error {
	if strings.Contains(err.Error(), "Reading the configuration file") && len(a.sc.Server.Config) > 0 {
		return fmt.Errorf("%w: %s: Redis does not take its server.config: %w", ErrUsage, a.sc.Path, err)
	}
	return err
}

func (a *armRun) newWatcher() *watch.Watcher {
	w := a.sc.Watch
	c := watch.Config{
		Elapsed: a.elapsed, Record: a.sampled, Swarm: a.swarm.Snapshot, RecordCensus: a.counted,
		Census:     func(c *redis.Client) history.Census { return a.census(context.Background(), c) },
		LockPrefix: strings.TrimSuffix(a.lockPattern(), "*"),
		LocksEvery: w.LocksMS.Duration(), CanaryEvery: w.CanaryMS.Duration(),
		MonitorEvery: w.MonitorMS.Duration(), MonitorFor: w.MonitorForMS.Duration(),
	}
	return watch.New(c, a.connections())
}

// connections are the ones that are watched over: the control connections, and a
// canary that needs none.
func (a *armRun) connections() watch.Connections {
	e := a.server.Endpoint()
	over := watch.Connections{
		Client: a.control.Sampler, Listener: watch.NewListener(a.control.Monitor, e, server.MonitorName), Dial: e.Dial,
	}
	if e.TLS != nil {
		over.Dial, over.NoCanary = nil, watch.NoCanaryOverTLS
	}
	return over
}

// seen returns the samples so far.
func (a *armRun) seen() []history.Sample {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clip(a.samples)
}

func (a *armRun) sampled(s history.Sample) {
	a.mu.Lock()
	a.samples = append(a.samples, s)
	a.mu.Unlock()
	a.recorder.Sample(s)
	a.live.sample(s)
	a.observe(sampleEvent(s))
}

func (a *armRun) counted(c history.Census) {
	a.recorder.Census(c)
	a.live.count(c)
}

// attached says whether the server is somebody else's.
func (a *armRun) attached() bool { return a.server.Info().Kind == server.KindAddress }

// limit makes sure that the server lets in as many clients as the scenario says.
func (a *armRun) limit(ctx context.Context) error {
	if a.attached() {
		if err := a.borrow(ctx); err != nil {
			return err
		}
	}
	return server.VerifyMaxClients(ctx, a.control, a.sc.Server.MaxClients)
}

// borrow readies somebody else's server: the run's own keys are removed when
// the arm is over, and its limit is changed only if that is allowed, and put back.
func (a *armRun) borrow(ctx context.Context) error {
	a.undo = append(a.undo, a.removeKeys)
	was, err := a.control.MaxClients(ctx)
	if err != nil {
		return err
	}
	want := a.sc.Server.MaxClients
	if !a.options.AllowDestructive {
		if was != want {
			return fmt.Errorf("%w: the server at %s has maxclients %d and %s needs %d: set it there, or allow lockjam to with --allow-destructive",
				ErrUsage, a.server.Endpoint().Addr, was, a.sc.Name, want)
		}
		return nil
	}
	if was == want {
		return nil
	}
	set := func(ctx context.Context, n int) error {
		return a.control.Admin.ConfigSet(ctx, "maxclients", strconv.Itoa(n)).Err()
	}
	a.undo = append(a.undo, func(ctx context.Context) error { return set(ctx, was) })
	return set(ctx, want)
}

// removeKeys deletes what the swarm wrote, and nothing else.
func (a *armRun) removeKeys(ctx context.Context) error {
	for _, pattern := range swarm.Patterns(a.prefix) {
		for it := a.control.Admin.Scan(ctx, 0, pattern, 1000).Iterator(); ; {
			if !it.Next(ctx) {
				if err := it.Err(); err != nil {
					return fmt.Errorf("removing keys %s: %w", pattern, err)
				}
				break
			}
			if err := a.control.Admin.Del(ctx, it.Val()).Err(); err != nil {
				return fmt.Errorf("removing key %s: %w", it.Val(), err)
			}
		}
	}
	return nil
}

// takeDown closes what setUp opened, in the opposite order. It runs on a
// context of its own: an interrupted run is taken down like any other.
func (a *armRun) takeDown(ctx context.Context) error {
	undoWithin := stopWithin
	if ctx.Err() != nil {
		undoWithin = hurryWithin
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	var errs []error
	if a.swarm != nil {
		a.swarm.Stop()
	}
	if a.network != nil {
		a.network.Stop()
	}
	if a.recorder != nil {
		if err := a.recorder.Close(); err != nil {
			errs = append(errs, fmt.Errorf("%w: %w", ErrInternal, err))
		}
	}
	if a.control != nil {
		errs = append(errs, a.putBack(ctx, undoWithin))
		_ = a.control.Close()
	}
	if a.watcher != nil {
		a.watcher.Wait()
	}
	if a.server != nil {
		if err := a.server.Stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%w: %w", ErrCleanup, err))
		}
		if log, err := a.server.Log(ctx); err == nil {
			if err := os.WriteFile(filepath.Join(a.folder, logFile), log, 0o644); err != nil {
				errs = append(errs, fmt.Errorf("%w: %w", ErrInternal, err))
			}
		}
	}
	return errors.Join(errs...)
}

// reconnect opens new control connections where those that there were are closed: what
// was cut short in the middle of a command took its connection with it.
func (a *armRun) reconnect(ctx context.Context) error {
	was := a.control
	alive := context.AfterFunc(ctx, func() { _ = was.Close() })
	err := was.Admin.Ping(ctx).Err()
	alive()
	if err == nil {
		return nil
	}
	control, err := server.OpenControl(ctx, a.server.Endpoint())
	if err != nil {
		return err
	}
	_ = was.Close()
	a.control = control
	return nil
}

// putBack undoes what was done to somebody else's server, last things first.
// A server that does not answer in time stays as it is, and the user is told.
func (a *armRun) putBack(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if len(a.undo) == 0 {
		return nil
	}
	if err := a.reconnect(ctx); err != nil {
		return fmt.Errorf("%w: the server at %s: %w", ErrCleanup, a.server.Endpoint().Addr, err)
	}
	defer context.AfterFunc(ctx, func() { _ = a.control.Close() })()
	var errs []error
	for i := len(a.undo) - 1; i >= 0; i-- {
		if err := a.undo[i](ctx); err != nil {
			errs = append(errs, fmt.Errorf("%w: the server at %s: %w", ErrCleanup, a.server.Endpoint().Addr, err))
		}
	}
	return errors.Join(errs...)
}
