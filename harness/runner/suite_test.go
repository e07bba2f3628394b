package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/judge"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/process"
)

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func TestMain(m *testing.M) {
	redis.SetLogger(silent{})
	if leanChild() {
		return
	}
	os.Exit(m.Run())
}

// nothingLeft runs after a test that started servers: no goroutine, no folder.
// A go-redis pool that could not dial sleeps for up to a second before it
// notices that it was closed.
func nothingLeft(t *testing.T) {
	t.Helper()
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		var leak error
		for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); {
			if leak = goleak.Find(before); leak == nil {
				break
			}
		}
		if leak != nil {
			t.Error(leak)
		}
		if left, _ := filepath.Glob(filepath.Join(tmp, "*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

// quick is a scenario of a second: short phases, few workers.
const quick = `
name: quick
title: A small deadlock
server: {maxclients: 16, config: {save: '""'}}
swarm:
  instances: 8
  holder: redials
  redial_ms: 10
  lock: {tenants: 2, hold_ms: 5, poll_ms: 5}
  arrivals: {tenant: by-worker, think_ms: 5}
trigger: {kind: surge, instances: 32}
phases: {baseline_ms: 500, incident_ms: 800, recovery_ms: 1000}
incident: {for_ms: 500}
cure: {hold_ms: 500}
signals:
  goodput-collapse: {expect: fire}
  rejected-connections: {expect: fire}
arms:
  - {name: control, remedy: none, expect: {verdict: VERDICT}}
`

func quickOptions(t *testing.T, verdict string) Options {
	t.Helper()
	sc, err := scenario.Parse("quick.yaml", []byte(strings.Replace(quick, "VERDICT", verdict, 1)))
	if err != nil {
		t.Fatal(err)
	}
	start := func(ctx context.Context, spec server.Spec) (server.Server, error) {
		s, err := process.Start(ctx, spec)
		if errors.Is(err, server.ErrUnavailable) {
			t.Skipf("this test needs a redis-server or valkey-server on PATH; scripts/setup.sh --tests installs one: %v", err)
		}
		return s, err
	}
	return Options{Scenarios: []*scenario.Scenario{sc}, Start: start, Out: filepath.Join(t.TempDir(), "results"),
		Seed: 1}
}

func needRedis(t *testing.T) {
	t.Helper()
	if _, err := process.Find(); err != nil {
		t.Skipf("this test needs a redis-server or valkey-server on PATH; scripts/setup.sh --tests installs one: %v",
			err)
	}
}

// startedElsewhere starts a server that no run has started, and stops it after the test.
func startedElsewhere(t *testing.T, start server.Starter, c server.Config) server.Server {
	t.Helper()
	ws, err := server.NewWorkspace("elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	s, err := start(t.Context(), server.Spec{Workspace: ws, Name: "elsewhere", Config: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Stop(context.Background()), ws.Close()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestRunThatPasses(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	run, folder, err := Run(t.Context(), quickOptions(t, "no-effect"))
	if err != nil {
		t.Fatal(err)
	}
	arm := run.Scenarios[0].Arms[0]
	if run.Status != result.Completed || run.Outcome != result.Pass || arm.Verdict != result.NoEffect ||
		!*arm.Reproduced {
		t.Errorf("status %s, outcome %s, %+v", run.Status, run.Outcome, arm)
	}
	if last := arm.Phases[len(arm.Phases)-1]; last.Operations.Unknown == 0 || last.Classes["refused"] == 0 {
		t.Errorf("a deadlock leaves operations in flight and refused dials: %+v", last)
	}
	for _, name := range []string{rundir.ScenarioFile, rundir.EnvironmentFile, rundir.HistoryFile, rundir.VerdictFile,
		rundir.LogFile} {
		if _, err := os.Stat(filepath.Join(folder, "quick", "control", name)); err != nil {
			t.Error(err)
		}
	}
	if to, err := os.Readlink(filepath.Join(filepath.Dir(folder), "latest")); err != nil || to != run.ID {
		t.Errorf("latest leads to %q, %v", to, err)
	}
	rejudgeGivesTheSameBytes(t, folder)
}

func rejudgeGivesTheSameBytes(t *testing.T, folder string) {
	t.Helper()
	files := []string{filepath.Join(folder, rundir.RunFile),
		filepath.Join(folder, "quick", "control", rundir.VerdictFile)}
	var before [][]byte
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		before = append(before, data)
	}
	_, changed, err := Rejudge(folder)
	if err != nil || len(changed) > 0 {
		t.Fatalf("judged again: %v, changed %v", err, changed)
	}
	for i, f := range files {
		after, err := os.ReadFile(f)
		if err != nil || !bytes.Equal(before[i], after) {
			t.Errorf("%s is not the same to the byte: %v", f, err)
		}
	}
}

func TestRunThatFailsAnExpectation(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	run, _, err := Run(t.Context(), quickOptions(t, "cured"))
	if err != nil || run.Outcome != result.Fail {
		t.Fatalf("%v, outcome %s; want a completed run that failed", err, run.Outcome)
	}
	if why := strings.Join(run.Scenarios[0].Arms[0].Reasons, "; "); !strings.Contains(why,
		"expected to be cured and was no-effect") {
		t.Errorf("reasons: %s", why)
	}
}

func TestPanicInAWorkerEndsTheRun(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	o := quickOptions(t, "no-effect")
	o.OnWork = func(worker int) {
		if worker == 3 {
			panic("planted")
		}
	}
	run, folder, err := Run(t.Context(), o)
	if !errors.Is(err, result.ErrInternal) || !strings.Contains(err.Error(), "worker 3 panicked: planted") {
		t.Fatalf("%v; want an internal error that names the worker", err)
	}
	if run.Status != result.Aborted || run.Outcome == result.Pass {
		t.Errorf("status %s, outcome %s", run.Status, run.Outcome)
	}
	if _, err := history.Load(filepath.Join(folder, "quick", "control", rundir.HistoryFile)); err != nil {
		t.Errorf("what was recorded until then is lost: %v", err)
	}
}

func TestInterruptedRun(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	ctx, cancel := context.WithCancel(t.Context())
	o := quickOptions(t, "no-effect")
	o.Observe = func(e result.Event) {
		if e.Kind == result.EventKind(history.TriggerMark) {
			cancel()
		}
	}
	begun := time.Now()
	run, folder, err := Run(ctx, o)
	if !errors.Is(err, context.Canceled) || run.Status != result.Interrupted {
		t.Fatalf("%v, status %s", err, run.Status)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	stored, err := rundir.Load(folder)
	if err != nil || stored.Status != result.Interrupted || stored.Outcome != result.Inconclusive {
		t.Errorf("run.json: %+v, %v", stored, err)
	}
	// It had no time to show what was expected of it.
	arm := stored.Scenarios[0].Arms[0]
	if arm.Outcome != result.Inconclusive || arm.Verdict != "" ||
		!strings.Contains(strings.Join(arm.Reasons, "; "), "cut short") {
		t.Errorf("the arm: %+v", arm)
	}
}

// A fault of lockjam's own anywhere in an arm is an internal error, and what the
// arm had started is taken down all the same.
func TestPanicInTheHarness(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	o := quickOptions(t, "no-effect")
	o.Observe = func(e result.Event) {
		if e.Kind == result.EventKind(history.TriggerMark) {
			panic("planted")
		}
	}
	run, _, err := Run(t.Context(), o)
	if !errors.Is(err, result.ErrInternal) || !strings.Contains(err.Error(), "panicked: planted") ||
		run.Status != result.Aborted {
		t.Errorf("%v, status %s", err, run.Status)
	}
}

// What straddles the threshold is looked at for longer each time. A pause of 200 ms leaves
// between 70 and 90% of the goodput of 0.7 to 2.1 s, in an interval that reaches over it.
func TestWhatStraddlesIsLookedAtForLonger(t *testing.T) {
	nothingLeft(t)
	o := faultyOptions(t, "{kind: pause, for_ms: 200}", "kind: ''", "no-effect")
	sc := o.Scenarios[0]
	sc.Phases.PreventionMS, sc.Cure.RelapseRatio = 700, 0.1
	sc.Arms = append(sc.Arms, scenario.Arm{Name: "nothing", Prevention: "nothing"})
	o.Arms = []string{"nothing"}
	var told []string
	o.Observe = func(e result.Event) {
		if e.Kind == result.ArmRepeated {
			told = append(told, e.Detail)
		}
	}
	run, folder, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	arm := run.Scenarios[0].Arms[0]
	if arm.Outcome != result.Inconclusive || arm.Attempts != attempts ||
		!strings.Contains(arm.Reasons[0], "straddles") {
		t.Errorf("%s after %d attempts: %v; want inconclusive after %d", arm.Outcome, arm.Attempts, arm.Reasons,
			attempts)
	}
	if len(told) != 2 || !strings.HasSuffix(told[0], "looking 2 times as long") ||
		!strings.HasSuffix(told[1], "looking 3 times as long") {
		t.Errorf("told %q", told)
	}
	for i, name := range []string{"nothing.attempt-1", "nothing.attempt-2", "nothing"} {
		h, err := history.Load(filepath.Join(folder, "quick", name, rundir.HistoryFile))
		if err != nil {
			t.Fatal(err)
		}
		line := judge.ReadTimeline(h.Marks, history.Never)
		least := time.Duration(i+1) * 700 * time.Millisecond
		if took := line.End - line.Trigger; took < least || line.Baseline.To-line.Baseline.From < least*5/7 {
			t.Errorf("attempt %d: a baseline of %v and %v after the trigger; want %v at least", i+1,
				line.Baseline.To-line.Baseline.From, took, least)
		}
	}
}

// A server that lockjam did not start and that has stopped answering does not keep lockjam
// from ending.
func TestInterruptAtAFrozenServerOfSomebodyElse(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	o := quickOptions(t, "no-effect")
	theirs := startedElsewhere(t, o.Start, server.Config{"maxclients": "16", "save": `""`})
	ctx, cancel := context.WithCancel(t.Context())
	o.Start = server.Attach("redis://" + theirs.Endpoint().Addr)
	var begun time.Time
	o.Observe = func(e result.Event) {
		if e.Kind == result.EventKind(history.TriggerMark) {
			if err := theirs.Pause(context.Background()); err != nil {
				t.Error(err)
			}
			begun = time.Now()
			cancel()
		}
	}
	_, _, err := Run(ctx, o)
	if took := time.Since(begun); took > hurryWithin+time.Second {
		t.Errorf("it took %v to end", took)
	}
	if !errors.Is(err, result.ErrCleanup) {
		t.Errorf("%v; want to be told that the server was not put back", err)
	}
}

// What is cut short in the middle of a command takes its connection with it. The run's
// keys on a server that lockjam did not start are removed all the same.
func TestInterruptInARemedyAtAServerOfSomebodyElse(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	o := quickOptions(t, "no-effect")
	sc, err := scenario.Parse("quick.yaml",
		[]byte(strings.Replace(quick, "VERDICT", "no-effect", 1)+"  - {name: released, remedy: release-stale-locks}\n"))
	if err != nil {
		t.Fatal(err)
	}
	o.Scenarios, o.Arms = []*scenario.Scenario{sc}, []string{"released"}
	theirs := startedElsewhere(t, o.Start, server.Config{"maxclients": "16", "save": `""`})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Start = server.Attach("redis://" + theirs.Endpoint().Addr)
	o.Observe = func(e result.Event) {
		if e.Kind == result.EventKind(history.RemedyMark) && e.Name == history.Begun {
			cancel()
		}
	}
	if _, _, err = Run(ctx, o); !errors.Is(err, context.Canceled) || errors.Is(err, result.ErrCleanup) {
		t.Errorf("%v; want to be told of the interrupt, and of nothing left behind", err)
	}
	c := redis.NewClient(&redis.Options{Addr: theirs.Endpoint().Addr})
	defer c.Close()
	if n, err := c.DBSize(t.Context()).Result(); err != nil || n != 0 {
		t.Errorf("%d keys are left, %v", n, err)
	}
}

// A service that forbids CONFIG lets a run go on: the remedy that needs it is blocked,
// with the server's words, and no other.
func TestServerThatForbidsConfig(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	o := quickOptions(t, "no-effect")
	sc, err := scenario.Parse("quick.yaml", []byte(strings.Replace(quick, "VERDICT", "no-effect", 1)+
		"  - {name: raised, remedy: raise-maxclients-live, expect: {verdict: blocked}}\n  - {name: killed, remedy: kill-clients}\n"))
	if err != nil {
		t.Fatal(err)
	}
	o.Scenarios = []*scenario.Scenario{sc}
	start := o.Start
	o.Start = func(ctx context.Context, spec server.Spec) (server.Server, error) {
		s, err := start(ctx, spec)
		if err != nil {
			return s, err
		}
		c := redis.NewClient(&redis.Options{Addr: s.Endpoint().Addr, PoolSize: 1})
		defer c.Close()
		return s, c.ACLSetUser(ctx, "default", "-config").Err()
	}
	run, _, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, arm := range run.Scenarios[0].Arms {
		if arm.Outcome != result.Pass || arm.Name == "raised" && !strings.Contains(arm.Because, "NOPERM") ||
			arm.Name != "raised" && arm.Verdict == result.Blocked {
			t.Errorf("%s: %s %s %v: %s", arm.Name, arm.Outcome, arm.Verdict, arm.Reasons, arm.Because)
		}
	}
	if unread := run.Environment.Server.NotReadBack; len(unread) != 1 ||
		!strings.HasPrefix(unread[0], `save "" (CONFIG GET: NOPERM`) {
		t.Errorf("of the settings it says: %q", unread)
	}
}

// An arm that was under way when lockjam was killed has a history, and no place
// in run.json yet.
func TestRejudgeFindsTheArmThatWasUnderWay(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	_, folder, err := Run(t.Context(), quickOptions(t, "no-effect"))
	if err != nil {
		t.Fatal(err)
	}
	killed, _ := rundir.Load(folder)
	killed.Status, killed.Scenarios = result.Interrupted, []result.Scenario{}
	if err := rundir.WriteJSON(rootOf(t, folder), rundir.RunFile, killed); err != nil {
		t.Fatal(err)
	}
	history := filepath.Join(folder, "quick", "control", rundir.HistoryFile)
	whole, err := os.ReadFile(history)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(history, whole[:len(whole)*2/3], 0o600); err != nil {
		t.Fatal(err)
	}
	r, _, err := Rejudge(folder)
	if err != nil || len(r.Scenarios) != 1 {
		t.Fatalf("%v, %+v", err, r)
	}
	if arm := r.Scenarios[0].Arms[0]; arm.Name != "control" || arm.Outcome != result.Inconclusive || !arm.Truncated ||
		len(arm.Phases) == 0 {
		t.Errorf("%+v", arm)
	}
}

// A server that dies in mid-run leaves an arm of which nothing can be said, with
// the reason, and a run that goes on.
func TestServerDiesInMidRun(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	o := quickOptions(t, "no-effect")
	start := o.Start
	var victim server.Server
	o.Start = func(ctx context.Context, spec server.Spec) (server.Server, error) {
		s, err := start(ctx, spec)
		victim = s
		return s, err
	}
	o.Observe = func(e result.Event) {
		if e.Kind == result.EventKind(history.TriggerMark) {
			if err := victim.Kill(context.Background()); err != nil {
				t.Error(err)
			}
		}
	}
	run, _, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	arm := run.Scenarios[0].Arms[0]
	if arm.Outcome != result.Inconclusive ||
		!strings.Contains(strings.Join(arm.Reasons, "; "), "the server went away in mid-run") {
		t.Errorf("outcome %s, reasons %v", arm.Outcome, arm.Reasons)
	}
}

// A remedy whose command is never answered is given up, and blocked; the other arms
// are run as if nothing had been.
func TestRemedyThatHangs(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	o := quickOptions(t, "no-effect")
	sc, err := scenario.Parse("quick.yaml", []byte(strings.Replace(quick, "VERDICT", "no-effect", 1)+
		"  - {name: raised, remedy: raise-maxclients-live, expect: {verdict: blocked}}\n  - {name: released, remedy: release-orphaned-locks, expect: {verdict: no-effect}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	o.Scenarios, o.Arms, o.remedyWithin = []*scenario.Scenario{sc}, nil, 500*time.Millisecond
	start := o.Start
	var frozen server.Server
	o.Start = func(ctx context.Context, spec server.Spec) (server.Server, error) {
		s, err := start(ctx, spec)
		if strings.Contains(spec.Name, "raised") {
			frozen = s
		}
		return s, err
	}
	o.Observe = func(e result.Event) {
		if e.Kind != result.EventKind(history.RemedyMark) || e.Arm != "raised" {
			return
		}
		act := frozen.Resume
		if e.Name == history.Begun {
			act = frozen.Pause
		}
		if err := act(context.Background()); err != nil {
			t.Error(err)
		}
	}
	run, _, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, arm := range run.Scenarios[0].Arms {
		if arm.Outcome != result.Pass || arm.Name == "raised" &&
			!strings.Contains(arm.Because, "it was not done after 500ms") {
			t.Errorf("%s: %s %v: %s", arm.Name, arm.Outcome, arm.Reasons, arm.Because)
		}
	}
}

// What a killed lockjam leaves is a run.json that says interrupted, because it
// says so from the first moment.
func TestRunFileSaysInterruptedUntilItIsFinished(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	o := quickOptions(t, "no-effect")
	seen := false
	o.Observe = func(e result.Event) {
		if e.Kind != result.PhaseEvent || seen {
			return
		}
		seen = true
		runs, _ := filepath.Glob(filepath.Join(o.Out, "2*"))
		r, err := rundir.Load(runs[0])
		if err != nil || r.Status != result.Interrupted || r.Outcome != result.Inconclusive {
			t.Errorf("in mid-run: %+v, %v", r, err)
		}
	}
	if _, _, err := Run(t.Context(), o); err != nil || !seen {
		t.Error(err, seen)
	}
}

func TestUnwritableOut(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := quickOptions(t, "no-effect")
	o.Out = filepath.Join(file, "results")
	if _, _, err := Run(t.Context(), o); !errors.Is(err, result.ErrUsage) ||
		!strings.Contains(err.Error(), "cannot write results") {
		t.Errorf("%v", err)
	}
}

// Long arms first, and never a repeat before the one that precedes it.
func TestOrderOfArms(t *testing.T) {
	sc := scenario.Defaults()
	long := scenario.Arm{Name: "long", Phases: &scenario.Phases{BaselineMS: 1000, IncidentMS: 1000, RecoveryMS: 9000}}
	sc.Name, sc.Arms = "x", []scenario.Arm{{Name: "short"}, long}
	tasks, err := plan(Options{Scenarios: []*scenario.Scenario{&sc}, Repeat: 2})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, task := range longestFirst(tasks) {
		got = append(got, fmt.Sprintf("%s %d", task.arm.Name, task.repeat))
	}
	if want := "long 1, short 1, long 2, short 2"; strings.Join(got, ", ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}

func TestUnknownArm(t *testing.T) {
	o := quickOptions(t, "no-effect")
	o.Arms = []string{"nonsense"}
	if _, _, err := Run(t.Context(), o); !errors.Is(err, result.ErrUsage) ||
		!strings.Contains(err.Error(), `"nonsense"`) {
		t.Errorf("%v", err)
	}
}

// A run folder is data from elsewhere: nothing outside of it may be touched.
func TestHostileRunFolder(t *testing.T) {
	dir := t.TempDir()
	run := result.Run{Schema: result.RunSchema,
		Scenarios: []result.Scenario{{Name: "x", Arms: []result.Arm{{Name: "a", Folder: "../../etc"}}}}}
	data, _ := json.Marshal(run)
	if err := os.WriteFile(filepath.Join(dir, rundir.RunFile), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Rejudge(dir); !errors.Is(err, result.ErrUsage) ||
		!strings.Contains(err.Error(), "outside of itself") {
		t.Errorf("%v", err)
	}
}

func rootOf(t *testing.T, folder string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root
}
