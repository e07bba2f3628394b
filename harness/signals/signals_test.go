package signals

import (
	"fmt"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

const ms = time.Millisecond

// series builds a sample every 100 ms; each step says how it differs from the
// one before. Lock keys and MONITOR are only in the samples they were read for.
func series(n int, step func(i int, s *history.Sample)) View {
	v := View{Baseline: Span{From: 0, To: 1000 * ms}}
	last := history.Sample{Swarm: history.Swarm{Workers: 1}}
	for i := range n {
		s := last
		s.Locks, s.Monitor = nil, nil
		if last.Canary != nil {
			canary := *last.Canary
			s.Canary = &canary
		}
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

// everyFifth is a look at the lock keys, in every fifth sample.
func everyFifth(i int, k history.Locks) *history.Locks {
	if i%5 != 0 {
		return nil
	}
	return &k
}

// burst is 200 ms of MONITOR, in every fifth sample.
func burst(i int, m history.Monitor) *history.Monitor {
	if i%5 != 0 {
		return nil
	}
	m.To = time.Duration(i) * 100 * ms
	m.From = m.To - 200*ms
	return &m
}

// dial is one more dial of the canary, and what became of it.
func dial(s *history.Sample, fate func(*history.Canary) *int64) {
	if s.Canary == nil {
		s.Canary = &history.Canary{}
	}
	s.Canary.Dials++
	*fate(s.Canary)++
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
		{"over the limit, but not for as long as asked", "client-saturation", map[string]float64{"for_ms": 500},
			func(i int, s *history.Sample) {
				s.Server.Connected = map[bool]int64{true: 99, false: 10}[i >= 10 && i < 15]
			}, ""},
		{"a server that does not give its limit neither raises nor clears", "client-saturation", nil,
			func(i int, s *history.Sample) {
				s.Server.Connected = map[bool]int64{true: 99, false: 10}[i >= 10]
				if i >= 15 {
					s.Server.Missing = map[string]string{"maxclients": "NOPERM"}
				}
				if i >= 20 {
					s.Server.Connected = 10
				}
			}, "1000-"},
		{"raised when it has lasted", "client-saturation", map[string]float64{"for_ms": 500},
			func(i int, s *history.Sample) {
				s.Server.Connected = map[bool]int64{true: 99, false: 10}[i >= 10]
			}, "1500-"},
		{"a server that does not answer neither raises nor clears", "client-saturation", nil,
			func(i int, s *history.Sample) {
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
		{"more refusals after a restart than before it", "rejected-connections", map[string]float64{"count": 3},
			func(i int, s *history.Sample) {
				s.Server.Rejected = 3
				if i >= 15 {
					s.Server.RunID, s.Server.Rejected = "b", 5
				}
			}, "1500-2500"},
		{"CONFIG RESETSTAT is no refusal", "rejected-connections", nil, func(i int, s *history.Sample) {
			s.Server.Rejected = map[bool]int64{true: 100, false: 0}[i < 15]
		}, ""},
		{"refusals since CONFIG RESETSTAT count", "rejected-connections", nil, func(i int, s *history.Sample) {
			s.Server.Rejected = map[bool]int64{true: 100, false: 5}[i < 15]
		}, "1500-2500"},

		// Nothing is known from 0.5 s to 1.5 s: what was refused then shows afterwards.
		{"refusals while the counter is missing", "rejected-connections", nil, func(i int, s *history.Sample) {
			s.Server.Missing = nil
			if i >= 5 && i < 15 {
				s.Server.Missing = map[string]string{"rejected_connections": "not in INFO"}
			}
			if s.Server.Rejected = 5; s.Server.Missing != nil {
				s.Server.Rejected = 0
			}
			if i >= 10 && s.Server.Missing == nil {
				s.Server.Rejected = 6
			}
		}, "1500-2500"},

		// The mean over the window is past 10 ms when half the commands in it were slow.
		{"20 ms a command from 1 s on", "command-latency-server", nil, func(i int, s *history.Sample) {
			s.Server.Calls += 10
			s.Server.CommandTime += 10 * map[bool]time.Duration{true: 20 * ms, false: ms}[i >= 10]
		}, "1400-"},
		{"slow, and commandstats are missing", "command-latency-server", nil, func(i int, s *history.Sample) {
			s.Server.Calls += 10
			s.Server.CommandTime += 10 * 20 * ms
			s.Server.Missing = map[string]string{"commandstats": "NOPERM"}
		}, ""},
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
		{"a counter that is missing has not stopped", "command-throughput", nil, func(i int, s *history.Sample) {
			s.Server.Commands += 30
			if i >= 20 {
				s.Server.Commands, s.Server.Missing = 0, map[string]string{"total_commands_processed": "not in INFO"}
			}
		}, ""},
		// A server that did not answer for a while has not done all of it in the last second.
		{"commands stop while the server does not answer", "command-throughput", nil, func(i int, s *history.Sample) {
			s.Server.Commands = 30 * int64(min(i, 20))
			if i >= 20 && i < 30 {
				s.Server = nil
			}
		}, "3000-"},
		{"a server that is away for a while has not stopped", "command-throughput", nil,
			func(i int, s *history.Sample) {
				s.Server.Commands = 30 * int64(i)
				if i >= 10 {
					s.Server.Commands = 30 * int64(max(10, i-16))
				}
				if i >= 10 && i < 26 {
					s.Server = nil
				}
			}, ""},
		{"work stops, and those who watch go on", "command-throughput", nil, func(i int, s *history.Sample) {
			theirs := map[bool]int64{true: 4, false: 0}[i < 20]
			s.Server.Own += 5
			s.Server.Commands += 5 + theirs
		}, "2600-"},
		{"there is less to watch", "command-throughput", nil, func(i int, s *history.Sample) {
			ours := map[bool]int64{true: 500, false: 5}[i < 20]
			s.Server.Own += ours
			s.Server.Commands += ours + 4
		}, ""},
		{"those who watch count from new after a restart", "command-throughput", nil, func(i int, s *history.Sample) {
			s.Server.Own += 50
			s.Server.Commands += 54
			if i == 20 {
				s.Server.RunID, s.Server.Commands, s.Server.Own = "b", 52, 50
			}
		}, ""},
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
		{"conflicts and the server's own errors are none of the connection's", "client-errors", nil,
			func(i int, s *history.Sample) {
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

		{"101 lock keys for a second", "lock-key-count", nil, func(i int, s *history.Sample) {
			s.Locks = everyFifth(i, history.Locks{Keys: map[bool]int64{true: 101, false: 100}[i >= 10 && i < 20]})
		}, "1000-2000"},
		{"more than twice as many as the baseline ever had", "lock-key-count", nil, func(i int, s *history.Sample) {
			s.Locks = everyFifth(i, history.Locks{Keys: map[bool]int64{true: 41, false: 20}[i >= 20]})
		}, "2000-"},
		{"twice as many is not more", "lock-key-count", nil, func(i int, s *history.Sample) {
			s.Locks = everyFifth(i, history.Locks{Keys: map[bool]int64{true: 40, false: 20}[i >= 20]})
		}, ""},
		{"ten locks where there was one are few still", "lock-key-count", nil, func(i int, s *history.Sample) {
			s.Locks = everyFifth(i, history.Locks{Keys: map[bool]int64{true: 10, false: 1}[i >= 20]})
		}, ""},
		{"a baseline without a lock is nothing to compare with", "lock-key-count", nil, func(i int, s *history.Sample) {
			s.Locks = everyFifth(i, history.Locks{Keys: map[bool]int64{true: 50, false: 0}[i >= 20]})
		}, ""},
		{"a SCAN that fails neither raises nor clears", "lock-key-count", nil, func(i int, s *history.Sample) {
			s.Locks = everyFifth(i, history.Locks{Keys: 200})
			if i > 10 && s.Locks != nil {
				s.Locks = &history.Locks{Error: "LOADING"}
			}
		}, "0-"},
		// Of a part of the keys it is only known that there are at least so many.
		{"a part of the keys raises, and does not clear", "lock-key-count", nil, func(i int, s *history.Sample) {
			s.Locks = everyFifth(i, history.Locks{Keys: map[bool]int64{true: 200, false: 3}[i >= 10 && i < 20],
				Partial: i >= 10})
		}, "1000-"},
		{"a part of the baseline's keys is nothing to compare with", "lock-key-count", nil,
			func(i int, s *history.Sample) {
				s.Locks = everyFifth(i, history.Locks{Keys: map[bool]int64{true: 41, false: 4}[i >= 20],
					Partial: i <= 10})
			}, ""},
		{"a part of the keys now and then, between whole counts", "lock-key-count", nil,
			func(i int, s *history.Sample) {
				s.Locks = everyFifth(i, history.Locks{Keys: map[bool]int64{true: 41, false: 4}[i >= 20],
					Partial: i == 5})
			}, "2000-"},
		{"lock keys outlive a restart", "lock-key-count", nil, func(i int, s *history.Sample) {
			s.Locks = everyFifth(i, history.Locks{Keys: map[bool]int64{true: 200, false: 4}[i >= 10]})
			if i >= 15 {
				s.Server.RunID = "b"
			}
		}, "1000-"},

		{"a lock is tried again and again from 1 s to 2 s", "lock-set-retries", nil, func(i int, s *history.Sample) {
			s.Monitor = burst(i, history.Monitor{Stuck: map[bool]int64{true: 5, false: 4}[i >= 10 && i < 20]})
		}, "1000-2000"},
		{"many attempts, and somebody releases", "lock-set-retries", nil, func(i int, s *history.Sample) {
			s.Monitor = burst(i, history.Monitor{Attempts: 100, Releases: 20, Stuck: 2})
		}, ""},
		{"a burst too short for a release says nothing", "lock-set-retries", nil, func(i int, s *history.Sample) {
			s.Monitor = burst(i, history.Monitor{Stuck: map[bool]int64{true: 9, false: 0}[i == 10]})
			if s.Monitor != nil && i != 10 {
				s.Monitor.From = s.Monitor.To - 149*ms
			}
		}, "1000-"},
		{"short bursts raise nothing either", "lock-set-retries", map[string]float64{"for_ms": 250},
			func(i int, s *history.Sample) {
				s.Monitor = burst(i, history.Monitor{Stuck: 9})
			}, ""},
		{"MONITOR that fails neither raises nor clears", "lock-set-retries", nil, func(i int, s *history.Sample) {
			s.Monitor = burst(i, history.Monitor{Stuck: 9})
			if i > 10 && s.Monitor != nil {
				s.Monitor = burst(i, history.Monitor{Error: "EOF"})
			}
		}, "0-"},
		{"retries go on over a restart", "lock-set-retries", nil, func(i int, s *history.Sample) {
			s.Monitor = burst(i, history.Monitor{Stuck: 9})
			if i >= 15 {
				s.Server.RunID = "b"
			}
		}, "0-"},

		{"one refusal of the canary is over after the window", "refused-clients", nil, func(i int, s *history.Sample) {
			dial(s, func(c *history.Canary) *int64 {
				return map[bool]*int64{true: &c.Refused,
					false: &c.Admitted}[i == 10]
			})
		}, "1000-2000"},
		{"a canary that is cut, or hears nothing, was not told", "refused-clients", nil,
			func(i int, s *history.Sample) {
				dial(s, func(c *history.Canary) *int64 { return []*int64{&c.Cut, &c.Silent, &c.Unreachable}[i%3] })
			}, ""},
		{"a canary that stopped asking neither raises nor clears", "refused-clients", nil,
			func(i int, s *history.Sample) {
				if i <= 10 {
					dial(s, func(c *history.Canary) *int64 {
						return map[bool]*int64{true: &c.Refused,
							false: &c.Admitted}[i == 10]
					})
				}
			}, "1000-"},
		{"refusals as many as asked for are none too many", "refused-clients", map[string]float64{"count": 10},
			func(i int, s *history.Sample) {
				dial(s, func(c *history.Canary) *int64 { return &c.Refused })
			}, ""},
		{"a restart does not reset the canary", "refused-clients", nil, func(i int, s *history.Sample) {
			dial(s, func(c *history.Canary) *int64 {
				return map[bool]*int64{true: &c.Refused,
					false: &c.Admitted}[i == 10]
			})
			if i >= 15 {
				s.Server.RunID = "b"
			}
		}, "1000-2000"},
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
