package judge

import (
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/stats"
	"github.com/lockjam/lockjam/harness/text"
)

// recoveryOf is an estimate as run.json keeps it, to the thousandth. It decides nothing:
// verdicts come from the estimate itself.
func recoveryOf(i stats.Interval) *result.Recovery {
	return &result.Recovery{Ratio: text.Round(i.Mid, 3), Low: text.Round(i.Low, 3), High: text.Round(i.High, 3)}
}

// intervalOf is a recorded estimate.
func intervalOf(r result.Recovery) stats.Interval {
	return stats.Interval{Mid: r.Ratio, Low: r.Low, High: r.High}
}
