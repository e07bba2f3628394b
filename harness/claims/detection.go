package claims

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/stats"
	"github.com/lockjam/lockjam/harness/text"
)

// reading is what one signal did in one arm.
type reading struct {
	scenario string
	arm      *result.Arm
	result.Signal
}

// failing reports whether the arm had the failure.
func (r reading) failing() bool { return r.arm.Reproduced != nil && *r.arm.Reproduced }

// quiet reports whether nothing was wrong in the arm.
func (r reading) quiet() bool { return r.arm.Reproduced == nil && r.arm.Prevention == "" }

// readings yields what some signals did in one scenario, where they could say
// anything. Where a prevention is in force there may be something wrong or not.
func readings(sc *result.Scenario, names ...string) iter.Seq[reading] {
	return func(yield func(reading) bool) {
		for i := range sc.Arms {
			for _, s := range sc.Arms[i].Signals {
				if !slices.Contains(names, s.Name) || s.Unavailable != "" || sc.Arms[i].Prevention != "" ||
					!conclusive(&sc.Arms[i]) {
					continue
				}
				if !yield(reading{sc.Name, &sc.Arms[i], s}) {
					return
				}
			}
		}
	}
}

// detection: does it fire in every failure, and only then? Several signals
// stand for one claim where it can be read in several ways; any of them will do.
func detection(names ...string) evaluator {
	return func(card *result.Claim, on []result.Scenario) { detect(card, on, names) }
}

func detect(card *result.Claim, on []result.Scenario, names []string) {
	var fires, silent, alarms, quiet []string
	for i := range on {
		sc := &on[i]
		var fired, not []reading
		alarmed, calm := false, false
		for r := range readings(sc, names...) {
			alarmed = alarmed || r.BaselineFirings > 0 || r.quiet() && r.Fired
			calm = calm || r.quiet() && !r.Fired
			switch {
			case r.failing() && r.Fired:
				fired = append(fired, r)
			case r.failing():
				not = append(not, r)
			}
		}
		if alarmed {
			alarms = append(alarms, sc.Name)
		}
		switch {
		case len(fired) > 0:
			slices.SortFunc(fired, func(a, b reading) int { return cmp.Compare(*a.DetectMS, *b.DetectMS) })
			median := fired[len(fired)/2]
			var took []float64
			for _, r := range fired {
				took = append(took, *r.DetectMS)
			}
			fires = append(fires, fmt.Sprintf("%s (after %.1f s)", sc.Name, stats.Median(took)/1000))
			card.Evidence = append(card.Evidence,
				result.Evidence{Scenario: sc.Name, Arm: median.arm.Name, Field: "signals." + median.Name + ".detect_ms",
					Value: *median.DetectMS})
		case len(not) > 0:
			silent = append(silent, sc.Name)
			card.Evidence = append(card.Evidence,
				result.Evidence{Scenario: sc.Name, Arm: not[0].arm.Name, Field: "signals." + not[0].Name + ".figures",
					Value: not[0].Figures})
		case calm && !alarmed:
			quiet = append(quiet, sc.Name)
		}
	}
	card.Verdict = verdictOf(len(fires), len(silent)+len(alarms))
	card.Because = sentence("fires in", fires, "stays silent in", silent, "raises a false alarm in", alarms)
	if card.Because == noArm && len(quiet) > 0 {
		card.Because = "Nothing was wrong in this run, and it stayed silent: whether it fires when something is, no arm says."
	}
}

// words: the server says that it is full: which callers hear it? S1 speaks of
// applications, and those hear what their client library tells them.
func words(card *result.Claim, on []result.Scenario) {
	var refused, told float64
	var shown []result.Evidence
	for i := range on {
		for r := range readings(&on[i], "refused-clients") {
			if !r.failing() || r.Figures["refused_count"] == 0 {
				continue
			}
			refused += r.Figures["refused_count"]
			told += r.Figures["told_count"]
			if len(shown) == 0 {
				shown = []result.Evidence{{Scenario: r.scenario, Arm: r.arm.Name,
					Field: "signals.refused-clients.figures", Value: r.Figures}}
			}
		}
	}
	if refused == 0 {
		return
	}
	card.Evidence = shown
	heard, fires := strings.CutPrefix(card.Because, "It fires in ")
	if fires {
		heard = "A raw socket that dials and reads is told: " + heard
	} else {
		heard = "A raw socket that dials and reads was told in none of these failures."
	}
	card.Because = fmt.Sprintf("Of %s that go-redis could not send for want of a slot, %.0f told their caller why. %s",
		text.Plural(int64(refused), "command"), told, heard)
	switch told {
	case 0:
		card.Verdict = result.Refuted
	case refused:
		card.Verdict = result.Confirmed
	default:
		card.Verdict = result.Conditional
	}
}

// hangs: S2 promises latency and timeouts. What hangs are whole requests; a timeout
// takes a client that has set one.
func hangs(card *result.Claim, on []result.Scenario) {
	timeouts := 0.0
	for i := range on {
		for r := range readings(&on[i], "request-latency") {
			if r.failing() {
				timeouts = max(timeouts, r.Figures["timeouts_per_s"])
			}
		}
	}
	if card.Verdict != result.Confirmed || timeouts > 0 {
		return
	}
	card.Verdict = result.Conditional
	card.Because += " Those are whole requests: no command timed out in any arm."
}

// cumulative: "> 0" on a counter that only grows, after a cure.
func cumulative(card *result.Claim, on []result.Scenario) {
	cured, stuck := 0, 0
	for i := range on {
		for r := range readings(&on[i], "rejected-connections") {
			if r.Fired && r.arm.Verdict == result.Cured {
				cured++
				if r.FiguresAfter["cumulative_reading"] > 0 {
					stuck++
				}
			}
		}
	}
	if stuck > 0 {
		card.Because += fmt.Sprintf(" Read as it stands, the counter was still over 0 at the end of %d of %s; only a restart clears it.", stuck, text.Plural(cured, "cured arm"))
	}
}
