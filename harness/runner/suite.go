// Package runner runs scenarios: suite.go decides which arms run, setup.go what is started for
// an arm and taken down, arm.go the order of its phases, rejudge.go how a folder is judged again.
package runner

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/judge"
	"github.com/lockjam/lockjam/harness/machine"
	"github.com/lockjam/lockjam/harness/remedies"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/runbook"
	"github.com/lockjam/lockjam/harness/rundir"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/text"
)

// Options is what to run, on what.
type Options struct {
	Scenarios        []*scenario.Scenario
	Arms             []string // by name; empty: all
	Start            server.Starter
	Images           []string // container only; every arm runs once on each
	Parallel         int      // arms side by side
	Thorough         bool     // every phase takes the scenario's time, whatever is decided before
	Repeat           int      // times that every arm runs
	Seed             uint64
	Out              string             // run folders are made in it
	AllowDestructive bool               // on a server that lockjam did not start
	Observe          func(result.Event) // called for one event at a time, in their order; may be nil
	OnWork           func(worker int)   // see swarm.Config; may be nil

	workspace    *server.Workspace
	remedyWithin time.Duration // 0: remedyWithin
}

// attempts bounds how often an arm is run, if its interval straddles the threshold
// or the machine was too busy.
const attempts = 3

// task is one arm to run, and where its result goes.
type task struct {
	sc     *scenario.Scenario
	arm    scenario.Arm
	image  string // of the server; "" for one that has none
	label  string // of the image, in names; "" where all arms run on the same
	repeat int
	result *result.Arm

	answers string // the arm of the same lot that waits for this one's signals; "" if it waits itself
}

// on is the image that the arm is told apart by.
func (t *task) on() string {
	if t.label == "" {
		return ""
	}
	return t.image
}

// suite is a run under way.
type suite struct {
	options Options
	folder  string
	root    *os.Root // the folder, out of which nothing is written
	mu      sync.Mutex
	run     result.Run
	tasks   []*task

	telling sync.Mutex // while an event is told
	told    int64      // events
}

// Run runs the arms and writes the run folder. The error says why the run did
// not complete: it wraps server.ErrUnavailable, server.ErrUnusable, ErrInternal,
// ErrCleanup, ErrUsage or the context's. The Run is what was recorded until then.
func Run(ctx context.Context, o Options) (_ *result.Run, folder string, err error) {
	s := &suite{options: o}
	if s.tasks, err = plan(o); err != nil {
		return nil, "", err
	}
	defer func() {
		if s.root != nil {
			_ = s.root.Close()
		}
	}()
	if err := s.open(); err != nil {
		return nil, "", err
	}
	if s.options.workspace, err = server.NewWorkspace(s.run.ID); err != nil {
		return nil, s.folder, s.finish(result.Aborted, err)
	}
	s.observe(result.Event{Kind: result.RunStarted, Schema: result.EventSchema, Run: &s.run, Plan: planOf(o, s.tasks),
		Folder: s.folder})
	group, running := errgroup.WithContext(ctx)
	group.SetLimit(max(o.Parallel, 1))
	for _, t := range longestFirst(s.tasks) {
		group.Go(func() error {
			if running.Err() != nil {
				return nil // not begun: the first error says why
			}
			return s.runTask(running, t)
		})
	}
	err = group.Wait()
	if closeErr := s.options.workspace.Close(); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("%w: %w", result.ErrCleanup, closeErr))
	}
	switch {
	case err == nil && s.complete(): // a signal that comes after the last arm interrupts nothing
		err = s.finish(result.Completed, nil)
	case ctx.Err() != nil:
		err = s.finish(result.Interrupted, errors.Join(context.Cause(ctx), err))
	default:
		err = s.finish(result.Aborted, err)
	}
	s.observe(result.Event{Kind: result.RunFinished, Run: &s.run, Folder: s.folder})
	return &s.run, s.folder, err
}

// longestFirst is the order in which arms side by side are done soonest: a long one
// that begins last is waited for alone. Repeats come one after the other, so that
// each meets the same company, and one that is interrupted leaves whole ones behind.
func longestFirst(tasks []*task) []*task {
	order := slices.Clone(tasks)
	slices.SortStableFunc(order, func(a, b *task) int {
		return cmp.Or(cmp.Compare(a.repeat, b.repeat), cmp.Compare(b.length(), a.length()))
	})
	return order
}

// length is about how long an arm takes, its server's start left out.
func (t *task) length() time.Duration {
	p := t.sc.For(t.arm).Phases
	if t.arm.Prevention != "" {
		return (p.BaselineMS + p.PreventionMS).Duration()
	}
	return (p.BaselineMS + p.IncidentMS + p.RecoveryMS).Duration()
}

// plan lists the arms to run: scenario by scenario, repeat by repeat, and each on
// every image, so that what is compared runs about when its counterparts do.
func plan(o Options) ([]*task, error) {
	var tasks []*task
	images, labels := []string{""}, []string{""}
	if len(o.Images) > 0 {
		images, labels = o.Images, rundir.ImageLabels(o.Images)
	}
	used := map[string]bool{}
	for _, sc := range o.Scenarios {
		for repeat := 1; repeat <= max(o.Repeat, 1); repeat++ {
			for _, arm := range sc.Arms {
				if len(o.Arms) > 0 && !slices.Contains(o.Arms, arm.Name) {
					continue
				}
				used[arm.Name] = true
				for i := range images {
					tasks = append(tasks, &task{sc: sc, arm: arm, image: images[i], label: labels[i], repeat: repeat,
						answers: answers(o, sc, arm)})
				}
			}
		}
	}
	for _, name := range o.Arms {
		if !used[name] {
			return nil, fmt.Errorf("%w: no scenario of this run has an arm %q", result.ErrUsage, name)
		}
	}
	return tasks, nil
}

// answers names the arm that waits for the signals of this one: the control, where it runs
// as well and has the same incident.
func answers(o Options, sc *scenario.Scenario, arm scenario.Arm) string {
	control, there := sc.Arm(scenario.ControlArm)
	if o.Thorough || !there || arm.Name == control.Name || !sc.SameIncident(control) || !sc.SameIncident(arm) ||
		len(o.Arms) > 0 && !slices.Contains(o.Arms, control.Name) {
		return ""
	}
	return control.Name
}

// open makes the run folder and a run.json that says interrupted: that is what
// it is until it is finished, whatever ends lockjam in between.
func (s *suite) open() error {
	now := time.Now()
	suffix := make([]byte, 2)
	_, _ = rand.Read(suffix)
	s.run = result.Run{
		Schema: result.RunSchema, ID: fmt.Sprintf("%s-%x", now.UTC().Format("20060102-150405"), suffix),
		Started: now.UTC(),
		Seed:    s.options.Seed, Repeat: max(s.options.Repeat, 1), Status: result.Interrupted,
		Outcome:     result.Inconclusive,
		Environment: result.ThisEnvironment(), Scenarios: []result.Scenario{}, Claims: []result.Claim{},
	}
	s.run.Environment.Servers = serversOf(s.options.Images)
	s.folder = filepath.Join(s.options.Out, s.run.ID)
	s.run.Folder = s.folder
	if err := rundir.CheckOut(s.options.Out); err != nil {
		return unrecorded(err)
	}
	if err := os.Mkdir(s.folder, 0o777); err != nil {
		return unrecorded(err)
	}
	root, err := os.OpenRoot(s.folder)
	if err != nil {
		return unrecorded(err)
	}
	s.root = root
	if err := s.save(); err != nil {
		return unrecorded(err)
	}
	return s.pointLatest()
}

// unrecorded is the error of a run that cannot be recorded where it was asked to be:
// ErrUsage, unless the machine has run out of something.
func unrecorded(err error) error {
	err = fmt.Errorf("cannot write results: %w", err)
	if machine.Short(err) {
		return server.Unusable(err)
	}
	return fmt.Errorf("%w: %w", result.ErrUsage, err)
}

// pointLatest makes OUT/latest lead to this run, in one step.
func (s *suite) pointLatest() error {
	tmp := filepath.Join(s.options.Out, ".latest-"+s.run.ID)
	if err := os.Symlink(s.run.ID, tmp); err != nil {
		return unrecorded(err)
	}
	if err := os.Rename(tmp, filepath.Join(s.options.Out, rundir.Latest)); err != nil {
		_ = os.Remove(tmp)
		return unrecorded(fmt.Errorf("point %s to the run: %w", filepath.Join(s.options.Out, rundir.Latest), err))
	}
	return nil
}

// runTask runs one arm until its answer is clear, at most attempts times.
func (s *suite) runTask(ctx context.Context, t *task) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %s, arm %s panicked: %v\n%s", result.ErrInternal, t.sc.Name, t.arm.Name, r,
				debug.Stack())
		}
	}()
	observe := func(e result.Event) {
		e.Scenario, e.Arm, e.Image, e.Repeat = t.sc.Name, t.arm.Name, t.on(), t.repeat
		s.observe(e)
	}
	look := 1 // times the scenario's time
	for attempt := 1; ; attempt++ {
		r, env, err := s.runArm(ctx, t, attempt, look, observe)
		if r != nil {
			r.Image, r.Repeat, r.Attempts, r.Folder = t.on(), t.repeat, attempt, t.folder()
			if saveErr := s.keep(t, r, env); err == nil {
				err = saveErr
			}
		}
		if err != nil {
			return fmt.Errorf("%s, arm %s: %w", t.sc.Name, t.name(), err)
		}
		if !r.Noisy && !r.Straddles || attempt == attempts {
			observe(result.Event{Kind: result.ArmFinished, Result: r})
			return nil
		}
		// What was too wide an interval needs more to be seen, and not another draw.
		why := r.Reasons[len(r.Reasons)-1]
		if r.Straddles {
			look++
			why += fmt.Sprintf("; looking %d times as long", look)
		}
		observe(result.Event{Kind: result.ArmRepeated, Detail: why})
		old := filepath.Join(s.folder, t.folder())
		if err := os.Rename(old, fmt.Sprintf("%s.attempt-%d", old, attempt)); err != nil {
			return rundir.Fault(err)
		}
	}
}

// folder is within the run folder.
func (t *task) folder() string { return filepath.Join(t.sc.Name, t.name()) }

// name tells an arm from the others of its scenario: ARM, ARM+IMAGE in a run on
// several, and a number after repeats from the second on.
func (t *task) name() string {
	name := t.arm.Name
	if t.label != "" {
		name += "+" + t.label
	}
	if t.repeat > 1 {
		name = fmt.Sprintf("%s@%d", name, t.repeat)
	}
	return name
}

// runArm runs and judges one attempt, with look times as long to see what goodput is. The
// result is nil if nothing was recorded.
func (s *suite) runArm(ctx context.Context, t *task, attempt, look int, observe func(result.Event)) (*result.Arm,
	result.Server, error) {
	folder := filepath.Join(s.folder, t.folder())
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, result.Server{}, rundir.Fault(err)
	}
	if err := history.WriteFile(filepath.Join(folder, rundir.ScenarioFile), t.sc.Source); err != nil {
		return nil, result.Server{}, rundir.Fault(err)
	}
	remedy, _ := remedies.Find(t.arm.Remedy)
	a := newArm(job{
		sc: t.sc.For(t.arm).Longer(look), arm: t.arm, image: t.image, on: t.on(), remedy: remedy, answers: t.answers,
		options: &s.options,
		folder:  folder, observe: observe,
		prefix: fmt.Sprintf("lj-%s-%d", s.run.ID, slices.Index(s.tasks, t)), seed: armSeed(s.run.Seed, t, attempt),
	})
	observe(result.Event{Kind: result.ArmStarted, Name: remedy.Name})
	env, err := a.run(ctx)
	if a.rec.recorder == nil {
		return nil, env, err
	}
	if errors.Is(err, errServerLost) {
		err = onlyCleanup(err)
	}
	r, judgeErr := judgeFolder(s.root, t.folder(), t.sc, t.arm)
	if errors.Is(judgeErr, history.ErrTooLong) {
		r, judgeErr = unjudged(t, judgeErr), nil
	}
	if err == nil && judgeErr != nil {
		err = rundir.Fault(judgeErr)
	}
	return r, env, err
}

// unjudged is the result of an arm of which nothing can be said.
func unjudged(t *task, why error) *result.Arm {
	r := judge.Judge(t.sc, t.arm, &history.History{Marks: []history.Mark{
		{Kind: history.NoteMark, Detail: why.Error()},
		{Kind: history.PhaseMark, Name: history.End, Detail: why.Error()},
	}})
	return &r
}

// onlyCleanup drops the loss of the server, which the history tells of, and
// keeps what went wrong after it.
func onlyCleanup(err error) error {
	if errors.Is(err, result.ErrInternal) || errors.Is(err, result.ErrCleanup) || errors.Is(err, server.ErrUnusable) {
		return err
	}
	return nil
}

// armSeed makes every arm, repeat and attempt draw numbers of its own, the same
// ones in every run with the same seed, and on every image: what differs between
// images is not the luck of the draw, and one of them can be run again alone.
func armSeed(seed uint64, t *task, attempt int) uint64 {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d/%s/%s/%d/%d", seed, t.sc.Name, t.arm.Name, t.repeat, attempt)
	return h.Sum64()
}

// keep stores a verdict and brings run.json up to date.
func (s *suite) keep(t *task, r *result.Arm, env result.Server) error {
	if err := rundir.WriteJSON(s.root, filepath.Join(r.Folder, rundir.VerdictFile), r); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t.result = r
	if env.Kind != "" { // of an arm whose server could not be had there is nothing to tell
		env.Addr, env.Topology = "", "" // one per arm; environment.json has it
		s.run.Environment.Enter(env)
	}
	s.collect()
	return s.save()
}

// complete reports whether every arm has a result.
func (s *suite) complete() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !slices.ContainsFunc(s.tasks, func(t *task) bool { return t.result == nil })
}

// collect puts the results so far in the order of the plan. It needs s.mu.
func (s *suite) collect() {
	s.run.Scenarios = s.run.Scenarios[:0]
	for _, t := range s.tasks {
		if t.result == nil {
			continue
		}
		i := slices.IndexFunc(s.run.Scenarios, func(r result.Scenario) bool { return r.Name == t.sc.Name })
		if i < 0 {
			s.run.Scenarios = append(s.run.Scenarios,
				result.Scenario{Name: t.sc.Name, Title: t.sc.Title, File: t.sc.File, Claims: t.sc.Claims})
			i = len(s.run.Scenarios) - 1
		}
		s.run.Scenarios[i].Arms = append(s.run.Scenarios[i].Arms, *t.result)
	}
}

// finish gives the run its last status. Errors while it does so join err.
func (s *suite) finish(status result.Status, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now().UTC()
	s.run.Finished, s.run.Status = &now, status
	if err != nil {
		s.run.Because = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	s.collect()
	judge.Conclude(&s.run)
	s.run.Claims = runbook.Scorecard(&s.run)
	if saveErr := errors.Join(rundir.WriteVerdicts(s.root, &s.run), s.save()); saveErr != nil {
		s.run.Outcome = result.Worse(s.run.Outcome, result.Inconclusive) // what is not recorded did not pass
		err = errors.Join(err, saveErr)
	}
	return err
}

func (s *suite) save() error { return rundir.WriteJSON(s.root, rundir.RunFile, s.run) }

func (s *suite) observe(e result.Event) {
	if s.options.Observe == nil {
		return
	}
	s.telling.Lock()
	defer s.telling.Unlock()
	s.told++
	e.Seq, e.ElapsedMS = s.told, text.Millis(time.Since(s.run.Started))
	s.options.Observe(e)
}
