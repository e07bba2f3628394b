package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/faults"
	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/swarm"
	"github.com/lockjam/lockjam/harness/triggers"
	"github.com/lockjam/lockjam/harness/watch"
)

// setUp starts the server, opens the control connections, and only then the swarm.
func (a *armRun) setUp(ctx context.Context) (result.Server, error) {
	bounded, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	err := a.start(bounded)
	if err != nil {
		return result.Server{}, a.several(a.startFailed(bounded, err))
	}
	if err := a.forbidden(); err != nil {
		return result.Server{}, a.cannot("it cannot run here: " + err.Error())
	}
	if a.control, err = server.OpenControl(bounded, a.server.Endpoint()); err != nil {
		return result.Server{}, a.unusable(ctx, err)
	}
	asking, answered := server.Within(bounded, setUpWithin)
	defer answered()
	if err := a.limit(asking); err != nil {
		return result.Server{}, a.unusable(ctx, err)
	}
	differ, unread := a.readBack(asking, a.config)
	env, err := a.environment(asking, unread)
	if err != nil {
		return env, a.unusable(ctx, err)
	}
	if differ = append(a.limitTaken, differ...); len(differ) > 0 {
		return env, a.unsettled(differ)
	}
	if err := a.holdsUpOthers(asking); err != nil {
		return env, a.cannot("its handshakes (client.handshake_ms) were not made: " + err.Error())
	}
	if err := a.record(); err != nil {
		return env, err
	}
	target, err := a.target()
	if err != nil {
		return env, rundir.Fault(err)
	}
	a.swarm = swarm.Start(ctx, swarm.Config{
		Target:   target,
		Settings: a.sc.Swarm, Prefix: a.prefix, Name: a.clientName(), Seed: a.seed, Elapsed: a.elapsed, Record: a.recorder.Op, OnWork: a.options.OnWork,
	})
	a.watcher = a.newWatcher()
	return env, nil
}

// record opens the journal, and is the one start of all offsets.
func (a *armRun) record() (err error) {
	a.recorder, err = history.Create(filepath.Join(a.folder, rundir.HistoryFile), history.Header{
		Schema: history.Schema, Scenario: a.sc.Name, Arm: a.arm.Name, Image: a.on, Seed: a.seed, Started: time.Now().UTC(),
	})
	if err != nil {
		return rundir.Fault(err)
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
		spec := a.spec(server.Config(a.sc.Server.Config).With(ifKnown))
		a.config = spec.Config
		a.server, err = a.options.Start(ctx, spec)
		before := len(ifKnown)
		maps.DeleteFunc(ifKnown, func(directive, _ string) bool { return unknown(err, directive) })
		if len(ifKnown) == before {
			return err
		}
	}
}

// spec is the server of the arm, with these directives.
func (a *armRun) spec(config server.Config) server.Spec {
	return server.Spec{
		Config: server.Config{"maxclients": strconv.Itoa(a.sc.Server.MaxClients)}.With(config),
		Image:  a.image, Workspace: a.options.workspace,
		Name:     filepath.Base(filepath.Dir(a.folder)) + "-" + filepath.Base(a.folder),
		Topology: a.sc.Server.Topology,
	}
}

// unknown reports whether a server did not start because of a directive.
func unknown(err error, directive string) bool {
	ended, ok := errors.AsType[*server.Ended](err)
	if !ok {
		return false
	}
	name, _ := ended.Directive()
	return name == directive
}

// forbidden says why the trigger is not for a server that lockjam did not start; nil if
// it is.
func (a *armRun) forbidden() error {
	t, _ := triggers.Find(a.sc.Trigger.Kind)
	switch {
	case !a.attached():
		return nil
	case t.Restarts:
		return fmt.Errorf("the trigger %s restarts the server, which was %w: lockjam does not restart it", t.Name, server.ErrNotOurs)
	case t.Disturbs && a.reconfigurable() != nil:
		return fmt.Errorf("the trigger %s disturbs every client of the server, which was %w: allow it with --allow-destructive", t.Name, server.ErrNotOurs)
	}
	return nil
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
	if timer, ok := a.server.(server.CPUTimer); ok {
		c.ServerCPU = timer.CPUTime
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

// clientName begins the name of every client of the swarm's in CLIENT LIST. On a server that
// lockjam did not start it has the run's, for another lockjam may be at work there.
func (a *armRun) clientName() string {
	if a.attached() {
		return "lockjam-" + a.prefix
	}
	return "lockjam"
}

// ours begins the names of the run's own clients where there may be others; "" on a server of the run's own.
func (a *armRun) ours() string {
	if !a.attached() {
		return ""
	}
	return a.clientName() + "-"
}

// attached says whether the server is somebody else's.
func (a *armRun) attached() bool { return a.server.Info().Kind == server.KindAddress }

// limit makes sure that the server lets in as many clients as the scenario says.
func (a *armRun) limit(ctx context.Context) error {
	if a.attached() {
		if err := a.borrow(ctx); err != nil || a.limitTaken != nil {
			return err
		}
	}
	err := server.VerifyMaxClients(ctx, a.control, a.sc.Server.MaxClients)
	if err == nil {
		return nil
	}
	if log, logErr := a.server.Log(ctx); logErr == nil && server.LoweredLimit(log) != "" {
		return fmt.Errorf("%w (its log: %s)", err, server.LoweredLimit(log))
	}
	return err
}

// borrow readies somebody else's server: the run's own keys are removed when
// the arm is over, and its limit is changed only if that is allowed, and put back.
func (a *armRun) borrow(ctx context.Context) error {
	if err := a.mayClean(ctx, swarm.Patterns(a.prefix)); err != nil {
		return err
	}
	a.undo = append(a.undo, a.removeKeys)
	was, err := a.control.MaxClients(ctx)
	if err != nil {
		return err
	}
	want := a.sc.Server.MaxClients
	if !a.options.AllowDestructive {
		if was != want && a.arm.Server != nil {
			// The limit is the arm's own: no server has both its and the other arms'.
			a.limitTaken = []string{limitDiffers(want, was)}
			return nil
		}
		if was != want {
			return fmt.Errorf("%w: the server at %s has maxclients %d and %s needs %d: set it there, or allow lockjam to with --allow-destructive",
				result.ErrUsage, a.server.Endpoint().Addr, was, a.sc.Name, want)
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
			errs = append(errs, rundir.Fault(err))
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
			errs = append(errs, fmt.Errorf("%w: %w", result.ErrCleanup, err))
		}
		if log, err := a.server.Log(ctx); err == nil {
			if err := os.WriteFile(filepath.Join(a.folder, rundir.LogFile), log, 0o666); err != nil {
				errs = append(errs, rundir.Fault(err))
			}
		}
	}
	return errors.Join(errs...)
}

// reconnect opens new control connections where those that there were are closed: what
// was cut short in the middle of a command took its connection with it.
func (a *armRun) reconnect(ctx context.Context) error {
	was := a.control
	if was.Admin.Ping(ctx).Err() == nil {
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
		return fmt.Errorf("%w: the server at %s: %w", result.ErrCleanup, a.server.Endpoint().Addr, err)
	}
	var errs []error
	for i := len(a.undo) - 1; i >= 0; i-- {
		if err := a.undo[i](ctx); err != nil {
			errs = append(errs, fmt.Errorf("%w: the server at %s: %w", result.ErrCleanup, a.server.Endpoint().Addr, err))
		}
	}
	return errors.Join(errs...)
}
