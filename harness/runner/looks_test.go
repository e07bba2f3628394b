package runner

import (
	"testing"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/scenario"
)

// slowWork has a deadlock and a remedy that does nothing about it. Both verdicts rest on
// proofs, and the work takes most of the time: a busy machine changes neither.
const slowWork = `
name: quick
title: A deadlock over slow work
server: {maxclients: 32, config: {save: '""'}}
swarm:
  instances: 16
  waiter: returns-connection
  holder: redials
  redial_ms: 50
  lock: {tenants: 4, hold_ms: 40, poll_ms: 20}
  arrivals: {tenant: by-worker, think_ms: 10}
trigger: {kind: surge, instances: 64}
phases: {baseline_ms: 1500, incident_ms: 3000, recovery_ms: 3000}
arms:
  - {name: control, remedy: none, expect: {verdict: no-effect}}
  - {name: orphans, remedy: release-orphaned-locks, expect: {verdict: no-effect}}
`

// slowOptions run both arms side by side.
func slowOptions(t *testing.T) Options {
	t.Helper()
	o := quickOptions(t, "no-effect")
	sc, err := scenario.Parse("quick.yaml", []byte(slowWork))
	if err != nil {
		t.Fatal(err)
	}
	o.Scenarios, o.Parallel = []*scenario.Scenario{sc}, 2
	return o
}

// A remedy that does nothing ends its arm once that is proved, and its incident once it is
// shown, since the control waits for the signals. Judging the record again, from the marks
// alone, gives the same bytes.
func TestArmsEndOnceTheyAreDecided(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	run, folder, err := Run(t.Context(), slowOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	rejudgeGivesTheSameBytes(t, folder)
	control, orphans := run.Scenarios[0].Arms[0], run.Scenarios[0].Arms[1]
	if e := control.Early; control.Verdict != result.NoEffect || e == nil || e.AnsweredBy != "" || e.VerdictSavedMS <= 0 {
		t.Errorf("control: %s, early %+v; want its incident whole, and a verdict that is settled early: %v",
			control.Verdict, e, control.Reasons)
	}
	if e := orphans.Early; orphans.Verdict != result.NoEffect || e == nil || e.AnsweredBy != scenario.ControlArm ||
		e.IncidentSavedMS <= 0 || e.VerdictSavedMS <= 0 {
		t.Errorf("orphans: %s, early %+v; want both to end early: %v", orphans.Verdict, e, orphans.Reasons)
	}
}

// Thoroughly nothing ends early, and the looks that were left out agree when they are replayed.
func TestThoroughArmsTakeTheirTime(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	o := slowOptions(t)
	o.Thorough = true
	run, folder, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range run.Scenarios[0].Arms {
		if a.Early != nil {
			t.Errorf("%s: early %+v with every phase at its length", a.Name, a.Early)
		}
	}
	replays, err := Replays(folder)
	if err != nil || len(replays) != 2 {
		t.Fatalf("%v, %d verdicts to replay; want 2", err, len(replays))
	}
	for _, r := range replays {
		if !r.Agrees() || r.SavedMS <= 0 {
			t.Errorf("replayed: %+v; want the same verdict, earlier", r)
		}
	}
}

// An arm has its signals answered only where the control runs beside it and has its incident.
func TestAnswers(t *testing.T) {
	sc, err := scenario.Parse("quick.yaml", []byte(slowWork))
	if err != nil {
		t.Fatal(err)
	}
	control, orphans := sc.Arms[0], sc.Arms[1]
	other, prevention := orphans, orphans
	other.Server = &sc.Server
	prevention.Prevention, prevention.Remedy = "something", ""
	for _, c := range []struct {
		name    string
		options Options
		arm     scenario.Arm
		answers string
	}{
		{"beside the control", Options{}, orphans, scenario.ControlArm},
		{"the control itself", Options{}, control, ""},
		{"alone", Options{Arms: []string{"orphans"}}, orphans, ""},
		{"thoroughly", Options{Thorough: true}, orphans, ""},
		{"on another server", Options{}, other, ""},
		{"with a prevention", Options{}, prevention, ""},
	} {
		if got := answers(c.options, sc, c.arm); got != c.answers {
			t.Errorf("%s: answered by %q, want %q", c.name, got, c.answers)
		}
	}
}
