package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/faults"
	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
	"github.com/lockjam/lockjam/harness/sampler"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/swarm"
	"github.com/lockjam/lockjam/harness/triggers"
)

// setUp starts the server, opens the control connections, and only then the swarm.
func (a *armRun) setUp(ctx context.Context) (result.Server, error) {
	bounded, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	var err error
	if a.host.server, a.host.config, err = (starter{a.job}).start(bounded); err != nil {
		return result.Server{}, several(a, starter{a.job}.startFailed(bounded, err))
	}
	if err := forbidden(a); err != nil {
		return result.Server{}, cannot(a, "it cannot run here: "+err.Error())
	}
	if a.host.control, err = server.OpenControl(bounded, a.host.server.Endpoint()); err != nil {
		return result.Server{}, unusable(ctx, a, err)
	}
	asking, answered := server.Within(bounded, setUpWithin)
	defer answered()
	limited, err := a.host.limit(asking, a.job)
	if err != nil {
		return result.Server{}, unusable(ctx, a, err)
	}
	differ, unread := readBack(asking, a, a.host.config)
	env, err := environment(asking, a, unread)
	if err != nil {
		return env, unusable(ctx, a, err)
	}
	if differ = append(limited, differ...); len(differ) > 0 {
		return env, unsettled(a, differ)
	}
	if err := holdsUpOthers(asking, a); err != nil {
		return env, cannot(a, "its handshakes (client.handshake_ms) were not made: "+err.Error())
	}
	if err := a.record(); err != nil {
		return env, err
	}
	target, err := target(a)
	if err != nil {
		return env, rundir.Fault(err)
	}
	a.swarm = swarm.Start(ctx, swarm.Config{
		Target:   target,
		Settings: a.sc.Swarm, Prefix: a.prefix, Name: a.host.clientName(), Seed: a.seed, Elapsed: a.rec.elapsed,
		Record: a.rec.op, OnWork: a.options.OnWork,
	})
	a.watcher = newWatcher(a)
	return env, nil
}

// record opens the journal.
func (a *armRun) record() error {
	return a.rec.open(filepath.Join(a.folder, rundir.HistoryFile), history.Header{
		Schema: history.Schema, Scenario: a.sc.Name, Arm: a.arm.Name, Image: a.on, Seed: a.seed,
	})
}

// target is what the swarm works against.
func target(a *armRun) (swarm.Target, error) {
	e := a.host.server.Endpoint()
	addr, err := front(a, e.Addr)
	t := swarm.Target{Addr: addr, Username: e.Username, Password: e.Password, DB: e.DB, TLS: e.TLS}
	if pair, ok := a.host.server.(server.Failover); ok {
		t.Sentinels, t.Primary = pair.Sentinels(), server.PrimaryName
	}
	for _, shard := range a.host.shards() {
		t.Shards = append(t.Shards, shard.Addr)
	}
	return t, err
}

// front puts a proxy in front of the server at addr where the trigger needs one, and
// returns what the swarm is to dial. Control connections do without.
func front(a *armRun, addr string) (string, error) {
	if t, ok := triggers.Find(a.sc.Trigger.Kind); !ok || !t.Network {
		return addr, nil
	}
	var err error
	if a.host.network, err = faults.Start(addr); err != nil {
		return "", err
	}
	return a.host.network.Addr(), nil
}

// forbidden says why the trigger is not for a server that lockjam did not start; nil if
// it is.
func forbidden(a *armRun) error {
	t, _ := triggers.Find(a.sc.Trigger.Kind)
	switch {
	case !a.host.attached():
		return nil
	case t.Restarts:
		return fmt.Errorf("the trigger %s restarts the server, which was %w: lockjam does not restart it", t.Name,
			server.ErrNotOurs)
	case t.Disturbs && a.host.reconfigurable() != nil:
		return fmt.Errorf("the trigger %s disturbs every client of the server, which was %w: allow it with --allow-destructive", t.Name, server.ErrNotOurs)
	}
	return nil
}

func newWatcher(a *armRun) *sampler.Sampler {
	w := a.sc.Watch
	c := sampler.Config{
		Elapsed: a.rec.elapsed, Record: a.rec.sampled, Swarm: a.swarm.Snapshot, RecordCensus: a.rec.counted,
		Census:     func(c *redis.Client) history.Census { return newCounter(a).census(context.Background(), c) },
		LockPrefix: strings.TrimSuffix(a.host.lockPattern(), "*"),
		LocksEvery: w.LocksMS.Duration(), CanaryEvery: w.CanaryMS.Duration(),
		MonitorEvery: w.MonitorMS.Duration(), MonitorFor: w.MonitorForMS.Duration(),
	}
	if timer, ok := a.host.server.(server.CPUTimer); ok {
		c.ServerCPU = timer.CPUTime
	}
	return sampler.New(c, a.host.connections())
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
	if a.host.network != nil {
		a.host.network.Stop()
	}
	if a.rec.recorder != nil {
		if err := a.rec.recorder.Close(); err != nil {
			errs = append(errs, rundir.Fault(err))
		}
	}
	if a.host.control != nil {
		errs = append(errs, a.host.putBack(ctx, undoWithin))
		_ = a.host.control.Close()
	}
	if a.watcher != nil {
		a.watcher.Wait()
	}
	if a.host.server != nil {
		if err := a.host.server.Stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%w: %w", result.ErrCleanup, err))
		}
		if log, err := a.host.server.Log(ctx); err == nil {
			if err := os.WriteFile(filepath.Join(a.folder, rundir.LogFile), log, 0o666); err != nil {
				errs = append(errs, rundir.Fault(err))
			}
		}
	}
	return errors.Join(errs...)
}
