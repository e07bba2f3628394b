// Package chart draws what an arm recorded: goodput, response times and clients over time, as SVG.
package chart

import (
	"html/template"
	"math"
	"slices"
	"strconv"

	"github.com/lockjam/lockjam/harness/result"
)

// Figure is one chart of an arm, ready for the page.
type Figure struct {
	ID    string        // goodput, clients, rejections or response: unique within an arm
	Title string        // with the unit
	Alt   string        // what it shows in a sentence, with figures, for screen readers; not escaped
	SVG   template.HTML // one svg element of class chart; it scales with its box, and CSS colours it
	Hover *hover        // values under the cursor; nil where there is none
}

// hover is what a script needs to show values under the cursor: the plotted area
// in the units of the viewBox, the stretch of time that it spans, and the lines in it.
type hover struct {
	Left   decimal     `json:"left"`
	Right  decimal     `json:"right"`
	Top    decimal     `json:"top"`
	Bottom decimal     `json:"bottom"`
	FromMS decimal     `json:"from_ms"`
	ToMS   decimal     `json:"to_ms"`
	Lines  []HoverLine `json:"lines"`
}

// HoverLine has a value for each moment, null where there is none.
type HoverLine struct {
	Name string `json:"name"`
	Unit string `json:"unit"`
	Xs   values `json:"xs_ms"`
	Ys   values `json:"ys"`
}

// decimal is a number that is written with at most one decimal.
type decimal float64

// MarshalJSON never fails.
func (v decimal) MarshalJSON() ([]byte, error) { return appendValue(nil, float64(v)), nil }

// values are written so that a page stays small: with at most one decimal, and NaN,
// which JSON does not have, as null.
type values []float64

// MarshalJSON never fails.
func (v values) MarshalJSON() ([]byte, error) {
	b := append(make([]byte, 0, 8*len(v)+2), '[')
	for i, y := range v {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendValue(b, y)
	}
	return append(b, ']'), nil
}

func appendValue(b []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(b, "null"...)
	}
	return strconv.AppendFloat(b, math.Round(v*10)/10, 'f', -1, 64)
}

// FiguresOf draws the charts of an arm from its history; folder is the run folder.
// Where the history is damaged or missing it returns the figures of what is there,
// and an error that says what is missing.
func FiguresOf(folder string, a result.Arm) ([]Figure, error) {
	s, err := readSeries(folder, a)
	if s == nil {
		return nil, err
	}
	return s.figures(a), err
}

// figures draws the charts for which there is something to show.
func (s *series) figures(a result.Arm) []Figure {
	var all []Figure
	if s.end <= 0 {
		return nil
	}
	all = append(all, goodputChart(s, a))
	if len(s.samples) > 0 {
		all = append(all, clientsChart(s), rejectionsChart(s))
	}
	if slices.ContainsFunc(s.phases, func(p phase) bool { return p.response != nil }) {
		all = append(all, responseChart(s))
	}
	return all
}
