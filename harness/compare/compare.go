// Package compare holds one run against another: which verdicts changed, which figures
// differ by more than noise, and what of that is a regression by the rules that were
// asked for. But for Load, which reads run folders, it is pure.
package compare

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lockjam/lockjam/harness/result"
)

// Schema is the version of a comparison's JSON. Fields may be added under it.
const Schema = "lockjam/comparison/v1"

// Side is one of the two runs.
type Side struct {
	Run   *result.Run
	Texts map[string]string // the scenario file that was run, by scenario; none: not known
}

// Comparison is what the second run shows that the first did not.
type Comparison struct {
	Schema      string         `json:"schema"`
	Outcome     result.Outcome `json:"outcome"` // fail: a regression by the rules
	Answer      string         `json:"answer"`  // in a line
	Before      RunInfo        `json:"before"`
	After       RunInfo        `json:"after"`
	Environment []Difference   `json:"environment"` // what the runs differ in to begin with
	FailOn      []Limit        `json:"fail_on"`
	Rules       []Judgement    `json:"rules"`
	NotGated    []Ungated      `json:"not_gated"` // rules that were not asked for
	Compared    int            `json:"compared"`  // arms that both runs have
	Rows        []Row          `json:"rows"`
}

// RunInfo names a run.
type RunInfo struct {
	ID           string        `json:"id"`
	Started      time.Time     `json:"started"`
	Status       result.Status `json:"status"`
	Because      string        `json:"because,omitempty"` // why it did not complete
	Arms         int           `json:"arms"`              // its repeats counted
	Inconclusive int           `json:"inconclusive"`      // of these; they are left out
	GoRedis      string        `json:"go_redis"`
	Server       string        `json:"server"`
}

// Difference is one thing that was not the same for both runs.
type Difference struct {
	What     string `json:"what"`
	Before   string `json:"before"`
	After    string `json:"after"`
	Distorts bool   `json:"distorts"` // differences below may come from it, and not from what was changed
}

// Location is an arm; empty for what is the whole run's.
type Place struct {
	Scenario string `json:"scenario,omitempty"`
	Arm      string `json:"arm,omitempty"`
	Image    string `json:"image,omitempty"` // in a run on several
}

// Runs compares the second run with the first.
func Runs(before, after Side, failOn []Limit) *Comparison {
	c := &Comparison{
		Schema: Schema, Before: infoOf(before.Run), After: infoOf(after.Run),
		Environment: environment(before, after), Rows: []Row{},
	}
	blind := 0
	for _, p := range pairs(before.Run, after.Run) {
		c.Rows = append(c.Rows, p.presence()...)
		if len(p.before) == 0 || len(p.after) == 0 {
			continue
		}
		c.Compared++
		rows, sees := p.rows()
		if !sees {
			blind++
		}
		c.Rows = append(c.Rows, rows...)
	}
	c.Rows = append(c.Rows, claims(before.Run, after.Run)...)
	decide(c.Rows)
	c.judge(failOn, blind)
	return c
}

// Shown are the rows of some findings, in their order; regressions by the rules are
// left out, or the only ones.
func (c *Comparison) Shown(fails bool, findings ...Finding) []Row {
	var some []Row
	for _, r := range c.Rows {
		if r.Fails == fails && slices.Contains(findings, r.Finding) {
			some = append(some, r)
		}
	}
	return some
}

func infoOf(r *result.Run) RunInfo {
	info := RunInfo{ID: r.ID, Started: r.Started, Status: r.Status, Because: r.Because, GoRedis: r.Environment.GoRedis,
		Server: serverOf(r)}
	for _, sc := range r.Scenarios {
		info.Arms += len(sc.Arms)
		info.Inconclusive += len(sc.Arms) - len(conclusive(sc.Arms))
	}
	return info
}

// serverOf names the server, or all of them.
func serverOf(r *result.Run) string {
	servers := r.Environment.Servers
	if len(servers) == 0 {
		servers = []result.Server{r.Environment.Server}
	}
	var names []string
	for _, s := range servers {
		name := strings.TrimSpace(s.Version + " " + s.Image)
		if name == "" {
			name = "unknown"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// environment lists what the runs differ in. What a change of a client library is not
// about distorts: another machine, another judge, another scenario.
func environment(before, after Side) []Difference {
	a, b := before.Run, after.Run
	differences := []Difference{}
	add := func(what, was, is string, distorts bool) {
		if was != is {
			differences = append(differences, Difference{what, was, is, distorts})
		}
	}
	add("go-redis", a.Environment.GoRedis, b.Environment.GoRedis, false)
	add("server", serverOf(a), serverOf(b), false)
	add("kind of server", string(a.Environment.Server.Kind), string(b.Environment.Server.Kind), true)
	add("lockjam", a.Environment.Lockjam, b.Environment.Lockjam, true)
	add("Go", a.Environment.Go, b.Environment.Go, false)
	add("system", a.Environment.OS, b.Environment.OS, true)
	add("cores", fmt.Sprint(a.Environment.CPUs), fmt.Sprint(b.Environment.CPUs), true)
	add("seed", fmt.Sprint(a.Seed), fmt.Sprint(b.Seed), false)
	add("repeats", fmt.Sprint(max(a.Repeat, 1)), fmt.Sprint(max(b.Repeat, 1)), false)
	for _, sc := range a.Scenarios {
		was, known := before.Texts[sc.Name]
		is, still := after.Texts[sc.Name]
		if known && still && was != is {
			differences = append(differences, Difference{
				What: "scenario " + sc.Name, Before: fmt.Sprintf("%d lines", lines(was)),
				After: firstDifference(was, is), Distorts: true})
		}
	}
	return differences
}

func lines(text string) int { return strings.Count(text, "\n") }

// firstDifference quotes the first line of the second text that is not the first's.
func firstDifference(was, is string) string {
	a, b := strings.Split(was, "\n"), strings.Split(is, "\n")
	for i, line := range b {
		if i >= len(a) || a[i] != line {
			return fmt.Sprintf("other text from line %d: %s", i+1, strings.TrimSpace(line))
		}
	}
	return fmt.Sprintf("ends after line %d", len(b))
}

// pair is one arm in both runs, its repeats folded together.
type pair struct {
	Place
	before, after []result.Arm
}

// pairs are the arms of both runs, in the first one's order.
func pairs(before, after *result.Run) []*pair {
	var all []*pair
	known := map[Place]*pair{}
	each := func(r *result.Run, keep func(*pair, result.Arm)) {
		for _, sc := range r.Scenarios {
			for _, a := range sc.Arms {
				at := Place{sc.Name, a.Name, a.Image}
				if known[at] == nil {
					known[at] = &pair{Place: at}
					all = append(all, known[at])
				}
				keep(known[at], a)
			}
		}
	}
	each(before, func(p *pair, a result.Arm) { p.before = append(p.before, a) })
	each(after, func(p *pair, a result.Arm) { p.after = append(p.after, a) })
	return all
}

// presence is a row for an arm that only one of the runs has.
func (p *pair) presence() []Row {
	r := Row{Place: p.Place, Rule: Missing, What: "arm", Before: "there", After: "there"}
	switch {
	case len(p.after) == 0:
		r.After, r.Finding, r.Because = "missing", Worse, "the second run does not have it"
	case len(p.before) == 0:
		r.Before, r.Finding, r.Because = "missing", Changed, "the first run does not have it"
	default:
		return nil
	}
	return []Row{r}
}

// claims are the lines of the runbook on which the runs differ. A claim that one of
// them could not test is not compared.
func claims(before, after *result.Run) []Row {
	var rows []Row
	for _, was := range before.Claims {
		i := slices.IndexFunc(after.Claims, func(c result.Claim) bool { return c.ID == was.ID })
		if i < 0 || was.Verdict == result.Untested || after.Claims[i].Verdict == result.Untested {
			continue
		}
		is := after.Claims[i]
		r := Row{Rule: Claim, What: "claim " + was.ID, Before: was.Verdict, After: is.Verdict, Finding: Same}
		if was.Verdict != is.Verdict {
			r.Finding, r.Because = Changed, is.Because
		}
		rows = append(rows, r)
	}
	return rows
}
