package scenario

import (
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/swarm"
	"github.com/lockjam/lockjam/harness/triggers"
)

const changed = `name: changed
title: Arms that change what the scenario says
server: {maxclients: 8, config: {save: '""'}}
swarm: {instances: 2, holder: keeps-connection, lock: {tenants: 2, poll_ms: 10}}
trigger: {kind: surge, instances: 9}
arms:
  - name: control
  - name: backoff
    prevention: backoff
    claim: S1
    swarm: {lock: {backoff: full-jitter, backoff_max_ms: 80}}
    server: {config: {appendonly: "no"}}
    trigger: {instances: 5}
    phases: {prevention_ms: 4000}
  - name: rolled
    remedy: rollout
    swarm: {holder: returns-connection}
`

var withRollout = func() vocabulary {
	k := known
	k.remedies = map[string][]string{"none": nil, "rollout": nil}
	k.preventions = []string{"prevented"}
	return k
}()

// An arm says what differs; all else is the scenario's, wherever in the file that
// stands.
func TestArmOverrides(t *testing.T) {
	for _, source := range []string{changed, swapped(changed)} {
		s, err := parse("x.yaml", []byte(source), withRollout, "")
		if err != nil {
			t.Fatal(err)
		}
		arm, _ := s.Arm("backoff")
		under := s.For(arm)
		if l := under.Swarm.Lock; l.Backoff != swarm.BackoffFullJitter || l.BackoffMaxMS != 80 || l.PollMS != 10 ||
			l.Tenants != 2 || under.Swarm.Instances != 2 {
			t.Errorf("%+v", under.Swarm)
		}
		if c := under.Server; c.MaxClients != 8 || c.Config["save"] != `""` || c.Config["appendonly"] != "no" {
			t.Errorf("%+v", c)
		}
		if under.Trigger != (triggers.Settings{Kind: "surge", Instances: 5}) {
			t.Errorf("%+v", under.Trigger)
		}
		if p := under.Phases; p.PreventionMS != 4000 || p.BaselineMS != s.Phases.BaselineMS ||
			s.Phases.PreventionMS == 4000 {
			t.Errorf("%+v", p)
		}
		if s.Swarm.Lock.Backoff != swarm.BackoffNone || len(s.Server.Config) != 1 || s.Trigger.Instances != 9 {
			t.Errorf("the scenario has changed: %+v %+v", s.Swarm.Lock, s.Server)
		}
		// A rollout's settings are not in force before it.
		rolled, _ := s.Arm("rolled")
		if s.For(rolled).Swarm.Holder != swarm.HolderKeeps || rolled.Swarm.Holder != swarm.HolderReturns ||
			rolled.Swarm.Instances != 2 {
			t.Errorf("%+v", rolled.Swarm)
		}
	}
}

// swapped puts the arms before what they change.
func swapped(source string) string {
	head, arms, _ := strings.Cut(source, "server:")
	rest, arms, _ := strings.Cut(arms, "arms:")
	return head + "arms:" + arms + "server:" + rest
}

func TestArmOverridesAreChecked(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"backoff_max_ms: 80", "backoff_max_ms: 5", "arms[1].swarm.lock.backoff_max_ms: 5: want at least poll_ms, 10"},
		{"instances: 5", "instances: 2",
			"arms[1].trigger.instances: 2: want more than the 2 that run before the surge"},
		{"backoff: full-jitter", "backoff: jitter",
			`arms[1].swarm.lock.backoff: "jitter": want none, exponential or full-jitter`},
		{"backoff: full-jitter", "backof: full-jitter",
			`unknown key "backof" in arms[1].swarm.lock; did you mean "backoff"?`},
		{"claim: S1", "claim: S9", `arms[1].claim: the runbook has no claim "S9"; did you mean "S1"?`},
		{"    claim: S1", "    remedy: rollout",
			`arms[1].prevention: "backoff": an arm has a remedy or a prevention, not both`},
		{"    claim: S1", "    expect: {verdict: cured}",
			`arms[1].expect.verdict: unknown verdict "cured" of a prevention: it is one of remedies; known: prevented`},
		{"- name: control", "- name: control\n    swarm: {instances: 3}",
			"arms[0].name: the control runs the scenario as it is: put what it changes into the scenario"},
		{"prevention_ms: 4000", "prevention_ms: 4", "arms[1].phases.prevention_ms: 4: want 200 to 600000"},
		{"prevention_ms: 4000", "baseline_ms: 9000", "phases.baseline_max_ms: 8000: want at least baseline_ms, 9000"},
		{"    claim: S1", "    against: [roled]",
			`arms[1].against[0]: no arm is called "roled"; did you mean "rolled"?`},
		{"    claim: S1", "    against: [control]", `arms[1].against[0]: "control": every arm is compared with it`},
		{"    claim: S1", "    against: [backoff]",
			`arms[1].against[0]: "backoff": an arm is not compared with itself`},
		{"    claim: S1", "    against: [rolled, rolled]", `arms[1].against[1]: "rolled" is named twice`},
		{"holder: returns-connection", "holder: redials, client: {pool_size: 2}",
			"arms[2].swarm.client.pool_size: 2: want 1, for a holder that redials has one connection to close"},
	} {
		if !strings.Contains(changed, c.old) {
			t.Fatalf("there is no %q", c.old)
		}
		_, err := parse("x.yaml", []byte(strings.Replace(changed, c.old, c.new, 1)), withRollout, "")
		if err == nil || strings.Count(err.Error(), "\n") > 0 || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.new, err, c.want)
		}
	}
	bare := strings.Replace(changed, "    prevention: backoff\n", "    prevention: backoff\n  - name: other\n", 1)
	if _, err := parse("x.yaml", []byte(bare), withRollout, ""); err == nil ||
		!strings.Contains(err.Error(), "say in swarm, server or trigger what it is") {
		t.Errorf("a prevention of nothing: %v", err)
	}
}

const otherwise = `name: otherwise
title: Arms that expect something else of signals, and have another trigger
server: {maxclients: 8}
trigger: {kind: slow-script, for_ms: 900, script_ms: 50}
signals:
  deadlock: {expect: fire, within_ms: 5, params: {after_ms: 1}}
  goodput-collapse: {expect: fire}
arms:
  - name: control
  - name: paused
    trigger: {kind: pause, for_ms: 800}
    signals: {deadlock: {expect: silent}}
`

// An arm's expectation of a signal takes the place of the scenario's as a whole, and
// the others stay.
func TestArmSignals(t *testing.T) {
	s, err := parse("x.yaml", []byte(otherwise), known, "")
	if err != nil {
		t.Fatal(err)
	}
	paused, _ := s.Arm("paused")
	under := s.For(paused).Signals
	if got := under["deadlock"]; got.Expect != Silent || got.WithinMS != 0 || got.Params != nil {
		t.Errorf("deadlock: %+v", got)
	}
	if under["goodput-collapse"].Expect != Fire || len(under) != 2 || s.Signals["deadlock"].Expect != Fire {
		t.Errorf("the arm has %+v, the scenario %+v", under, s.Signals)
	}
	for _, c := range []struct{ old, new, want string }{
		{"signals: {deadlock: {expect: silent}}", "signals: {dedlock: {expect: silent}}",
			`signals.dedlock: unknown signal; did you mean "deadlock"?`},
		{"signals: {deadlock: {expect: silent}}", "signals: {deadlock: {expect: never}}",
			`deadlock.expect: "never": want fire, silent or any`},
		{"signals: {deadlock: {expect: silent}}", "signals: {deadlock: {params: {after_ms: 3}}}",
			`arms[1].signals.deadlock: say what is to be expected`},
		{"signals: {deadlock: {expect: silent}}", "signals: {deadlock: {expect: fire, within_ms: 9999}}",
			`arms[1].signals.deadlock.within_ms: 9999: the incident is over after 2000`},
		{"- name: control", "- name: control\n    signals: {deadlock: {expect: silent}}",
			"arms[0].name: the control runs the scenario as it is: put what it changes into the scenario"},
		// Of the scenario's own settings the arm's trigger needs none that it has no use for.
		{"kind: pause, for_ms: 800", "kind: pause, script_ms: 5",
			`arms[1].trigger.script_ms: the trigger "pause" has no script_ms`},
		{"kind: pause, for_ms: 800", "kind: pause, for_ms: 0",
			"arms[1].trigger.for_ms: 0: want 1 to 600000 (a pause has an end)"},
		{"kind: pause, for_ms: 800", "kind: drop-replies, for_ms: 800, drop_ms: 801",
			"arms[1].trigger.drop_ms: 801: want at most for_ms, 800"},
		{"kind: pause, for_ms: 800", "kind: drop-replies, for_ms: 800, drop_ms: 50, every_ms: 50",
			"arms[1].trigger.every_ms: 50: want more than drop_ms, 50"},
		{"kind: pause, for_ms: 800", "kind: drop-replies, for_ms: 800",
			"trigger.drop_ms: missing (drop-replies needs a length)"},
		{"script_ms: 50", "script_ms: 901",
			"trigger.script_ms: want at most for_ms: a script that has begun cannot be ended"},
		{"script_ms: 50", "script_ms: 1001", "trigger.script_ms: 1001: want 1 to 1000"},
		{", script_ms: 50", "", "trigger.script_ms: missing: want 1 to 1000 (a slow-script needs the time that one script takes)"},
	} {
		if !strings.Contains(otherwise, c.old) {
			t.Fatalf("there is no %q", c.old)
		}
		_, err := parse("x.yaml", []byte(strings.Replace(otherwise, c.old, c.new, 1)), known, "")
		if err == nil || strings.Count(err.Error(), "\n") > 0 || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.new, err, c.want)
		}
	}
}
