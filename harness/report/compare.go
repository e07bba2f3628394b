package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/lockjam/lockjam/harness/compare"
	"github.com/lockjam/lockjam/harness/report/html"
	"github.com/lockjam/lockjam/harness/report/markdown"
	"github.com/lockjam/lockjam/harness/result"
)

// comparisons lists the formats of a comparison, sorted by name.
var comparisons = []struct {
	name  string
	write func(io.Writer, *compare.Comparison) error
}{
	{"html", html.Compare},
	{"json", compareJSON},
	{"markdown", markdown.Compare},
	{"text", compareText},
}

// ComparisonFormats lists the names that WriteComparison takes.
func ComparisonFormats() []string {
	var names []string
	for _, f := range comparisons {
		names = append(names, f.name)
	}
	return names
}

// WriteComparison writes a comparison in a format by name.
func WriteComparison(w io.Writer, name string, c *compare.Comparison) error {
	for _, f := range comparisons {
		if f.name == name {
			return f.write(w, c)
		}
	}
	return fmt.Errorf("%w: unknown format %q (available: %s)", result.ErrUsage, name,
		strings.Join(ComparisonFormats(), ", "))
}
