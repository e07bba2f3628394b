package chart

import (
	"fmt"
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/lockjam/lockjam/harness/history"
	words "github.com/lockjam/lockjam/harness/text"
)

// percentile is a place on the horizontal axis of response times.
type percentile struct {
	of    float64 // 100 is the slowest of all
	name  string  // "" where the line only passes
	place float64
}

// percentiles are spread as is usual for them: as far from 99 to 99.9 as from 90 to
// 99. The slowest has no such place, which would depend on how many there are.
var percentiles = []percentile{
	{50, "50%", nines(50)}, {75, "", nines(75)}, {90, "90%", nines(90)}, {95, "", nines(95)}, {97.5, "", nines(97.5)},
	{99, "99%", nines(99)},
	{99.5, "", nines(99.5)}, {99.75, "", nines(99.75)}, {99.9, "99.9%", nines(99.9)}, {100, "max", nines(99.9) + 0.7},
}

func nines(percent float64) float64 { return math.Log10(1 / (1 - percent/100)) }

// looks tell phases apart without colour.
var looks = map[string]struct {
	dash    []vg.Length
	corners []vg.Point // of its marker, of which the middle is the origin
}{
	history.Baseline: {nil, []vg.Point{{X: -3, Y: -3}, {X: 3, Y: -3}, {X: 3, Y: 3}, {X: -3, Y: 3}}},
	history.Incident: {dashed, []vg.Point{{X: -3.5, Y: -3}, {X: 3.5, Y: -3}, {X: 0, Y: 3.5}}},
	history.Recovery: {dotted, []vg.Point{{X: -4, Y: 0}, {X: 0, Y: -4}, {X: 4, Y: 0}, {X: 0, Y: 4}}},
}

// responseChart has a line for each judged phase.
func responseChart(s *series) Figure {
	alt := responseInWords(s)
	f := newFrame()
	f.plot.X.Min, f.plot.X.Max = percentiles[0].place-0.1, percentiles[len(percentiles)-1].place+0.15
	var marks plot.ConstantTicks
	for _, p := range percentiles {
		if p.name != "" {
			marks = append(marks, plot.Tick{Value: p.place, Label: p.name})
		}
	}
	f.plot.X.Tick.Marker = marks
	f.plot.Y.Scale = plot.LogScale{}
	logAxis(&f.plot.Y, s)
	hung := s.hung()
	f.spread(alt, 1+min(len(hung), 1), 0)
	f.axes()
	x := f.area.Min.X
	for _, p := range s.phases {
		if p.response == nil {
			continue
		}
		f.responses(p)
		x = f.legend(x, p)
	}
	if hung != "" {
		f.say(f.area.Min.X, f.canvas.height-2*lineHeight+descent, text.XLeft, hung)
	}
	return f.figure("response", "Response time of completed decisions, ms, by percentile", alt)
}

// logAxis spans all response times, with a name at each power of ten or, where these
// are few, at more.
func logAxis(y *plot.Axis, s *series) {
	low, high := math.Inf(1), 0.0
	for _, p := range s.phases {
		if p.response != nil && p.response.TotalCount() > 0 {
			low = min(low, p.at(percentiles[0]))
			high = max(high, float64(p.response.Max())/1000)
		}
	}
	if high == 0 {
		low, high = 1, 10 // nothing completed
	}
	low, high = roundDown(low*0.9), roundUp(high*1.1)
	few := high/low <= 100
	var marks plot.ConstantTicks
	for decade := math.Floor(math.Log10(low)); decade <= math.Log10(high); decade++ {
		for n := 1.0; n < 10; n++ {
			t := plot.Tick{Value: n * math.Pow(10, decade)}
			if n == 1 || few && (n == 2 || n == 5) {
				t.Label = numeral(t.Value)
			}
			if t.Value >= low*0.999 && t.Value <= high*1.001 {
				marks = append(marks, t)
			}
		}
	}
	y.Min, y.Max, y.Tick.Marker = low, high, marks
}

// roundDown and roundUp go to the next 1, 2 or 5 times a power of ten.
func roundDown(v float64) float64 {
	decade := math.Pow(10, math.Floor(math.Log10(v)))
	for _, n := range []float64{5, 2} {
		if n*decade <= v {
			return n * decade
		}
	}
	return decade
}

func roundUp(v float64) float64 {
	decade := math.Pow(10, math.Floor(math.Log10(v)))
	for _, n := range []float64{1, 2, 5} {
		if n*decade >= v {
			return n * decade
		}
	}
	return 10 * decade
}

// at is the phase's response time at a percentile, in ms.
func (p phase) at(q percentile) float64 {
	if q.of == 100 {
		return float64(p.response.Max()) / 1000
	}
	return float64(p.response.ValueAtQuantile(q.of)) / 1000
}

// responses draws a phase's line, with a marker at each percentile that has a name.
func (f *frame) responses(p phase) {
	if p.response.TotalCount() == 0 {
		return
	}
	in, look := ink("of-"+p.name), looks[p.name]
	var points []vg.Point
	for _, q := range percentiles {
		points = append(points, vg.Point{X: f.x(q.place), Y: f.y(p.at(q))})
	}
	f.stroke(in, thick, look.dash, points...)
	for i, q := range percentiles {
		if q.name != "" {
			f.canvas.title = fmt.Sprintf("%s, %s: %s ms", p.name, q.name, numeral(p.at(q)))
			marker(f.area, in, look.corners, points[i])
		}
	}
}

func marker(c draw.Canvas, in ink, corners []vg.Point, at vg.Point) {
	shape := make([]vg.Point, len(corners))
	for i, corner := range corners {
		shape[i] = corner.Add(at)
	}
	c.FillPolygon(in, shape)
}

// legend names a phase at x, above the plot, and returns where there is room again.
func (f *frame) legend(x vg.Length, p phase) vg.Length {
	const sample = vg.Length(26)
	in, look := ink("of-"+p.name), looks[p.name]
	y := f.canvas.height - lineHeight/2
	f.stroke(in, thick, look.dash, vg.Point{X: x, Y: y}, vg.Point{X: x + sample, Y: y})
	marker(f.area, in, look.corners, vg.Point{X: x + sample/2, Y: y})
	says := p.name + " (" + numeral(float64(p.response.TotalCount())) + ")"
	if p.response.TotalCount() == 0 {
		says = p.name + ": none"
	}
	f.say(x+sample+beside, y-descent, text.XLeft, says)
	return x + sample + beside + f.width(says) + 3*beside
}

// hung says what no line shows: operations without an end have no response time.
func (s *series) hung() string {
	var failed, hung int64
	for _, p := range s.phases {
		failed, hung = failed+p.failed, hung+p.hung
	}
	var says []string
	if hung > 0 {
		says = append(says, unplotted(hung, "unfinished"))
	}
	if failed > 0 {
		says = append(says, unplotted(failed, "failed"))
	}
	if says == nil {
		return ""
	}
	return strings.Join(says, ", ") + " not plotted"
}

// unplotted is "60 unfinished operations".
func unplotted(n int64, which string) string { return words.Plural(n, which+" operation") }

func responseInWords(s *series) string {
	words := "Response times at 50%, 99% and at most, in ms: " + s.phaseFigures(func(p phase) string {
		if p.response.TotalCount() == 0 {
			return "none"
		}
		return fmt.Sprintf("%s, %s and %s", numeral(p.at(percentiles[0])), numeral(p.at(percentiles[5])),
			numeral(p.at(percentiles[9])))
	}) + "."
	if hung := s.hung(); hung != "" {
		words += " " + hung + "."
	}
	return words
}
