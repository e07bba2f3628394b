package signals

import (
	"maps"
	"testing"

	"github.com/lockjam/lockjam/harness/history"
)

// replies adds error replies to those of the sample before.
func replies(to *history.Replies, prefix string, n int64) {
	so := maps.Clone(*to)
	if so == nil {
		so = history.Replies{}
	}
	if n > 0 {
		so.Add(prefix, n, "")
	}
	*to = so
}

// toClients are error replies that the workers were given, of 10 answers per sample.
func toClients(s *history.Sample, prefix string, n int64) {
	replies(&s.Swarm.Replies, prefix, n)
	s.Swarm.Commands += 10
	s.Swarm.Errors[history.Rejected] += n
}

// byServer are error replies that the server counts, beside 10 commands per sample.
func byServer(s *history.Sample, prefix string, n int64) {
	if s.Server == nil {
		return
	}
	replies(&s.Server.Replies, prefix, n)
	s.Server.Commands += 10
	s.Server.ErrorReplies += n
}

func TestErrorReplies(t *testing.T) {
	from1to2 := func(i int, n int64) int64 { return map[bool]int64{true: n}[i >= 10 && i < 20] }
	for _, c := range []struct {
		name   string
		params map[string]float64
		step   func(i int, s *history.Sample)
		want   string
	}{
		{"no error reply at all", nil, func(i int, s *history.Sample) {
			toClients(s, "", 0)
			byServer(s, "", 0)
		}, ""},
		{"clients are refused from 1 s to 2 s, and the window clears", nil, func(i int, s *history.Sample) {
			toClients(s, "OOM", from1to2(i, 5))
		}, "1000-2900"},
		{"one reply in a while is no incident", nil, func(i int, s *history.Sample) {
			toClients(s, "LOADING", map[bool]int64{true: 1}[i%10 == 0])
		}, ""},
		{"fewer than one command in a hundred", nil, func(i int, s *history.Sample) {
			toClients(s, "OOM", 1)
			s.Swarm.Commands += 200
		}, ""},
		{"a share as large as asked for is not too large", map[string]float64{"ratio": 0.5},
			func(i int, s *history.Sample) {
				toClients(s, "OOM", 5)
			}, ""},
		// What the library hands on is never ordinary.
		{"clients are told MOVED", nil, func(i int, s *history.Sample) {
			toClients(s, "MOVED", from1to2(i, 5))
		}, "1000-2900"},
		{"the server alone is watched", nil, func(i int, s *history.Sample) {
			byServer(s, "READONLY", from1to2(i, 5))
		}, "1000-2900"},
		{"a script's first EVALSHA, and redirects that are followed", nil, func(i int, s *history.Sample) {
			byServer(s, []string{"NOSCRIPT", "MOVED", "ASK", "ERR"}[i%4], 9)
		}, ""},
		// What a library tries as it connects is not known to every server, and a quiet one
		// carries out less than that.
		{"a client that connects to a quiet server", nil, func(i int, s *history.Sample) {
			byServer(s, "ERR", map[bool]int64{true: 4}[i == 10])
			s.Server.Commands -= 10
			if i == 10 {
				s.Server.Received++
			}
		}, ""},
		{"commands that a quiet server does not know", nil, func(i int, s *history.Sample) {
			byServer(s, "ERR", from1to2(i, 4))
			s.Server.Commands -= 10
		}, "1000-2900"},
		{"redirects that are not followed", nil, func(i int, s *history.Sample) {
			byServer(s, "MOVED", from1to2(i, 20))
		}, "1500-2400"},
		{"a restart alone is no error", nil, func(i int, s *history.Sample) {
			byServer(s, "OOM", map[bool]int64{true: 50}[i == 0])
			if i >= 15 {
				s.Server.RunID, s.Server.ErrorReplies, s.Server.Replies, s.Server.Commands = "b", 0, history.Replies{},
					10
			}
		}, ""},
		{"errors go on over a restart", nil, func(i int, s *history.Sample) {
			byServer(s, "OOM", from1to2(i, 5))
			if i == 15 {
				s.Server.RunID, s.Server.ErrorReplies, s.Server.Replies, s.Server.Commands = "b", 5,
					history.Replies{"OOM": {Count: 5}}, 10
			}
			if i > 15 {
				s.Server.RunID = "b"
			}
		}, "1000-2900"},
		{"a server that does not answer neither raises nor clears", nil, func(i int, s *history.Sample) {
			byServer(s, "OOM", from1to2(i, 5))
			if i >= 18 {
				s.Server = nil
			}
		}, "1000-"},
		{"the clients know while the server does not answer", nil, func(i int, s *history.Sample) {
			toClients(s, "BUSY", from1to2(i, 5))
			s.Server = nil
		}, "1000-2900"},
		{"what the server had counted before is not news", nil, func(i int, s *history.Sample) {
			byServer(s, "OOM", map[bool]int64{true: 1000}[i == 0])
		}, ""},
		{"an older journal knows no prefixes", nil, func(i int, s *history.Sample) {
			s.Swarm.Errors[history.Rejected] += 50
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := series(40, c.step)
			if got := spans(errorReplies.Firings(v, errorReplies.Params.With(c.params))); got != c.want {
				t.Errorf("fired %q, want %q", got, c.want)
			}
		})
	}
}

func TestErrorRepliesUnavailable(t *testing.T) {
	for _, c := range []struct {
		name, want string
		step       func(i int, s *history.Sample)
	}{
		{"an older journal", "error replies are not recorded by prefix here", func(i int, s *history.Sample) {}},
		{"an old server", "INFO gave no total_error_replies: INFO does not say it", func(i int, s *history.Sample) {
			s.Server.Missing = map[string]string{"total_error_replies": "INFO does not say it"}
		}},
		{"an old server, and the workers count", "", func(i int, s *history.Sample) {
			toClients(s, "", 0)
			s.Server.Missing = map[string]string{"total_error_replies": "INFO does not say it"}
		}},
		{"a server that never answered", "the server never answered: i/o timeout", func(i int, s *history.Sample) {
			s.Server, s.Error = nil, "i/o timeout"
		}},
	} {
		v := series(10, c.step)
		if got := errorReplies.Unavailable(v); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if got := errorReplies.Figures(v, errorReplies.Params, v.Baseline); c.want != "" && len(got) > 0 {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestErrorRepliesFigures(t *testing.T) {
	v := series(40, func(i int, s *history.Sample) {
		toClients(s, []string{"OOM", "READONLY"}[i%2], 2)
		byServer(s, "OOM", 3)
		if i == 30 {
			s.Server.RunID, s.Server.ErrorReplies, s.Server.Replies = "b", 3, history.Replies{"OOM": {Count: 3}}
		}
		if i > 30 {
			s.Server.RunID = "b"
		}
	})
	want := map[string]float64{
		"clients_errors_count": 40, "clients_errors_per_s": 20, "clients_oom_count": 20, "clients_readonly_count": 20,
		"server_errors_count": 60, "server_errors_per_s": 30, "server_oom_count": 60,
	}
	if got := errorReplies.Figures(v, nil, Span{1500 * ms, 3500 * ms}); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
