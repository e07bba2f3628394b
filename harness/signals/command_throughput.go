package signals

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

// An operator who watches total_commands_processed expects it to fall when work stops.
// Waiters that poll are commands too: in a deadlock they are all there is. Those
// of the watching itself are not: they would go on when all others have stopped,
// and grow and shrink with what there is to look at. Where commands are few, the window
// is longer than window_ms: see fewer. A window that is half as
// long again as it should be, because the server did not answer in the middle of
// it, is that of an outage and says nothing about the work.
var commandThroughput = Signal{
	Name:    "command-throughput",
	Claim:   "M3",
	Summary: "total_commands_processed, without lockjam's own, grows by less than ratio of its rate in the baseline, over window_ms",
	Params:  Params{"ratio": 0.5, "window_ms": 1000},
	// Of a shorter window the samples at its ends may be half as far apart again.
	Ranges: Ranges{"ratio": belowUsual(), "window_ms": window(2 * sampledEveryMS)},
	Reads:  answered("total_commands_processed"),
	Unsteady: func(h View, in Span) string {
		c := processed(h)
		return cmp.Or(idle(c, in), c.unsteady("commands/s", in))
	},
	Unavailable: func(h View) string {
		return cmp.Or(noAnswer(h, "total_commands_processed"), idle(processed(h), h.Baseline))
	},
	Firings: func(h View, p Params) []Firing {
		if idle(processed(h), h.Baseline) != "" {
			return nil
		}
		return fewer(processed(h), h.Baseline, p)
	},
	Figures: func(h View, _ Params, in Span) map[string]float64 {
		return processed(h).pace("commands_per_s", h.Baseline, in)
	},
}

// Of commands that come at random, as many as these are never so few as to be a handful:
// the window is long enough for that many. A count of them that is under the usual one by
// four times its root, which is how it varies, is so by chance once in 30,000 windows.
const (
	enoughCommands = 20
	beyondChance   = 4
)

// fewer returns when there were fewer commands than ratio of those in the baseline, and
// than chance explains.
func fewer(c counter, baseline Span, p Params) []Firing {
	usual := c.usual(baseline)
	window := max(p.millis("window_ms"), time.Duration(enoughCommands/usual*float64(time.Second)))
	return firings(c.samples, 0, func(i int) reading {
		then := back(c.samples, i, window)
		if then < 0 || c.samples[then].At < baseline.From || c.took(then, i) > window*3/2 {
			return unknown
		}
		expected := usual * c.took(then, i).Seconds()
		return when(float64(c.grown(then, i)) < min(p["ratio"]*expected, expected-beyondChance*math.Sqrt(expected)))
	})
}

func processed(h View) counter {
	samples := only(h.Samples, answered("total_commands_processed"))
	all := served(samples, func(s *history.Server) int64 { return s.Commands })
	return all.without(served(samples, func(s *history.Server) int64 { return s.Own }))
}

// Of fewer commands than these, in total or in a second, a baseline says nothing:
// whether one comes in the next second is a matter of chance, and how many of the
// last few were lockjam's own is not known to the command.
const (
	fewCommands  = 5
	rareCommands = 1 // per second
)

// idle says why a baseline has too little in it to compare with, "" where it has
// enough.
func idle(c counter, baseline Span) string {
	first, last, ok := c.ends(baseline)
	switch {
	case !ok:
		return NoBaseline
	case c.grown(first, last) <= 0:
		return "nothing but lockjam's own commands ran in the baseline"
	case c.grown(first, last) < fewCommands || c.perSecond(first, last) < rareCommands:
		return fmt.Sprintf("next to nothing but lockjam's own commands ran in the baseline (%d in %.1f s)",
			c.grown(first, last), c.took(first, last).Seconds())
	}
	return ""
}
