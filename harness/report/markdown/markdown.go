// Package markdown writes a run, a comparison, and the decision table as Markdown.
package markdown

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// Write writes report.md, which fits into a comment on GitHub: the answer first and
// what did not pass, then tables, then what is there to look up, folded. What there is no
// room for is left out from the end, and a line says so.
func Write(w io.Writer, v *view.Run) error { return Within(w, v, MaxComment) }

// Within writes at most so many bytes.
func Within(w io.Writer, v *view.Run, most int) error {
	var p pages
	p.must("", opening(v))
	p.must("## Which remedy works", inShort(v))
	p.must("## What did not pass", doubts(v))
	p.must(fmt.Sprintf("## Verdicts that differ between %d repeats", v.Repeat), stability(v))
	for _, m := range v.Matrices {
		p.add(headings[m.By], pinned(m))
	}
	p.add("## Arm by arm", armTable(v))
	p.add("## What the runbook says, and what was measured", scorecard(v))
	p.add("## What to do instead", instead(v))
	p.add("## Which signal fires", overview(v))
	p.add("## What it ran on", ranOn(v))
	p.add("## What Redis answered with an error", errorReplies(v))
	standstills(&p, v)
	whys(&p, v)
	signalTables(&p, v)
	p.add("## What the verdicts on the runbook rest on", shown(v))
	logs(&p, v)
	probes(&p, v)
	_, err := io.WriteString(w, p.within(most))
	return err
}

// headings are those of the matrices.
var headings = map[view.Kind]string{
	view.ByImage: "## Image by image", view.ByRemedy: "## Remedies", view.ByPrevention: "## Preventions",
}

// arm is an arm in a list, with its scenario.
func arm(scenario, name string) string { return code(scenario) + " / " + code(name) }

// code is a name as code.
func code(name string) string { return "`" + view.Name(name) + "`" }

func opening(v *view.Run) string {
	s := fmt.Sprintf("# lockjam run %s: %s\n\n", cell(v.ID), strings.ToUpper(cell(string(v.Outcome))))
	if v.Status != result.Completed {
		s += fmt.Sprintf("**The run was %s.** What follows is what had been recorded until then. %s\n\n",
			cell(string(v.Status)), cell(v.Because))
	}
	if open := v.Unchecked(func(one view.Row) string { return arm(one.Scenario, one.Name) }); open != "" {
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

func inShort(v *view.Run) string {
	var lines []string
	for _, c := range v.Chapters {
		for _, s := range c.Short {
			on := ""
			if len(s.Images) > 0 {
				on = ", on " + strings.Join(quoted(s.Images), ", ")
			}
			var said []string
			for _, e := range s.Effects {
				said = append(said, e.Words+" "+text.FirstOf(quoted(e.Arms), ", ", view.MaxNames))
			}
			lines = append(lines, fmt.Sprintf("- **%s** (%s)%s: %s\n", cell(view.Cut(c.Name, view.LongestName)),
				cell(c.Title), on, strings.Join(said, "; ")))
		}
	}
	if len(lines) == 0 {
		return "Nothing was tried that bears on it.\n\n"
	}
	return bounded(lines, maxShort)
}

// quoted are names as code.
func quoted(names []string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = code(name)
	}
	return all
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

// openRows is how many arms a table has that is not folded.
const openRows = 30

func armTable(v *view.Run) string {
	var b bytes.Buffer
	if len(v.Rows) == 0 {
		return ""
	}
	table(&b, "scenario", "arm", "verdict", "goodput before", "during", "after", "of the baseline", "back after",
		"safety violations", "as expected")
	for _, row := range v.Rows {
		table(&b, row.Scenario, row.Name, bold(row.Verdict), row.Before, row.During, row.After, row.Ratio, row.Restored,
			row.Violations, row.AsExpected)
	}
	b.WriteString("\nGoodput is rate-limit decisions completed per second: in the baseline, at the end of the incident, and after the remedy; then as a share of the baseline, with its 95% interval, from the restoration on (of a prevention: from the trigger on).\n")
	b.WriteString("*cured*: back at the baseline's level, and it lasted. *relapsed*: work went on for a moment and stopped again. " +
		"*no-effect*: nothing moved. *blocked*: the remedy could not be applied. " +
		"*prevented*: what was in force from the start kept goodput up through the trigger; *mitigated*: it suffered, and did not stay down; *not-prevented*: the incident took place. " +
		"Where nothing was tried: *reproduced*: the incident took place; *no incident*: none was to be there. *not checked*: the scenario expects nothing of it. " +
		"*UNSAFE*: two workers relied on one lock, a lock went from under its holder, an update was lost, or a fencing token did not rise.\n\n")
	if saved := view.Saved(v.Run); saved != "" {
		b.WriteString(saved + "\n\n")
	}
	if len(v.Rows) <= openRows {
		return b.String()
	}
	return folded(fmt.Sprintf("%d arms", len(v.Rows)), b.String())
}

// whys has the verdicts in sentences, scenario by scenario.
func whys(p *pages, v *view.Run) {
	for _, c := range v.Chapters {
		var said strings.Builder
		for _, row := range c.Rows {
			if a := &row.Repeats[0]; a.Because != "" {
				fmt.Fprintf(&said, "- %s%s: %s%s%s%s%s%s%s\n", code(row.Name), v.RepeatOf(a), cell(a.Because), earned(a),
					view.Left(*a), harm(a), cell(view.Company(*a)), cell(view.Refusals(*a)), early(a))
			}
		}
		if said.Len() > 0 {
			p.add("## Why", folded(c.Name, said.String()+"\n"))
		}
	}
}

// early says how much of the scenario's time an arm did not take.
func early(a *result.Arm) string {
	if said := view.Early(*a); said != "" {
		return " " + cell(said)
	}
	return ""
}

// errorReplies says of each arm what Redis answered its workers with an error: of the
// first repeat with any.
func errorReplies(v *view.Run) string {
	var b bytes.Buffer
	for _, row := range v.Rows {
		for _, a := range row.Repeats {
			if len(a.ErrorReplies) == 0 {
				continue
			}
			if b.Len() == 0 {
				table(&b, "scenario", "arm", "prefix", "replies", "in the incident", "the first of them")
			}
			for _, reply := range a.ErrorReplies {
				table(&b, row.Scenario, row.Name+v.RepeatOf(&a), reply.Prefix, text.Grouped(reply.Count),
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
func earned(a *result.Arm) string {
	if a.Credit == nil {
		return ""
	}
	return " " + cell(a.Credit.Because)
}

// harm says what was broken.
func harm(a *result.Arm) string {
	if !a.Unsafe {
		return ""
	}
	return " **Unsafe:** " + view.Broken(*a) + "."
}

// standstills says of every scenario what its incident is, with a drawing of
// the wait-for graph. Arms of one scenario share their incident.
func standstills(p *pages, v *view.Run) {
	for _, sc := range v.Scenarios {
		d := view.Standstill(sc.Arms)
		if d == nil {
			continue
		}
		said := cell(view.Unproved(d))
		if d.Proved {
			proved, all := 0, 0
			for _, a := range sc.Arms {
				if a.Reproduced != nil && *a.Reproduced {
					all++
					if a.Deadlock != nil && a.Deadlock.Proved {
						proved++
					}
				}
			}
			said = fmt.Sprintf("%s Proved in %d of %d arms, here %.1f s after the trigger and %s", cell(d.Sentence),
				proved, all, d.AfterMS/1000, view.Late(d))
		}
		p.add("## What stands still, and why",
			fmt.Sprintf("**%s**: %s\n\n%s", cell(sc.Name), said, drawing(d.Graph)))
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
func doubts(v *view.Run) string {
	var failed, rest []string
	for _, r := range v.Reasons {
		line := fmt.Sprintf("- %s: %s%s: %s\n", cell(string(r.Arm.Outcome)),
			arm(r.Scenario.Name, r.Arm.Name+view.On(r.Arm.Image)), v.RepeatOf(r.Arm), cell(r.Why))
		if r.Arm.Outcome == result.Fail {
			failed = append(failed, line)
		} else {
			rest = append(rest, line)
		}
	}
	if all := append(failed, rest...); len(all) > 0 {
		return bounded(all, maxDoubts)
	}
	return ""
}

// stability lists the arms whose verdict differs between repeats.
func stability(v *view.Run) string {
	if v.Repeat < 2 {
		return ""
	}
	var flap []string
	for _, row := range v.Rows {
		if row.Flaps() {
			flap = append(flap, fmt.Sprintf("- %s: %s\n", arm(row.Scenario, row.Name), cell(row.Verdict)))
		}
	}
	if len(flap) == 0 {
		return "None.\n\n"
	}
	return bounded(flap, maxFlaps)
}

// logs reads like an incident log: what each remedy did, and the answers.
func logs(p *pages, v *view.Run) {
	for _, row := range v.Rows {
		a := row.Repeats[0]
		if len(a.Steps) == 0 {
			continue
		}
		var b bytes.Buffer
		table(&b, "at", "did", "answer")
		for _, s := range a.Steps {
			table(&b, fmt.Sprintf("%.1f s", s.AtMS/1000), s.Did, s.Answer)
		}
		p.add("## What the remedies did", folded(row.Scenario+" / "+row.Name, b.String()+"\n"))
	}
}

// probes are questions that were asked when all was over.
func probes(p *pages, v *view.Run) {
	var b bytes.Buffer
	for _, row := range v.Rows {
		for _, p := range row.Repeats[0].Probes {
			fmt.Fprintf(&b, "- %s, %s: %s\n", arm(row.Scenario, row.Name), code(p.Did), cell(p.Because))
		}
	}
	if b.Len() > 0 {
		p.add("## What was asked afterwards",
			"In the failure that nothing had been done about, when its recovery was judged. None of this counts for a verdict. What grep would let through is counted by lockjam, so that it can tell what redis-cli printed.\n\n"+
				folded("questions and answers", b.String()+"\n"))
	}
}

func ranOn(v *view.Run) string {
	var b bytes.Buffer
	table(&b, "what", "")
	for _, f := range v.Facts {
		table(&b, f.Name, f.Text)
	}
	if v.Finished != nil {
		table(&b, "took", fmt.Sprintf("%.0f s, from %s", v.Finished.Sub(v.Started).Seconds(),
			v.Started.Format("2006-01-02 15:04:05 MST")))
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
