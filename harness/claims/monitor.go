package claims

import (
	"fmt"
	"math"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/stats"
	"github.com/lockjam/lockjam/harness/text"
)

// asWritten: the signal reads MONITOR as it is meant; the runbook has a command
// line, and that is what an engineer will paste.
func asWritten(card *result.Claim, on []result.Scenario) {
	tried, matched := 0, 0
	for _, sc := range on {
		for _, a := range sc.Arms {
			if a.Reproduced == nil || !*a.Reproduced || a.Verdict == result.Cured || !conclusive(&a) {
				continue // no failure, or none any more when it was asked
			}
			for _, p := range a.Probes {
				if p.Name != history.RunbookMonitor || p.Failed != "" || a.Repeat > 1 {
					continue
				}
				tried++
				if p.Matches > 0 {
					matched++
				}
				card.Evidence = append(card.Evidence,
					result.Evidence{Scenario: sc.Name, Arm: a.Name, Field: "probes." + p.Name, Value: p.Because})
			}
		}
	}
	if tried == 0 {
		return
	}
	if matched == 0 {
		read := ""
		if card.Verdict != result.Untested {
			read = " Over a connection that was open before, a lock that is tried and not released shows: " +
				text.Lower(card.Because)
		}
		card.Verdict = result.Refuted
		card.Because = fmt.Sprintf("As written it printed nothing in %s.%s", text.AnyOf(tried, "failure"), read)
	}
	if cost := monitorCost(on); cost != "" {
		card.Because += " " + cost
	}
}

// monitorCost pools what every arm did while MONITOR was on and while it was
// off, where nothing was wrong: in an incident there is no goodput to lose. The
// interval is that of a ratio of two counts.
func monitorCost(on []result.Scenario) string {
	var with, without, withMS, withoutMS float64
	for i := range on {
		for r := range readings(&on[i], "lock-set-retries") {
			if r.quiet() {
				with += r.Figures["monitored_decisions"]
				withMS += r.Figures["monitored_ms"]
				without += r.Figures["unmonitored_decisions"]
				withoutMS += r.Figures["unmonitored_ms"]
			}
		}
	}
	if with == 0 || without == 0 {
		return ""
	}
	ratio, half := (with/withMS)/(without/withoutMS), math.Exp(1.96*math.Sqrt(1/with+1/without))
	return fmt.Sprintf("Where nothing was wrong and Redis had time to spare, goodput with MONITOR on was %s.",
		stats.Interval{Mid: ratio, Low: ratio / half, High: ratio * half}.Words("goodput without"))
}
