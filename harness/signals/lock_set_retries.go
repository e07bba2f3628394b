package signals

import (
	"fmt"
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

// MONITOR shows what clients ask for and never what they are told, so that an
// attempt was without success can only be inferred: a client tries again and
// again, and that lock is not released meanwhile. That takes a burst that is longer
// than the work: a lock that is held for longer than MONITOR is listened to looks
// stuck, and is not.
var lockSetRetries = Signal{
	Name:    "lock-set-retries",
	Claim:   "D2",
	Summary: "within a burst of MONITOR of for_ms or more, a lock was tried attempts times and never released: it takes work that is shorter than the burst",
	Params:  Params{"attempts": 5, "for_ms": 150},
	Ranges: Ranges{
		"attempts": {Low: 1, High: millions, TooLow: "it always fires", TooHigh: neverCounted},
		"for_ms":   duration(0, ""),
	},
	Fits: func(param string, p Params, in Setting) error {
		if param == "for_ms" && in.Burst > 0 && p.millis(param) > in.Burst {
			return fmt.Errorf("%s: want at most %s: a burst of MONITOR is no longer, and it never fires",
				plain(p[param]), plain(millis(in.Burst)))
		}
		return nil
	},
	Reads: heard,
	Unavailable: func(h View) string {
		found, why := seek(h.Samples, heard)
		switch {
		case found:
			return ""
		case why == "":
			return "MONITOR was not requested"
		}
		return "MONITOR was not listened to: " + why
	},
	Firings: func(h View, p Params) []Firing {
		samples := only(h.Samples, heard)
		return firings(samples, 0, func(i int) reading {
			m := samples[i].Monitor
			if m.To-m.From < p.millis("for_ms") {
				return unknown // too short for a release to be missed
			}
			return when(float64(m.Stuck) >= p["attempts"])
		})
	},
	Figures: func(h View, p Params, in Span) map[string]float64 {
		figures := map[string]float64{}
		var attempts, releases int64
		var listened time.Duration
		for _, s := range within(only(h.Samples, heard), sampled, in) {
			m := s.Monitor
			attempts, releases, listened = attempts+m.Attempts, releases+m.Releases, listened+m.To-m.From
			if m.To-m.From >= p.millis("for_ms") {
				figures["stuck_max"] = max(figures["stuck_max"], float64(m.Stuck))
			}
		}
		if listened > 0 {
			figures["listened_ms"] = millis(listened)
			figures["attempts_per_s"] = round(float64(attempts)/listened.Seconds(), 1)
			figures["releases_per_s"] = round(float64(releases)/listened.Seconds(), 1)
			addCost(figures, h, in)
		}
		return figures
	},
}

func heard(s *history.Sample) (there bool, why string) {
	m := s.Monitor
	if m == nil {
		return false, ""
	}
	return m.Error == "" && m.To > m.From, m.Error
}

// pooled is a number of decisions and the time that they were made in.
type pooled struct {
	decisions int
	took      time.Duration
}

func (a *pooled) add(ops []history.Op, in Span) {
	if in.To <= in.From {
		return
	}
	a.took += in.To - in.From
	for _, op := range within(ops, ended, Span{in.From, in.To - 1}) { // the end is the next one's
		if op.Outcome == history.OK {
			a.decisions++
		}
	}
}

func (a pooled) perSecond() float64 { return round(float64(a.decisions)/a.took.Seconds(), 1) }

// addCost adds what listening cost the workers: their decisions while MONITOR
// was on and while it was not. The counts let several runs be pooled,
// since one has a second of listening at most.
func addCost(figures map[string]float64, h View, in Span) {
	if len(h.Ops) == 0 {
		return
	}
	var on, off pooled
	rest := in
	for _, s := range h.Samples {
		if s.Monitor == nil {
			continue
		}
		from, to := max(s.Monitor.From, rest.From), min(s.Monitor.To, rest.To)
		if to <= from {
			continue
		}
		off.add(h.Ops, Span{rest.From, from})
		if s.Monitor.Error == "" { // else it is not known how long it was on
			on.add(h.Ops, Span{from, to})
		}
		rest.From = to
	}
	off.add(h.Ops, rest)
	figures["monitored_decisions"], figures["monitored_ms"] = float64(on.decisions), millis(on.took)
	figures["unmonitored_decisions"], figures["unmonitored_ms"] = float64(off.decisions), millis(off.took)
	const enough = 200 * time.Millisecond // for a rate
	if on.took >= enough && off.took >= enough {
		figures["monitored_goodput_per_s"], figures["unmonitored_goodput_per_s"] = on.perSecond(), off.perSecond()
	}
}
