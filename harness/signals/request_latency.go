package signals

import (
	"cmp"
	"slices"
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

// Requests that have not ended have no response time yet, and in a standstill
// they are all there are: the age of the oldest counts as well.
//
// Where workers merely queue for a lock, long waits thin out exponentially: one
// request in 100 is over the p99, one in 100 of those over twice the p99, and so
// on. Over three times the p99 is one in a million, and a few hundred healthy
// runs make that many: people would be woken for nothing. Over five times is
// one in ten thousand million.
//
// Where requests take few milliseconds, five times as long is as long as a machine
// stalls that has other guests: up to 0.11 s was lost at a time in a thousand arms. What
// takes less than a quarter of a second is nothing to wake people for.
var requestLatency = Signal{
	Name:    "request-latency",
	Claim:   "S2",
	Summary: "p99 response time over window_ms, or the oldest request's age, is over ratio times the baseline's p99 and over least_ms; or more than timeouts_per_s commands time out",
	Params:  Params{"ratio": 5, "least_ms": 250, "timeouts_per_s": 1, "window_ms": 1000},
	Ranges: Ranges{
		"ratio": aboveUsual(), "least_ms": duration(0, ""), "timeouts_per_s": number(millions),
		"window_ms": window(sampledEveryMS),
	},
	Unavailable: func(h View) string {
		why := ""
		switch {
		case len(aging(h)) == 0: // nor was it in the first recordings
			why = "the age of unfinished requests is not recorded here"
		case usualP99(h) == 0:
			why = NoBaseline
		}
		return cmp.Or(noWorkers(h), why)
	},
	Firings: func(h View, p Params) []Firing {
		usual, length := usualP99(h), p.millis("window_ms")
		if usual == 0 {
			return nil
		}
		samples := aging(h)
		timeouts := counted(samples, timedOut)
		tooLong := max(time.Duration(p["ratio"]*float64(usual)), p.millis("least_ms"))
		requests := recent{ops: h.Ops, length: length, tooLong: tooLong}
		return firings(samples, 0, func(i int) reading {
			now := samples[i]
			requests.moveTo(now.At)
			then := back(samples, i, length)
			if then < 0 || samples[then].At < h.Baseline.From {
				return unknown // still connecting
			}
			return when(requests.slow() || now.Swarm.Oldest > requests.tooLong ||
				timeouts.perSecond(then, i) > p["timeouts_per_s"])
		})
	},
	// The ratio is that of the p99 or of the oldest, whichever is the worse.
	Figures: func(h View, _ Params, in Span) map[string]float64 {
		figures := map[string]float64{}
		if noWorkers(h) != "" {
			return figures
		}
		worst := time.Duration(0)
		if took := responses(within(h.Ops, ended, in), answeredOrGivenUp); len(took) > 0 {
			worst = p99(took)
			figures["p99_ms"] = millis(worst)
		}
		timeouts := counted(h.Samples, timedOut)
		if first, last, ok := timeouts.ends(in); ok {
			figures["timeouts_per_s"] = round(timeouts.perSecond(first, last), 1)
		}
		read := within(aging(h), sampled, in)
		for _, s := range read {
			worst = max(worst, s.Swarm.Oldest)
			figures["oldest_ms"] = max(figures["oldest_ms"], millis(s.Swarm.Oldest))
		}
		if usual := usualP99(h); usual > 0 && len(read) > 0 {
			figures["ratio_of_baseline"] = round(float64(worst)/float64(usual), 3)
		}
		return figures
	},
}

// aging returns the samples that tell the age of what is in progress, if
// anything is.
func aging(h View) []history.Sample {
	first := slices.IndexFunc(h.Samples, func(s history.Sample) bool { return s.Swarm.Oldest > 0 })
	if first < 0 {
		return nil
	}
	return only(h.Samples[first:], func(s *history.Sample) (bool, string) {
		w := s.Swarm
		return w.Oldest > 0 || w.Waiting+w.Dialing+w.Holding == 0, ""
	})
}

func timedOut(s *history.Sample) int64 {
	return s.Swarm.Errors[history.Deadline] + s.Swarm.Errors[history.PoolTimeout]
}

func ended(op *history.Op) time.Duration { return op.Ended }

func answeredOrGivenUp(op *history.Op) bool { return op.Outcome != history.Unknown }

// usualP99 is the baseline's, 0 if too few requests ended in it to know one.
func usualP99(h View) time.Duration {
	took := responses(within(h.Ops, ended, h.Baseline), func(op *history.Op) bool { return op.Outcome == history.OK })
	if len(took) < 20 {
		return 0
	}
	return p99(took)
}

func responses(ops []history.Op, counts func(*history.Op) bool) []time.Duration {
	took := make([]time.Duration, 0, len(ops))
	for i := range ops {
		if counts(&ops[i]) {
			took = append(took, ops[i].Ended-ops[i].Intended)
		}
	}
	return took
}

// p99 is the least that at least 99 of 100 do not go past. It finds it as Hoare
// did (Algorithm 65: FIND), since to sort millions takes a while: they are in
// another order afterwards.
func p99(took []time.Duration) time.Duration {
	k := len(took) - len(took)/100 - 1
	for first, last := 0, len(took)-1; first < last; {
		middle, i, j := took[first+(last-first)/2], first, last
		for i <= j {
			for took[i] < middle {
				i++
			}
			for middle < took[j] {
				j--
			}
			if i <= j {
				took[i], took[j] = took[j], took[i]
				i, j = i+1, j-1
			}
		}
		switch {
		case k <= j:
			last = j
		case k >= i:
			first = i
		default:
			return took[k]
		}
	}
	return took[k]
}

// recent counts the requests that ended within a window that only moves on, so
// that each is looked at twice, however many windows it is in.
type recent struct {
	ops             []history.Op
	length, tooLong time.Duration
	first, next     int // ops[first:next] are in the window
	all, over       int // those that ended, and those of them that took too long
}

func (r *recent) moveTo(now time.Duration) {
	for ; r.next < len(r.ops) && r.ops[r.next].Ended <= now; r.next++ {
		r.count(&r.ops[r.next], 1)
	}
	for ; r.first < r.next && r.ops[r.first].Ended <= now-r.length; r.first++ {
		r.count(&r.ops[r.first], -1)
	}
}

func (r *recent) count(op *history.Op, n int) {
	if !answeredOrGivenUp(op) {
		return
	}
	r.all += n
	if op.Ended-op.Intended > r.tooLong {
		r.over += n
	}
}

// slow reports whether their p99 is too long: whether more than one in a hundred is.
func (r *recent) slow() bool { return r.over > r.all/100 }
