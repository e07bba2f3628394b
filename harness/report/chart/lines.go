package chart

import (
	"fmt"
	"math"
	"strings"

	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
)

// headroom keeps the highest value below the upper edge, where steps are marked.
const headroom = 1.15

// goodputChart has a lane below it with the signals, each where it fired.
func goodputChart(s *series, a result.Arm) Figure {
	l := s.goodput()
	baseline, steady := s.phase(history.Baseline)
	firings := s.firings(a)
	alt := goodputInWords(s, firings)
	top := max(l.highest(), baseline.goodputPerS, 1) * headroom
	// What is beside what has to be known before the chart is as high as it takes.
	probe := newClock(s, "", top, 0)
	labels := make([]label, len(firings))
	for i, f := range firings {
		labels[i] = label{x: probe.when(f.at), text: f.name}
	}
	lane := probe.pack(labels, false)
	c := newClock(s, alt, top, lane)
	if steady {
		y := c.y(baseline.goodputPerS)
		c.stroke("level", 1, dotted, vg.Point{X: c.area.Min.X, Y: y}, vg.Point{X: c.area.Max.X, Y: y})
		c.say(c.when(baseline.to)+beside, y+descent, text.XLeft, "baseline "+numeral(baseline.goodputPerS)+"/s")
	}
	c.draw(l, "goodput", thick, nil)
	c.lane(labels, firings)
	f := c.figure("goodput", "Goodput, decisions per second", alt)
	f.Hover = c.hover(l.values("goodput", "/s"))
	return f
}

// lane draws the signals' labels below the axis, each with a tick at its moment.
func (c *clock) lane(labels []label, firings []firing) {
	if len(labels) == 0 {
		return
	}
	lane := c.all.Min.Y
	c.say(0, lane-lineHeight+descent, text.XLeft, "signals")
	for i, l := range labels {
		c.canvas.title = fmt.Sprintf("%s fired at %s", l.text, moment(firings[i].at))
		top := lane - lineHeight*vg.Length(l.row)
		c.stroke("signal", thick, nil, vg.Point{X: l.x, Y: top - 2}, vg.Point{X: l.x, Y: top - lineHeight + 2})
		c.write(l, lane)
	}
}

func goodputInWords(s *series, firings []firing) string {
	var b strings.Builder
	b.WriteString("Goodput in decisions per second")
	if in := s.phaseFigures(func(p phase) string { return numeral(p.goodputPerS) }); in != "" {
		b.WriteString(": " + in)
	}
	b.WriteString(".")
	if at := s.trigger(); at != history.Never {
		fmt.Fprintf(&b, " The trigger was at %s.", moment(at))
	}
	for _, m := range s.marks {
		if m.Kind == history.RemedyMark {
			fmt.Fprintf(&b, " The remedy was %s at %s.", m.Name, moment(m.At))
		}
	}
	if s.steps > 0 {
		fmt.Fprintf(&b, " %d of its steps are not marked.", s.steps)
	}
	for i, f := range firings {
		b.WriteString([]string{" Signals that fired: ", ", "}[min(i, 1)])
		fmt.Fprintf(&b, "%s at %s", f.name, moment(f.at))
	}
	if len(firings) > 0 {
		b.WriteString(".")
	}
	return b.String()
}

// clientsChart goes up to what was connected; a limit far above that is only written.
func clientsChart(s *series) Figure {
	clients, limit := s.clients()
	lowest := math.Inf(1)
	for _, y := range limit.y {
		if !math.IsNaN(y) {
			lowest = min(lowest, y)
		}
	}
	top := max(clients.highest(), 1) * headroom
	if lowest < 3*top {
		top = max(top, lowest*headroom)
	}
	alt := clientsInWords(s, clients, limit)
	c := newClock(s, alt, top, 0)
	c.silence(clients)
	c.draw(clients, "clients", thick, nil)
	c.draw(limit, "limit", 1, dashed)
	c.limits(limit)
	f := c.figure("clients", "Connected clients, and maxclients (dashed)", alt)
	f.Hover = c.hover(clients.values("clients", ""), limit.values("maxclients", ""))
	return f
}

// limits writes maxclients where it begins and where it changes.
func (c *clock) limits(limit line) {
	const most = 4
	last, written := math.NaN(), 0
	for i, y := range limit.y {
		if math.IsNaN(y) || y == last || written == most {
			continue
		}
		last = y
		written++
		x, align := c.when(limit.at[i])+beside, text.XLeft
		says := fmt.Sprintf("maxclients %.0f", y)
		if y > c.plot.Y.Max {
			y, says = c.plot.Y.Max, says+" ↑"
		}
		if x+c.width(says) > c.area.Max.X {
			x, align = c.area.Max.X, text.XRight
		}
		c.say(x, min(c.y(y)+descent, c.area.Max.Y-lineHeight+descent), align, says)
	}
}

// silence shades where the server did not answer.
func (c *clock) silence(l line) {
	from := -1
	for i := range l.y {
		if silent := math.IsNaN(l.y[i]); silent && from < 0 {
			from = i
			continue
		} else if silent && i+1 < len(l.y) || from < 0 {
			continue
		}
		left, right := c.when(l.at[max(from-1, 0)]), c.when(l.at[i])
		c.canvas.title = fmt.Sprintf("no answer from the server, %s to %s", moment(l.at[max(from-1, 0)]),
			moment(l.at[i]))
		c.area.FillPolygon(ink("gap"),
			[]vg.Point{{X: left, Y: c.area.Min.Y}, {X: right, Y: c.area.Min.Y}, {X: right, Y: c.area.Max.Y},
				{X: left, Y: c.area.Max.Y}})
		if c.width("no answer") < right-left {
			c.say((left+right)/2, c.area.Min.Y+descent, text.XCenter, "no answer")
		}
		from = -1
	}
}

func clientsInWords(s *series, clients, limit line) string {
	most := func(p phase) string {
		highest := math.NaN()
		for i, at := range clients.at {
			if at >= p.from && at < p.to && !math.IsNaN(clients.y[i]) && !(clients.y[i] <= highest) {
				highest = clients.y[i]
			}
		}
		if math.IsNaN(highest) {
			return "not known"
		}
		return numeral(highest)
	}
	words := "Connected clients"
	if in := s.phaseFigures(most); in != "" {
		words += " at most: " + in
	}
	words += "."
	last, n := math.NaN(), 0
	for _, y := range limit.y {
		if math.IsNaN(y) || y == last {
			continue
		}
		if n++; n > 4 {
			break
		}
		words += fmt.Sprintf([]string{" maxclients was %.0f.", " Then it was %.0f."}[min(n-1, 1)], y)
		last = y
	}
	silent := 0
	for _, y := range clients.y {
		if math.IsNaN(y) {
			silent++
		}
	}
	if silent > 0 {
		words += fmt.Sprintf(" The server did not answer %d of %d times.", silent, len(clients.y))
	}
	return words
}

// rejectionsChart has what the counter grew by. Where the server did not answer it is
// the average of that time.
func rejectionsChart(s *series) Figure {
	l := s.rejected.perSecond()
	total := 0.0
	for _, n := range s.rejected.grown {
		total += n
	}
	alt := fmt.Sprintf("Rejected connections: %s in all, at most %s per second.", numeral(math.Round(total)),
		numeral(math.Round(l.highest())))
	c := newClock(s, alt, max(l.highest(), 4)*headroom, 0)
	clients, _ := s.clients()
	c.silence(clients)
	c.draw(l, "rejections", thick, nil)
	f := c.figure("rejections", "Rejected connections per second", alt)
	f.Hover = c.hover(l.values("rejected", "/s"))
	return f
}
