// Package text holds the helpers for words and numbers in sentences that several packages need:
// plurals, lists, rounding, wrapping, and what a terminal may print.
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

// Plural is a number of things: "1 lock", "2 locks", "3 processes".
func Plural[N ~int | ~int64](n N, what string) string { return fmt.Sprintf("%d %s", n, Noun(n, what)) }

// Noun is the word for so many things: "lock", "locks".
func Noun[N ~int | ~int64](n N, what string) string {
	switch {
	case n == 1:
		return what
	case strings.HasSuffix(what, "s"):
		return what + "es"
	}
	return what + "s"
}

// FirstOf joins the first words with sep, and says how many more there are.
func FirstOf(words []string, sep string, most int) string {
	if more := len(words) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:most], sep), more)
	}
	return strings.Join(words, sep)
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

func Dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
