package text

import "strings"

// PageWidth is what fits every terminal.
const PageWidth = 80

// Wrap breaks a paragraph into lines of at most width characters, where its
// words are not longer.
func Wrap(s string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
