package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/judge"
	"github.com/lockjam/lockjam/harness/remedies"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
	"github.com/lockjam/lockjam/harness/sampler"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/signals"
	"github.com/lockjam/lockjam/harness/swarm"
	"github.com/lockjam/lockjam/harness/triggers"
)

// Bounds on what is not the scenario's to say.
const (
	startWithin  = time.Minute
	setUpWithin  = 10 * time.Second // to answer all that is asked before the swarm starts
	remedyWithin = 30 * time.Second
	stopWithin   = 20 * time.Second
	hurryWithin  = 2 * time.Second // to put a server back that lockjam did not start, when a signal has ended the run
	askWithin    = 5 * time.Second // to answer a question that takes a server no time
)

// job is an arm to run: what is known of it before anything starts.
type job struct {
	sc      *scenario.Scenario
	arm     scenario.Arm
	image   string // of the server
	on      string // the same, where the run has several
	remedy  remedies.Remedy
	answers string // the arm that waits for this one's signals; "" if it waits itself
	options *Options
	folder  string // on disk
	prefix  string // of every key
	seed    uint64
	observe func(result.Event)
}

// armRun is one arm on its way from a fresh server to a closed journal. This
// file is the only one that knows the order of the phases.
type armRun struct {
	job
	rec     *recording
	host    *host
	watcher *sampler.Sampler
	swarm   *swarm.Swarm

	going       sync.WaitGroup     // what the trigger has begun
	begun       atomic.Int32       // how much of it has not ended
	stopTrigger context.CancelFunc // nil before the trigger
}

// newArm is an arm that has not started.
func newArm(j job) *armRun {
	return &armRun{
		job:  j,
		rec:  newRecording(j),
		host: &host{prefix: j.prefix, allowDestructive: j.options.AllowDestructive},
	}
}

// about is how long a phase takes at least; 0 where the scenario does not say.
func (j job) about(phase string) time.Duration {
	p := j.sc.Phases
	switch {
	case phase == history.Warmup:
		return p.BaselineMS.Duration()
	case phase == history.Incident && j.arm.Prevention != "":
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
func (a *armRun) run(ctx context.Context) (env result.Server, err error) {
	defer func() { err = errors.Join(err, a.takeDown(ctx)) }()
	if a.sc.Swarm.Workers() >= manyWorkers {
		defer collectSooner()()
	}
	if env, err = a.setUp(ctx); err != nil {
		return env, err
	}
	sampling, stopSampling := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { a.watcher.Run(sampling) })
	if a.options.Observe != nil {
		wg.Go(func() { a.rec.live.run(sampling) })
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
		a.rec.mark(history.PhaseMark, history.End, cut)
		a.watcher.Now(ctx)
	}()
	a.rec.mark(history.PhaseMark, history.Warmup, "")
	a.watcher.Count(true)
	stretch, ok, err := a.baseline(ctx)
	if err != nil || !ok {
		return err
	}
	a.rec.markAt(stretch.From, history.PhaseMark, history.Baseline, "")
	if a.sc.Swarm.Workers() >= manyWorkers {
		debug.FreeOSMemory() // what it took to start them all
	}
	a.rec.mark(history.PhaseMark, history.Incident, "")
	a.watcher.Now(ctx)
	defer a.endTrigger()
	if err := a.trigger(ctx); err != nil {
		return err
	}
	if a.arm.Prevention != "" {
		return untilDecided(ctx, a, history.Incident, a.sc.Phases.PreventionMS.Duration())
	}
	if err := untilShown(ctx, a, a.sc.Phases.IncidentMS.Duration()); err != nil {
		return err
	}
	otherShards(ctx, a)
	if a.sc.Phases.RecoveryMS == 0 {
		return nil
	}
	a.endTrigger()
	a.rec.mark(history.PhaseMark, history.Recovery, "")
	a.watcher.Now(ctx)
	if err := a.applyRemedy(ctx); err != nil {
		return err
	}
	if err := untilDecided(ctx, a, history.Recovery, a.sc.Phases.RecoveryMS.Duration()); err != nil {
		return err
	}
	return probe(ctx, a)
}

// baseline waits until goodput has been steady for long enough to compare with, or until
// it is clear that Redis refuses everything. Its time begins with the warm-up: a large
// swarm takes a while to start.
func (a *armRun) baseline(ctx context.Context) (history.Span, bool, error) {
	length := a.sc.Phases.BaselineMS.Duration()
	for end := a.rec.elapsed() + a.sc.Phases.BaselineMaxMS.Duration(); a.rec.elapsed() < end; {
		if err := a.wait(ctx, sampler.Every); err != nil {
			return history.Span{}, false, err
		}
		if s, ok := judge.SteadyStretch(a.rec.seen(), length, a.sc.Swarm.Lock.HoldMS.Duration()); ok {
			return s, true, nil
		}
		if judge.RefusedThroughout(a.rec.seen(), a.sc) {
			break
		}
	}
	return history.Span{}, false, nil
}

// trigger starts the incident.
func (a *armRun) trigger(ctx context.Context) error {
	t, ok := triggers.Find(a.sc.Trigger.Kind)
	if !ok {
		return fmt.Errorf("%w: no trigger is called %q", result.ErrInternal, a.sc.Trigger.Kind)
	}
	if t.Name == triggers.None {
		return ctx.Err()
	}
	a.rec.mark(history.TriggerMark, t.Name, t.Say(a.sc.Trigger, a.sc.Swarm))
	bounded, cancel := context.WithTimeout(ctx, remedyWithin+a.sc.Trigger.ForMS.Duration())
	defer cancel()
	during, end := context.WithCancel(ctx)
	a.stopTrigger = end
	in := &triggers.Handle{
		Settings: a.sc.Trigger, Of: a.sc.Swarm, Swarm: a.swarm,
		Note: func(words string) { a.rec.mark(history.NoteMark, "", words) },
		Begin: func(what func(context.Context)) {
			a.begun.Add(1)
			a.going.Go(func() { defer a.begun.Add(-1); what(during) })
		},
		Admin:          func() *redis.Client { return a.host.control.Admin },
		Restart:        func(ctx context.Context) error { return restartAsItWas(ctx, a) },
		Reconfigurable: a.host.reconfigurable(),
		Failover:       func(ctx context.Context, lag time.Duration) error { return failover(ctx, a, lag) },
		Ours:           a.host.ours(),
	}
	if a.host.network != nil {
		in.Network = a.host.network
	}
	return t.Fire(bounded, in)
}

// endTrigger ends what the trigger has begun, if that has not ended by itself. It waits a while
// for a command that is under way over the control connection, and then closes that.
func (a *armRun) endTrigger() {
	if a.stopTrigger == nil {
		return
	}
	a.stopTrigger()
	patience, done := context.WithTimeout(context.Background(), hurryWithin)
	defer done()
	admin := a.host.control.Admin
	defer context.AfterFunc(patience, func() { _ = admin.Close() })()
	a.going.Wait()
	if a.host.network != nil {
		a.host.network.Heal()
	}
}

func (a *armRun) applyRemedy(ctx context.Context) error {
	a.rec.mark(history.RemedyMark, history.Begun, a.remedy.Name)
	within := cmp.Or(a.options.remedyWithin, remedyWithin)
	bounded, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err := a.remedy.Apply(bounded, a.incident())
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case bounded.Err() != nil:
		a.rec.mark(history.RemedyMark, history.Blocked, fmt.Sprintf("it was not done after %v", within))
	case errors.Is(err, server.ErrNotOurs):
		a.rec.mark(history.RemedyMark, history.NotOurs, reason(err))
	case errors.Is(err, remedies.ErrBlocked):
		a.rec.mark(history.RemedyMark, history.Blocked, reason(err))
	case err != nil:
		return a.lost(ctx, err)
	default:
		a.rec.mark(history.RemedyMark, history.Applied, a.remedy.Name)
	}
	return nil
}

// reason is what stood in a remedy's way, without the word "blocked" in front.
func reason(err error) string {
	return strings.TrimPrefix(err.Error(), remedies.ErrBlocked.Error()+": ")
}

// incident is what the remedy may act on.
func (a *armRun) incident() *remedies.Handle {
	in := &remedies.Handle{
		Server: a.host.server, Config: a.host.config, Params: a.remedy.Complete(a.arm.Params),
		Pattern: a.host.lockPattern(),
		Admin:   func() *redis.Client { return a.host.control.Admin },
		Restart: a.restart,
		Step:    a.rec.step,
		Orphans: a.orphans,
		Rollout: a.rollout,
		Undo: func(back func(context.Context) error) {
			if a.host.attached() { // a server of our own is gone when the arm is over
				a.host.later(back)
			}
		},
	}
	in.Reconfigurable = a.host.reconfigurable()
	in.Ours = a.host.ours()
	return in
}

// orphans takes two censuses, as the signal does.
func (a *armRun) orphans(ctx context.Context) (map[string]string, error) {
	var looks [2]history.Census
	for i := range looks {
		if i > 0 {
			if err := a.wait(ctx, sampler.Every); err != nil {
				return nil, err
			}
		}
		if looks[i] = newCounter(a).census(ctx, a.host.control.Admin); looks[i].Error != "" {
			return nil, fmt.Errorf("read the holders of the locks: %s", looks[i].Error)
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
		a.rec.step(fmt.Sprintf("wave %d of %d", done, of), "its instances run with the new settings")
	})
}

// restart keeps the swarm out until the control connections are back: the
// first to dial a full server get its slots. The server reserves them where it
// can (Redis 7.0 and up, CONFIG allowed); behind the gate they are safe anywhere.
func (a *armRun) restart(ctx context.Context, c server.Config) error {
	a.swarm.Shut()
	defer a.swarm.Open()
	a.watcher.Use(sampler.Connections{})
	_ = a.host.control.Close()
	restarted := a.host.server.Restart(ctx, c)
	control, err := server.OpenControl(ctx, a.host.server.Endpoint())
	if err != nil {
		return errors.Join(restarted, err)
	}
	a.host.control = control
	if restarted == nil {
		checkRestarted(ctx, a, c)
	}
	a.watcher.Use(a.host.connections())
	return restarted
}

// restartAsItWas is the restart of a trigger: a server that does not come back leaves
// nothing to be judged.
func restartAsItWas(ctx context.Context, a *armRun) error {
	err := a.restart(ctx, a.host.config)
	switch {
	case err == nil || errors.Is(err, server.ErrNotOurs) || errors.Is(err, server.ErrWillNotStop):
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
		return rundir.Fault(err)
	case <-a.rec.recorder.Failed():
		return rundir.Fault(a.rec.recorder.Err())
	case err := <-a.watcher.Lost():
		return a.lost(ctx, err)
	}
}

// lost records that the server went away. It is no fault of lockjam's, and
// nothing can be said of the arm.
func (a *armRun) lost(ctx context.Context, cause error) error {
	said := ""
	asking, cancel := server.Within(ctx, askWithin)
	defer cancel()
	if log, err := a.host.server.Log(asking); err == nil {
		lines := strings.Split(strings.TrimSpace(string(log)), "\n")
		said = "; the last line of its log: " + lines[len(lines)-1]
	}
	a.rec.mark(history.NoteMark, "", fmt.Sprintf("the server went away in mid-run: %v%s", cause, said))
	return errServerLost
}

// errServerLost ends an arm early whose history says why.
var errServerLost = errors.New("the server went away")
