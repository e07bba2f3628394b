package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/faults"
	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/judge"
	"github.com/lockjam/lockjam/harness/remedies"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/signals"
	"github.com/lockjam/lockjam/harness/swarm"
	"github.com/lockjam/lockjam/harness/text"
	"github.com/lockjam/lockjam/harness/triggers"
	"github.com/lockjam/lockjam/harness/watch"
)

// Bounds on what is not the scenario's to say.
const (
	startWithin  = time.Minute
	setUpWithin  = 10 * time.Second // to answer all that is asked before the swarm starts
	remedyWithin = 30 * time.Second
	stopWithin   = 20 * time.Second
	hurryWithin  = 2 * time.Second // to put somebody else's server back, when a signal has ended the run
	askWithin    = 5 * time.Second // to answer a question that takes a server no time
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
	observe func(result.Event)
	live    *live // tells of signals while they fire

	started time.Time
	server  server.Server
	network *faults.Proxy // between the swarm and its server; nil where the trigger needs none
	config  server.Config
	control *server.Control
	// limitTaken is how maxclients differs from the arm's own on a server that lockjam did
	// not start; nil where it is as asked.
	limitTaken []string
	recorder   *history.Recorder
	watcher    *watch.Watcher
	swarm      *swarm.Swarm
	undo       []func(context.Context) error

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
	e := result.Event{Kind: result.EventKind(kind), Name: name, Detail: detail, AtMS: text.Millis(at)}
	if kind == history.PhaseMark {
		e.AboutMS = text.Millis(a.lengthOf(name))
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
func (a *armRun) run(ctx context.Context) (env result.Server, err error) {
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
	a.markAt(stretch.From, history.PhaseMark, history.Baseline, "")
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

// baseline waits until goodput has been steady for long enough to compare with, or until
// it is clear that Redis refuses everything. Its time begins with the warm-up: a large
// swarm takes a while to start.
func (a *armRun) baseline(ctx context.Context) (history.Span, bool, error) {
	length := a.sc.Phases.BaselineMS.Duration()
	for end := a.elapsed() + a.sc.Phases.BaselineMaxMS.Duration(); a.elapsed() < end; {
		if err := a.wait(ctx, watch.SampleEvery); err != nil {
			return history.Span{}, false, err
		}
		if s, ok := judge.SteadyStretch(a.seen(), length, a.sc.Swarm.Lock.HoldMS.Duration()); ok {
			return s, true, nil
		}
		if judge.RefusedThroughout(a.seen(), a.sc) {
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
	a.mark(history.TriggerMark, t.Name, t.Say(a.sc.Trigger, a.sc.Swarm))
	bounded, cancel := context.WithTimeout(ctx, remedyWithin+a.sc.Trigger.ForMS.Duration())
	defer cancel()
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
		Ours:           a.ours(),
	}
	if a.network != nil {
		in.Network = a.network
	}
	return t.Fire(bounded, in)
}

// calm ends what the trigger has begun, if that has not ended by itself. It waits a while
// for a command that is under way over the control connection, and then closes that.
func (a *armRun) calm() {
	if a.endTrigger == nil {
		return
	}
	a.endTrigger()
	patience, done := context.WithTimeout(context.Background(), hurryWithin)
	defer done()
	admin := a.control.Admin
	defer context.AfterFunc(patience, func() { _ = admin.Close() })()
	a.going.Wait()
	if a.network != nil {
		a.network.Heal()
	}
}

func (a *armRun) applyRemedy(ctx context.Context) error {
	a.mark(history.RemedyMark, history.Begun, a.remedy.Name)
	within := cmp.Or(a.options.remedyWithin, remedyWithin)
	bounded, cancel := context.WithTimeout(ctx, within)
	defer cancel()
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
	in.Ours = a.ours()
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
	if restarted == nil {
		a.restarted(ctx, c)
	}
	a.watcher.Use(a.connections())
	return restarted
}

// restartAsItWas is the restart of a trigger: a server that does not come back leaves
// nothing to be judged.
func (a *armRun) restartAsItWas(ctx context.Context) error {
	err := a.restart(ctx, a.config)
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
	case <-a.recorder.Failed():
		return rundir.Fault(a.recorder.Err())
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
	if log, err := a.server.Log(asking); err == nil {
		lines := strings.Split(strings.TrimSpace(string(log)), "\n")
		said = "; the last line of its log: " + lines[len(lines)-1]
	}
	a.mark(history.NoteMark, "", fmt.Sprintf("the server went away in mid-run: %v%s", cause, said))
	return errServerLost
}

// errServerLost ends an arm early whose history says why.
var errServerLost = errors.New("the server went away")

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
