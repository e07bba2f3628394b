package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/scenario"
)

func TestRefusedThroughout(t *testing.T) {
	sc, err := scenario.Parse("refusing.yaml", []byte(strings.Replace(refusing, "CONFIG", "appendonly: 'no'", 1)))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		step func(i int, w *history.Swarm)
		want bool
	}{
		"every command is answered with an error": {func(i int, w *history.Swarm) { w.Errors[history.Rejected] += 5 },
			true},
		"nothing is answered": {func(int, *history.Swarm) {}, false},
		"connections fail": {func(i int, w *history.Swarm) { w.Errors[history.Refused] += 5 },
			false},
		"errors that have ceased": {func(i int,
			w *history.Swarm) {
			w.Errors[history.Rejected] = int64(min(i, 22))
		}, false},
		"errors that have just begun": {func(i int,
			w *history.Swarm) {
			w.Errors[history.Rejected] = int64(max(i-27, 0))
		}, false},
		"a lock is granted": {func(i int,
			w *history.Swarm) {
			w.Errors[history.Rejected]++
			w.Grants = int64(i / 25)
		}, false},
		"a lock is released": {func(i int,
			w *history.Swarm) {
			w.Errors[history.Rejected]++
			w.Releases = int64(i / 25)
		}, false},
		"something is decided": {func(i int,
			w *history.Swarm) {
			w.Errors[history.Rejected]++
			w.Decisions = int64(i / 25)
		}, false},
		"no worker yet": {func(i int,
			w *history.Swarm) {
			w.Errors[history.Rejected]++
			w.Workers = 0
		}, false},
	} {
		var samples []history.Sample
		w := history.Swarm{}
		for i := range 30 {
			w.Workers = 8
			c.step(i, &w)
			samples = append(samples, history.Sample{At: time.Duration(i) * 100 * time.Millisecond, Swarm: w})
		}
		if got := RefusedThroughout(samples, sc); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
		if RefusedThroughout(samples[:10], sc) {
			t.Errorf("%s: after 0.9 s already", name)
		}
	}
}

// What a journal without prefixes knows is said too.
func TestNoBaselineSaysWhatWasAnswered(t *testing.T) {
	sc, err := scenario.Parse("refusing.yaml", []byte(strings.Replace(refusing, "CONFIG", "appendonly: 'no'", 1)))
	if err != nil {
		t.Fatal(err)
	}
	judged := func(w history.Swarm) string {
		h := &history.History{
			Marks: []history.Mark{{Kind: history.PhaseMark, Name: history.Warmup},
				{At: 8 * second, Kind: history.PhaseMark, Name: history.End}},
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
		{history.Swarm{Workers: 8, Commands: 2000, Decisions: 1, Errors: [history.Classes]int64{history.Rejected: 3},
			Replies: history.Replies{"OOM": {Count: 2, First: "OOM no"}, "BUSY": {Count: 1}}},
			`no steady baseline within 8s: Redis answered 3 of 2,000 commands with an error: OOM 2 ("OOM no"), BUSY 1`},
	} {
		if got := judged(c.w); got != c.want {
			t.Errorf("%q\nwant %q", got, c.want)
		}
	}
}

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
