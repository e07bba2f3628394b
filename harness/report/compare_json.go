package report

import (
	"io"

	"github.com/lockjam/lockjam/harness/compare"
)

// compareJSON writes a comparison for machines (schema lockjam/comparison/v1), with
// every row that was compared.
func compareJSON(w io.Writer, c *compare.Comparison) error { return encode(w, c) }
