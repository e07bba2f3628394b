package harness

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/remedies"
	"github.com/lockjam/lockjam/harness/signals"
)

// Verdicts on a claim.
const (
	Confirmed   = "confirmed"
	Refuted     = "refuted"
	Conditional = "conditional" // true in some scenarios, false in others
	Untested    = "untested"
)

// signalsOf are the signals that answer for a claim of detection. The metrics
// M1 and M2 are what the alerts A1 and A2 read.
func signalsOf(id string) []string {
	switch id {
	case "M1":
		return []string{"client-saturation"}
	case "M2":
		return []string{"rejected-connections"}
	case "C2": // of contention, and of the limit: either will do
		return []string{"client-saturation", "rejected-connections", "lock-key-count", "lock-set-retries"}
	case "S4": // rejections as the server counts them, and errors as clients log them
		return []string{"client-errors", "rejected-connections"}
	}
	var names []string
	for _, s := range signals.All() {
		if s.Claim == id {
			names = append(names, s.Name)
		}
	}
	return names
}

const noArm = "No arm of this run bears on it."

// Scorecard answers every claim of the runbook from the arms of a run whose
// scenarios say that they bear on it. A claim without any is untested. In a run on
// several images each answers for itself, and the card says where they differ.
func Scorecard(r *Run) []Claim {
	images := r.Images()
	if len(images) == 0 {
		return scorecard(r)
	}
	var cards [][]Claim
	for _, image := range images {
		cards = append(cards, scorecard(r.On(image)))
	}
	return mergeCards(images, cards)
}

// scorecard is the one of a single server.
func scorecard(r *Run) []Claim {
	cards := make([]Claim, 0, len(runbook))
	for _, c := range runbook {
		card := Claim{ID: c.id, Words: c.words, Verdict: Untested, Because: noArm, Evidence: []Evidence{}}
		var on []ScenarioResult
		for _, sc := range r.Scenarios {
			if slices.Contains(sc.Claims, c.id) {
				on = append(on, sc)
			}
		}
		switch names := signalsOf(c.id); {
		case c.id == "R1w":
			warning(&card, on)
		case c.id == "R2m":
			settled(&card, on)
		case c.id == "C3":
			reviewed(&card, on)
		case len(names) > 0:
			detection(&card, on, names)
		case strings.HasPrefix(c.id, "R"):
			action(&card, on, c.id)
		default:
			prevents(&card, on, c.id)
		}
		switch c.id {
		case "S1":
			words(&card, on)
		case "S2":
			hangs(&card, on)
		case "D2":
			asWritten(&card, on)
		case "M2", "A2":
			cumulative(&card, on)
		}
		if card.Verdict == Refuted || card.Verdict == Conditional {
			card.Instead = c.instead
		}
		cards = append(cards, card)
	}
	return cards
}

// reading is what one signal did in one arm.
type reading struct {
	scenario string
	arm      *ArmResult
	SignalResult
}

// failing says whether the arm had the failure.
func (r reading) failing() bool { return r.arm.Reproduced != nil && *r.arm.Reproduced }

// quiet says whether nothing was wrong in the arm.
func (r reading) quiet() bool { return r.arm.Reproduced == nil && r.arm.Prevention == "" }

// readings yields what some signals did in one scenario, where they could say
// anything. Where a prevention is in force there may be something wrong or not.
func readings(sc *ScenarioResult, names ...string) iter.Seq[reading] {
	return func(yield func(reading) bool) {
		for i := range sc.Arms {
			for _, s := range sc.Arms[i].Signals {
				if !slices.Contains(names, s.Name) || s.Unavailable != "" || sc.Arms[i].Prevention != "" || !conclusive(&sc.Arms[i]) {
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
func detection(card *Claim, on []ScenarioResult, names []string) {
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
			fires = append(fires, fmt.Sprintf("%s (after %.1f s)", sc.Name, Median(took)/1000))
			card.Evidence = append(card.Evidence, Evidence{sc.Name, median.arm.Name, "signals." + median.Name + ".detect_ms", *median.DetectMS})
		case len(not) > 0:
			silent = append(silent, sc.Name)
			card.Evidence = append(card.Evidence, Evidence{sc.Name, not[0].arm.Name, "signals." + not[0].Name + ".figures", not[0].Figures})
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

// words: the server says that it is full, and who hears it? S1 speaks of
// applications, and those hear what their client library tells them.
func words(card *Claim, on []ScenarioResult) {
	var refused, told float64
	var shown []Evidence
	for i := range on {
		for r := range readings(&on[i], "refused-clients") {
			if !r.failing() || r.Figures["refused_count"] == 0 {
				continue
			}
			refused += r.Figures["refused_count"]
			told += r.Figures["told_count"]
			if len(shown) == 0 {
				shown = []Evidence{{r.scenario, r.arm.Name, "signals.refused-clients.figures", r.Figures}}
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
		plural(int64(refused), "command"), told, heard)
	switch told {
	case 0:
		card.Verdict = Refuted
	case refused:
		card.Verdict = Confirmed
	default:
		card.Verdict = Conditional
	}
}

// hangs: S2 promises latency and timeouts. What hangs are whole requests; a timeout
// takes somebody who has set one.
func hangs(card *Claim, on []ScenarioResult) {
	timeouts := 0.0
	for i := range on {
		for r := range readings(&on[i], "request-latency") {
			if r.failing() {
				timeouts = max(timeouts, r.Figures["timeouts_per_s"])
			}
		}
	}
	if card.Verdict != Confirmed || timeouts > 0 {
		return
	}
	card.Verdict = Conditional
	card.Because += " Those are whole requests: no command timed out in any arm."
}

// asWritten: the signal reads MONITOR as it is meant; the runbook has a command
// line, and that is what an engineer will paste.
func asWritten(card *Claim, on []ScenarioResult) {
	tried, matched := 0, 0
	for _, sc := range on {
		for _, a := range sc.Arms {
			if a.Reproduced == nil || !*a.Reproduced || a.Verdict == Cured || !conclusive(&a) {
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
				card.Evidence = append(card.Evidence, Evidence{sc.Name, a.Name, "probes." + p.Name, p.Because})
			}
		}
	}
	if tried == 0 {
		return
	}
	if matched == 0 {
		read := ""
		if card.Verdict != Untested {
			read = " Over a connection that was open before, a lock that is tried and not released shows: " + lower(card.Because)
		}
		card.Verdict = Refuted
		card.Because = fmt.Sprintf("As written it printed nothing in %s.%s", anyOf(tried, "failure"), read)
	}
	if cost := monitorCost(on); cost != "" {
		card.Because += " " + cost
	}
}

// monitorCost pools what every arm did while somebody listened and while nobody
// did, where nothing was wrong: in an incident there is no goodput to lose. The
// interval is that of a ratio of two counts.
func monitorCost(on []ScenarioResult) string {
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
		interval{ratio, ratio / half, ratio * half}.words("goodput without"))
}

// cumulative: "> 0" on a counter that only grows, after a cure.
func cumulative(card *Claim, on []ScenarioResult) {
	cured, stuck := 0, 0
	for i := range on {
		for r := range readings(&on[i], "rejected-connections") {
			if r.Fired && r.arm.Verdict == Cured {
				cured++
				if r.FiguresAfter["cumulative_reading"] > 0 {
					stuck++
				}
			}
		}
	}
	if stuck > 0 {
		card.Because += fmt.Sprintf(" Read as it stands, the counter was still over 0 at the end of %d of %s; only a restart clears it.", stuck, plural(int64(cured), "cured arm"))
	}
}

// conclusive reports whether an arm is evidence of anything.
func conclusive(a *ArmResult) bool { return a.Outcome != Inconclusive }

// anyOf is "the one failure" and "any of 3 failures".
func anyOf(n int, what string) string {
	if n == 1 {
		return "the one " + what
	}
	return fmt.Sprintf("any of %d %ss", n, what)
}

func lower(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// action: does the remedy cure every failure it was tried on?
func action(card *Claim, on []ScenarioResult, id string) {
	var cures, harms, fails []string
	for _, sc := range on {
		for _, a := range sc.Arms {
			remedy, _ := remedies.Find(a.Remedy)
			// Repeats agree, or the run does not pass; the first speaks for them.
			if remedy.Claim != id || a.Verdict == "" || a.Repeat > 1 || a.Name != a.Remedy || !conclusive(&a) {
				continue
			}
			card.Evidence = append(card.Evidence, Evidence{sc.Name, a.Name, "verdict", a.Verdict})
			switch {
			case a.Verdict == Cured && a.Unsafe:
				harms = append(harms, sc.Name)
			case a.Verdict == Cured:
				cures = append(cures, sc.Name)
			default:
				fails = append(fails, fmt.Sprintf("%s (%s)", sc.Name, a.Verdict))
			}
		}
	}
	if len(card.Evidence) == 0 {
		return
	}
	card.Because = sentence("cures", cures, "cures, and breaks mutual exclusion, in", harms, "does not cure", fails)
	card.Verdict = verdictOf(len(cures), len(harms)+len(fails))
	if len(harms) > 0 && len(fails)+len(cures) > 0 || len(cures)+len(harms) > 0 && len(fails) > 0 {
		card.Verdict = Conditional
	}
}

// settled: after option 2, do steady connections mean that it has worked?
func settled(card *Claim, on []ScenarioResult) {
	var right, wrong []string
	for i := range on {
		sc := &on[i]
		for k := range sc.Arms {
			a := &sc.Arms[k]
			if a.Remedy != "raise-maxclients-restart" || a.Verdict == "" || a.Verdict == Blocked || a.Repeat > 1 || !conclusive(a) {
				continue
			}
			connected, rejected := readAfter(a, "client-saturation"), readAfter(a, "rejected-connections")
			if connected == nil || rejected == nil {
				continue
			}
			settles := a.Connections != nil && a.Connections.SettledAfterMS != nil
			steady := settles && connected["ratio_max"] <= 0.8 && rejected["rejected_count"] == 0
			card.Evidence = append(card.Evidence, Evidence{sc.Name, a.Name, "signals.client-saturation.figures_after", connected})
			said := fmt.Sprintf("%s/%s (%s, %s)", sc.Name, a.Name, settledAt(a, connected), a.Verdict)
			if steady == (a.Verdict == Cured) {
				right = append(right, said)
			} else {
				wrong = append(wrong, said)
			}
		}
	}
	if len(right)+len(wrong) == 0 {
		return
	}
	card.Because = sentence("tells right in", right, "tells wrong in", wrong)
	card.Verdict = verdictOf(len(right), len(wrong))
}

// settledAt is "67 clients of 10000 after 1.2 s".
func settledAt(a *ArmResult, connected map[string]float64) string {
	if a.Connections == nil || a.Connections.SettledAfterMS == nil {
		taken, beyond := SlotsTaken(int64(connected["connected_max"]), int64(connected["maxclients"]))
		return fmt.Sprintf("up to %d clients%s of %.0f, never steady", taken, beyond, connected["maxclients"])
	}
	taken, beyond := SlotsTaken(a.Connections.Clients, int64(connected["maxclients"]))
	return fmt.Sprintf("%d clients%s of %.0f after %.1f s", taken, beyond, connected["maxclients"], *a.Connections.SettledAfterMS/1000)
}

// prevents: does what the claim asks for keep the failure from happening, each way
// of reading it that was tried?
func prevents(card *Claim, on []ScenarioResult, id string) {
	said := map[Verdict][]string{}
	var good, bad int
	var harms []string
	for _, sc := range on {
		for _, a := range sc.Arms {
			if a.Claim != id || a.Prevention == "" || a.Verdict == "" || a.Repeat > 1 || !conclusive(&a) {
				continue
			}
			card.Evidence = append(card.Evidence, Evidence{sc.Name, a.Name, "verdict", a.Verdict})
			name := a.Name + " in " + sc.Name
			said[a.Verdict] = append(said[a.Verdict], name)
			if a.Unsafe {
				harms = append(harms, fmt.Sprintf("%s (%s)", name, plural(a.Safety.Total(), "fault")))
			}
			if a.Verdict == Prevented && !a.Unsafe {
				good++
			} else {
				bad++
			}
		}
	}
	if good+bad == 0 {
		return
	}
	card.Because = sentence("prevents with", said[Prevented], "mitigates with", said[Mitigated], "does not prevent with", said[NotPrevented],
		"breaks mutual exclusion with", harms)
	card.Verdict = verdictOf(good, bad)
	if good == 0 && len(said[Mitigated]) > 0 {
		card.Verdict = Conditional
	}
}

// warning: did deleting locks hurt somebody who was alive, and what came of it?
func warning(card *Claim, on []ScenarioResult) {
	var harmed []string
	for _, sc := range on {
		for _, a := range sc.Arms {
			if a.Remedy != "release-stale-locks" || a.Verdict == "" || a.Verdict == Blocked || a.Repeat > 1 || !conclusive(&a) {
				continue
			}
			card.Evidence = append(card.Evidence, Evidence{sc.Name, a.Name, "safety.overlaps", a.Safety.Overlaps})
			if a.Safety.Overlaps == 0 {
				continue
			}
			card.Evidence = append(card.Evidence, Evidence{sc.Name, a.Name, "safety.over_admitted", a.Safety.OverAdmitted})
			harmed = append(harmed, fmt.Sprintf("%s (%s overrun, %s lost, %s admitted over the limit)", sc.Name,
				plural(a.Safety.Overlaps, "holder"), plural(a.Safety.LostUpdates, "update"), plural(a.Safety.OverAdmitted, "request")))
		}
	}
	switch {
	case len(harmed) > 0:
		card.Verdict, card.Because = Confirmed, sentence("takes locks from the living in", harmed)
	case len(card.Evidence) > 0:
		card.Because = "No holder was overrun where locks were deleted: nothing can be said."
	}
}

func verdictOf(yes, no int) string {
	switch {
	case yes == 0 && no == 0:
		return Untested
	case no == 0:
		return Confirmed
	case yes == 0:
		return Refuted
	}
	return Conditional
}

// listed is "a", "a and b", "a, b and c".
func listed(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// sentence joins what is not empty: sentence("cures", [a b], "fails", nil) is
// "It cures a and b."
func sentence(parts ...any) string {
	var said []string
	for i := 0; i < len(parts); i += 2 {
		if names := parts[i+1].([]string); len(names) > 0 {
			said = append(said, parts[i].(string)+" "+listed(names))
		}
	}
	if len(said) == 0 {
		return noArm
	}
	return "It " + strings.Join(said, "; it ") + "."
}

// readAfter is what a signal read at the end of the recovery.
func readAfter(a *ArmResult, signal string) map[string]float64 {
	for _, s := range a.Signals {
		if s.Name == signal {
			return s.FiguresAfter
		}
	}
	return nil
}
