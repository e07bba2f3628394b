package text

import (
	"fmt"
	"strings"
	"testing"
)

func TestGrouped(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 21654: "21,654", -1234567: "-1,234,567"} {
		if got := Grouped(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestFirstOf(t *testing.T) {
	var words []string
	for i := range 3000 {
		words = append(words, fmt.Sprint("w", i))
	}
	if got := FirstOf(words, ", ", 30); !strings.HasPrefix(got, "w0, w1, ") ||
		!strings.HasSuffix(got, "w29 and 2970 more") || len(got) > 200 {
		t.Error(got)
	}
	if got := FirstOf(words[:30], ", ", 30); !strings.HasSuffix(got, "w28, w29") {
		t.Error(got)
	}
}

func TestPlural(t *testing.T) {
	for want, got := range map[string]string{"1 lock": Plural(1, "lock"), "0 locks": Plural(int64(0), "lock"),
		"2 classes": Plural(2, "class")} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
