package chart

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
)

const longText = 40 // runes that a label or a step may have in a chart

// clock is a frame over time: the phases are bands, and what was done is marked.
type clock struct {
	*frame
	series *series
	flags  []flagged
	header int // rows above the plot: the phases' names, then the flags
}

// flagged is a moment with a line through the chart.
type flagged struct {
	at    time.Duration
	ink   ink
	dash  []vg.Length
	label string
}

// newClock draws a frame from the arm's start to its end, of which the values go from 0
// to top, with so many rows below it.
func newClock(s *series, alt string, top float64, below int) *clock {
	f := newFrame()
	f.plot.X.Min, f.plot.X.Max = 0, s.end.Seconds()
	f.plot.Y.Min, f.plot.Y.Max = 0, top
	f.plot.X.Tick.Marker, f.plot.Y.Tick.Marker = ticks(s.end.Seconds(), 8, " s"), ticks(top, 5, "")
	c := &clock{frame: f, series: s, flags: s.flags()}
	f.spread("", 0, 0)
	labels := make([]label, len(c.flags))
	for i, g := range c.flags {
		labels[i] = label{x: c.when(g.at), text: g.label}
	}
	c.header = 1 + f.pack(labels, true)
	f.spread(alt, c.header, below)
	c.bands()
	f.axes()
	for i, g := range c.flags {
		top := f.canvas.height - lineHeight*vg.Length(1+labels[i].row)
		f.upright(g.ink, g.dash, labels[i].x, top-descent)
		f.write(labels[i], f.canvas.height-lineHeight)
	}
	c.steps()
	return c
}

// when is a moment's place.
func (c *clock) when(at time.Duration) vg.Length { return c.x(at.Seconds()) }

// bands draws the phases.
func (c *clock) bands() {
	top := c.canvas.height
	for _, p := range c.series.phases {
		from, to := c.when(p.from), c.when(p.to)
		c.canvas.title = fmt.Sprintf("%s, %s to %s", p.name, moment(p.from), moment(p.to))
		c.area.FillPolygon(ink(p.name),
			[]vg.Point{{X: from, Y: c.area.Min.Y}, {X: to, Y: c.area.Min.Y}, {X: to, Y: top}, {X: from, Y: top}})
		c.upright("edge", nil, from, top)
		if c.width(p.name)+beside <= to-from {
			c.say(from+beside, top-lineHeight+descent, text.XLeft, p.name)
		}
	}
}

// flags are the trigger, and the remedy's begin and end.
func (s *series) flags() []flagged {
	var flags []flagged
	for _, m := range s.marks {
		switch {
		case m.Kind == history.TriggerMark:
			flags = append(flags, flagged{m.At, "trigger", nil, "trigger: " + shortened(m.Name)})
		case m.Kind == history.RemedyMark && m.Name == history.Begun:
			flags = append(flags, flagged{m.At, "remedy", dashed, shortened(cmp.Or(m.Detail, "remedy"))})
		case m.Kind == history.RemedyMark:
			last := len(flags) - 1
			// Most remedies are applied before a line more could be told apart.
			if last >= 0 && flags[last].ink == "remedy" && m.At-flags[last].at < s.end/50 {
				flags[last].label += ", " + shortened(m.Name)
				continue
			}
			flags = append(flags, flagged{m.At, "remedy", dashed, shortened(m.Name)})
		}
		if len(flags) == 5 {
			break // no arm has more
		}
	}
	slices.SortStableFunc(flags, func(a, b flagged) int { return cmp.Compare(a.at, b.at) })
	return flags
}

// shortened cuts a text of a file to what fits.
func shortened(s string) string {
	if r := []rune(s); len(r) > longText {
		return string(r[:longText-1]) + "…"
	}
	return s
}

// steps marks the remedy's steps below the upper edge; those that fall onto each other
// share a mark.
func (c *clock) steps() {
	const size = vg.Length(3)
	var steps []history.Mark
	for _, m := range c.series.marks {
		if m.Kind == history.StepMark {
			steps = append(steps, m)
		}
	}
	for len(steps) > 0 {
		x, n := c.when(steps[0].At), 1
		for n < len(steps) && c.when(steps[n].At)-x < 2*size {
			n++
		}
		c.canvas.title = shortened(steps[0].Name)
		if n > 1 {
			c.canvas.title += fmt.Sprintf(" and %d more", n-1)
		}
		y := c.area.Max.Y - size
		c.area.FillPolygon(ink("remedy"),
			[]vg.Point{{X: x, Y: y + size}, {X: x + size, Y: y}, {X: x, Y: y - size}, {X: x - size, Y: y}})
		steps = steps[n:]
	}
}

// draw draws a line, with holes where it has no value or one beyond the chart. A value
// between two holes becomes a dash.
func (c *clock) draw(l line, in ink, width vg.Length, dash []vg.Length) {
	const half = vg.Length(1.5)
	var lines [][]vg.Point
	var run []vg.Point
	end := func() {
		if len(run) == 1 {
			x, y := run[0].X, run[0].Y
			run = []vg.Point{{X: x - half, Y: y}, {X: x + half, Y: y}}
		}
		if run != nil {
			lines = append(lines, run)
		}
		run = nil
	}
	for i, v := range l.y {
		if math.IsNaN(v) || v > c.plot.Y.Max {
			end()
			continue
		}
		p := vg.Point{X: c.when(l.at[i]), Y: c.y(v)}
		// A level stretch needs no points but its ends.
		if n := len(run); n > 1 && run[n-1].Y == p.Y && run[n-2].Y == p.Y {
			run[n-1] = p
			continue
		}
		run = append(run, p)
	}
	end()
	c.lines(draw.LineStyle{Color: in, Width: width, Dashes: dash}, lines)
}

// hover has the lines of the chart for the script.
func (c *clock) hover(lines ...HoverLine) *hover {
	down := func(y vg.Length) decimal { return decimal(c.canvas.height - y) }
	return &hover{
		Left: decimal(c.area.Min.X), Right: decimal(c.area.Max.X), Top: down(c.area.Max.Y), Bottom: down(c.area.Min.Y),
		FromMS: 0, ToMS: decimal(c.series.end.Milliseconds()), Lines: lines,
	}
}

// values are the line's for hover, in whole milliseconds.
func (l line) values(name, unit string) HoverLine {
	h := HoverLine{Name: name, Unit: unit, Ys: l.y}
	for _, at := range l.at {
		h.Xs = append(h.Xs, float64(at.Milliseconds()))
	}
	return h
}

// firing is when a signal first fired in the incident.
type firing struct {
	name string
	at   time.Duration
}

// firings are counted from the trigger, or else from the start of the incident.
func (s *series) firings(a result.Arm) []firing {
	from := s.trigger()
	if p, ok := s.phase(history.Incident); from == history.Never && ok {
		from = p.from
	}
	var all []firing
	for _, signal := range a.Signals {
		if signal.Fired && signal.DetectMS != nil && from != history.Never {
			all = append(all, firing{signal.Name, min(from+offset(*signal.DetectMS), s.end)})
		}
	}
	slices.SortStableFunc(all, func(a, b firing) int { return cmp.Compare(a.at, b.at) })
	return all
}

// phaseFigures says a figure of each judged phase: "171 in the baseline, 3 in the incident".
func (s *series) phaseFigures(say func(phase) string) string {
	var all []string
	for _, p := range s.phases {
		if p.response != nil {
			all = append(all, fmt.Sprintf("%s in the %s", say(p), p.name))
		}
	}
	return strings.Join(all, ", ")
}
