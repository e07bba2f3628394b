package runner

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/process"
	"github.com/lockjam/lockjam/harness/waitgraph"
)

// faulty is a scenario of some seconds with a trigger that lasts.
const faulty = `
name: quick
title: Something happens to the server or on the way to it
server: {maxclients: 16, config: {save: '""'}}
swarm:
  instances: 2
  client: {read_timeout_ms: 60, dial_timeout_ms: 200, write_timeout_ms: 200, pool_timeout_ms: 200, max_retry_backoff_ms: 16, max_retries: 1}
  lock: {tenants: 2, hold_ms: 2, poll_ms: 5}
  arrivals: {tenant: by-worker, think_ms: 20}
trigger: TRIGGER
phases: {baseline_ms: 500, incident_ms: 2500, recovery_ms: 700}
incident: {for_ms: 500, KIND}
cure: {hold_ms: 500}
arms:
  - {name: control, remedy: none, expect: {verdict: VERDICT}}
`

func faultyOptions(t *testing.T, trigger, kind, verdict string) Options {
	t.Helper()
	needRedis(t)
	o := quickOptions(t, "no-effect")
	source := strings.NewReplacer("TRIGGER", trigger, "KIND", kind, "VERDICT", verdict).Replace(faulty)
	sc, err := scenario.Parse("quick.yaml", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	o.Scenarios = []*scenario.Scenario{sc}
	return o
}

// Replies vanish between the swarm and its server, and never between the server and
// the control connections: the incident is sampled from end to end, and what it left
// is proved.
func TestLostReplyIsProved(t *testing.T) {
	nothingLeft(t)
	o := faultyOptions(t, "{kind: drop-replies, for_ms: 900, drop_ms: 100, every_ms: 200}", "kind: deadlock",
		"no-effect")
	run, folder, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	arm := run.Scenarios[0].Arms[0]
	if run.Outcome != result.Pass || arm.Deadlock == nil || arm.Deadlock.Kind != string(waitgraph.Deadlock) ||
		!arm.Deadlock.Checked {
		t.Fatalf("%s %v %+v", run.Outcome, arm.Reasons, arm.Deadlock)
	}
	if d := arm.Deadlock; d.Residue.Locks != 2 || d.Residue.Workers != 2 ||
		!strings.Contains(d.Sentence, "and waits for lock") {
		t.Errorf("%+v", d)
	}
	recorded, err := history.Load(folder + "/quick/control/" + rundir.HistoryFile)
	if err != nil {
		t.Fatal(err)
	}
	unanswered := 0
	for _, s := range recorded.Samples {
		if s.Error != "" {
			unanswered++
		}
	}
	if n := len(recorded.Samples); n < 30 || unanswered > n/10 {
		// replies vanish for a tenth of the time; on a busy machine one may be late
		t.Errorf("%d of %d samples were not answered", unanswered, n)
	}
	rejudgeGivesTheSameBytes(t, folder)
}

// A run that is interrupted leaves no fault behind, and does not wait for its end.
func TestFaultsEndWithTheRun(t *testing.T) {
	for name, trigger := range map[string]string{
		"drop-replies": "{kind: drop-replies, for_ms: 600000, drop_ms: 500000}",
		"slow-script":  "{kind: slow-script, for_ms: 600000, script_ms: 50}",
		"pause":        "{kind: pause, for_ms: 600000}",
	} {
		t.Run(name, func(t *testing.T) {
			nothingLeft(t)
			o := faultyOptions(t, trigger, "kind: ''", "no-effect")
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			o.Observe = func(e result.Event) {
				if e.Kind == result.EventKind(history.TriggerMark) {
					time.AfterFunc(300*time.Millisecond, interrupt)
				}
			}
			begun := time.Now()
			run, _, err := Run(ctx, o)
			if !errors.Is(err, context.Canceled) || run.Status != result.Interrupted {
				t.Errorf("%s: %v", run.Status, err)
			}
			if took := time.Since(begun); took > 30*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// A server does without a directive that it does not know, where the scenario can; and
// after a restart as well.
func TestConfigIfKnown(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	ws, err := server.NewWorkspace("if-known-test")
	if err != nil {
		t.Fatal(err)
	}
	sc := &scenario.Scenario{Server: scenario.Server{
		MaxClients: 16, Config: map[string]string{"save": `""`},
		ConfigIfKnown: map[string]string{"no-such-directive": "1", "maxmemory": "64mb", "nor-this": "yes"},
	}}
	options := &Options{Start: process.Start, workspace: ws}
	s, config, err := starter{job{sc: sc, options: options, folder: "x/y"}}.start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Stop(context.Background()), ws.Close()); err != nil {
			t.Error(err)
		}
	})
	if err := s.Restart(t.Context(), config); err != nil {
		t.Error(err)
	}
	if _, there := config["no-such-directive"]; there || config["maxmemory"] != "64mb" || config["save"] != `""` ||
		len(config) != 3 {
		t.Errorf("it runs with %v", config)
	}
	sc.Server.Config["no-such-directive"] = "1"
	if _, _, err := (starter{job{sc: sc, options: options, folder: "x/z"}}).start(t.Context()); err == nil {
		t.Error("a server took a directive that does not exist")
	}
}
