package runner

import (
	"fmt"
	"strings"
	"testing"
)

// What grep lets through does not depend on how the output arrives.
func TestGrep(t *testing.T) {
	text := "OK\n1.2 [0 x] \"SET\" \"lock:a\"\nSET lock:a\n\nlast SET lock:b without an end"
	for size := 1; size <= len(text); size++ {
		g := &grep{pattern: []byte("SET lock:")}
		for from := 0; from < len(text); from += size {
			part := text[from:min(from+size, len(text))]
			if n, err := g.Write([]byte(part)); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		if g.lines != 3 || g.matches != 1 || string(g.head) != text {
			t.Fatalf("in pieces of %d: %d lines, %d matches, %q", size, g.lines, g.matches, g.head)
		}
	}
	g := &grep{pattern: []byte("x")}
	for range 100 {
		fmt.Fprint(g, strings.Repeat("y", 4096))
	}
	if len(g.rest) > 64<<10 || len(g.head) != maxHead {
		t.Errorf("keeps %d bytes of a line without an end, and %d of all", len(g.rest), len(g.head))
	}
}
