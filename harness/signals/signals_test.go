package signals

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lockjam/lockjam/harness/history"
)

const ms = time.Millisecond

// series builds a sample every 100 ms; each step says how it differs from the
// one before.
func series(n int, step func(i int, s *history.Sample)) View {
	v := View{Baseline: Span{From: 0, To: 1000 * ms}}
	var last history.Sample
	for i := range n {
		s := last
		if last.Server != nil {
			server := *last.Server
			s.Server = &server
		} else {
			s.Server = &history.Server{RunID: "a", MaxClients: 100}
		}
		s.At = time.Duration(i) * 100 * ms
		step(i, &s)
		v.Samples = append(v.Samples, s)
		last = s
		if s.Server == nil {
			last.Server = &history.Server{RunID: "a", MaxClients: 100}
		}
	}
	return v
}

// spans prints firings in milliseconds: "1000-2000 3000-".
func spans(fs []Firing) string {
	out := ""
	for i, f := range fs {
		if i > 0 {
			out += " "
		}
		out += fmt.Sprintf("%d-", f.From/ms)
		if !f.Open {
			out += fmt.Sprintf("%d", f.To/ms)
		}
	}
	return out
}

func TestSignals(t *testing.T) {
	for _, c := range []struct {
		name   string
		signal string
		params map[string]float64
		step   func(i int, s *history.Sample)
		want   string
	}{
		{"over 80% from 1 s to 2 s", "client-saturation", nil, func(i int, s *history.Sample) {
			s.Server.Connected = map[bool]int64{true: 81, false: 80}[i >= 10 && i < 20]
		}, "1000-2000"},
		{"over the limit, but not for as long as asked", "client-saturation", map[string]float64{"for_ms": 500}, func(i int, s *history.Sample) {
			s.Server.Connected = map[bool]int64{true: 99, false: 10}[i >= 10 && i < 15]
		}, ""},
		{"raised when it has lasted", "client-saturation", map[string]float64{"for_ms": 500}, func(i int, s *history.Sample) {
			s.Server.Connected = map[bool]int64{true: 99, false: 10}[i >= 10]
		}, "1500-"},
		{"a server that does not answer neither raises nor clears", "client-saturation", nil, func(i int, s *history.Sample) {
			s.Server.Connected = 99
			if i >= 10 {
				s.Server = nil
			}
		}, "0-"},

		{"one refusal is over after the window", "rejected-connections", nil, func(i int, s *history.Sample) {
			if i == 10 {
				s.Server.Rejected++
			}
		}, "1000-2000"},
		// The counter starts again with the server: 5 after a restart is 5 more, not 95 fewer.
		{"refusals go on over a restart", "rejected-connections", nil, func(i int, s *history.Sample) {
			switch {
			case i == 10:
				s.Server.Rejected = 100
			case i == 15:
				s.Server.RunID, s.Server.Rejected = "b", 5
			}
		}, "1000-2500"},
		{"a restart alone is no refusal", "rejected-connections", nil, func(i int, s *history.Sample) {
			s.Server.Rejected = 100
			if i >= 15 {
				s.Server.RunID, s.Server.Rejected = "b", 0
			}
		}, ""},
		{"CONFIG RESETSTAT is no refusal", "rejected-connections", nil, func(i int, s *history.Sample) {
			s.Server.Rejected = map[bool]int64{true: 100, false: 0}[i < 15]
		}, ""},
		{"refusals since CONFIG RESETSTAT count", "rejected-connections", nil, func(i int, s *history.Sample) {
			s.Server.Rejected = map[bool]int64{true: 100, false: 5}[i < 15]
		}, "1500-2500"},

		// The mean over the window is past 10 ms when half the commands in it were slow.
		{"20 ms a command from 1 s on", "command-latency-server", nil, func(i int, s *history.Sample) {
			s.Server.Calls += 10
			s.Server.CommandTime += 10 * map[bool]time.Duration{true: 20 * ms, false: ms}[i >= 10]
		}, "1400-"},
		{"no commands at all", "command-latency-server", nil, func(int, *history.Sample) {}, ""},
		{"one slow command among many", "command-latency-server", nil, func(i int, s *history.Sample) {
			s.Server.Calls += 100
			if i == 10 {
				s.Server.CommandTime += 500 * ms
			}
		}, ""},
		{"slow for the clients", "command-latency-client", nil, func(i int, s *history.Sample) {
			s.Swarm.Commands += 10
			s.Swarm.CommandTime += 10 * map[bool]time.Duration{true: 20 * ms, false: ms}[i >= 10 && i < 30]
		}, "1400-3500"},

		{"commands fall to a third", "command-throughput", nil, func(i int, s *history.Sample) {
			s.Server.Commands += map[bool]int64{true: 30, false: 10}[i < 15]
		}, "2200-"},
		// Polling goes on in a deadlock: that is why it misleads.
		{"commands fall by a quarter", "command-throughput", nil, func(i int, s *history.Sample) {
			s.Server.Commands += map[bool]int64{true: 40, false: 30}[i < 15]
		}, ""},
		{"commands go on over a restart", "command-throughput", nil, func(i int, s *history.Sample) {
			s.Server.Commands += 30
			if i == 20 {
				s.Server.RunID, s.Server.Commands = "b", 30
			}
		}, ""},

		{"20 errors a second for a second", "client-errors", nil, func(i int, s *history.Sample) {
			if i >= 10 && i < 20 {
				s.Swarm.Errors[history.Refused]++
				s.Swarm.Errors[history.Reset]++
			}
		}, "1500-2400"},
		{"conflicts and the server's own errors are none of the connection's", "client-errors", nil, func(i int, s *history.Sample) {
			s.Swarm.Errors[history.Conflict] += 10
			s.Swarm.Errors[history.Rejected] += 10
		}, ""},

		{"goodput to zero and back", "goodput-collapse", nil, func(i int, s *history.Sample) {
			if i < 15 || i >= 30 {
				s.Swarm.Decisions += 20
			}
		}, "1700-3200"},
		{"goodput down a third", "goodput-collapse", nil, func(i int, s *history.Sample) {
			s.Swarm.Decisions += map[bool]int64{true: 30, false: 20}[i < 15]
		}, ""},
		{"a baseline of nothing collapses not", "goodput-collapse", nil, func(int, *history.Sample) {}, ""},

		{"a stall with requests waiting", "deadlock", nil, func(i int, s *history.Sample) {
			s.Swarm.Waiting = 5
			if i < 15 {
				s.Swarm.Grants++
				s.Swarm.Releases++
			}
		}, "2500-"},
		{"a stall, and nobody waits", "deadlock", nil, func(i int, s *history.Sample) {
			if i < 15 {
				s.Swarm.Grants++
			}
		}, ""},
		{"a release now and then is slowness", "deadlock", nil, func(i int, s *history.Sample) {
			s.Swarm.Waiting = 5
			if i%9 == 0 {
				s.Swarm.Releases++
			}
		}, ""},
		{"a holder that cannot dial counts as waiting", "deadlock", nil, func(i int, s *history.Sample) {
			s.Swarm.Dialing = 1
			if i < 15 {
				s.Swarm.Grants++
			}
		}, "2500-"},
	} {
		t.Run(c.signal+": "+c.name, func(t *testing.T) {
			s, ok := Find(c.signal)
			if !ok {
				t.Fatal("not in the catalogue")
			}
			if got := spans(s.Firings(series(40, c.step), s.Params.With(c.params))); got != c.want {
				t.Errorf("fired %q, want %q", got, c.want)
			}
		})
	}
}

// What a signal says of a moment must not depend on what came after it: in an
// incident nobody knows that yet.
func TestSignalsOnlyLookBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		small := rapid.Int64Range(0, 40)
		v := series(50, func(i int, s *history.Sample) {
			s.Server.Connected = small.Draw(t, "connected") * 3
			s.Server.Rejected += small.Draw(t, "rejected") / 30
			s.Server.Calls += small.Draw(t, "calls")
			s.Server.CommandTime += time.Duration(small.Draw(t, "time")) * 10 * ms
			s.Swarm.Commands += small.Draw(t, "commands")
			s.Swarm.CommandTime += time.Duration(small.Draw(t, "spent")) * 10 * ms
			s.Swarm.Decisions += small.Draw(t, "decisions") / 20
			s.Swarm.Grants += small.Draw(t, "grants") / 30
			s.Swarm.Waiting = small.Draw(t, "waiting")
			switch small.Draw(t, "server") {
			case 0:
				s.Server = nil
			case 1:
				s.Server.RunID += "x"
			}
		})
		cut := rapid.IntRange(15, 49).Draw(t, "cut")
		prefix := v
		prefix.Samples = v.Samples[:cut]
		for _, s := range All() {
			whole, part := s.Firings(v, s.Params), s.Firings(prefix, s.Params)
			if len(part) > len(whole) {
				t.Fatalf("%s: fired %s, and with less history %s", s.Name, spans(whole), spans(part))
			}
			for i, f := range part {
				if f.From != whole[i].From || !f.Open && f != whole[i] {
					t.Fatalf("%s: fired %s, and with less history %s", s.Name, spans(whole), spans(part))
				}
			}
		}
	})
}

func TestCatalogueIsSortedAndDescribed(t *testing.T) {
	var names []string
	for _, s := range All() {
		names = append(names, s.Name)
		if s.Summary == "" || s.Firings == nil {
			t.Errorf("%s has no summary or no firings", s.Name)
		}
		if fired := s.Firings(View{}, s.Params); len(fired) > 0 {
			t.Errorf("%s fires on an empty history: %s", s.Name, spans(fired))
		}
	}
	if !slices.IsSorted(names) {
		t.Errorf("not sorted: %v", names)
	}
}
