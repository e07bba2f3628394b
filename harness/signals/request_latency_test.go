package signals

import (
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lockjam/lockjam/harness/history"
)

// requests are one every 10 ms; took says how long the one that ends at some
// moment has taken, and 0 that none ends there.
func requests(took func(ended time.Duration) time.Duration) (ops []history.Op) {
	for at := 10 * ms; at <= 3900*ms; at += 10 * ms {
		if d := took(at); d > 0 {
			ops = append(ops, history.Op{Outcome: history.OK, Intended: at - d, Begun: at - 1*ms, Ended: at})
		}
	}
	return ops
}

func always(d time.Duration) func(time.Duration) time.Duration {
	return func(time.Duration) time.Duration { return d }
}

func TestRequestLatency(t *testing.T) {
	// The baseline's p99 is 10 ms: more than 50 ms is too long.
	slow := requests(func(at time.Duration) time.Duration {
		return map[bool]time.Duration{true: 51 * ms, false: 10 * ms}[at >= 1500*ms && at < 2500*ms]
	})
	standstill := requests(func(at time.Duration) time.Duration {
		return map[bool]time.Duration{true: 10 * ms}[at <= 1500*ms]
	})
	outcome := func(ops []history.Op, o history.Outcome) []history.Op {
		ops = append([]history.Op(nil), ops...)
		for i := range ops {
			if ops[i].Ended-ops[i].Intended > 10*ms {
				ops[i].Outcome = o
			}
		}
		return ops
	}
	for _, c := range []struct {
		name string
		ops  []history.Op
		step func(i int, s *history.Sample)
		want string
	}{
		{"every request takes as long as in the baseline", requests(always(10 * ms)), nil, ""},
		// One in a window of a hundred is the p99 itself; the second raises it.
		{"more than five times as long for a second", slow, nil, "1600-3500"},
		{"given up after as long", outcome(slow, history.Fail), nil, "1600-3500"},
		// When it was cut off it had not ended; its age was counted while it waited.
		{"cut off after as long", outcome(slow, history.Unknown), nil, ""},
		{"four times as long", requests(func(at time.Duration) time.Duration {
			return map[bool]time.Duration{true: 40 * ms, false: 10 * ms}[at >= 1500*ms]
		}), nil, ""},
		{"nothing ends any more, and the oldest gets older", standstill, func(i int, s *history.Sample) {
			if i > 15 {
				s.Swarm.Oldest += 100 * ms
			}
		}, "1600-"},
		{"a standstill that ends", standstill, func(i int, s *history.Sample) {
			if i > 15 && i < 30 {
				s.Swarm.Oldest += 100 * ms
			}
			if i == 30 {
				s.Swarm.Oldest = ms
			}
		}, "1600-3000"},
		{"a sample that does not tell the age neither raises nor clears", standstill, func(i int, s *history.Sample) {
			s.Swarm.Waiting = 1
			if i > 15 {
				s.Swarm.Oldest += 100 * ms
			}
			if i > 20 {
				s.Swarm.Oldest = 0
			}
		}, "1600-"},
		{"two commands a second time out", requests(always(10 * ms)), func(i int, s *history.Sample) {
			if i == 15 {
				s.Swarm.Errors[history.Deadline]++
				s.Swarm.Errors[history.PoolTimeout]++
			}
		}, "1500-2500"},
		{"one command a second times out", requests(always(10 * ms)), func(i int, s *history.Sample) {
			if i%10 == 0 {
				s.Swarm.Errors[history.Deadline]++
			}
		}, ""},
		{"19 requests are no baseline", slow[81:], nil, ""},
		{"20 requests are one, and one of few is their p99", slow[80:], nil, "1500-3500"},
		{"what was given up is no baseline", outcome(requests(func(at time.Duration) time.Duration {
			return map[bool]time.Duration{true: 20 * ms, false: 10 * ms}[at < 820*ms]
		}), history.Fail), func(i int, s *history.Sample) { s.Swarm.Oldest = time.Second }, ""},
		{"the server is restarted, and the requests do not mind", slow, func(i int, s *history.Sample) {
			switch {
			case i >= 15 && i < 18:
				s.Server = nil
			case i >= 18:
				s.Server.RunID = "b"
			}
		}, "1600-3500"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := series(40, func(i int, s *history.Sample) {
				if i == 0 {
					s.Swarm.Oldest = ms
				}
				if c.step != nil {
					c.step(i, s)
				}
			})
			v.Ops = c.ops
			params := maps.Clone(requestLatency.Params)
			params["least_ms"] = 0
			if got := spans(requestLatency.Firings(v, params)); got != c.want {
				t.Errorf("fired %q, want %q", got, c.want)
			}
		})
	}
}

// What is many times as long as nothing is nothing still, finished or not.
func TestRequestLatencyOfShortRequests(t *testing.T) {
	for _, c := range []struct {
		name        string
		usual, late time.Duration
		oldest      time.Duration
		want        string
	}{
		{"25 times as long, and short", 10 * ms, 250 * ms, ms, ""},
		{"25 times as long, and long", 10 * ms, 251 * ms, ms, "1600-3500"},
		{"five times as long, and long", 60 * ms, 300 * ms, ms, ""},
		{"more than five times as long, and long", 60 * ms, 301 * ms, ms, "1600-3500"},
		{"the oldest is short", 10 * ms, 10 * ms, 250 * ms, ""},
		{"the oldest is long", 10 * ms, 10 * ms, 251 * ms, "1500-2500"},
	} {
		t.Run(c.name, func(t *testing.T) {
			during := func(at time.Duration) bool { return at >= 1500*ms && at < 2500*ms }
			v := series(40, func(i int, s *history.Sample) {
				s.Swarm.Oldest = map[bool]time.Duration{true: c.oldest, false: ms}[during(time.Duration(i)*100*ms)]
			})
			v.Ops = requests(func(at time.Duration) time.Duration {
				return map[bool]time.Duration{true: c.late, false: c.usual}[during(at)]
			})
			if got := spans(requestLatency.Firings(v, requestLatency.Params)); got != c.want {
				t.Errorf("fired %q, want %q", got, c.want)
			}
		})
	}
}

func TestP99(t *testing.T) {
	for n, want := range map[int]time.Duration{1: 1, 20: 20, 99: 99, 100: 99, 199: 198, 200: 198, 1000: 990} {
		took := make([]time.Duration, n)
		for i := range took {
			took[n-1-i] = time.Duration(i + 1)
		}
		if got := p99(took); got != want {
			t.Errorf("of 1 to %d: %d, want %d", n, got, want)
		}
		// The two ways to look at it agree.
		over := recent{all: n, over: n - int(want)}
		if over.slow() || !(&recent{all: n, over: n - int(want) + 1}).slow() {
			t.Errorf("of 1 to %d: the count says otherwise", n)
		}
	}
}

func TestP99IsThatOfTheSorted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		took := rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 50), func(n int) time.Duration { return time.Duration(n) }),
			1, 400).Draw(t, "took")
		sorted := slices.Sorted(slices.Values(took))
		if got, want := p99(took), sorted[len(sorted)-len(sorted)/100-1]; got != want {
			t.Fatalf("%d, want %d", got, want)
		}
	})
}

// To judge a million operations again may take a second, in total.
func BenchmarkRequestLatency(b *testing.B) {
	v := series(100, func(_ int, s *history.Sample) { s.Swarm.Oldest = ms })
	v.Baseline.To = 2000 * ms
	for i := range 1_000_000 {
		at := time.Duration(i) * 10 * time.Microsecond
		v.Ops = append(v.Ops, history.Op{Intended: at - time.Duration(i*7919%10_000)*time.Microsecond, Ended: at})
	}
	for b.Loop() {
		requestLatency.Firings(v, requestLatency.Params)
		for from := range 4 {
			requestLatency.Figures(v, requestLatency.Params,
				Span{time.Duration(from) * 2500 * ms, time.Duration(from+1) * 2500 * ms})
		}
	}
}
