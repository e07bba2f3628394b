package report

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/lockjam/lockjam/harness/result"
)

// JSON writes the run as run.json has it (schema lockjam/run/v1).
func JSON(w io.Writer, r *result.Run) error { return encode(w, r) }

// encode writes JSON that is safe to look at on a terminal.
func encode(w io.Writer, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("report: json: %w", err)
	}
	_, err = w.Write(append(escapeUnseen(text), '\n'))
	return err
}
