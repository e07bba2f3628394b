package report

import (
	"encoding/json"
	"io"

	"github.com/lockjam/lockjam/harness"
)

// JSON writes the run as run.json has it (schema lockjam/run/v1).
func JSON(w io.Writer, r *harness.Run) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
