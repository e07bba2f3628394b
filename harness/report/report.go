// Package report turns a judged run into something to read, one file per format.
package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/lockjam/lockjam/harness/report/html"
	"github.com/lockjam/lockjam/harness/report/junit"
	"github.com/lockjam/lockjam/harness/report/markdown"
	"github.com/lockjam/lockjam/harness/result"
)

// format is one way to write a run.
type format struct {
	name  string
	write func(io.Writer, *result.Run) error
}

// formats lists the catalogue, sorted by name.
var formats = []format{
	{"github", github},
	{"html", html.Write},
	{"json", JSON},
	{"junit", junit.Write},
	{"markdown", markdown.Write},
}

// Formats lists the names that Write takes.
func Formats() []string {
	var names []string
	for _, f := range formats {
		names = append(names, f.name)
	}
	return names
}

// Write writes the run in a format by name.
func Write(w io.Writer, name string, r *result.Run) error {
	for _, f := range formats {
		if f.name == name {
			return f.write(w, r)
		}
	}
	return fmt.Errorf("%w: unknown format %q (available: %s)", result.ErrUsage, name, strings.Join(Formats(), ", "))
}
