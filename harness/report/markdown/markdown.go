// Package markdown writes a run, a comparison, and the decision table as Markdown.
package markdown

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// Markdown writes report.md, which fits into a comment on GitHub: the answer first and
// what did not pass, then tables, then what is there to look up, folded. What there is no
// room for is left out from the end, and a line says so.
func Write(w io.Writer, r *result.Run) error { return Within(w, r, MaxComment) }

// markdownWithin writes at most so many bytes.
func Within(w io.Writer, r *result.Run, most int) error {
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
	s := fmt.Sprintf("# lockjam run %s: %s\n\n", view.Cell(r.ID), strings.ToUpper(view.Cell(string(r.Outcome))))
	if r.Status != result.Completed {
		s += fmt.Sprintf("**The run was %s.** What follows is what had been recorded until then. %s\n\n",
			view.Cell(string(r.Status)), view.Cell(r.Because))
	}
	if open := view.Unchecked(r, func(one view.Row) string {
		return "`" + view.Code(one.Scenario) + "` / `" + view.Code(one.Name()) + "`"
	}); open != "" {
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
		for _, s := range view.InShortOn(r, sc) {
			lines = append(lines, fmt.Sprintf("- **%s** (%s)%s: %s\n", view.Cell(view.Cut(sc.Name, view.LongestName)),
				view.Cell(sc.Title), s.On, s.Said))
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
		p.add("## Image by image", pinned(view.ImageMatrix(r, images)))
		return
	}
	p.add("## Remedies", pinned(view.RemedyMatrix(r)))
	p.add("## Preventions", pinned(view.PreventionMatrix(r)))
}

// openRows is how many arms a table has that is not folded.
const openRows = 30

func armTable(r *result.Run) string {
	var b bytes.Buffer
	all := view.Rows(r)
	if len(all) == 0 {
		return ""
	}
	table(&b, "scenario", "arm", "verdict", "goodput before", "during", "after", "of the baseline", "back after",
		"safety faults", "as expected")
	for _, row := range all {
		table(&b, row.Scenario, row.Name(), bold(row.Verdict()), row.Before(), row.During(), row.After(), row.Ratio(),
			row.Restored(), row.Faults(), row.AsExpected())
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
	for _, row := range view.Rows(r) {
		if a := row.Repeats[0]; a.Because != "" {
			lines[row.Scenario] = append(lines[row.Scenario], fmt.Sprintf("- `%s`%s: %s%s%s%s%s%s\n",
				view.Code(row.Name()), view.RepeatOf(a, r), view.Cell(a.Because), earned(a), view.Left(a), harm(a),
				view.Cell(view.Company(a)), view.Cell(view.Refusals(a))))
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
	for _, row := range view.Rows(r) {
		for _, a := range row.Repeats {
			if len(a.ErrorReplies) == 0 {
				continue
			}
			if b.Len() == 0 {
				table(&b, "scenario", "arm", "prefix", "replies", "in the incident", "the first of them")
			}
			for _, reply := range a.ErrorReplies {
				table(&b, row.Scenario, row.Name()+view.RepeatOf(a, r), reply.Prefix, text.Grouped(reply.Count),
					text.Grouped(inIncident(a, reply.Prefix)), reply.First)
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
func pinned(m view.Matrix) string {
	if len(m.Lines) == 0 {
		return ""
	}
	var b bytes.Buffer
	table(&b, append([]string{"scenario"}, m.Columns...)...)
	for _, l := range m.Lines {
		table(&b, append([]string{l.Scenario}, l.Cells...)...)
	}
	return b.String() + "\n"
}

// earned says by which comparison a cure or a prevention earned the credit.
func earned(a result.Arm) string {
	if a.Credit == nil {
		return ""
	}
	return " " + view.Cell(a.Credit.Because)
}

// harm says what was broken.
func harm(a result.Arm) string {
	if !a.Unsafe {
		return ""
	}
	return " **Unsafe:** " + view.Broken(a) + "."
}

// standstills says of every scenario what its incident is, with a drawing of
// the wait-for graph. Arms of one scenario share their incident: the first that
// has a proof speaks for them, or else the first of which anything is known.
func standstills(p *pages, r *result.Run) {
	for _, sc := range r.Scenarios {
		i := slices.IndexFunc(sc.Arms, func(a result.Arm) bool { return a.Deadlock != nil && a.Deadlock.Proved })
		if i < 0 {
			if i = slices.IndexFunc(sc.Arms, func(a result.Arm) bool { return a.Deadlock != nil }); i >= 0 {
				d := sc.Arms[i].Deadlock
				p.add("## What stands still, and why",
					fmt.Sprintf("**%s**: %s\n\n%s", view.Cell(sc.Name), view.Cell(view.Unproved(d)), drawing(d.Graph)))
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
			view.Cell(sc.Name), view.Cell(d.Sentence), proved, all, d.AfterMS/1000, d.LateMS)
		if d.Checked {
			said += "; the locks' tokens and CLIENT LIST in Redis agree"
		}
		p.add("## What stands still, and why", said+".\n\n"+drawing(d.Graph))
	}
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
		b.WriteString(strings.TrimRight(view.Plain(line), " ") + "\n")
	}
	if b.Len() == 0 {
		return ""
	}
	return folded("wait-for graph", "```mermaid\n"+b.String()+"```\n\n")
}

// doubts lists what did not pass, what failed first.
func doubts(r *result.Run) string {
	var failed, rest []string
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			for _, why := range a.Reasons {
				line := fmt.Sprintf("- %s: `%s` / `%s`%s: %s\n", view.Cell(string(a.Outcome)), view.Code(sc.Name),
					view.Code(a.Name+view.On(a.Image)), view.RepeatOf(a, r), view.Cell(why))
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

// stability lists the arms whose verdict differs between repeats.
func stability(r *result.Run) string {
	if r.Repeat < 2 {
		return ""
	}
	var flap []string
	for _, row := range view.Rows(r) {
		if view.Distinct(row) > 1 {
			flap = append(flap, fmt.Sprintf("- `%s` / `%s`: %s\n", view.Code(row.Scenario), view.Code(row.Name()),
				view.Cell(row.Verdict())))
		}
	}
	if len(flap) == 0 {
		return "None.\n\n"
	}
	return bounded(flap, maxFlaps)
}

// logs reads like an incident log: what each remedy did, and the answers.
func logs(p *pages, r *result.Run) {
	for _, row := range view.Rows(r) {
		a := row.Repeats[0]
		if len(a.Steps) == 0 {
			continue
		}
		var b bytes.Buffer
		table(&b, "at", "did", "answer")
		for _, s := range a.Steps {
			table(&b, fmt.Sprintf("%.1f s", s.AtMS/1000), s.Did, s.Answer)
		}
		p.add("## What the remedies did", folded(row.Scenario+" / "+row.Name(), b.String()+"\n"))
	}
}

// probes are questions that were asked when all was over.
func probes(p *pages, r *result.Run) {
	var b bytes.Buffer
	for _, row := range view.Rows(r) {
		for _, p := range row.Repeats[0].Probes {
			fmt.Fprintf(&b, "- `%s` / `%s`, `%s`: %s\n", view.Code(row.Scenario), view.Code(row.Name()),
				view.Code(p.Did), view.Cell(p.Because))
		}
	}
	if b.Len() > 0 {
		p.add("## What was asked afterwards",
			"In the failure that nothing had been done about, when its recovery was judged. None of this counts for a verdict. What grep would let through is counted by lockjam, so that it can tell what redis-cli printed.\n\n"+
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
		table(&b, "server", view.OfServer(s))
	}
	table(&b, "client", "go-redis "+e.GoRedis)
	table(&b, "lockjam", e.Lockjam+", "+e.Go)
	table(&b, "machine", fmt.Sprintf("%s, %d cores", e.OS, e.CPUs))
	table(&b, "seed", fmt.Sprint(r.Seed))
	if r.Finished != nil {
		table(&b, "took", fmt.Sprintf("%.0f s, from %s", r.Finished.Sub(r.Started).Seconds(),
			r.Started.Format("2006-01-02 15:04:05 MST")))
	}
	b.WriteString("\nPer arm, beside this file: the scenario, what it ran with, the recorded history, the verdict, the server's log. " +
		"`lockjam judge` reads these again without a Redis.\n\n")
	return b.String()
}

// table writes one row; the first row of a table is followed by its rule.
func table(b *bytes.Buffer, cells ...string) {
	atStart := b.Len() == 0 || bytes.HasSuffix(b.Bytes(), []byte("\n\n"))
	for _, c := range cells {
		b.WriteString("| " + view.Cell(c) + " ")
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
