package scenario

import (
	"regexp"
	"slices"
	"strings"
)

// Headings are the sections of the comment at the top of a scenario file, in the
// order in which they should be read: what happens, its standard name, a public
// report of it, why these numbers bring it about every time, and what to do about
// it. A file of the user's need not have them.
var Headings = []string{"Mechanism", "Known as", "In the wild", "Why it reproduces", "Take away"}

// Note is one section of that comment.
type Note struct {
	Heading string // one of Headings; "" for what stands before the first
	Text    string // as it stands in the file, without comment signs and margin
}

// Notes are the sections of the first block of comments in the file. A section
// begins at a line with its heading and a colon, at the left margin. Lines that
// speak to an editor are no part of it.
func (s *Scenario) Notes() []Note {
	notes := []Note{{}}
	for _, line := range head(string(s.Source)) {
		heading, rest, colon := strings.Cut(line, ":")
		if colon && slices.Contains(Headings, heading) {
			notes = append(notes, Note{Heading: heading})
			line = strings.TrimPrefix(rest, " ")
		}
		notes[len(notes)-1].Text += line + "\n"
	}
	for i := range notes {
		notes[i].Text = strings.Trim(dedent(notes[i].Text), "\n")
	}
	return slices.DeleteFunc(notes, func(n Note) bool { return n.Heading == "" && n.Text == "" })
}

// dedent takes the margin away that all lines have. What is drawn stays as it is.
func dedent(text string) string {
	margin := ""
	for i, line := range slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return l == "" }) {
		spaces := line[:len(line)-len(strings.TrimLeft(line, " "))]
		if i == 0 || len(spaces) < len(margin) {
			margin = spaces
		}
	}
	return strings.TrimPrefix(strings.ReplaceAll("\n"+text, "\n"+margin, "\n"), "\n")
}

// checkHead are the lines of the first block of comments, as they follow the comment
// sign and a space.
func head(source string) []string {
	var lines []string
	for line := range strings.Lines(strings.TrimPrefix(source, "\uFEFF")) {
		line = strings.TrimRight(line, " \t\r\n")
		text, comment := strings.CutPrefix(line, "#")
		switch {
		case forEditors.MatchString(line), line == "" && len(lines) == 0:
		case !comment:
			return lines
		default:
			lines = append(lines, strings.TrimPrefix(text, " "))
		}
	}
	return lines
}

// forEditors is a line that says where the JSON Schema of its file is.
var forEditors = regexp.MustCompile(`^#[ \t]*(yaml-language-server:|\$schema:)`)
