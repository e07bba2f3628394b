package markdown

import (
	"strings"
	"unicode"

	"github.com/lockjam/lockjam/harness/report/view"
)

// markup are the characters that mean something to Markdown, to HTML, or to GitHub's
// renderer, which knows formulas and strikes out. What a server or a scenario file says
// is text, never markup.
var markup = strings.NewReplacer("\\", "\\\\", "|", "\\|", "<", "&lt;", ">", "&gt;", "&", "&amp;", "`", "\\`", "[",
	"\\[", "]", "\\]",
	"*", "\\*", "~", "\\~", "$", "\\$")

// cell is text for Markdown, on one line and cut to the longest. What is between two
// pairs of stars is bold.
func cell(s string) string {
	s = view.Cut(s, view.Longest)
	if strings.HasPrefix(s, "**") && strings.HasSuffix(s, "**") && len(s) > 4 {
		return "**" + words(s[2:len(s)-2]) + "**"
	}
	return words(s)
}

// words is text for Markdown, on one line.
func words(s string) string { return mention.Replace(underscores(markup.Replace(view.Plain(s)))) }

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
