package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Unseen reports whether a character is invisible, and may act upon a terminal or turn the
// direction of text: controls, format characters, and separators of lines.
func Unseen(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}

// Printable is a text for a terminal: line ends and tabs stay, every other character
// that is invisible is marked. File names, answers of servers and scenario files come
// from elsewhere.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if Unseen(r) && r != '\n' && r != '\t' {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
}
