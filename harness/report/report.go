// Package report turns a judged run, or a comparison of two, into something to read. It chooses
// among the formats, and has the small ones: text, JSON and GitHub's. What the formats say
// is computed once, in package view; html (with chart), markdown and junit render it.
package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/lockjam/lockjam/harness/compare"
	"github.com/lockjam/lockjam/harness/report/html"
	"github.com/lockjam/lockjam/harness/report/junit"
	"github.com/lockjam/lockjam/harness/report/markdown"
	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
)

// formats are the ways to write something, sorted by name.
type formats[T any] []struct {
	name  string
	write func(io.Writer, T) error
}

var ofRuns = formats[*view.Run]{
	{"github", func(w io.Writer, v *view.Run) error { return github(w, w, v) }},
	{"html", html.Write},
	{"json", func(w io.Writer, v *view.Run) error { return encode(w, v.Run) }}, // run.json, as it is recorded
	{"junit", junit.Write},
	{"markdown", markdown.Write},
}

var ofComparisons = formats[*view.Comparison]{
	{"html", html.Compare},
	{"json", func(w io.Writer, c *view.Comparison) error { return encode(w, c.Comparison) }}, // with every row
	{"markdown", markdown.Compare},
	{"text", compareText},
}

func (all formats[T]) names() []string {
	var names []string
	for _, f := range all {
		names = append(names, f.name)
	}
	return names
}

func (all formats[T]) write(w io.Writer, name string, what T) error {
	for _, f := range all {
		if f.name == name {
			return f.write(w, what)
		}
	}
	return fmt.Errorf("%w: unknown format %q (available: %s)", result.ErrUsage, name, strings.Join(all.names(), ", "))
}

// Formats lists the names that Write takes.
func Formats() []string { return ofRuns.names() }

// Write writes the run in a format by name.
func Write(w io.Writer, name string, r *result.Run) error { return ofRuns.write(w, name, view.Of(r)) }

// ComparisonFormats lists the names that WriteComparison takes.
func ComparisonFormats() []string { return ofComparisons.names() }

// WriteComparison writes a comparison in a format by name.
func WriteComparison(w io.Writer, name string, c *compare.Comparison) error {
	return ofComparisons.write(w, name, view.OfComparison(c))
}
