package harness

import (
	"fmt"
	"slices"
	"strings"

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
	{"S1", `Applications receive "ERR max number of clients reached"`, ""},
	{"S2", "Increased latency and timeouts in Redis operations", ""},
	{"S3", "Services cannot acquire locks: degraded throughput", ""},
	{"S4", "High number of rejected connections and of client connection errors in logs", "Where these are silent and goodput is gone, look for locks without TTL whose owner is dead."},
	{"D1", `redis-cli --scan --pattern "lock:*": a high number of lock keys`, ""},
	{"D2", `redis-cli monitor | grep "SET lock:": repeated attempts to set locks`, ""},
	{"R1", "Release stale locks: scan for lock:* and delete", "Where the server is full it cannot be carried out: keep a connection open beforehand, and raise maxclients with CONFIG SET instead."},
	{"R1w", "Warning: this forcefully releases all locks", ""},
	{"R2", "Increase maxclients in redis.conf and restart the server", "Raise it with CONFIG SET maxclients: nothing is restarted, and no lock is dropped from under its holder. For orphaned locks, delete them."},
	{"R2m", "Monitor the client connections to ensure stability", ""},
	{"P1", "Back off when retrying lock acquisition", ""},
	{"P2", "Use a shorter TTL for locks", ""},
	{"P3", "Use MULTI/EXEC for atomic operations", ""},
	{"P4", "Set a reasonable timeout for lock acquisition", ""},
	{"M1", "info clients: connected_clients", "Watch goodput as well: connected_clients says nothing about locks that nobody will release."},
	{"M2", "info stats: rejected_connections", "Watch goodput as well: nobody is rejected where locks are orphaned."},
	{"M3", "info stats: total_commands_processed", "Watch the rate of grants or of completed requests: waiters that poll keep this counter growing."},
	{"A1", "Alert: connected clients over 80% of maxclients", "Keep it, and alert on goodput too: it is silent where locks are orphaned."},
	{"A2", "Alert: rejected connections over 0", "Alert on its increase, not on its value, which never clears; and on goodput too."},
	{"A3", "Alert: average command latency over 10 ms", "Alert on goodput or on the response time of requests: what Redis answers, it answers as fast as ever."},
	{"C1", "Redis configuration is optimized for high concurrency", ""},
	{"C2", "Lock contention and client limits are monitored", ""},
	{"C3", "Lock acquisition and release logic is reviewed and tested", ""},
	{"C4", "Services handle lock acquisition failures gracefully", ""},
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

// Scorecard answers every claim of the runbook from the arms of a run. A claim
// that no arm bears on is untested.
func Scorecard(r *Run) []Claim {
	cards := make([]Claim, 0, len(runbook))
	for _, c := range runbook {
		card := Claim{ID: c.id, Words: c.words, Verdict: Untested, Because: "No arm of this run bears on it.", Evidence: []Evidence{}}
		switch names := signalsOf(c.id); {
		case c.id == "R1w":
			warning(&card, r)
		case len(names) > 0:
			detection(&card, r, names)
		default:
			action(&card, r, c.id)
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
func detection(card *Claim, r *Run, names []string) {
	var fires, silent, alarms []string
	for _, sc := range r.Scenarios {
		tried, fired, alarmed := 0, 0, false
		for _, a := range sc.Arms {
			for _, s := range a.Signals {
				if !slices.Contains(names, s.Name) {
					continue
				}
				failing := a.Reproduced != nil && *a.Reproduced
				alarmed = alarmed || s.BaselineFirings > 0 || a.Reproduced == nil && s.Fired
				if failing {
					tried++
				}
				if failing && s.Fired {
					fired++
					if fired == 1 {
						card.Evidence = append(card.Evidence, Evidence{sc.Name, a.Name, "signals." + s.Name + ".detect_ms"})
					}
				}
			}
		}
		switch {
		case alarmed:
			alarms = append(alarms, sc.Name)
		case tried == 0:
		case fired > 0:
			fires = append(fires, sc.Name)
		default:
			silent = append(silent, sc.Name)
			card.Evidence = append(card.Evidence, Evidence{sc.Name, sc.Arms[0].Name, "signals." + names[0] + ".fired"})
		}
	}
	card.Because = sentence("fires in", fires, "stays silent in", silent, "raises a false alarm in", alarms)
	card.Verdict = verdictOf(len(fires), len(silent)+len(alarms))
}

// action: does the remedy cure every failure it was tried on?
func action(card *Claim, r *Run, id string) {
	var cures, harms, fails []string
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			remedy, _ := remedies.Find(a.Remedy)
			// Repeats agree, or the run does not pass; the first speaks for them.
			if remedy.Claim != id || a.Verdict == "" || a.Repeat > 1 || a.Name != a.Remedy {
				continue
			}
			card.Evidence = append(card.Evidence, Evidence{sc.Name, a.Name, "verdict"})
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
func warning(card *Claim, r *Run) {
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			if a.Remedy != "release-stale-locks" || a.Verdict == "" || a.Verdict == Blocked {
				continue
			}
			card.Evidence = append(card.Evidence, Evidence{sc.Name, a.Name, "safety.overlaps"})
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
		return "No arm of this run bears on it."
	}
	return "It " + strings.Join(said, "; it ") + "."
}
