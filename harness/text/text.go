package text

import (
	"fmt"
	"strconv"
	"strings"
)

// AnyOf is "the one failure" and "any of 3 failures".
func AnyOf(n int, what string) string {
	if n == 1 {
		return "the one " + what
	}
	return fmt.Sprintf("any of %d %ss", n, what)
}

func Lower(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// List is "a", "a and b", "a, b and c".
func List(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

func FirstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.TrimSpace(line)
}

func Plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// OneLine is an error's text without its line ends.
func OneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// Grouped writes a count with its thousands apart: 21,654.
func Grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
