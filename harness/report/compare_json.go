package report

import (
	"encoding/json"
	"io"

	"github.com/lockjam/lockjam/harness/compare"
)

// CompareJSON writes a comparison for machines (schema lockjam/comparison/v1), with
// every row that was compared.
func CompareJSON(w io.Writer, c *compare.Comparison) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(c)
}
