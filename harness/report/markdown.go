package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// Markdown writes report.md, which fits into a comment on GitHub: the answer first and
// what did not pass, then tables, then what is there to look up, folded. What there is no
// room for is left out from the end, and a line says so.
func Markdown(w io.Writer, r *result.Run) error { return markdownWithin(w, r, maxComment) }

// markdownWithin writes at most so many bytes.
func markdownWithin(w io.Writer, r *result.Run, most int) error {
	var p pages
	p.must("", opening(r))
	p.must("## Which remedy works", inShortLines(r))
	p.must("## What did not pass", doubts(r))
	p.must(fmt.Sprintf("## Verdicts that differ between %d repeats", r.Repeat), stability(r))
	matrices(&p, r)
	p.add("## Arm by arm", armTable(r))
	p.add("## What the runbook says, and what was measured", scorecard(r))
	p.add("## What to do instead", instead(r))
	p.add("## Which signal fires", overview(r))
	p.add("## What it ran on", ranOn(r))
	p.add("## What Redis answered with an error", errorReplies(r))
	standstills(&p, r)
	whys(&p, r)
	signalTables(&p, r)
	p.add("## What the verdicts on the runbook rest on", shown(r))
	logs(&p, r)
	probes(&p, r)
	_, err := io.WriteString(w, p.within(most))
	return err
}

func opening(r *result.Run) string {
	s := fmt.Sprintf("# lockjam run %s: %s\n\n", cell(r.ID), strings.ToUpper(cell(string(r.Outcome))))
	if r.Status != result.Completed {
		s += fmt.Sprintf("**The run was %s.** What follows is what had been recorded until then. %s\n\n", cell(string(r.Status)), cell(r.Because))
	}
	if open := unchecked(r, func(one row) string { return "`" + code(one.scenario) + "` / `" + code(one.name()) + "`" }); open != "" {
		s += open + ".\n\n"
	}
	return s
}

// What lists that always stand may take, in bytes.
const (
	maxShort  = 14_000
	maxDoubts = 20_000
	maxFlaps  = 6_000
)

func inShortLines(r *result.Run) string {
	var lines []string
	for _, sc := range r.Scenarios {
		for _, s := range inShortOn(r, sc) {
			lines = append(lines, fmt.Sprintf("- **%s** (%s)%s: %s\n", cell(cut(sc.Name, longestName)), cell(sc.Title), s.on, s.said))
		}
	}
	if len(lines) == 0 {
		return "Nothing was tried that bears on it.\n\n"
	}
	return bounded(lines, maxShort)
}

// bounded is a list, as far as it fits into most bytes.
func bounded(lines []string, most int) string {
	var b strings.Builder
	for i, l := range lines {
		if b.Len()+len(l) > most {
			fmt.Fprintf(&b, "- and %d more, which run.json has\n", len(lines)-i)
			break
		}
		b.WriteString(l)
	}
	return b.String() + "\n"
}

func matrices(p *pages, r *result.Run) {
	if images := r.Images(); len(images) > 0 {
		p.add("## Image by image", pinned(imageMatrix(r, images)))
		return
	}
	p.add("## Remedies", pinned(remedyMatrix(r)))
	p.add("## Preventions", pinned(preventionMatrix(r)))
}

// openRows is how many arms a table has that is not folded.
const openRows = 30

func armTable(r *result.Run) string {
	var b bytes.Buffer
	all := rows(r)
	if len(all) == 0 {
		return ""
	}
	table(&b, "scenario", "arm", "verdict", "goodput before", "during", "after", "of the baseline", "back after", "safety faults", "as expected")
	for _, row := range all {
		table(&b, row.scenario, row.name(), bold(row.verdict()), row.before(), row.during(), row.after(), row.ratio(), row.restored(), row.faults(), row.asExpected())
	}
	b.WriteString("\nGoodput is rate-limit decisions completed per second: in the baseline, at the end of the incident, and after the remedy; then as a share of the baseline, with its 95% interval, from the restoration on (of a prevention: from the trigger on).\n")
	b.WriteString("*cured*: back at the baseline's level, and it lasted. *relapsed*: work went on for a moment and stopped again. " +
		"*no-effect*: nothing moved. *blocked*: the remedy could not be applied. " +
		"*prevented*: what was in force from the start kept goodput up through the trigger; *mitigated*: it suffered, and did not stay down; *not-prevented*: the incident took place. " +
		"Where nothing was tried: *reproduced*: the incident took place; *no incident*: none was to be there. *not checked*: the scenario expects nothing of it. " +
		"*UNSAFE*: two workers relied on one lock, a lock went from under its holder, an update was lost, or a fencing token did not rise.\n\n")
	if len(all) <= openRows {
		return b.String()
	}
	return folded(fmt.Sprintf("%d arms", len(all)), b.String())
}

// whys has the verdicts in sentences, scenario by scenario.
func whys(p *pages, r *result.Run) {
	lines := map[string][]string{}
	for _, row := range rows(r) {
		if a := row.repeats[0]; a.Because != "" {
			lines[row.scenario] = append(lines[row.scenario], fmt.Sprintf("- `%s`%s: %s%s%s%s%s%s\n",
				code(row.name()), repeatOf(a, r), cell(a.Because), earned(a), left(a), harm(a), cell(company(a)), cell(refusals(a))))
		}
	}
	for _, sc := range r.Scenarios {
		if said := lines[sc.Name]; said != nil {
			p.add("## Why", folded(sc.Name, strings.Join(said, "")+"\n"))
			delete(lines, sc.Name)
		}
	}
}

// errorReplies says of each arm what Redis answered its workers with an error: of the
// first repeat with any.
func errorReplies(r *result.Run) string {
	var b bytes.Buffer
	for _, row := range rows(r) {
		for _, a := range row.repeats {
			if len(a.ErrorReplies) == 0 {
				continue
			}
			if b.Len() == 0 {
				table(&b, "scenario", "arm", "prefix", "replies", "in the incident", "the first of them")
			}
			for _, reply := range a.ErrorReplies {
				table(&b, row.scenario, row.name()+repeatOf(a, r), reply.Prefix, text.Grouped(reply.Count), text.Grouped(inIncident(a, reply.Prefix)), reply.First)
			}
			break
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return b.String() + "\nOf the workers' commands, over the whole arm. What their client library deals with by itself is not in it, " +
		"nor is a full server's refusal of a connection.\n\n"
}

// inIncident is how many error replies of a prefix there were in the incident.
func inIncident(a result.Arm, prefix string) (n int64) {
	for _, p := range a.Phases {
		if p.Name == history.Incident {
			n += p.ErrorReplies[prefix]
		}
	}
	return n
}

// pinned is a matrix as a table; "" if there is nothing in it.
func pinned(m matrix) string {
	if len(m.lines) == 0 {
		return ""
	}
	var b bytes.Buffer
	table(&b, append([]string{"scenario"}, m.columns...)...)
	for _, l := range m.lines {
		table(&b, append([]string{l.scenario}, l.cells...)...)
	}
	return b.String() + "\n"
}

// maxNames is how many arms a line names of a kind.
const maxNames = 16

// inShort says in a line what to do about a scenario, and what not to.
func inShort(arms []row) string {
	groups := []struct {
		words string
		is    func(verdict result.Verdict, unsafe bool) bool
	}{
		{"prevented by", func(v result.Verdict, unsafe bool) bool { return v == result.Prevented && !unsafe }},
		{"prevented, at the price of safety, by", func(v result.Verdict, unsafe bool) bool { return v == result.Prevented && unsafe }},
		{"mitigated by", func(v result.Verdict, _ bool) bool { return v == result.Mitigated }},
		{"not prevented by", func(v result.Verdict, _ bool) bool { return v == result.NotPrevented }},
		{"cured by", func(v result.Verdict, unsafe bool) bool { return v == result.Cured && !unsafe }},
		{"cured, at the price of safety, by", func(v result.Verdict, unsafe bool) bool { return v == result.Cured && unsafe }},
		{"better but not cured with", func(v result.Verdict, _ bool) bool { return v == result.Partial }},
		{"moved for a moment only after", func(v result.Verdict, _ bool) bool { return v == result.Relapsed }},
		{"no help:", func(v result.Verdict, _ bool) bool { return v == result.NoEffect }},
		{"could not be carried out:", func(v result.Verdict, _ bool) bool { return v == result.Blocked }},
	}
	var parts []string
	for _, g := range groups {
		var names []string
		for _, arm := range arms {
			a := arm.repeats[0]
			if !a.Control() && g.is(a.Verdict, a.Unsafe) {
				names = append(names, "`"+code(arm.arm)+"`")
			}
		}
		if len(names) > 0 {
			parts = append(parts, g.words+" "+text.FirstOf(names, ", ", maxNames))
		}
	}
	return strings.Join(parts, "; ")
}

// earned says by which comparison a cure or a prevention earned the credit.
func earned(a result.Arm) string {
	if a.Credit == nil {
		return ""
	}
	return " " + cell(a.Credit.Because)
}

// left says for whom there was nothing, where goodput alone would not show it.
func left(a result.Arm) string {
	if a.Served == nil || a.Served.Workers >= a.Served.Of || a.Verdict == result.NotPrevented {
		return ""
	}
	return fmt.Sprintf(" At the end %d of %d workers got anything done.", a.Served.Workers, a.Served.Of)
}

// refusals says what Redis answered the workers with an error; "" for nothing.
func refusals(a result.Arm) string {
	if said := a.Answered(); said != "" {
		return " " + said + "."
	}
	return ""
}

// harm says what was broken.
func harm(a result.Arm) string {
	if !a.Unsafe {
		return ""
	}
	return " **Unsafe:** " + broken(a) + "."
}

// broken puts the safety counts that are not zero into words.
func broken(a result.Arm) string {
	var found []string
	for _, c := range []struct {
		n         int64
		one, many string
	}{
		{a.Safety.Overlaps, "grant of a lock that somebody still relied on", "grants of a lock that somebody still relied on"},
		{a.Safety.LostUpdates, "lost update", "lost updates"},
		{a.Safety.OverAdmitted, "request admitted over the limit", "requests admitted over the limit"},
		{a.Safety.ForeignReleases, "lock gone from under its holder", "locks gone from under their holders"},
		{a.Safety.FencingRegressions, "fencing token that did not rise", "fencing tokens that did not rise"},
	} {
		switch {
		case c.n == 1:
			found = append(found, "1 "+c.one)
		case c.n > 1:
			found = append(found, fmt.Sprintf("%d %s", c.n, c.many))
		}
	}
	return strings.Join(found, ", ")
}

// company names the clients on the server that are not part of the run.
func company(a result.Arm) string {
	if len(a.Foreign) == 0 {
		return ""
	}
	var names []string
	for _, f := range a.Foreign {
		names = append(names, fmt.Sprintf("%v (%d %s)", f, f.Connections, text.Noun(int(f.Connections), "connection")))
	}
	return " Other clients were on the server: " + text.FirstOf(names, ", ", maxNames) + "."
}

// standstills says of every scenario what its incident is, with a drawing of
// who waits for whom. Arms of one scenario share their incident: the first that
// has a proof speaks for them, or else the first of which anything is known.
func standstills(p *pages, r *result.Run) {
	for _, sc := range r.Scenarios {
		i := slices.IndexFunc(sc.Arms, func(a result.Arm) bool { return a.Deadlock != nil && a.Deadlock.Proved })
		if i < 0 {
			if i = slices.IndexFunc(sc.Arms, func(a result.Arm) bool { return a.Deadlock != nil }); i >= 0 {
				d := sc.Arms[i].Deadlock
				p.add("## What stands still, and why", fmt.Sprintf("**%s**: %s\n\n%s", cell(sc.Name), cell(unproved(d)), drawing(d.Graph)))
			}
			continue
		}
		proved, all := 0, 0
		for _, a := range sc.Arms {
			if a.Reproduced != nil && *a.Reproduced {
				all++
				if a.Deadlock != nil && a.Deadlock.Proved {
					proved++
				}
			}
		}
		d := sc.Arms[i].Deadlock
		said := fmt.Sprintf("**%s**: %s Proved in %d of %d arms, here %.1f s after the trigger and %.0f ms after the rules first allow it",
			cell(sc.Name), cell(d.Sentence), proved, all, d.AfterMS/1000, d.LateMS)
		if d.Checked {
			said += "; the locks' tokens and CLIENT LIST in Redis agree"
		}
		p.add("## What stands still, and why", said+".\n\n"+drawing(d.Graph))
	}
}

// unproved is what the wait-for graph shows where it proves nothing.
func unproved(d *result.Deadlock) string {
	said := d.Sentence
	if said == "" { // of a run that an earlier lockjam recorded
		said = strings.Join(append([]string{d.Kind + "."}, d.Reasons...), " ")
	}
	if strings.Contains(said, "nothing is proved") {
		return said
	}
	return said + " This is no proof of a deadlock."
}

// drawing shows a graph in Mermaid, whose labels waitgraph has escaped. What is read
// from a file may be anything else: a backtick would end the drawing, and a script or a
// link is none of ours.
func drawing(graph string) string {
	for _, word := range []string{"click", "href", "%%"} {
		if strings.Contains(strings.ToLower(graph), word) {
			return ""
		}
	}
	var b strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(graph, "`", "'")) {
		b.WriteString(strings.TrimRight(plain(line), " ") + "\n")
	}
	if b.Len() == 0 {
		return ""
	}
	return folded("who waits for whom", "```mermaid\n"+b.String()+"```\n\n")
}

// doubts lists what did not pass, what failed first.
func doubts(r *result.Run) string {
	var failed, rest []string
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			for _, why := range a.Reasons {
				line := fmt.Sprintf("- %s: `%s` / `%s`%s: %s\n", cell(string(a.Outcome)), code(sc.Name), code(a.Name+on(a.Image)), repeatOf(a, r), cell(why))
				if a.Outcome == result.Fail {
					failed = append(failed, line)
				} else {
					rest = append(rest, line)
				}
			}
		}
	}
	if all := append(failed, rest...); len(all) > 0 {
		return bounded(all, maxDoubts)
	}
	return ""
}

func repeatOf(a result.Arm, r *result.Run) string {
	if r.Repeat < 2 {
		return ""
	}
	return fmt.Sprintf(" (repeat %d)", a.Repeat)
}

// stability lists the arms whose verdict differs between repeats.
func stability(r *result.Run) string {
	if r.Repeat < 2 {
		return ""
	}
	var flap []string
	for _, row := range rows(r) {
		if distinct(row) > 1 {
			flap = append(flap, fmt.Sprintf("- `%s` / `%s`: %s\n", code(row.scenario), code(row.name()), cell(row.verdict())))
		}
	}
	if len(flap) == 0 {
		return "None.\n\n"
	}
	return bounded(flap, maxFlaps)
}

// distinct counts the verdicts of an arm's repeats, none at all being one.
func distinct(r row) int {
	seen := map[string]bool{}
	for _, a := range r.repeats {
		seen[fmt.Sprint(a.Verdict, a.Unsafe)] = true
	}
	return len(seen)
}

// logs reads like an incident log: what each remedy did, and the answers.
func logs(p *pages, r *result.Run) {
	for _, row := range rows(r) {
		a := row.repeats[0]
		if len(a.Steps) == 0 {
			continue
		}
		var b bytes.Buffer
		table(&b, "at", "did", "answer")
		for _, s := range a.Steps {
			table(&b, fmt.Sprintf("%.1f s", s.AtMS/1000), s.Did, s.Answer)
		}
		p.add("## What the remedies did", folded(row.scenario+" / "+row.name(), b.String()+"\n"))
	}
}

// probes are questions that were asked when all was over.
func probes(p *pages, r *result.Run) {
	var b bytes.Buffer
	for _, row := range rows(r) {
		for _, p := range row.repeats[0].Probes {
			fmt.Fprintf(&b, "- `%s` / `%s`, `%s`: %s\n", code(row.scenario), code(row.name()), code(p.Did), cell(p.Because))
		}
	}
	if b.Len() > 0 {
		p.add("## What was asked afterwards", "In the failure that nothing had been done about, when its recovery was judged. None of this counts for a verdict. What grep would let through is counted by lockjam, so that it can tell what redis-cli printed.\n\n"+
			folded("questions and answers", b.String()+"\n"))
	}
}

func ranOn(r *result.Run) string {
	var b bytes.Buffer
	e := r.Environment
	table(&b, "what", "")
	servers := e.Servers
	if len(servers) == 0 {
		servers = []result.Server{e.Server}
	}
	for _, s := range servers {
		table(&b, "server", ofServer(s))
	}
	table(&b, "client", "go-redis "+e.GoRedis)
	table(&b, "lockjam", e.Lockjam+", "+e.Go)
	table(&b, "machine", fmt.Sprintf("%s, %d cores", e.OS, e.CPUs))
	table(&b, "seed", fmt.Sprint(r.Seed))
	if r.Finished != nil {
		table(&b, "took", fmt.Sprintf("%.0f s, from %s", r.Finished.Sub(r.Started).Seconds(), r.Started.Format("2006-01-02 15:04:05 MST")))
	}
	b.WriteString("\nPer arm, beside this file: the scenario, what it ran with, the recorded history, the verdict, the server's log. " +
		"`lockjam judge` reads these again without a Redis.\n\n")
	return b.String()
}

// table writes one row; the first row of a table is followed by its rule.
func table(b *bytes.Buffer, cells ...string) {
	atStart := b.Len() == 0 || bytes.HasSuffix(b.Bytes(), []byte("\n\n"))
	for _, c := range cells {
		b.WriteString("| " + cell(c) + " ")
	}
	b.WriteString("|\n")
	if atStart {
		b.WriteString(strings.Repeat("|---", len(cells)) + "|\n")
	}
}

func bold(s string) string {
	if s == "-" {
		return s
	}
	return "**" + s + "**"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
