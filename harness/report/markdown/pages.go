package markdown

import (
	"fmt"
	"html"
	"strings"

	"github.com/lockjam/lockjam/harness/report/view"
)

// MaxComment is what a comment on GitHub holds, in characters. Here it bounds bytes, of
// which there are never fewer.
const MaxComment = 65_536

// roomForNotice is kept for the line that says what is left out.
const roomForNotice = 1_200

// pages is a document of parts, of which some always stand and the others stand as far
// as there is room, in their order.
type pages struct{ parts []part }

type part struct {
	heading string // parts with the same one stand below it together
	text    string // ends with an empty line
	must    bool
}

// must adds what always stands; nothing, if there is no text.
func (p *pages) must(heading, text string) {
	if text != "" {
		p.parts = append(p.parts, part{heading, text, true})
	}
}

// add adds what can be left out; nothing, if there is no text.
func (p *pages) add(heading, text string) {
	if text != "" {
		p.parts = append(p.parts, part{heading, text, false})
	}
}

// size is what a part takes at most, with its heading.
func (p part) size() int { return len(p.heading) + len("\n\n") + len(p.text) }

// within is the document in at most so many bytes, if what must stand takes no more.
// What does not fit, and what comes after it, is named in the last line.
func (p *pages) within(most int) string {
	free := most - roomForNotice
	for _, one := range p.parts {
		if one.must {
			free -= one.size()
		}
	}
	var b strings.Builder
	var left []part
	last := ""
	for _, one := range p.parts {
		if !one.must {
			if len(left) > 0 || one.size() > free {
				left = append(left, one)
				continue
			}
			free -= one.size()
		}
		if one.heading != last && one.heading != "" {
			b.WriteString(one.heading + "\n\n")
		}
		last = one.heading
		b.WriteString(one.text)
	}
	return b.String() + notice(left, p.parts, most)
}

// notice says what was left out, and where it is.
func notice(left, all []part, most int) string {
	if len(left) == 0 {
		return ""
	}
	var names []string
	count := func(parts []part, heading string) (n int) {
		for _, one := range parts {
			if one.heading == heading {
				n++
			}
		}
		return n
	}
	last := ""
	for _, one := range left {
		if one.heading == last {
			continue
		}
		last = one.heading
		name := strings.TrimLeft(one.heading, "# ")
		if n, of := count(left, last), count(all, last); of > 1 {
			name += fmt.Sprintf(" (%d of %d)", n, of)
		}
		names = append(names, name)
	}
	return fmt.Sprintf("**Left out**, since this report has at most %d characters: %s. All of it is in report.html and run.json of the run.\n", most, strings.Join(names, "; "))
}

// inSummary are characters that some renderers take for Markdown even between HTML tags.
var inSummary = strings.NewReplacer("`", "&#96;", "[", "&#91;", "]", "&#93;", "*", "&#42;", " @", " @<!-- -->")

// folded is text behind a line that opens it. Markdown inside needs the empty lines.
func folded(summary, text string) string {
	return fmt.Sprintf("<details><summary>%s</summary>\n\n%s</details>\n\n",
		inSummary.Replace(html.EscapeString(view.Cut(view.Plain(summary), 2*view.LongestName))), text)
}
