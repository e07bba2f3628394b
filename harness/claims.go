package harness

import (
	"fmt"
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

// claim is a line of the runbook. The ids are stable.
type claim struct {
	id, words string
	// instead is what to do where it is refuted, or holds only here and there.
	instead string
}

// runbook lists the claims in the runbook's order.
var runbook = []claim{
	{"S1", `Applications receiving "ERR max number of clients reached" errors`,
		"Do not search logs for that text: go-redis says broken pipe, connection reset by peer or EOF. Alert on the increase of rejected_connections, or dial with a raw socket and read."},
	{"S2", "Increased latency and timeouts in Redis operations",
		"Measure whole requests, those still in progress included: single commands stay fast, and nothing times out where nobody has set a timeout."},
	{"S3", "Services unable to acquire locks, leading to degraded throughput", ""},
	{"S4", "High number of rejected connections and client connection errors in logs",
		"Where these are silent and goodput is gone, look for locks without TTL whose owner is dead."},
	{"D1", `redis-cli --scan --pattern "lock:*": look for a high number of lock keys indicating contention`,
		"The number of keys is the number of things that are locked, however many wait for them. Look twice: a lock without TTL that holds the same token after longer than the work takes is stuck. OBJECT IDLETIME does not show it: a SET NX that fails counts as an access."},
	{"D2", `redis-cli monitor | grep "SET lock:": monitor for repeated attempts to set locks without success`,
		`MONITOR quotes what it prints: grep -iE '"(set|setnx)" "lock:'. Open the connection beforehand, and look for a lock that is tried and never deleted.`},
	{"R1", `Release stale locks: redis-cli --scan --pattern "lock:*" | xargs redis-cli del`,
		"Where the server is full it cannot be carried out: keep a connection open beforehand, and raise maxclients with CONFIG SET instead."},
	{"R1w", "WARNING: this will forcefully release all locks. Ensure this is safe for your application logic", ""},
	{"R2", "Increase the client limit: edit redis.conf (maxclients 10000), restart the server",
		"Raise it with CONFIG SET maxclients: nothing is restarted, and no lock is dropped from under its holder. For orphaned locks, delete them."},
	{"R2m", "Monitor the client connections to ensure stability", ""},
	{"P1", "Implement a backoff strategy for retrying lock acquisition", ""},
	{"P2", "Use a shorter TTL for locks to prevent long-held locks", ""},
	{"P3", "Use Redis transactions (MULTI/EXEC) to ensure atomic operations", ""},
	{"P4", "Set a reasonable timeout for lock acquisition attempts", ""},
	{"M1", "info clients: connected_clients", "Watch goodput as well: connected_clients says nothing about locks that nobody will release."},
	{"M2", "info stats: rejected_connections", "Watch goodput as well: nobody is rejected where locks are orphaned."},
	{"M3", "info stats: total_commands_processed",
		"Watch the rate of grants or of completed requests: waiters that poll keep this counter growing."},
	{"A1", "Connected clients > 80% of maxclients", "Keep it, and alert on goodput too: it is silent where locks are orphaned."},
	{"A2", "Rejected connections > 0", "Alert on its increase, not on its value, which never clears; and on goodput too."},
	{"A3", "Average command latency > 10 ms", "Alert on goodput or on the response time of requests: what Redis answers, it answers as fast as ever."},
	{"C1", "Ensure Redis configuration is optimized for high concurrency", ""},
	{"C2", "Implement monitoring for lock contention and client limits", ""},
	{"C3", "Review and test lock acquisition and release logic", ""},
	{"C4", "Validate that all services handle lock acquisition failures gracefully", ""},
}

// signalsOf are the signals that answer for a claim of detection. The metrics
// M1 and M2 are what the alerts A1 and A2 read.
func signalsOf(id string) []string {
	switch id {
	case "M1":
		return []string{"client-saturation"}
	case "M2":
		return []string{"rejected-connections"}
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
// scenarios say that they bear on it. A claim without any is untested.
func Scorecard(r *Run) []Claim {
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
		case len(names) > 0:
			detection(&card, on, names)
		default:
			action(&card, on, c.id)
		}
		switch c.id {
		case "S1":
			words(&card, on)
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

// detection: does it fire in every failure, and only then? Several signals
// stand for one claim where it can be read in several ways; any of them will do.
func detection(card *Claim, on []ScenarioResult, names []string) {
	var fires, silent, alarms []string
	for _, sc := range on {
		var detect []float64
		tried, fired, alarmed := 0, 0, false
		var shown *Evidence
		for _, a := range sc.Arms {
			for _, s := range a.Signals {
				if !slices.Contains(names, s.Name) || s.Unavailable != "" {
					continue
				}
				failing := a.Reproduced != nil && *a.Reproduced
				alarmed = alarmed || s.BaselineFirings > 0 || a.Reproduced == nil && s.Fired
				if !failing {
					continue
				}
				tried++
				if s.Fired {
					fired++
					detect = append(detect, *s.DetectMS)
				}
				if shown == nil || s.Fired && fired == 1 {
					shown = proof(sc.Name, a.Name, s)
				}
			}
		}
		if shown != nil {
			card.Evidence = append(card.Evidence, *shown)
		}
		switch {
		case alarmed:
			alarms = append(alarms, sc.Name)
		case tried == 0:
		case fired > 0:
			slices.Sort(detect)
			fires = append(fires, fmt.Sprintf("%s (after %.1f s)", sc.Name, detect[len(detect)/2]/1000))
		default:
			silent = append(silent, sc.Name)
		}
	}
	card.Because = sentence("fires in", fires, "stays silent in", silent, "raises a false alarm in", alarms)
	card.Verdict = verdictOf(len(fires), len(silent)+len(alarms))
}

// proof points at when a signal fired, or at what it read while it did not.
func proof(scenario, arm string, s SignalResult) *Evidence {
	if s.Fired {
		return &Evidence{scenario, arm, "signals." + s.Name + ".detect_ms", *s.DetectMS}
	}
	return &Evidence{scenario, arm, "signals." + s.Name + ".figures", s.Figures}
}

// words: the server says that it is full, and who hears it? S1 speaks of
// applications, and those hear what their client library tells them.
func words(card *Claim, on []ScenarioResult) {
	var refused, told float64
	for _, sc := range on {
		for _, a := range sc.Arms {
			for _, s := range a.Signals {
				if s.Name == "refused-clients" && a.Reproduced != nil && *a.Reproduced {
					refused += s.Figures["refused_count"]
					told += s.Figures["told_count"]
				}
			}
		}
	}
	if card.Verdict != Confirmed && card.Verdict != Conditional || refused == 0 {
		return
	}
	card.Because += fmt.Sprintf(" That is a raw socket: of %.0f commands that go-redis could not send for want of a slot, %.0f told their caller why.", refused, told)
	if told == 0 {
		card.Verdict = Refuted
	}
}

// asWritten: the signal reads MONITOR as it is meant; the runbook has a command
// line, and that is what an engineer will paste.
func asWritten(card *Claim, on []ScenarioResult) {
	tried, matched := 0, 0
	for _, sc := range on {
		for _, a := range sc.Arms {
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
		card.Verdict = Refuted
		card.Because = fmt.Sprintf("As written it printed no attempt in any of %d scenarios. Over a connection that was open before: %s", tried, lower(card.Because))
	}
	if cost := monitorCost(on); cost != "" {
		card.Because += " " + cost
	}
}

// monitorCost pools what every arm did while somebody listened and while nobody
// did, where nothing was wrong: in an incident there is no goodput to lose.
func monitorCost(on []ScenarioResult) string {
	var with, without, withMS, withoutMS float64
	for _, sc := range on {
		for _, a := range sc.Arms {
			for _, s := range a.Signals {
				if s.Name == "lock-set-retries" && a.Reproduced == nil {
					with += s.Figures["monitored_decisions"]
					withMS += s.Figures["monitored_ms"]
					without += s.Figures["unmonitored_decisions"]
					withoutMS += s.Figures["unmonitored_ms"]
				}
			}
		}
	}
	if withMS == 0 || withoutMS == 0 || without == 0 {
		return ""
	}
	return fmt.Sprintf("Where nothing was wrong, goodput with MONITOR on was %.0f%% of goodput without, on a server with time to spare.",
		100*(with/withMS)/(without/withoutMS))
}

// cumulative: "> 0" on a counter that only grows, after a cure.
func cumulative(card *Claim, on []ScenarioResult) {
	cured, stuck := 0, 0
	for _, sc := range on {
		for _, a := range sc.Arms {
			for _, s := range a.Signals {
				if s.Name == "rejected-connections" && s.Fired && a.Verdict == Cured {
					cured++
					if s.FiguresAfter["cumulative_reading"] > 0 {
						stuck++
					}
				}
			}
		}
	}
	if stuck > 0 {
		card.Because += fmt.Sprintf(" Read as it stands, the counter is over 0 for ever after (%d of %d cured arms).", stuck, cured)
	}
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
			if remedy.Claim != id || a.Verdict == "" || a.Repeat > 1 || a.Name != a.Remedy {
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

// warning: did deleting locks hurt somebody who was alive?
func warning(card *Claim, on []ScenarioResult) {
	for _, sc := range on {
		for _, a := range sc.Arms {
			if a.Remedy != "release-stale-locks" || a.Verdict == "" || a.Verdict == Blocked {
				continue
			}
			card.Evidence = append(card.Evidence, Evidence{sc.Name, a.Name, "safety.overlaps", a.Safety.Overlaps})
			if a.Safety.Overlaps > 0 && card.Verdict != Confirmed {
				card.Verdict = Confirmed
				card.Because = fmt.Sprintf("In %s %d locks were granted while another worker still relied on them.", sc.Name, a.Safety.Overlaps)
			}
		}
	}
	if card.Verdict == Untested && len(card.Evidence) > 0 {
		card.Because = "No holder was alive where locks were deleted: nothing can be said."
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

// sentence joins what is not empty: sentence("cures", [a b], "fails", nil) is
// "It cures a and b."
func sentence(parts ...any) string {
	var said []string
	for i := 0; i < len(parts); i += 2 {
		if names := parts[i+1].([]string); len(names) > 0 {
			said = append(said, parts[i].(string)+" "+strings.Join(names, " and "))
		}
	}
	if len(said) == 0 {
		return noArm
	}
	return "It " + strings.Join(said, "; it ") + "."
}
