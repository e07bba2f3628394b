package view

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lockjam/lockjam/harness/text"
)

// Longest is what tables and lists show of a text, in characters: a server's answer
// may be of any length, and run.json has the whole.
const Longest = 600

// LongestName is what lists show of a name, in characters.
const LongestName = 80

// Name is a name as lists show it, on one line. It can stand between backticks, where nothing
// but a backtick is special.
func Name(s string) string { return strings.ReplaceAll(Cut(Plain(s), LongestName), "`", "'") }

// Plain makes one line of a text, of what a person can see: control characters are
// blanks, and what would turn the direction of text or is no character is marked.
func Plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Cf, r):
			return utf8.RuneError
		case text.Unseen(r):
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
}

// Cut leaves the first n characters of a text, with a sign that there was more.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n--; n < 0 {
			return s[:i] + "…"
		}
	}
	return s
}
