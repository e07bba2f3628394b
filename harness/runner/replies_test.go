package runner

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/judge"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/text"
)

// refusing is a scenario whose server answers with errors, from the start or later.
const refusing = `
name: quick
title: Redis refuses commands
server: {maxclients: 32, config: {save: '""', CONFIG}}
swarm:
  instances: 8
  lock: {tenants: 4, ttl_ms: 3000, hold_ms: 20, poll_ms: 10}
  arrivals: {kind: closed, tenant: by-worker, think_ms: 10}
trigger: {kind: pause, for_ms: 600}
phases: {baseline_ms: 1000, incident_ms: 1000, recovery_ms: 1500}
signals: {error-replies: {expect: any}}
arms:
  - {name: control, remedy: none}
`

func refusingWith(t *testing.T, config string) Options {
	t.Helper()
	o := quickOptions(t, "no-effect")
	sc, err := scenario.Parse("refusing.yaml", []byte(strings.Replace(refusing, "CONFIG", config, 1)))
	if err != nil {
		t.Fatal(err)
	}
	o.Scenarios = []*scenario.Scenario{sc}
	return o
}

// Where Redis refuses everything there will be no baseline: the arm ends long before the
// 8 s that it would wait, and says what was answered, and how often.
func TestEverythingIsRefused(t *testing.T) {
	needRedis(t)
	for _, c := range []struct {
		name, config, said string
		command            []any
	}{
		{name: "no memory", config: "maxmemory: 100kb, maxmemory-policy: noeviction",
			said: `commands with OOM ("OOM command not allowed when used memory`},
		{name: "scripts are not allowed", config: "user: default on nopass ~* &* +@all -eval -evalsha",
			said: `commands with NOPERM ("NOPERM `},
		{name: "a replica", config: "appendonly: 'no'",
			said:    `commands with READONLY ("READONLY You can't write against a read only replica.")`,
			command: []any{"REPLICAOF", "127.0.0.1", "1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			nothingLeft(t)
			o := refusingWith(t, c.config)
			start := o.Start
			o.Start = func(ctx context.Context, spec server.Spec) (server.Server, error) {
				s, err := start(ctx, spec)
				if err != nil || c.command == nil {
					return s, err
				}
				admin := redis.NewClient(&redis.Options{Addr: s.Endpoint().Addr, PoolSize: 1})
				defer admin.Close()
				return s, admin.Do(ctx, c.command...).Err()
			}
			run, folder, err := Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			arm := run.Scenarios[0].Arms[0]
			if arm.Outcome != result.Inconclusive || len(arm.Reasons) != 1 ||
				!strings.Contains(arm.Reasons[0], c.said) ||
				!strings.Contains(arm.Reasons[0], "no steady baseline: Redis answered ") {
				t.Errorf("%s: %q", arm.Outcome, arm.Reasons)
			}
			if h, err := history.Load(folder + "/quick/control/" + rundir.HistoryFile); err != nil ||
				judge.LastMoment(h) > 4*time.Second {
				t.Errorf("it took %v (%v)", judge.LastMoment(h), err)
			}
			rejudgeGivesTheSameBytes(t, folder)
		})
	}
}

// Memory that fills up in the incident is in the result and in the signal, from the
// clients and from the server, and both agree.
func TestRefusalsOfAnIncidentShow(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	o := refusingWith(t, "maxmemory-policy: noeviction")
	var addr string
	start := o.Start
	o.Start = func(ctx context.Context, spec server.Spec) (server.Server, error) {
		s, err := start(ctx, spec)
		if err == nil {
			addr = s.Endpoint().Addr
		}
		return s, err
	}
	o.Observe = func(e result.Event) {
		if e.Kind == result.EventKind(history.TriggerMark) {
			admin := redis.NewClient(&redis.Options{Addr: addr, PoolSize: 1})
			defer admin.Close()
			if err := admin.ConfigSet(context.Background(), "maxmemory", "100kb").Err(); err != nil {
				t.Error(err)
			}
		}
	}
	run, _, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	arm := run.Scenarios[0].Arms[0]
	if len(arm.ErrorReplies) != 1 || arm.ErrorReplies[0].Prefix != "OOM" || arm.ErrorReplies[0].Count < 50 ||
		!strings.HasPrefix(arm.ErrorReplies[0].Last, "OOM command not allowed") {
		t.Fatalf("%+v", arm.ErrorReplies)
	}
	if want := "Redis answered " + text.Grouped(arm.ErrorReplies[0].Count) +
		` commands with OOM ("OOM command not allowed`; !strings.HasPrefix(arm.Answered(), want) {
		t.Errorf("%q", arm.Answered())
	}
	var phases int64
	for _, p := range arm.Phases {
		phases += p.ErrorReplies["OOM"]
	}
	if phases != arm.ErrorReplies[0].Count {
		t.Errorf("%d in the phases, %d in all", phases, arm.ErrorReplies[0].Count)
	}
	for _, s := range arm.Signals {
		if s.Name != "error-replies" {
			continue
		}
		if !s.Fired || s.BaselineFirings > 0 || s.Figures["clients_oom_count"] == 0 ||
			s.Figures["server_oom_count"] < 0.9*s.Figures["clients_oom_count"] {
			t.Errorf("%+v", s)
		}
		return
	}
	t.Error("no signal error-replies")
}
