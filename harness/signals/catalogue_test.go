package signals

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lockjam/lockjam/harness/history"
)

func TestCatalogueIsSortedAndDescribed(t *testing.T) {
	var names []string
	for _, s := range All() {
		names = append(names, s.Name)
		if s.Summary == "" || s.Unavailable == nil || s.Firings == nil || s.Figures == nil {
			t.Errorf("%s lacks a summary, or says not when it is unavailable, fires, or what it read", s.Name)
		}
	}
	if !slices.IsSorted(names) {
		t.Errorf("not sorted: %v", names)
	}
}

// incident is a history in which every signal has something to read, and most
// of them fire: a baseline of a second, and trouble from 1.5 s on.
func incident() View {
	v := series(40, func(i int, s *history.Sample) {
		trouble := i >= 15
		grow := func(well, ill int64) int64 { return map[bool]int64{true: ill, false: well}[trouble] }
		s.Swarm.Workers, s.Swarm.Waiting, s.Swarm.Dialing, s.Swarm.Oldest = 16, grow(3, 12), grow(0, 4), 5*ms
		if trouble {
			s.Swarm.Oldest = s.At - 1450*ms
		}
		s.Swarm.Decisions += grow(10, 0)
		s.Swarm.Grants += grow(10, 0)
		s.Swarm.Commands += 100
		s.Swarm.CommandTime += 100 * ms
		s.Swarm.Errors[history.Refused] += grow(0, 40)
		s.Swarm.Errors[history.Deadline] += grow(0, 2)
		s.Server.Connected = grow(60, 100)
		s.Server.Rejected += grow(0, 40)
		s.Server.Commands += grow(1000, 200)
		s.Server.Calls += 100
		s.Server.CommandTime += 5 * ms
		dial(s, func(c *history.Canary) *int64 {
			return map[bool]*int64{true: &c.Refused,
				false: &c.Admitted}[trouble]
		})
		s.Locks = everyFifth(i, history.Locks{Keys: grow(4, 12), NoTTL: grow(0, 12),
			OldestIdle: time.Duration(grow(0, 2)) * time.Second, Asked: 4})
		s.Monitor = burst(i, history.Monitor{Commands: 50, Attempts: 30, Releases: grow(8, 0), Stuck: grow(1, 9)})
	})
	v.Ops = requests(func(at time.Duration) time.Duration { return map[bool]time.Duration{true: 10 * ms}[at < 1500*ms] })
	orphan := map[string]string{"lock:a": "7:1:0000000f", "lock:b": "8:2:0000000e"}
	for tenth := 16; tenth < 40; tenth += 2 {
		v.Census = append(v.Census, count(tenth, orphan, 8))
		v.Findings = append(v.Findings,
			Proof{At: time.Duration(tenth) * 100 * ms, Deadlock: tenth >= 28,
				Still: time.Duration(tenth-16) * 100 * ms, Waiting: 16})
	}
	return v
}

func TestFigures(t *testing.T) {
	type figures = map[string]float64
	v := incident()
	for name, want := range map[string]struct{ baseline, trouble figures }{
		"client-errors": {figures{"errors_per_s": 0, "told_count": 0, "refused_count": 0},
			figures{"errors_per_s": 420, "told_count": 0, "refused_count": 800}},
		"client-saturation": {figures{"connected_max": 60, "maxclients": 100, "ratio_max": 0.6},
			figures{"connected_max": 100, "maxclients": 100, "ratio_max": 1}},
		"command-latency-client": {figures{"mean_ms": 1}, figures{"mean_ms": 1}},
		"command-latency-server": {figures{"mean_ms": 0.05}, figures{"mean_ms": 0.05}},
		"command-throughput": {figures{"commands_per_s": 10000, "ratio_of_baseline": 1},
			figures{"commands_per_s": 2000, "ratio_of_baseline": 0.2}},
		"deadlock": {figures{}, figures{"still_ms_max": 2200, "waiting_max": 16}},
		"goodput-collapse": {figures{"goodput_per_s": 100, "ratio_of_baseline": 1},
			figures{"goodput_per_s": 0, "ratio_of_baseline": 0}},
		"lock-key-count": {figures{"keys_max": 4, "no_ttl_max": 0, "oldest_idle_s": 0, "baseline_keys_max": 4},
			figures{"keys_max": 12, "no_ttl_max": 12, "oldest_idle_s": 2, "baseline_keys_max": 4}},
		// Three bursts ended in the baseline, the first of them when it began. In the
		// trouble the first of four began before it.
		"lock-set-retries": {figures{"attempts_per_s": 150, "releases_per_s": 40, "stuck_max": 1, "listened_ms": 600,
			"monitored_decisions": 40, "monitored_ms": 400, "unmonitored_decisions": 59, "unmonitored_ms": 600,
			"monitored_goodput_per_s": 100, "unmonitored_goodput_per_s": 98.3},
			figures{"attempts_per_s": 150, "releases_per_s": 0, "stuck_max": 9, "listened_ms": 800,
				"monitored_decisions": 0, "monitored_ms": 700, "unmonitored_decisions": 0, "unmonitored_ms": 1300,
				"monitored_goodput_per_s": 0, "unmonitored_goodput_per_s": 0}},
		"orphaned-locks": {figures{}, figures{"orphaned_max": 1, "locks_max": 2}},
		"refused-clients": {figures{"canary_dials": 10, "canary_refused": 0, "canary_cut": 0, "canary_silent": 0,
			"canary_unreachable": 0, "told_count": 0, "refused_count": 0},
			figures{"canary_dials": 20, "canary_refused": 20, "canary_cut": 0, "canary_silent": 0,
				"canary_unreachable": 0, "told_count": 0, "refused_count": 800}},
		"rejected-connections": {figures{"rejected_per_s": 0, "rejected_count": 0, "cumulative_reading": 0},
			figures{"rejected_per_s": 400, "rejected_count": 800, "cumulative_reading": 1000}},
		"request-latency": {figures{"p99_ms": 10, "oldest_ms": 5, "timeouts_per_s": 0, "ratio_of_baseline": 1},
			figures{"oldest_ms": 2450, "timeouts_per_s": 20, "ratio_of_baseline": 245}},
	} {
		s, ok := Find(name)
		if !ok {
			t.Fatalf("%s is not in the catalogue", name)
		}
		if why := s.Unavailable(v); why != "" {
			t.Errorf("%s: unavailable: %s", name, why)
		}
		if got := s.Figures(v, s.Params, v.Baseline); !maps.Equal(got, want.baseline) {
			t.Errorf("%s: baseline %v\nwant %v", name, got, want.baseline)
		}
		if got := s.Figures(v, s.Params, Span{1900 * ms, 3900 * ms}); !maps.Equal(got, want.trouble) {
			t.Errorf("%s: trouble %v\nwant %v", name, got, want.trouble)
		}
	}
}

// What a restart sets back is counted, and once; what was refused between the
// last answer before it and the restart itself, 80 here, cannot be known.
func TestFiguresOverARestart(t *testing.T) {
	v := incident()
	for i := 25; i < 40; i++ {
		s := v.Samples[i].Server
		s.RunID, s.Rejected, s.Commands = "b", s.Rejected-400, s.Commands-17000
	}
	for i := 23; i < 27; i++ {
		v.Samples[i].Server.Missing = map[string]string{"rejected_connections": "not in INFO"}
	}
	in := Span{1500 * ms, 3500 * ms}
	want := map[string]float64{"rejected_count": 720, "rejected_per_s": 360, "cumulative_reading": 440}
	if got := rejectedConnections.Figures(v, nil, in); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// The proof raises the signal, and a finding that proves nothing ends it.
func TestDeadlockFires(t *testing.T) {
	v := View{}
	for tenth := 10; tenth < 40; tenth++ {
		v.Findings = append(v.Findings,
			Proof{At: time.Duration(tenth) * 100 * ms, Deadlock: tenth >= 22 && tenth < 30})
	}
	if got := spans(deadlock.Firings(v, nil)); got != "2200-3000" {
		t.Errorf("fired %q", got)
	}
}

// Of a MONITOR that failed it is not known how long it was on: that stretch is
// neither with it nor without. Of less than 200 ms there is no rate.
func TestCostOfMonitor(t *testing.T) {
	v := incident()
	for i := range v.Samples {
		if m := v.Samples[i].Monitor; m != nil && i > 5 {
			m.Error = "EOF"
		}
	}
	got := lockSetRetries.Figures(v, lockSetRetries.Params, Span{350 * ms, 1000 * ms})
	want := map[string]float64{"attempts_per_s": 150, "releases_per_s": 40, "stuck_max": 1, "listened_ms": 200,
		"monitored_decisions": 15, "monitored_ms": 150, "unmonitored_decisions": 30, "unmonitored_ms": 300}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	v.Ops = nil
	got = lockSetRetries.Figures(v, lockSetRetries.Params, v.Baseline)
	want = map[string]float64{"attempts_per_s": 150, "releases_per_s": 40, "stuck_max": 1, "listened_ms": 400}
	if !maps.Equal(got, want) {
		t.Errorf("without operations %v, want %v", got, want)
	}
}

func TestUnavailable(t *testing.T) {
	each := func(change func(s *history.Sample)) func(*View) {
		return func(v *View) {
			for i := range v.Samples {
				change(&v.Samples[i])
			}
		}
	}
	silent := each(func(s *history.Sample) { s.Server, s.Error = nil, "i/o timeout" })
	missing := func(field string) func(*View) {
		return each(func(s *history.Sample) { s.Server.Missing = map[string]string{field: "not in INFO"} })
	}
	foreign := each(func(s *history.Sample) { s.Swarm = history.Swarm{} })
	noSpan := func(v *View) { v.Baseline = Span{} }
	for _, c := range []struct {
		change  func(*View)
		signals string
		want    string
	}{
		{silent, "client-saturation rejected-connections command-latency-server command-throughput",
			"the server never answered: i/o timeout"},
		{each(func(s *history.Sample) { s.Server = nil }), "client-saturation", "the server never answered"},
		{func(v *View) { v.Samples = nil }, "client-saturation", "no sample was taken"},
		{missing("connected_clients"), "client-saturation", "INFO gave no connected_clients: not in INFO"},
		{missing("maxclients"), "client-saturation", "INFO gave no maxclients: not in INFO"},
		{each(func(s *history.Sample) { s.Server.MaxClients = 0 }), "client-saturation", "INFO gave no maxclients"},
		{missing("rejected_connections"), "rejected-connections", "INFO gave no rejected_connections: not in INFO"},
		{missing("commandstats"), "command-latency-server", "INFO gave no commandstats: not in INFO"},
		{each(func(s *history.Sample) { s.Server.Calls = 0 }), "command-latency-server",
			"no command was run but lockjam's own"},
		{missing("total_commands_processed"), "command-throughput",
			"INFO gave no total_commands_processed: not in INFO"},
		// A server that was away for a while, and an old one, have something to say.
		{func(v *View) {
			v.Samples[5].Server, v.Samples[6].Server.Missing = nil,
				map[string]string{"maxclients": "?", "rejected_connections": "?", "commandstats": "?",
					"total_commands_processed": "?"}
		}, "client-saturation rejected-connections command-latency-server command-throughput", ""},
		{foreign, "client-errors command-latency-client goodput-collapse request-latency",
			"the workers' own view is not recorded here"},
		{foreign, "client-saturation rejected-connections command-latency-server command-throughput lock-key-count lock-set-retries refused-clients", ""},
		{each(func(s *history.Sample) { s.Swarm.Commands = 0 }), "command-latency-client", "no command was answered"},
		{noSpan, "command-throughput goodput-collapse request-latency", "there is no baseline to compare with"},
		{noSpan, "client-errors client-saturation command-latency-client command-latency-server deadlock lock-key-count lock-set-retries orphaned-locks refused-clients rejected-connections", ""},
		{each(func(s *history.Sample) { s.Swarm.Decisions, s.Server.Commands = 0, 0 }), "command-throughput",
			"nothing but lockjam's own commands ran in the baseline"},
		{each(func(s *history.Sample) { s.Server.Own = s.Server.Commands }), "command-throughput",
			"nothing but lockjam's own commands ran in the baseline"},
		{each(func(s *history.Sample) { s.Server.Own = s.Server.Commands - s.Server.Commands/5000 }),
			"command-throughput", "next to nothing but lockjam's own commands ran in the baseline (2 in 1.0 s)"},
		{each(func(s *history.Sample) { s.Swarm.Decisions, s.Server.Commands = 0, 0 }), "goodput-collapse",
			"nothing was done in the baseline: there is nothing to compare with"},
		{func(v *View) { v.Ops = v.Ops[81:] }, "request-latency", "there is no baseline to compare with"},
		{each(func(s *history.Sample) { s.Swarm.Oldest = 0 }), "request-latency",
			"the age of unfinished requests is not recorded here"},
		{each(func(s *history.Sample) { s.Locks = nil }), "lock-key-count", "the lock keys were not scanned"},
		{each(func(s *history.Sample) { s.Locks = &history.Locks{Error: "SCAN: NOPERM this user"} }), "lock-key-count",
			"the user may not run SCAN: SCAN: NOPERM this user"},
		{each(func(s *history.Sample) { s.Locks = &history.Locks{Error: "i/o timeout"} }), "lock-key-count",
			"the lock keys could not be listed: i/o timeout"},
		{each(func(s *history.Sample) {
			if s.Locks != nil {
				s.Locks = &history.Locks{Keys: 23, Partial: true, Scanned: int64(s.At / ms * 200)}
			}
		}), "lock-key-count", "SCAN has not come through the whole keyspace yet: 700000 keys looked at"},
		{func(v *View) {
			each(func(s *history.Sample) { s.Locks = nil })(v)
			v.Samples[5].Locks, v.Samples[9].Locks = &history.Locks{Keys: 23, Partial: true}, &history.Locks{Keys: 23}
		}, "lock-key-count", ""},
		{each(func(s *history.Sample) { s.Locks = &history.Locks{Keys: 101, Partial: true} }), "lock-key-count", ""},
		{each(func(s *history.Sample) { s.Monitor = nil }), "lock-set-retries", "MONITOR was not requested"},
		{func(v *View) {
			each(func(s *history.Sample) { s.Monitor = nil })(v)
			v.Samples[7].Monitor = &history.Monitor{From: 1, To: 2, Error: "NOPERM"}
		}, "lock-set-retries", "MONITOR was not listened to: NOPERM"},
		{each(func(s *history.Sample) { s.Canary = nil }), "refused-clients", "no canary dialled"},
		{each(func(s *history.Sample) { s.Canary = &history.Canary{Error: "it speaks TLS"} }), "refused-clients",
			"no canary dialled: it speaks TLS"},
		{func(v *View) { foreign(v); v.Census, v.Findings = nil, nil }, "deadlock orphaned-locks",
			"the workers' own view is not recorded here"},
		{func(v *View) { v.Census, v.Findings = nil, nil }, "deadlock orphaned-locks", "no census was taken"},
		{func(v *View) { v.Census, v.Findings = v.Census[:1], nil }, "deadlock orphaned-locks",
			"it takes two censuses, and there is one"},
		{func(v *View) {
			for i := range v.Census {
				v.Census[i].Error = "NOPERM"
			}
		}, "orphaned-locks", "no census was answered: NOPERM"},
	} {
		for name := range strings.FieldsSeq(c.signals) {
			s, ok := Find(name)
			if !ok {
				t.Fatalf("%s is not in the catalogue", name)
			}
			v := incident()
			c.change(&v)
			if got := s.Unavailable(v); got != c.want {
				t.Errorf("%s: unavailable %q, want %q", name, got, c.want)
			}
			if fired := s.Firings(v, s.Params); c.want != "" && len(fired) > 0 {
				t.Errorf("%s: unavailable (%s), and yet it fired: %s", name, c.want, spans(fired))
			}
		}
	}
}

// While the workers connect nothing is as it will be in the baseline: no window
// that reaches back into that time is compared with it.
func TestConnectingIsNoIncident(t *testing.T) {
	v := series(40, func(i int, s *history.Sample) {
		connecting := i < 10
		s.Swarm.Oldest = map[bool]time.Duration{true: time.Second, false: ms}[connecting]
		s.Locks = everyFifth(i, history.Locks{Keys: map[bool]int64{true: 9, false: 4}[connecting]})
		if !connecting {
			s.Swarm.Decisions += 10
			s.Server.Commands += 100
		}
		if i < 10 {
			s.Swarm.Errors[history.Deadline] += 2
		}
	})
	v.Baseline = Span{1000 * ms, 2000 * ms}
	v.Ops = requests(func(at time.Duration) time.Duration {
		return map[bool]time.Duration{true: time.Second, false: 10 * ms}[at < 1000*ms]
	})
	for _, s := range []Signal{commandThroughput, goodputCollapse, lockKeyCount, requestLatency} {
		if why, fired := s.Unavailable(v), s.Firings(v, s.Params); why != "" || len(fired) > 0 {
			t.Errorf("%s: fired %q, unavailable %q", s.Name, spans(fired), why)
		}
	}
}

// cutAt is what was known at a moment.
func cutAt(v View, at time.Duration) View {
	known := View{Baseline: v.Baseline}
	for _, s := range v.Samples {
		if s.At <= at {
			known.Samples = append(known.Samples, s)
		}
	}
	for _, op := range v.Ops {
		if op.Ended <= at {
			known.Ops = append(known.Ops, op)
		}
	}
	for _, c := range v.Census {
		if c.At <= at {
			known.Census = append(known.Census, c)
		}
	}
	return known
}

// check says everything that can be said of a history, and that it can be
// written down.
func check(t interface{ Errorf(string, ...any) }, v View) {
	for _, s := range All() {
		why, fired := s.Unavailable(v), s.Firings(v, s.Params)
		if why != "" && len(fired) > 0 {
			t.Errorf("%s: unavailable (%s), and yet it fired: %s", s.Name, why, spans(fired))
		}
		for _, in := range []Span{{}, v.Baseline, {500 * ms, 2500 * ms}, {1500 * ms, 1500 * ms}, {2000 * ms, 1000 * ms},
			{0, time.Hour}, {time.Minute, time.Hour}} {
			for name, value := range s.Figures(v, s.Params, in) {
				if math.IsNaN(value) || math.IsInf(value, 0) || value < 0 {
					t.Errorf("%s: %s is %v in %v", s.Name, name, value, in)
				}
			}
		}
	}
}

func TestHistoriesCutShort(t *testing.T) {
	check(t, View{})
	check(t, View{Baseline: Span{0, 1000 * ms}})
	for at := -1 * ms; at <= 4000*ms; at += 50 * ms {
		check(t, cutAt(incident(), at))
	}
	parts := []func(*View){
		func(v *View) { v.Samples = nil },
		func(v *View) { v.Ops = nil },
		func(v *View) { v.Census = nil },
		func(v *View) { v.Baseline = Span{} },
		func(v *View) { v.Baseline = Span{time.Minute, time.Hour} },
		func(v *View) { v.Samples = v.Samples[20:] },
		func(v *View) {
			for i := range v.Samples {
				v.Samples[i].Server = nil
			}
		},
		func(v *View) {
			for i := range v.Samples {
				v.Samples[i].At = time.Second // no time passes between them
			}
		},
	}
	for _, change := range parts {
		v := incident()
		change(&v)
		check(t, v)
	}
}

// Between two samples of the same moment a count has no rate, however it grew.
func TestNoTimePassed(t *testing.T) {
	v := View{Samples: []history.Sample{{}, {}}}
	v.Samples[0].Swarm.Workers, v.Samples[1].Swarm.Errors[history.Reset] = 1, 5
	if fired := clientErrors.Firings(v, clientErrors.Params); len(fired) > 0 {
		t.Errorf("fired %s", spans(fired))
	}
}

// What a signal says of a moment must not depend on what came after it: in an
// incident that is not known yet.
func TestSignalsOnlyLookBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := anyHistory(t)
		check(t, v)
		at := time.Duration(rapid.IntRange(14, 49).Draw(t, "cut")) * 100 * ms
		known := cutAt(v, at)
		for _, s := range All() {
			whole, part := s.Firings(v, s.Params), s.Firings(known, s.Params)
			begun := slices.DeleteFunc(slices.Clone(whole), func(f Firing) bool { return f.From > at })
			if len(part) != len(begun) {
				t.Fatalf("%s: fired %s, and at %v %s", s.Name, spans(whole), at, spans(part))
			}
			for i, f := range part {
				if f.From != whole[i].From || f.To > whole[i].To || !f.Open && f != whole[i] {
					t.Fatalf("%s: fired %s, and at %v %s", s.Name, spans(whole), at, spans(part))
				}
			}
		}
	})
}

func anyHistory(t *rapid.T) View {
	small := rapid.Int64Range(0, 40)
	v := series(50, func(i int, s *history.Sample) {
		s.Server.Connected = small.Draw(t, "connected") * 3
		s.Server.Rejected += small.Draw(t, "rejected") / 30
		s.Server.Own += small.Draw(t, "own") / 4
		s.Server.Commands += small.Draw(t, "processed")
		s.Server.Calls += small.Draw(t, "calls")
		s.Server.CommandTime += time.Duration(small.Draw(t, "time")) * 10 * ms
		s.Swarm.Commands += small.Draw(t, "commands")
		s.Swarm.CommandTime += time.Duration(small.Draw(t, "spent")) * 10 * ms
		s.Swarm.Decisions += small.Draw(t, "decisions") / 20
		s.Swarm.Grants += small.Draw(t, "grants") / 30
		s.Swarm.Waiting = small.Draw(t, "waiting")
		s.Swarm.Oldest = time.Duration(small.Draw(t, "oldest")) * 3 * ms
		s.Swarm.Errors[history.Deadline] += small.Draw(t, "timeouts") / 40
		toClients(s, rapid.SampledFrom([]string{"OOM", "MOVED"}).Draw(t, "told"), small.Draw(t, "replies")/30)
		byServer(s, rapid.SampledFrom([]string{"OOM", "MOVED"}).Draw(t, "said"), small.Draw(t, "errors"))
		s.Server.Missing = nil
		switch small.Draw(t, "server") {
		case 0:
			s.Server = nil
		case 1:
			s.Server.RunID += "x"
		case 2:
			s.Server.Missing = map[string]string{rapid.SampledFrom([]string{"connected_clients", "maxclients",
				"rejected_connections", "total_commands_processed", "commandstats"}).Draw(t, "missing"): ""}
		}
		anyWatched(t, i, s)
	})
	for i := range v.Samples {
		if small.Draw(t, "canary") == 0 {
			v.Samples[i].Canary = nil
		}
	}
	for at := ms; at < 5000*ms; at += time.Duration(1+small.Draw(t, "gap")) * ms {
		took := time.Duration(small.Draw(t, "took")*small.Draw(t, "took more")/10) * ms
		v.Ops = append(v.Ops, history.Op{Ended: at, Intended: at - took,
			Outcome: history.Outcome(small.Draw(t, "outcome") % 3)})
	}
	tokens := rapid.SampledFrom([]string{"1:1:00000001", "2:1:00000002", "3:1:00000003", "theirs"})
	workers := rapid.SliceOfN(rapid.Int32Range(1, 3), 0, 3)
	for tenth := range 50 {
		c := count(tenth, map[string]string{"lock:a": tokens.Draw(t, "token")}, workers.Draw(t, "alive")...)
		if small.Draw(t, "census") == 0 {
			c.Error = "i/o timeout"
		}
		v.Census = append(v.Census, c)
	}
	return v
}

// anyWatched is what is read beside INFO, now and then.
func anyWatched(t *rapid.T, i int, s *history.Sample) {
	small := rapid.Int64Range(0, 40)
	dial(s, func(c *history.Canary) *int64 {
		return map[bool]*int64{true: &c.Refused, false: &c.Admitted}[small.Draw(t, "refused") == 0]
	})
	s.Locks = everyFifth(i, history.Locks{Keys: small.Draw(t, "keys") * 3, Asked: small.Draw(t, "asked"),
		Partial: small.Draw(t, "partial") == 0})
	s.Monitor = burst(i, history.Monitor{Attempts: small.Draw(t, "attempts"), Stuck: small.Draw(t, "stuck") / 5})
	switch small.Draw(t, "watched") {
	case 1:
		s.Locks = &history.Locks{Error: "NOPERM"}
	case 2:
		s.Monitor = &history.Monitor{Error: "NOPERM"}
	case 3:
		s.Monitor = burst(i/5*5, history.Monitor{Stuck: 9})
		s.Monitor.From += 100 * ms
	}
}
