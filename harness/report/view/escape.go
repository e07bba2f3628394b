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

// markup are the characters that mean something to Markdown, to HTML, or to GitHub's
// renderer, which knows formulas and strikes out. What a server or a scenario file says
// is text, never markup.
var markup = strings.NewReplacer("\\", "\\\\", "|", "\\|", "<", "&lt;", ">", "&gt;", "&", "&amp;", "`", "\\`", "[",
	"\\[", "]", "\\]",
	"*", "\\*", "~", "\\~", "$", "\\$")

// Cell is text for Markdown, on one line and cut to the longest. What is between two
// pairs of stars is bold.
func Cell(s string) string {
	s = shorten(s)
	if strings.HasPrefix(s, "**") && strings.HasSuffix(s, "**") && len(s) > 4 {
		return "**" + Words(s[2:len(s)-2]) + "**"
	}
	return Words(s)
}

// Words is text for Markdown, on one line.
func Words(s string) string { return mention.Replace(underscores(markup.Replace(Plain(s)))) }

// underscores escapes those that are not within a word, where they mean nothing.
func underscores(s string) string {
	if !strings.Contains(s, "_") {
		return s
	}
	var b strings.Builder
	within := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	all := []rune(s)
	for i, r := range all {
		if r == '_' && (i == 0 || i == len(all)-1 || !within(all[i-1]) || !within(all[i+1])) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// mention keeps a text from calling people: a comment between @ and a name is not shown.
var mention = strings.NewReplacer(" @", " @<!-- -->", "(@", "(@<!-- -->")

// LongestName is what lists show of a name, in characters.
const LongestName = 80

// Code is for a name between backticks, where nothing but a backtick is special.
func Code(s string) string { return strings.ReplaceAll(Cut(Plain(s), LongestName), "`", "'") }

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

// shorten cuts a text to the longest that is shown.
func shorten(s string) string { return Cut(s, Longest) }

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
