package runner

import (
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/scenario"
)

// twoArms is quick with a cure, over phases that leave something to save.
func twoArms(t *testing.T) Options {
	t.Helper()
	o := quickOptions(t, "no-effect")
	source := strings.NewReplacer("VERDICT", "no-effect", "incident_ms: 800, recovery_ms: 1000", "incident_ms: 2500, recovery_ms: 2500").
		Replace(quick) + "  - {name: raise, remedy: raise-maxclients-live, params: {maxclients: \"1000\"}, expect: {verdict: cured}}\n"
	sc, err := scenario.Parse("quick.yaml", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	o.Scenarios = []*scenario.Scenario{sc}
	return o
}

// A cure ends its arm once a look decides it, and its incident once it is shown, since the
// control waits for the signals. Judging the record again, from the marks alone, gives the
// same bytes.
func TestArmsEndOnceTheyAreDecided(t *testing.T) {
	nothingLeft(t)
	run, folder, err := Run(t.Context(), twoArms(t))
	if err != nil {
		t.Fatal(err)
	}
	rejudgeGivesTheSameBytes(t, folder)
	control, raise := run.Scenarios[0].Arms[0], run.Scenarios[0].Arms[1]
	if e := control.Early; control.Verdict != result.NoEffect || e == nil || e.AnsweredBy != "" || e.VerdictSavedMS <= 0 {
		t.Errorf("control: %s, early %+v; want its incident whole, and a verdict that is settled early: %v", control.Verdict, e, control.Reasons)
	}
	if e := raise.Early; raise.Verdict != result.Cured || e == nil || e.AnsweredBy != scenario.ControlArm || e.IncidentSavedMS <= 0 ||
		e.VerdictSavedMS <= 0 {
		t.Errorf("raise: %s, early %+v; want both to end early: %v", raise.Verdict, e, raise.Reasons)
	}
}

// Alone there is no arm that waits for the signals, and thoroughly nothing ends early.
func TestArmsThatTakeTheirTime(t *testing.T) {
	nothingLeft(t)
	alone := twoArms(t)
	alone.Arms = []string{"raise"}
	run, _, err := Run(t.Context(), alone)
	if err != nil {
		t.Fatal(err)
	}
	if e := run.Scenarios[0].Arms[0].Early; e == nil || e.IncidentSavedMS > 0 {
		t.Errorf("alone: early %+v; want its incident whole", e)
	}
	thorough := twoArms(t)
	thorough.Thorough = true
	run, folder, err := Run(t.Context(), thorough)
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
