package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf16"

	"github.com/lockjam/lockjam/harness/text"
)

// encode writes JSON that is safe to look at on a terminal.
func encode(w io.Writer, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("report: json: %w", err)
	}
	_, err = w.Write(append(escapeUnseen(data), '\n'))
	return err
}

// escapeUnseen writes the invisible characters of a JSON text as JSON escapes
// them: they stand in strings alone, and may come to a terminal.
func escapeUnseen(data []byte) []byte {
	hidden := func(r rune) bool { return text.Unseen(r) && r != '\n' }
	if !bytes.ContainsFunc(data, hidden) {
		return data
	}
	var b bytes.Buffer
	for _, r := range string(data) {
		if !hidden(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, "\\u%04x", unit)
		}
	}
	return b.Bytes()
}
