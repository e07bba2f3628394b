package report

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/lockjam/lockjam/harness/text"
)

// escapeUnseen writes the characters of a JSON text that nobody sees as JSON escapes
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

// longest is what tables and lists show of a text, in characters: a server's answer
// may be of any length, and run.json has the whole.
const longest = 600

// markup are the characters that mean something to Markdown, to HTML, or to GitHub's
// renderer, which knows formulas and strikes out. What a server or a scenario file says
// is text, never markup.
var markup = strings.NewReplacer("\\", "\\\\", "|", "\\|", "<", "&lt;", ">", "&gt;", "&", "&amp;", "`", "\\`", "[", "\\[", "]", "\\]",
	"*", "\\*", "~", "\\~", "$", "\\$")

// cell is text for Markdown, on one line and cut to the longest. What is between two
// pairs of stars is bold.
func cell(s string) string {
	s = shorten(s)
	if strings.HasPrefix(s, "**") && strings.HasSuffix(s, "**") && len(s) > 4 {
		return "**" + words(s[2:len(s)-2]) + "**"
	}
	return words(s)
}

// words is text for Markdown, on one line.
func words(s string) string { return mention.Replace(underscores(markup.Replace(plain(s)))) }

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

// longestName is what lists show of a name, in characters.
const longestName = 80

// code is for a name between backticks, where nothing but a backtick is special.
func code(s string) string { return strings.ReplaceAll(cut(plain(s), longestName), "`", "'") }

// plain makes one line of a text, of what a person can see: control characters are
// blanks, and what would turn the direction of text or is no character is marked.
func plain(s string) string {
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
func shorten(s string) string { return cut(s, longest) }

// cut leaves the first n characters of a text, with a sign that there was more.
func cut(s string, n int) string {
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
