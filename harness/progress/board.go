package progress

import (
	"fmt"
	"image/color"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

const (
	// binMS is the stretch that a column of the sparkline stands for.
	binMS = 500
	// goodputOver is the stretch that the goodput on the screen is taken over, in ms.
	goodputOver = 1000
	// wide is from how many columns on an arm's figures stand in one line.
	wide = 110
)

// board is what the live screen shows: a pure function of the events and the time.
type board struct {
	tally
	look  look
	run   string
	since time.Duration // when the run began, since the start of the screen
	arms  []*armView    // that run now, in the order of their start
	lines []string      // what is over, to scroll up
}

// look is how the board is drawn.
type look struct {
	color   bool
	unicode bool
}

// armView is what is known of a running arm.
type armView struct {
	label   string
	phase   string
	since   time.Duration // when the phase began
	about   time.Duration // how long it takes at least; 0: not known
	loads   []loadAt      // over the last second
	latest  result.Load
	bins    []int64 // decisions at the end of each bin
	signals []signalView
}

type loadAt struct {
	ms        float64
	decisions int64
}

// signalView is a signal that fires, or did.
type signalView struct {
	name   string
	firing bool
}

// update takes an event that came at now.
func (b *board) update(now time.Duration, e result.Event) {
	b.tally.Observe(e)
	switch e.Kind {
	case result.RunStarted:
		b.run, b.since = text.Printable(e.Run.ID), now
		b.scroll(now, e, story(e))
	case result.ArmRepeated, result.NoteEvent, result.DeadlockEvent:
		b.scroll(now, e, story(e))
	case result.ArmStarted:
		b.forget(e)
		b.arms = append(b.arms, &armView{label: text.Printable(label(e)), phase: "starting", since: now})
	case result.ArmFinished:
		b.forget(e)
		b.scroll(now, e, b.ended(e))
	case result.PhaseEvent:
		if a := b.find(e); a != nil {
			a.enter(now, e)
		}
	case result.Sampled:
		if a := b.find(e); a != nil && e.Load != nil {
			a.sample(e.AtMS, *e.Load)
		}
	case result.SignalEvent:
		if a := b.find(e); a != nil && e.Firing != nil {
			a.signal(text.Printable(e.Name), *e.Firing)
		}
	}
}

func (b *board) scroll(now time.Duration, e result.Event, line string) {
	b.lines = append(b.lines, stamped(now, b.titled(e, line)))
}

func (b *board) find(e result.Event) *armView {
	if i := slices.IndexFunc(b.arms, func(a *armView) bool { return a.label == text.Printable(label(e)) }); i >= 0 {
		return b.arms[i]
	}
	return nil
}

func (b *board) forget(e result.Event) {
	b.arms = slices.DeleteFunc(b.arms, func(a *armView) bool { return a.label == text.Printable(label(e)) })
}

// ended is the end of an arm with its outcome in colour. The word says it too.
func (b *board) ended(e result.Event) string {
	line := story(e)
	outcome := outcomeWord(e.Result.Outcome)
	rest, ok := strings.CutPrefix(line, outcome)
	if !ok {
		return line
	}
	return b.paint(outcomeColor[e.Result.Outcome], outcome) + rest
}

var outcomeColor = map[result.Outcome]color.Color{
	result.Pass: lipgloss.Green, result.Fail: lipgloss.Red, result.Inconclusive: lipgloss.Yellow,
}

func (b *board) paint(c color.Color, line string) string {
	if !b.look.color || line == "" {
		return line
	}
	return lipgloss.NewStyle().Foreground(c).Render(line)
}

// enter begins a phase. The baseline is marked when it is over, and begins with the
// warm-up.
func (a *armView) enter(now time.Duration, e result.Event) {
	if e.Name == history.Baseline {
		return
	}
	a.phase, a.since, a.about = text.Printable(e.Name), now, time.Duration(e.AboutMS*float64(time.Millisecond))
	switch e.Name {
	case history.Warmup:
		a.phase = history.Baseline
	case history.End:
		a.phase = "stopping"
	}
}

func (a *armView) sample(ms float64, load result.Load) {
	a.latest = load
	a.loads = append(a.loads, loadAt{ms, load.Decisions})
	for len(a.loads) > 2 && a.loads[1].ms <= ms-goodputOver {
		a.loads = a.loads[1:]
	}
	const most = 4 * 60 * 60 * 1000 / binMS // more is a clock that has gone wrong
	for bin := int(ms / binMS); len(a.bins) <= bin && bin < most; {
		before := int64(0)
		if n := len(a.bins); n > 0 {
			before = a.bins[n-1]
		}
		a.bins = append(a.bins, before)
	}
	if n := len(a.bins); n > 0 {
		a.bins[n-1] = load.Decisions
	}
}

func (a *armView) signal(name string, firing bool) {
	if i := slices.IndexFunc(a.signals, func(s signalView) bool { return s.name == name }); i >= 0 {
		a.signals[i].firing = firing
		return
	}
	a.signals = append(a.signals, signalView{name, firing})
}

// goodput is in decisions per second over the last second.
func (a *armView) goodput() string {
	if len(a.loads) < 2 {
		return "-"
	}
	first, last := a.loads[0], a.loads[len(a.loads)-1]
	if last.ms <= first.ms {
		return "-"
	}
	return fmt.Sprintf("%.0f/s", float64(last.decisions-first.decisions)*1000/(last.ms-first.ms))
}

func (a *armView) clients() string {
	switch {
	case len(a.loads) == 0:
		return ""
	case a.latest.MaxClients == 0:
		return "no answer"
	}
	taken, beyond := result.SlotsTaken(a.latest.Connected, a.latest.MaxClients)
	return fmt.Sprintf("%d/%d clients%s", taken, a.latest.MaxClients, beyond)
}

// left is how long the phase goes on at least, or has gone on where that is not known
// or over.
func (a *armView) left(now time.Duration) string {
	gone := max(now-a.since, 0)
	if gone < a.about {
		return fmt.Sprintf("%.1fs left", (a.about - gone).Seconds())
	}
	return fmt.Sprintf("%.1fs gone", gone.Seconds())
}

// sparkline is goodput over the last bins that are complete, one column each: the
// highest that the arm has seen fills the cell, and nothing at all is a bottom line
// that no goodput has.
func (a *armView) sparkline(columns int, unicode bool) string {
	steps := []rune("_.:-=+*#")
	if unicode {
		steps = []rune("▁▂▃▄▅▆▇█")
	}
	n := len(a.bins) - 1 // the last one is being filled
	var peak int64
	grown := make([]int64, max(n, 0))
	for i := range grown {
		grown[i] = a.bins[i]
		if i > 0 {
			grown[i] -= a.bins[i-1]
		}
		peak = max(peak, grown[i])
	}
	var line strings.Builder
	for _, d := range grown[max(n-columns, 0):max(n, 0)] {
		step := 0
		if d > 0 {
			step = 1 + int(d*int64(len(steps)-2)/peak)
		}
		line.WriteRune(steps[step])
	}
	return strings.Repeat(" ", columns-ansi.StringWidth(line.String())) + line.String()
}

// bar is a part of a whole, in so many columns.
func bar(columns int, part float64, unicode bool) string {
	full, empty := "#", "."
	if unicode {
		full, empty = "█", "░"
	}
	n := min(max(int(part*float64(columns)+0.5), 0), columns)
	return strings.Repeat(full, n) + strings.Repeat(empty, columns-n)
}

// view is what moves: how far the run is, what failed, and every running arm, in at
// most so many columns and rows. Where there is no room for everything an arm has one
// line, and where there is none for that either the rest is counted.
func (b *board) view(now time.Duration, width, height int) []string {
	width, height = max(width, 12), max(height, 1)
	lines := b.header(now, width)
	if len(lines) > height {
		lines = lines[:height]
	}
	room := height - len(lines)
	rows := b.whole(now, width)
	if len(rows) > room {
		rows = b.compact(now, width)
	}
	if n := len(rows) - room; n > 0 && room > 0 {
		rows = append(rows[:room-1], "... and "+text.Plural(n+1, "arm")+" more")
	} else if room <= 0 {
		rows = nil
	}
	lines = append(lines, rows...)
	for i, line := range lines {
		// A line as wide as the terminal wraps on some.
		lines[i] = ansi.Truncate(strings.TrimRight(line, " "), width-1, b.cut())
	}
	return lines
}

func (b *board) cut() string {
	if b.look.unicode {
		return "…"
	}
	return "~"
}

// header is how far the run is, and what failed.
func (b *board) header(now time.Duration, width int) []string {
	if b.plan == nil {
		return nil
	}
	gone := now - b.since
	sum := b.sum(float64(gone) / float64(time.Millisecond))
	if columns := min(30, width-70); columns >= 8 {
		sum = bar(columns, float64(b.done)/float64(max(b.plan.Total, 1)), b.look.unicode) + "  " + sum
	}
	lines := []string{fmt.Sprintf("run %s  %s gone", b.run, span(gone)), sum}
	if n := len(b.failed); n > 0 {
		newest := slices.Clone(b.failed)
		slices.Reverse(newest)
		lines = append(lines, b.paint(lipgloss.Red, b.listed("FAILED:", newest, width-1)))
	}
	return lines
}

// listed is as many words as fit, and how many more there are.
func (b *board) listed(title string, words []string, width int) string {
	line := title
	for i, word := range words {
		next := line + " " + text.Printable(word)
		more := ""
		if left := len(words) - i - 1; left > 0 {
			more = fmt.Sprintf(" +%d", left)
		}
		if i > 0 && ansi.StringWidth(next+more) > width {
			return fmt.Sprintf("%s +%d", line, len(words)-i)
		}
		line = next
	}
	return line
}

// whole is every running arm with all that is known of it.
func (b *board) whole(now time.Duration, width int) []string {
	longest := 0
	for _, a := range b.arms {
		longest = max(longest, ansi.StringWidth(a.label))
	}
	var lines []string
	for _, a := range b.arms {
		name := fmt.Sprintf("%-*s", longest, a.label)
		phase := fmt.Sprintf("  %-9s %s %9s", a.phase, b.gone(a, now, min(16, max(width/8, 4))), a.left(now))
		figures := fmt.Sprintf("%s %7s  %s", a.sparkline(min(24, max(width/3, 8)), b.look.unicode), a.goodput(),
			a.clients())
		if width >= wide && ansi.StringWidth(name+phase+figures)+2 < width {
			lines = append(lines, name+phase+"  "+figures)
		} else {
			lines = append(lines, b.squeezed(name, phase, width), "  "+figures)
		}
		lines = append(lines, b.lights(a, width)...)
	}
	return lines
}

// squeezed is a name and what is said of it: the name gives way, not the figures.
func (b *board) squeezed(name, rest string, width int) string {
	return ansi.Truncate(name, max(width-1-ansi.StringWidth(rest), 8), b.cut()) + rest
}

// gone is how much of a phase is over, where anybody knows how long it takes.
func (b *board) gone(a *armView, now time.Duration, columns int) string {
	if a.about == 0 {
		return strings.Repeat(" ", columns)
	}
	return bar(columns, float64(now-a.since)/float64(a.about), b.look.unicode)
}

// lights are the signals that fire, and those that did, in at most two lines.
func (b *board) lights(a *armView, width int) []string {
	const most = 2
	on, off := "*", "o"
	if b.look.unicode {
		on, off = "●", "○"
	}
	sorted := slices.Clone(a.signals)
	slices.SortStableFunc(sorted, func(x, y signalView) int {
		switch {
		case x.firing == y.firing:
			return 0
		case x.firing:
			return -1
		}
		return 1
	})
	var lines []string
	line, used := " ", 1
	for i, s := range sorted {
		mark := off
		if s.firing {
			mark = on
		}
		word := mark + " " + s.name
		needed := used + 1 + ansi.StringWidth(word)
		if len(lines) == most-1 && i < len(sorted)-1 {
			needed += len(" +99")
		}
		if needed >= width && used > 1 {
			if len(lines) == most-1 {
				line += fmt.Sprintf(" +%d", len(sorted)-i)
				break
			}
			lines = append(lines, line)
			line, used = " ", 1
		}
		used += 1 + ansi.StringWidth(word)
		if s.firing {
			word = b.paint(lipgloss.Yellow, word)
		}
		line += " " + word
	}
	if used > 1 {
		lines = append(lines, line)
	}
	return lines
}

// compact is a line per running arm.
func (b *board) compact(now time.Duration, width int) []string {
	var lines []string
	for _, a := range b.arms {
		firing := 0
		for _, s := range a.signals {
			if s.firing {
				firing++
			}
		}
		rest := fmt.Sprintf("  %s %s  %s  %s", a.phase, a.left(now), a.goodput(), a.clients())
		if firing > 0 {
			rest += "  " + text.Plural(firing, "signal")
		}
		lines = append(lines, b.squeezed(a.label, rest, width))
	}
	return lines
}
