package report

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/lockjam/lockjam/harness"
)

// Markdown writes report.md: the answer first, in a table that takes ten
// seconds to read, then the signals, then what was done and what it ran on.
func Markdown(w io.Writer, r *harness.Run) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# lockjam run %s: %s\n\n", cell(r.ID), strings.ToUpper(string(r.Outcome)))
	if r.Status != harness.Completed {
		fmt.Fprintf(&b, "**The run was %s.** What follows is what had been recorded until then. %s\n\n", r.Status, cell(r.Because))
	}
	answer(&b, r)
	scorecard(&b, r)
	standstills(&b, r)
	stability(&b, r)
	doubts(&b, r)
	signalTables(&b, r)
	logs(&b, r)
	probes(&b, r)
	ranOn(&b, r)
	_, err := w.Write(b.Bytes())
	return err
}

func answer(b *bytes.Buffer, r *harness.Run) {
	b.WriteString("## Which remedy works\n\n")
	for _, sc := range r.Scenarios {
		for _, s := range inShortOn(r, sc) {
			fmt.Fprintf(b, "- **%s** (%s)%s: %s\n", cell(sc.Name), cell(sc.Title), s.on, s.said)
		}
	}
	if !bytes.HasSuffix(b.Bytes(), []byte("\n\n")) {
		b.WriteString("\n")
	}
	if images := r.Images(); len(images) > 0 {
		pinned(b, "Image by image", imageMatrix(r, images))
	} else {
		pinned(b, "Remedies", remedyMatrix(r))
		pinned(b, "Preventions", preventionMatrix(r))
	}
	b.WriteString("### Arm by arm\n\n")
	table(b, "scenario", "arm", "verdict", "goodput before", "during", "after", "of the baseline", "back after", "safety faults", "as expected")
	for _, row := range rows(r) {
		table(b, row.scenario, row.name(), bold(row.verdict()), row.before(), row.during(), row.after(), row.ratio(), row.restored(), row.faults(), row.asExpected())
	}
	b.WriteString("\nGoodput is rate-limit decisions completed per second: in the baseline, at the end of the incident, and after the remedy; then as a share of the baseline, with its 95% interval, from the restoration on (of a prevention: from the trigger on).\n")
	b.WriteString("*cured*: back at the baseline's level, and it lasted. *relapsed*: work went on for a moment and stopped again. " +
		"*no-effect*: nothing moved. *blocked*: the remedy could not be applied. " +
		"*prevented*: what was in force from the start kept goodput up through the trigger; *mitigated*: it suffered, and did not stay down; *not-prevented*: the incident took place. *UNSAFE*: two workers relied on one lock, a lock went from under its holder, an update was lost, or a fencing token did not rise.\n")
	if len(r.Scenarios) > 0 {
		b.WriteString("\n")
	}
	for _, row := range rows(r) {
		a := row.repeats[0]
		if a.Because != "" {
			fmt.Fprintf(b, "- `%s` / `%s`: %s%s%s%s\n", code(row.scenario), code(row.name()), cell(a.Because), earned(a), left(a), harm(a))
		}
	}
	b.WriteString("\n")
}

// pinned writes a matrix, if there is anything in it.
func pinned(b *bytes.Buffer, title string, m matrix) {
	if len(m.lines) == 0 {
		return
	}
	fmt.Fprintf(b, "### %s\n\n", title)
	table(b, append([]string{"scenario"}, m.columns...)...)
	for _, l := range m.lines {
		table(b, append([]string{l.scenario}, l.cells...)...)
	}
	b.WriteString("\n")
}

// inShort says in a line what to do about a scenario, and what not to.
func inShort(arms []row) string {
	groups := []struct {
		words string
		is    func(verdict harness.Verdict, unsafe bool) bool
	}{
		{"prevented by", func(v harness.Verdict, unsafe bool) bool { return v == harness.Prevented && !unsafe }},
		{"prevented, at the price of safety, by", func(v harness.Verdict, unsafe bool) bool { return v == harness.Prevented && unsafe }},
		{"mitigated by", func(v harness.Verdict, _ bool) bool { return v == harness.Mitigated }},
		{"not prevented by", func(v harness.Verdict, _ bool) bool { return v == harness.NotPrevented }},
		{"cured by", func(v harness.Verdict, unsafe bool) bool { return v == harness.Cured && !unsafe }},
		{"cured, at the price of safety, by", func(v harness.Verdict, unsafe bool) bool { return v == harness.Cured && unsafe }},
		{"better but not cured with", func(v harness.Verdict, _ bool) bool { return v == harness.Partial }},
		{"moved for a moment only after", func(v harness.Verdict, _ bool) bool { return v == harness.Relapsed }},
		{"no help:", func(v harness.Verdict, _ bool) bool { return v == harness.NoEffect }},
		{"could not be carried out:", func(v harness.Verdict, _ bool) bool { return v == harness.Blocked }},
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
			parts = append(parts, g.words+" "+strings.Join(names, ", "))
		}
	}
	return strings.Join(parts, "; ")
}

// earned says by which comparison a cure or a prevention earned the credit.
func earned(a harness.ArmResult) string {
	if a.Credit == nil {
		return ""
	}
	return " " + cell(a.Credit.Because)
}

// left says for whom there was nothing, where goodput alone would not show it.
func left(a harness.ArmResult) string {
	if a.Served == nil || a.Served.Workers >= a.Served.Of || a.Verdict == harness.NotPrevented {
		return ""
	}
	return fmt.Sprintf(" At the end %d of %d workers got anything done.", a.Served.Workers, a.Served.Of)
}

// harm says what was broken.
func harm(a harness.ArmResult) string {
	if !a.Unsafe {
		return ""
	}
	return " **Unsafe:** " + broken(a) + "."
}

// broken puts the safety counts that are not zero into words.
func broken(a harness.ArmResult) string {
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

// standstills says of every scenario what its incident is, with a drawing of
// who waits for whom. Arms of one scenario share their incident: the first that
// has a proof speaks for them.
func standstills(b *bytes.Buffer, r *harness.Run) {
	first := true
	for _, sc := range r.Scenarios {
		i := slices.IndexFunc(sc.Arms, func(a harness.ArmResult) bool { return a.Deadlock != nil && a.Deadlock.Proved })
		if i < 0 {
			continue
		}
		if first {
			b.WriteString("## What stands still, and why\n\n")
			first = false
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
		fmt.Fprintf(b, "**%s**: %s Proved in %d of %d arms, here %.1f s after the trigger and %.0f ms after the rules first allow it",
			cell(sc.Name), cell(d.Sentence), proved, all, d.AfterMS/1000, d.LateMS)
		if d.Checked {
			b.WriteString("; the locks' tokens and CLIENT LIST in Redis agree")
		}
		// Waitgraph escapes its labels; a fence would end the drawing early.
		fmt.Fprintf(b, ".\n\n```mermaid\n%s```\n\n", strings.ReplaceAll(d.Graph, "```", ""))
	}
}

// scorecard holds the runbook's claims against what was measured.
func scorecard(b *bytes.Buffer, r *harness.Run) {
	var untested []string
	b.WriteString("## What the runbook says, and what was measured\n\n")
	for _, c := range r.Claims {
		if c.Verdict == harness.Untested {
			untested = append(untested, c.ID)
			continue
		}
		if bytes.HasSuffix(b.Bytes(), []byte("\n\n")) {
			table(b, "claim", "the runbook", "verdict", "because")
		}
		table(b, c.ID, c.Words, bold(c.Verdict), c.Because)
	}
	if len(untested) < len(r.Claims) {
		b.WriteString("\n")
	}
	for _, c := range r.Claims {
		if c.Instead != "" {
			fmt.Fprintf(b, "- **%s**, instead: %s\n", cell(c.ID), cell(c.Instead))
		}
	}
	if len(untested) < len(r.Claims) {
		b.WriteString("\nShown by:\n\n")
	}
	for _, c := range r.Claims {
		if by := shownBy(c.Evidence); by != "" {
			fmt.Fprintf(b, "- %s: %s\n", cell(c.ID), cell(by))
		}
		for _, on := range c.Images {
			if by := shownBy(on.Evidence); by != "" {
				fmt.Fprintf(b, "- %s on %s: %s\n", cell(c.ID), cell(on.Image), cell(by))
			}
		}
	}
	if len(untested) > 0 {
		if len(untested) < len(r.Claims) {
			b.WriteString("\n")
		}
		fmt.Fprintf(b, "Untested by this run: %s.\n", cell(strings.Join(untested, ", ")))
	}
	b.WriteString("\n")
}

// shownBy names the arms and figures that a verdict rests on.
func shownBy(evidence []harness.Evidence) string {
	var all []string
	for _, e := range evidence {
		if value := measured(e); value != "" {
			all = append(all, fmt.Sprintf("%s/%s: %s", e.Scenario, e.Arm, value))
		}
	}
	return strings.Join(all, "; ")
}

// measured is the figures of one piece of evidence; "" for a sentence, which stands in
// because.
func measured(e harness.Evidence) string {
	switch v := e.Value.(type) {
	case string:
		return ""
	case map[string]float64:
		return figures(v)
	case map[string]any: // as it is read back from run.json
		read := map[string]float64{}
		for name, x := range v {
			read[name], _ = x.(float64)
		}
		return figures(read)
	}
	field := e.Field[strings.LastIndex(e.Field, ".")+1:]
	return fmt.Sprintf("%s %v", strings.ReplaceAll(field, "_", " "), e.Value)
}

// figures is "name value, name value", with the names' underscores as spaces.
// What is there for others to pool is left out.
func figures(f map[string]float64) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if strings.HasSuffix(name, "monitored_ms") || strings.HasSuffix(name, "_decisions") {
			continue
		}
		all = append(all, fmt.Sprintf("%s %s", strings.ReplaceAll(name, "_", " "), strconv.FormatFloat(f[name], 'f', -1, 64)))
	}
	return strings.Join(all, ", ")
}

func doubts(b *bytes.Buffer, r *harness.Run) {
	first := true
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			for _, why := range a.Reasons {
				if first {
					b.WriteString("## What did not pass\n\n")
					first = false
				}
				fmt.Fprintf(b, "- %s: `%s` / `%s`%s: %s\n", a.Outcome, code(sc.Name), code(a.Name+on(a.Image)), repeatOf(a, r), cell(why))
			}
		}
	}
	if !first {
		b.WriteString("\n")
	}
}

func repeatOf(a harness.ArmResult, r *harness.Run) string {
	if r.Repeat < 2 {
		return ""
	}
	return fmt.Sprintf(" (repeat %d)", a.Repeat)
}

// signalTables has one table per scenario, quickest signal first. Arms of one
// scenario share their incident, so their readings are folded together.
func signalTables(b *bytes.Buffer, r *harness.Run) {
	b.WriteString("## Which signal fires\n\n")
	falseAlarms(b, r)
	for _, sc := range r.Scenarios {
		if images := r.Images(); len(images) > 0 {
			signalsByImage(b, sc, images)
			continue
		}
		all := row{scenario: sc.Name, repeats: sc.Arms}
		type line struct {
			cells  []string
			detect float64
		}
		var lines []line
		for _, s := range signalNames(sc) {
			one, fired, detect := all.signal(s)
			alarms, cleared, cured := 0, 0, 0
			fastest := 1e12
			for _, a := range sc.Arms {
				for _, x := range a.Signals {
					if x.Name != s {
						continue
					}
					alarms += x.BaselineFirings
					if x.DetectMS != nil {
						fastest = min(fastest, *x.DetectMS)
					}
					if a.Verdict == harness.Cured && x.Fired {
						cured++
						if x.Cleared {
							cleared++
						}
					}
				}
			}
			clear := "-"
			if cured > 0 {
				clear = fmt.Sprintf("%d of %d", cleared, cured)
			}
			in := fmt.Sprintf("%d of %d", fired, len(sc.Arms))
			if one.Unavailable != "" {
				in = "not available: " + one.Unavailable
			}
			lines = append(lines, line{[]string{s, orDash(one.Claim), one.Expected, in, detect,
				fmt.Sprint(alarms), clear, figures(sc.Arms[0].Figures(s))}, fastest})
		}
		slices.SortStableFunc(lines, func(a, b line) int {
			switch {
			case a.detect < b.detect:
				return -1
			case a.detect > b.detect:
				return 1
			}
			return 0
		})
		fmt.Fprintf(b, "### %s\n\n", cell(sc.Name))
		table(b, "signal", "claim", "expected", "fired in", "time to detect", "false alarms before", "cleared after a cure", "what it read")
		for _, l := range lines {
			table(b, l.cells...)
		}
		b.WriteString("\n")
	}
}

// stability lists the arms whose verdict differs between repeats.
func stability(b *bytes.Buffer, r *harness.Run) {
	if r.Repeat < 2 {
		return
	}
	var flap []string
	for _, row := range rows(r) {
		if distinct(row) > 1 {
			flap = append(flap, fmt.Sprintf("- `%s` / `%s`: %s\n", code(row.scenario), code(row.name()), cell(row.verdict())))
		}
	}
	fmt.Fprintf(b, "## Verdicts that differ between %d repeats\n\n", r.Repeat)
	if len(flap) == 0 {
		b.WriteString("None.\n\n")
		return
	}
	b.WriteString(strings.Join(flap, "") + "\n")
}

// distinct counts the verdicts of an arm's repeats, none at all being one.
func distinct(r row) int {
	seen := map[string]bool{}
	for _, a := range r.repeats {
		seen[fmt.Sprint(a.Verdict, a.Unsafe)] = true
	}
	return len(seen)
}

// falseAlarms sums up the runs in which nothing was wrong.
func falseAlarms(b *bytes.Buffer, r *harness.Run) {
	if alarmed, quiet := alarmsOfQuiet(r); quiet > 0 {
		fmt.Fprintf(b, "Where nothing was wrong, a signal fired in %d of %d runs.\n\n", alarmed, quiet)
	}
}

// alarmsOfQuiet counts the runs in which nothing was wrong, and those of them in which a
// signal fired.
func alarmsOfQuiet(r *harness.Run) (alarmed, quiet int) {
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			if a.Reproduced != nil || a.Prevention != "" || a.Outcome == harness.Inconclusive {
				continue
			}
			quiet++
			if slices.ContainsFunc(a.Signals, func(s harness.SignalResult) bool { return s.Fired || s.BaselineFirings > 0 }) {
				alarmed++
			}
		}
	}
	return alarmed, quiet
}

func signalNames(sc harness.ScenarioResult) []string {
	var names []string
	for _, a := range sc.Arms {
		for _, s := range a.Signals {
			if !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
		}
	}
	return names
}

// logs reads like an incident log: what each remedy did, and the answers.
func logs(b *bytes.Buffer, r *harness.Run) {
	first := true
	for _, row := range rows(r) {
		a := row.repeats[0]
		if len(a.Steps) == 0 {
			continue
		}
		if first {
			b.WriteString("## What the remedies did\n\n")
			first = false
		}
		fmt.Fprintf(b, "`%s` / `%s`\n\n", code(row.scenario), code(row.name()))
		table(b, "at", "did", "answer")
		for _, s := range a.Steps {
			table(b, fmt.Sprintf("%.1f s", s.AtMS/1000), s.Did, s.Answer)
		}
		b.WriteString("\n")
	}
}

// probes are questions that were asked when all was over.
func probes(b *bytes.Buffer, r *harness.Run) {
	first := true
	for _, row := range rows(r) {
		for _, p := range row.repeats[0].Probes {
			if first {
				b.WriteString("## What was asked afterwards\n\nIn the failure that nothing had been done about, when its recovery was judged. None of this counts for a verdict. What grep would let through is counted by lockjam, so that it can tell what redis-cli printed.\n\n")
				first = false
			}
			fmt.Fprintf(b, "- `%s` / `%s`, `%s`: %s\n", code(row.scenario), code(row.name()), code(p.Did), cell(p.Because))
		}
	}
	if !first {
		b.WriteString("\n")
	}
}

func ranOn(b *bytes.Buffer, r *harness.Run) {
	e := r.Environment
	b.WriteString("## What it ran on\n\n")
	table(b, "what", "")
	servers := e.Servers
	if len(servers) == 0 {
		servers = []harness.ServerEnvironment{e.Server}
	}
	for _, s := range servers {
		table(b, "server", ofServer(s))
	}
	table(b, "client", "go-redis "+e.GoRedis)
	table(b, "lockjam", e.Lockjam+", "+e.Go)
	table(b, "machine", fmt.Sprintf("%s, %d cores", e.OS, e.CPUs))
	table(b, "seed", fmt.Sprint(r.Seed))
	if r.Finished != nil {
		table(b, "took", fmt.Sprintf("%.0f s, from %s", r.Finished.Sub(r.Started).Seconds(), r.Started.Format("2006-01-02 15:04:05 MST")))
	}
	b.WriteString("\nPer arm, beside this file: the scenario, what it ran with, the recorded history, the verdict, the server's log. " +
		"`lockjam judge` reads these again without a Redis.\n")
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

// unsafe are the characters that mean something to Markdown or HTML. What a
// server or a scenario file says is text, never markup.
var unsafe = strings.NewReplacer("\\", "\\\\", "|", "\\|", "<", "&lt;", ">", "&gt;", "&", "&amp;", "`", "\\`", "[", "\\[", "]", "\\]")

func cell(s string) string {
	s = plain(s)
	if strings.HasPrefix(s, "**") && strings.HasSuffix(s, "**") && len(s) > 4 {
		return "**" + unsafe.Replace(s[2:len(s)-2]) + "**"
	}
	return strings.ReplaceAll(unsafe.Replace(s), "*", "\\*")
}

// code is for text between backticks, where nothing but a backtick is special.
func code(s string) string { return strings.ReplaceAll(plain(s), "`", "'") }

// plain replaces what a terminal would act upon.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
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
