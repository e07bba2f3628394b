package chart

import (
	"fmt"
	"html"
	"image"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// ink is a colour by name. It becomes a class of the SVG, to which CSS gives a
// colour in each theme.
type ink string

// RGBA is black: what the colour is, only the theme knows.
func (ink) RGBA() (r, g, b, a uint32) { return color.Black.RGBA() }

// canvas is gonum's vector canvas, written as small SVG: gonum's own writes colours,
// a size in points and fourteen digits. A unit of the viewBox is a point, coordinates
// have one decimal and the origin is at the top, not at the bottom as in gonum.
type canvas struct {
	upright
	width, height vg.Length
	svg           []byte
	ink           ink
	line          vg.Length
	dash          string
	title         string // of the next thing drawn: what a browser shows when it is pointed at
}

func newCanvas(width, height vg.Length, alt string) *canvas {
	c := &canvas{width: width, height: height, svg: make([]byte, 0, 6<<10)}
	c.svg = fmt.Appendf(c.svg, `<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" role="img" aria-label="%s">`,
		tenths(width), tenths(height), html.EscapeString(clean(alt)))
	return c
}

// close ends the SVG and returns it.
func (c *canvas) close() string { return string(append(c.svg, "</svg>"...)) }

// clean takes out what XML cannot hold, not even escaped.
func clean(s string) string {
	out := []rune(s)
	for i, r := range out {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0xfffe || r == 0xffff {
			out[i] = ' '
		}
	}
	return string(out)
}

// tenths writes a coordinate.
func tenths(v vg.Length) string {
	return strconv.FormatFloat(math.Round(float64(v)*10)/10, 'f', -1, 64)
}

// SetLineWidth is of the lines that Stroke draws from then on; so are the next two.
func (c *canvas) SetLineWidth(w vg.Length) { c.line = w }

func (c *canvas) SetLineDash(pattern []vg.Length, _ vg.Length) {
	c.dash = ""
	for i, l := range pattern {
		if i > 0 {
			c.dash += " "
		}
		c.dash += tenths(l)
	}
}

func (c *canvas) SetColor(to color.Color) {
	c.ink = "label"
	if named, ok := to.(ink); ok {
		c.ink = named
	}
}

// upright is what gonum can ask of a canvas and charts do without: they are in one scale and
// without images, and the drawing sets all that it relies on.
type upright struct{}

func (upright) Rotate(float64)                         {}
func (upright) Translate(vg.Point)                     {}
func (upright) Scale(float64, float64)                 {}
func (upright) Push()                                  {}
func (upright) Pop()                                   {}
func (upright) DrawImage(vg.Rectangle, image.Image)    {}
func (upright) FillString(font.Face, vg.Point, string) {} // texts come by write

// Stroke draws a path as a line.
func (c *canvas) Stroke(p vg.Path) {
	if c.line <= 0 {
		return
	}
	c.svg = append(c.svg, `<path class="s `...)
	c.svg = append(c.svg, c.ink...)
	c.svg = append(c.svg, '"')
	if c.line != 1 {
		c.svg = fmt.Appendf(c.svg, ` stroke-width="%s"`, tenths(c.line))
	}
	if c.dash != "" {
		c.svg = fmt.Appendf(c.svg, ` stroke-dasharray="%s"`, c.dash)
	}
	c.path(p)
}

// Fill draws a path as an area.
func (c *canvas) Fill(p vg.Path) {
	c.svg = append(c.svg, `<path class="f `...)
	c.svg = append(c.svg, c.ink...)
	c.svg = append(c.svg, '"')
	c.path(p)
}

// path writes the way and the end of an element, each step as the difference of two
// rounded places, so that rounding does not add up.
func (c *canvas) path(p vg.Path) {
	c.svg = append(c.svg, ` d="`...)
	var x, y int
	var last byte
	for _, step := range p {
		switch step.Type {
		case vg.MoveComp:
			x, y = c.place(step.Pos)
			c.svg = append(c.svg, 'M')
			c.svg = appendTenths(c.svg, x, false)
			c.svg = appendTenths(c.svg, y, true)
			last = 'M'
		case vg.LineComp:
			toX, toY := c.place(step.Pos)
			last = c.step(toX-x, toY-y, last)
			x, y = toX, toY
		case vg.CloseComp:
			c.svg = append(c.svg, 'z')
			last = 'z'
		}
	}
	c.svg = append(c.svg, '"')
	c.end("path")
}

// step writes one line of a path; where the last step was of the same kind its letter
// is left out.
func (c *canvas) step(dx, dy int, last byte) byte {
	kind := byte('l')
	switch {
	case dy == 0:
		kind = 'h'
	case dx == 0:
		kind = 'v'
	}
	same := kind == last
	if !same {
		c.svg = append(c.svg, kind)
	}
	if kind != 'v' {
		c.svg = appendTenths(c.svg, dx, same)
		same = true
	}
	if kind != 'h' {
		c.svg = appendTenths(c.svg, dy, same)
	}
	return kind
}

// place is a point in tenths from the top left.
func (c *canvas) place(p vg.Point) (x, y int) {
	return int(math.Round(float64(p.X) * 10)), int(math.Round(float64(c.height-p.Y) * 10))
}

// appendTenths writes n tenths; a minus sign sets it apart from the number before.
func appendTenths(b []byte, n int, apart bool) []byte {
	if apart && n >= 0 {
		b = append(b, ' ')
	}
	return strconv.AppendFloat(b, float64(n)/10, 'f', -1, 64)
}

// end ends an element, with its title if it has one.
func (c *canvas) end(element string) {
	if c.title == "" {
		c.svg = append(c.svg, "/>"...)
		return
	}
	c.svg = fmt.Appendf(c.svg, "><title>%s</title></%s>", html.EscapeString(clean(c.title)), element)
	c.title = ""
}

// write writes a text. Its anchor is where gonum aligns it, so that it stays in place
// in whatever font the page has.
func (c *canvas) write(txt string, at vg.Point, align text.XAlignment) {
	class := ink("")
	switch align {
	case text.XCenter:
		class = " m"
	case text.XRight:
		class = " e"
	}
	x, y := c.place(at)
	c.svg = fmt.Appendf(c.svg, `<text class="%s%s" x="%s" y="%s">%s</text>`, c.ink, class,
		appendTenths(nil, x, false), appendTenths(nil, y, false), html.EscapeString(clean(txt)))
}

// writer hands gonum's texts to the canvas, one line each, aligned and not yet measured.
type writer struct {
	text.Plain
	to *canvas
}

// Draw writes what gonum aligns.
func (w writer) Draw(_ vg.Canvas, txt string, sty text.Style, at vg.Point) {
	w.to.SetColor(sty.Color)
	at.Y += w.rise(txt, sty)
	w.to.write(txt, at, sty.XAlign)
}

// rise is how far the foot of the letters lies above the place of the text.
func (w writer) rise(txt string, sty text.Style) vg.Length {
	return sty.Height(txt)*vg.Length(sty.YAlign) + sty.Font.Size - sty.FontExtents().Ascent
}

var _ draw.TextHandler = writer{}
