package harness

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
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
	sc, err := scenario.Parse("refusing.yaml", []byte(strings.Replace(refusing, "CONFIG", config, 1)), Known())
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
		{name: "no memory", config: "maxmemory: 100kb, maxmemory-policy: noeviction", said: `commands with OOM ("OOM command not allowed when used memory`},
		{name: "scripts are not allowed", config: "user: default on nopass ~* &* +@all -eval -evalsha", said: `commands with NOPERM ("NOPERM `},
		{name: "a replica", config: "appendonly: 'no'", said: `commands with READONLY ("READONLY You can't write against a read only replica.")`,
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
			run, folder, err := RunSuite(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			arm := run.Scenarios[0].Arms[0]
			if arm.Outcome != Inconclusive || len(arm.Reasons) != 1 || !strings.Contains(arm.Reasons[0], c.said) ||
				!strings.Contains(arm.Reasons[0], "no steady baseline: Redis answered ") {
				t.Errorf("%s: %q", arm.Outcome, arm.Reasons)
			}
			if h, err := history.Load(folder + "/quick/control/" + historyFile); err != nil || lastMoment(h) > 4*time.Second {
				t.Errorf("it took %v (%v)", lastMoment(h), err)
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
	o.Observe = func(e Event) {
		if e.Kind == EventKind(history.TriggerMark) {
			admin := redis.NewClient(&redis.Options{Addr: addr, PoolSize: 1})
			defer admin.Close()
			if err := admin.ConfigSet(context.Background(), "maxmemory", "100kb").Err(); err != nil {
				t.Error(err)
			}
		}
	}
	run, _, err := RunSuite(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	arm := run.Scenarios[0].Arms[0]
	if len(arm.ErrorReplies) != 1 || arm.ErrorReplies[0].Prefix != "OOM" || arm.ErrorReplies[0].Count < 50 ||
		!strings.HasPrefix(arm.ErrorReplies[0].Last, "OOM command not allowed") {
		t.Fatalf("%+v", arm.ErrorReplies)
	}
	if want := "Redis answered " + Grouped(arm.ErrorReplies[0].Count) + ` commands with OOM ("OOM command not allowed`; !strings.HasPrefix(arm.Answered(), want) {
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

func TestRefusedThroughout(t *testing.T) {
	sc, err := scenario.Parse("refusing.yaml", []byte(strings.Replace(refusing, "CONFIG", "appendonly: 'no'", 1)), Known())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		step func(i int, w *history.Swarm)
		want bool
	}{
		"every command is answered with an error": {func(i int, w *history.Swarm) { w.Errors[history.Rejected] += 5 }, true},
		"nothing is answered":                     {func(int, *history.Swarm) {}, false},
		"connections fail":                        {func(i int, w *history.Swarm) { w.Errors[history.Refused] += 5 }, false},
		"errors that have ceased":                 {func(i int, w *history.Swarm) { w.Errors[history.Rejected] = int64(min(i, 22)) }, false},
		"errors that have just begun":             {func(i int, w *history.Swarm) { w.Errors[history.Rejected] = int64(max(i-27, 0)) }, false},
		"a lock is granted":                       {func(i int, w *history.Swarm) { w.Errors[history.Rejected]++; w.Grants = int64(i / 25) }, false},
		"a lock is released":                      {func(i int, w *history.Swarm) { w.Errors[history.Rejected]++; w.Releases = int64(i / 25) }, false},
		"something is decided":                    {func(i int, w *history.Swarm) { w.Errors[history.Rejected]++; w.Decisions = int64(i / 25) }, false},
		"no worker yet":                           {func(i int, w *history.Swarm) { w.Errors[history.Rejected]++; w.Workers = 0 }, false},
	} {
		var samples []history.Sample
		w := history.Swarm{}
		for i := range 30 {
			w.Workers = 8
			c.step(i, &w)
			samples = append(samples, history.Sample{At: time.Duration(i) * 100 * time.Millisecond, Swarm: w})
		}
		if got := refusedThroughout(samples, sc); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
		if refusedThroughout(samples[:10], sc) {
			t.Errorf("%s: after 0.9 s already", name)
		}
	}
}

// What a journal without prefixes knows is said too.
func TestNoBaselineSaysWhatWasAnswered(t *testing.T) {
	sc, err := scenario.Parse("refusing.yaml", []byte(strings.Replace(refusing, "CONFIG", "appendonly: 'no'", 1)), Known())
	if err != nil {
		t.Fatal(err)
	}
	judged := func(w history.Swarm) string {
		h := &history.History{
			Marks:   []history.Mark{{Kind: history.PhaseMark, Name: history.Warmup}, {At: 8 * second, Kind: history.PhaseMark, Name: history.End}},
			Samples: []history.Sample{{At: 0, Swarm: history.Swarm{Workers: 8}}, {At: 8 * second, Swarm: w}},
		}
		return strings.Join(Judge(sc, sc.Arms[0], h).Reasons, "; ")
	}
	for _, c := range []struct {
		w    history.Swarm
		want string
	}{
		{history.Swarm{Workers: 8, Commands: 5}, "no steady baseline within 8s"},
		{history.Swarm{Workers: 8, Commands: 2000, Errors: [history.Classes]int64{history.Rejected: 1234}},
			"no steady baseline within 8s: Redis answered 1,234 of 2,000 commands with an error"},
		{history.Swarm{Workers: 8, Commands: 2000, Decisions: 1, Errors: [history.Classes]int64{history.Rejected: 3}, Replies: history.Replies{"OOM": {Count: 2, First: "OOM no"}, "BUSY": {Count: 1}}},
			`no steady baseline within 8s: Redis answered 3 of 2,000 commands with an error: OOM 2 ("OOM no"), BUSY 1`},
	} {
		if got := judged(c.w); got != c.want {
			t.Errorf("%q\nwant %q", got, c.want)
		}
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 21654: "21,654", -1234567: "-1,234,567"} {
		if got := Grouped(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
