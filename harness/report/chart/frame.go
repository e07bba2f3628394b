package chart

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Lengths in units of the viewBox, of which a chart is 480 wide: small enough that
// its text can be read on a phone.
const (
	chartWidth  = vg.Length(480)
	plotHeight  = vg.Length(130) // with the axis
	leftMargin  = vg.Length(38)  // the same in all charts, so that they line up
	rightMargin = vg.Length(6)
	lineHeight  = vg.Length(12) // of text
	descent     = vg.Length(3)  // of its letters
	hairline    = vg.Length(0.5)
	thick       = vg.Length(1.5)
)

var (
	sans   = font.Font{Typeface: "Liberation", Variant: "Sans", Size: 10}
	dashed = []vg.Length{5, 3}
	dotted = []vg.Length{1.5, 2.5}
)

// frame is a chart without its data. It has gonum's axes and scales; around them are
// rows for text.
type frame struct {
	canvas *canvas
	plot   *plot.Plot
	style  text.Style
	all    draw.Canvas // that the axes and the data may fill
	area   draw.Canvas // the data's part of it
}

// newFrame is a frame in our style.
func newFrame() *frame {
	p := plot.New()
	p.BackgroundColor = nil
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.LineStyle = draw.LineStyle{Color: ink("axis"), Width: 1}
		axis.Padding = 0
		axis.Tick.Label.Color = ink("label")
		axis.Tick.Label.Font = sans
		axis.Tick.LineStyle = axis.LineStyle
		axis.Tick.Length = 3
	}
	// Values are read off at lines through the chart.
	p.Y.Width, p.Y.Tick.Length = 0, 0
	return &frame{plot: p}
}

// spread puts the frame on a canvas of its own, with so many rows above the plot and
// below it. What is where from left to right does not depend on rows.
func (f *frame) spread(alt string, above, below int) {
	c := newCanvas(chartWidth, plotHeight+lineHeight*vg.Length(above+below), alt)
	w := writer{Plain: text.Plain{Fonts: font.DefaultCache}, to: c}
	f.plot.X.Tick.Label.Handler, f.plot.Y.Tick.Label.Handler = w, w
	f.style = text.Style{Color: ink("label"), Font: sans, Handler: w}
	f.canvas = c
	f.all = draw.Crop(draw.NewCanvas(c, c.width, c.height), 0, -rightMargin, lineHeight*vg.Length(below),
		-lineHeight*vg.Length(above))
	f.all.Min.X += leftMargin - f.plot.DataCanvas(f.all).Min.X
	f.area = f.plot.DataCanvas(f.all)
}

// axes draws them, and a line at each value of the vertical one: a stronger one where
// it has a name.
func (f *frame) axes() {
	f.plot.Draw(f.all)
	var named, others [][]vg.Point
	for _, t := range f.plot.Y.Tick.Marker.Ticks(f.plot.Y.Min, f.plot.Y.Max) {
		y := f.y(t.Value)
		across := []vg.Point{{X: f.area.Min.X, Y: y}, {X: f.area.Max.X, Y: y}}
		switch {
		case y < f.area.Min.Y+1: // the axis
		case t.IsMinor():
			others = append(others, across)
		default:
			named = append(named, across)
		}
	}
	f.lines(draw.LineStyle{Color: ink("grid"), Width: hairline}, named)
	f.lines(draw.LineStyle{Color: ink("grid"), Width: hairline, Dashes: dotted}, others)
}

// lines draws several as one path.
func (f *frame) lines(style draw.LineStyle, lines [][]vg.Point) {
	var path vg.Path
	for _, l := range lines {
		path.Move(l[0])
		for _, p := range l[1:] {
			path.Line(p)
		}
	}
	f.area.SetLineStyle(style)
	if len(path) > 0 {
		f.area.Stroke(path)
	}
}

func (f *frame) x(v float64) vg.Length { return f.area.X(f.plot.X.Norm(v)) }
func (f *frame) y(v float64) vg.Length { return f.area.Y(f.plot.Y.Norm(v)) }

// stroke draws a line.
func (f *frame) stroke(in ink, width vg.Length, dash []vg.Length, points ...vg.Point) {
	f.lines(draw.LineStyle{Color: in, Width: width, Dashes: dash}, [][]vg.Point{points})
}

// upright draws a line from bottom to top.
func (f *frame) upright(in ink, dash []vg.Length, x, top vg.Length) {
	f.stroke(in, 1, dash, vg.Point{X: x, Y: f.area.Min.Y}, vg.Point{X: x, Y: top})
}

// say writes a text, with its foot at y.
func (f *frame) say(x, y vg.Length, align text.XAlignment, txt string) {
	f.canvas.SetColor(f.style.Color)
	f.canvas.write(txt, vg.Point{X: x, Y: y}, align)
}

// width is how much room a text needs. The page's font may be wider than the one that
// is measured here.
func (f *frame) width(txt string) vg.Length { return 1.12 * f.style.Width(txt) }

// figure is what the frame has become.
func (f *frame) figure(id, title, alt string) Figure {
	return Figure{ID: id, Title: title, Alt: alt, SVG: template.HTML(f.canvas.close())}
}

// label is a text beside a place on the horizontal axis.
type label struct {
	x    vg.Length
	text string
	row  int // from the top
	left bool
}

// beside is the room between a place and its text.
const beside = vg.Length(4)

// pack gives each label a row in which it overlaps no other and returns how many rows
// that takes. The labels are in the order of x. Those that would leave the chart are
// written to the left of their place. With stairs, a row is only used until the next
// one has begun, so that a line from a label down to the plot crosses no other text.
func (f *frame) pack(labels []label, stairs bool) int {
	var ends []vg.Length
	for i := range labels {
		l := &labels[i]
		width := f.width(l.text)
		from, to := l.x-beside, l.x+beside+width
		if l.left = to > f.area.Max.X; l.left {
			from, to = l.x-beside-width, l.x+beside
		}
		l.row = 0
		if stairs {
			l.row = max(len(ends)-1, 0)
		}
		for l.row < len(ends) && ends[l.row] > from {
			l.row++
		}
		if l.row == len(ends) {
			ends = append(ends, 0)
		}
		ends[l.row] = to
	}
	return len(ends)
}

// write writes a label into its row, of which the first one's upper edge is at top.
func (f *frame) write(l label, top vg.Length) {
	x, align := l.x+beside, text.XLeft
	if l.left {
		x, align = l.x-beside, text.XRight
	}
	f.say(x, top-lineHeight*vg.Length(l.row+1)+descent, align, l.text)
}

// ticks are round numbers from 0 to top, at most so many steps of them.
func ticks(top float64, most int, unit string) plot.ConstantTicks {
	decade := math.Pow(10, math.Floor(math.Log10(top/float64(most))))
	step := decade
	for _, n := range []float64{1, 2, 5, 10} {
		if step = n * decade; top/step <= float64(most) {
			break
		}
	}
	var some plot.ConstantTicks
	for i := 0; float64(i)*step <= top; i++ {
		some = append(some, plot.Tick{Value: float64(i) * step, Label: numeral(float64(i)*step) + unit})
	}
	return some
}

// numeral writes a figure with three digits or so.
func numeral(v float64) string {
	switch {
	case v >= 1e9:
		return strconv.FormatFloat(v/1e9, 'g', 3, 64) + "G"
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'f', 1, 64) + "M"
	case v >= 1e4:
		return strconv.FormatFloat(v/1e3, 'f', 0, 64) + "k"
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// moment writes a moment or a length of time.
func moment(d time.Duration) string {
	if d >= 100*time.Second {
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
