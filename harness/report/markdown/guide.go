package markdown

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/remedies"
	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/signals"
	"github.com/lockjam/lockjam/harness/triggers"
)

const guideHead = `# Which failure is it?

Find the row that has what you see, and read on below it. Everything here is what the
scenarios of the catalogue expect, and ` + "`lockjam run --all`" + ` holds them to it.

Goodput tells that something is wrong wherever requests come to nothing, and the other
signals tell what it is. Where exclusion alone is broken (lease-expiry, unsafe-release,
renewal-starvation) requests are answered as ever: count releases that find another's
token. The names are those of ` + "`lockjam list signals`" + `, and ` + "`lockjam watch`" + ` has
those that a Redis alone can tell.

`

// guideRefusals is about a failure of which the catalogue has no scenario: it is whatever
// the reply says.
const guideRefusals = `## Commands are refused

Redis answers commands with an error, and quickly, so that connections and latency look
fine. A lock whose release is refused stays taken, and one without a TTL stays taken
after the cause is gone. The reply's first word says what it is: a run's report,
` + "`lockjam watch`" + ` and ` + "`INFO errorstats`" + ` (Redis 6.2 and up) count by it.

| first word | what Redis says by it | what to do |
|---|---|---|
| OOM | maxmemory is reached, and nothing may be evicted | raise maxmemory (CONFIG SET, live), or free memory; a release by script is refused as well |
| MISCONF | the last snapshot failed, and stop-writes-on-bgsave-error is on | INFO persistence and the log say why: mostly the disk |
| READONLY | it is a replica | send writes to the primary: after a failover, the clients' address is an old one |
| BUSY | a script runs for longer than busy-reply-threshold | SCRIPT KILL, where it has not written yet |
| LOADING | the data is being loaded | wait: INFO persistence has how long |
| NOPERM, NOAUTH, WRONGPASS | the clients' user lacks the right, or is not logged in | ACL LOG lists what was refused to which user |
| MASTERDOWN, NOREPLICAS | a replica has no primary; a primary has fewer replicas than min-replicas-to-write | INFO replication |
| CLUSTERDOWN, MOVED, ASK | slots are not served; the client does not follow redirects | CLUSTER INFO; a client for clusters |
| NOSCRIPT | the client sends EVALSHA and never EVAL | SCRIPT LOAD, after each restart and failover too |

`

// Guide writes the catalogue as a decision table: from what you see, to what it is,
// to what to do. It rests on what the scenarios expect of their signals and arms.
func Guide(all []*scenario.Scenario) []byte {
	var b bytes.Buffer
	b.WriteString(guideHead)
	failures := slices.DeleteFunc(slices.Clone(all),
		func(s *scenario.Scenario) bool { return s.Trigger.Kind == triggers.None })
	sightings(&b, failures)
	b.WriteString(guideRefusals)
	for _, s := range failures {
		page(&b, s)
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// sightings is a table of failures by the signals that tell one from another.
func sightings(b *bytes.Buffer, failures []*scenario.Scenario) {
	var names []string
	for _, s := range signals.All() {
		if slices.ContainsFunc(failures,
			func(f *scenario.Scenario) bool { return f.Signals[s.Name].Expect == scenario.Fire }) ||
			s.Name == "error-replies" {
			names = append(names, s.Name)
		}
	}
	table(b, append([]string{"it may be"}, names...)...)
	for _, f := range failures {
		cells := []string{f.Name}
		for _, name := range names {
			cells = append(cells, map[scenario.Expect]string{scenario.Fire: "fires",
				scenario.Silent: "silent"}[f.Signals[name].Expect])
		}
		table(b, cells...)
	}
	cells := []string{"commands are refused"}
	for _, name := range names {
		cells = append(cells, map[string]string{"error-replies": "fires"}[name])
	}
	table(b, cells...)
	b.WriteString("\nAn empty cell: it may fire or not.\n\n")
}

// page says what a failure is and what to do about it.
func page(b *bytes.Buffer, s *scenario.Scenario) {
	fmt.Fprintf(b, "## %s\n\n%s.", cell(s.Name), cell(s.Title))
	if s.Incident.Kind != "" {
		fmt.Fprintf(b, " The wait-for graph proves it: %s.", cell(s.Incident.Kind))
	}
	b.WriteString("\n\n")
	for _, n := range s.Notes() {
		if n.Heading == "Take away" {
			fmt.Fprintf(b, "%s\n\n", words(n.Text))
		}
	}
	if endsByItself(s) {
		b.WriteString("- Ends by itself, with nothing done about it\n")
	}
	for _, e := range effects {
		for _, unsafe := range []bool{false, true} {
			listArms(b, s, e, unsafe)
		}
	}
	fmt.Fprintf(b, "\n`lockjam show %s` says why; `lockjam run %[1]s` shows it.\n\n", view.Name(s.Name))
}

// effects are what can be said of an arm by its verdict, in the order in which it is said.
var effects = []effect{
	{"Cures", []result.Verdict{result.Cured}},
	{"Helps in part", []result.Verdict{result.Partial}},
	{"Cannot be carried out", []result.Verdict{result.Blocked}},
	{"Does not last, or does nothing", []result.Verdict{result.Relapsed, result.NoEffect}},
	{"Prevents", []result.Verdict{result.Prevented}},
	{"Mitigates", []result.Verdict{result.Mitigated}},
	{"Does not prevent", []result.Verdict{result.NotPrevented}},
}

type effect struct {
	words    string
	verdicts []result.Verdict
}

// listArms names the arms of an effect that keep exclusion, or those that do not.
func listArms(b *bytes.Buffer, s *scenario.Scenario, e effect, unsafe bool) {
	var arms []string
	for _, a := range s.Arms {
		broken := a.Expect.Unsafe != nil && *a.Expect.Unsafe
		if acts(a) && broken == unsafe && slices.Contains(e.verdicts, result.Verdict(a.Expect.Verdict)) {
			arms = append(arms, code(a.Name))
		}
	}
	if len(arms) == 0 {
		return
	}
	said := e.words
	if unsafe {
		said += ", and mutual exclusion is broken"
	}
	fmt.Fprintf(b, "- %s: %s\n", said, strings.Join(arms, ", "))
}

// endsByItself reports whether the incident is over with nothing done about it.
func endsByItself(s *scenario.Scenario) bool {
	return slices.ContainsFunc(s.Arms, func(a scenario.Arm) bool {
		return !acts(a) && result.Verdict(a.Expect.Verdict) == result.Cured
	})
}

// acts reports whether anything is done in an arm.
func acts(a scenario.Arm) bool {
	return a.Prevention != "" || a.Remedy != "" && a.Remedy != remedies.NoRemedy
}
