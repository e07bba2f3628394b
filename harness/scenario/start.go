package scenario

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"
)

//go:embed start.yaml
var start []byte

// Start is the scenario that a new one begins as: small, whole, and with a comment
// on each of its parts.
func Start() (*Scenario, error) { return Parse("start.yaml", start) }

var (
	// A line for editors among the comments that a file begins with.
	schemaLine = regexp.MustCompile(`\A((?:[ \t]*(?:#.*)?\r?\n)*?)#[ \t]*(?:yaml-language-server:[ \t]*\$schema=|\$schema:).*(?:\r?\n|\z)`)
	// The name of a scenario that is not in flow style.
	nameLine = regexp.MustCompile(`(?m)^(name:[ \t]*)("[^"\n]*"|'[^'\n]*'|[^\s#'">|]+)`)
)

// SchemaLine is the first line of a scenario file: editors find the JSON Schema
// there, by a URL or by a path from where the file is.
func SchemaLine(at string) string { return "# yaml-language-server: $schema=" + at }

// Copy is the text of a scenario's file under another name, for a scenario that
// begins as a copy. Its JSON Schema is at a URL, or at a path from where the copy
// will be.
func (s *Scenario) Copy(name, schemaAt string) ([]byte, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	text := strings.TrimPrefix(string(s.Source), "\uFEFF")
	text = SchemaLine(schemaAt) + "\n" + schemaLine.ReplaceAllString(text, "$1")
	if at := nameLine.FindStringSubmatchIndex(text); at != nil {
		text = text[:at[4]] + name + text[at[5]:]
	}
	copied, err := Parse(s.Path, []byte(text))
	if err != nil {
		return nil, err
	}
	if copied.Name != name {
		return nil, fmt.Errorf("%s: cannot rename it: no line begins with name: and has the name behind it", s.Path)
	}
	return []byte(text), nil
}
