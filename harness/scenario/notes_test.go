package scenario

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/scenarios"
)

func TestNotes(t *testing.T) {
	for _, c := range []struct {
		name, source string
		want         []Note
	}{
		{"none", "name: x\n", nil},
		{"no sections", "# Why\n#\n# and how.\n\n# not this\nname: x\n", []Note{{"", "Why\n\nand how."}}},
		// What speaks to an editor is no text, wherever it stands.
		{"for editors", "# yaml-language-server: $schema=x.json\n\n#\n# Why\n# $schema: y.json\nname: x\n",
			[]Note{{"", "Why"}}},
		{"sections", "# Lead.\n#\n# Mechanism:\n#\n# One\n# two.\n#\n# Take away:\n# Three.\nname: x\n",
			[]Note{{"", "Lead."}, {"Mechanism", "One\ntwo."}, {"Take away", "Three."}}},
		{"text behind the heading", "# In the wild: a report\n# of it\n", []Note{{"In the wild", "a report\nof it"}}},
		{"a margin", "# Mechanism:\n#   One:\n#\n#       a --> b\n#\n# Take away:\n#   Three.\n",
			[]Note{{"Mechanism", "One:\n\n    a --> b"}, {"Take away", "Three."}}},
		// What looks like a heading inside of a drawing is drawn.
		{"a drawing", "# Mechanism:\n#     ^\n#   Known as: c\n#\n", []Note{{"Mechanism", "  ^\nKnown as: c"}}},
		{"a heading of the user's", "# Mechanism: m\n# See also: s\n", []Note{{"Mechanism", "m\nSee also: s"}}},
		{"without text", "# Known as:\nname: x\n", []Note{{"Known as", ""}}},
		{"Windows, and no space", "\uFEFF#Mechanism:\r\n#m  \r\nname: x\r\n", []Note{{"Mechanism", "m"}}},
		{"a second document marker", "# Lead.\n---\n# not this\nname: x\n", []Note{{"", "Lead."}}},
	} {
		got := (&Scenario{Source: []byte(c.source)}).Notes()
		if len(got) == 0 {
			got = nil
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestCopy(t *testing.T) {
	for _, c := range []struct{ name, source, want string }{
		{"plain", minimal, "# yaml-language-server: $schema=s.json\n" + strings.Replace(minimal, "minimal", "mine", 1)},
		{"quoted, with comments", "# Why\n\"title\": \"t\"\nname: 'minimal' # a name\nserver: {maxclients: 8}\narms: [{name: control}]\n",
			"# yaml-language-server: $schema=s.json\n# Why\n\"title\": \"t\"\nname: mine # a name\nserver: {maxclients: 8}\narms: [{name: control}]\n"},
		{"another schema", "# yaml-language-server: $schema=../old.json\n#\n# Why\n" + minimal,
			"# yaml-language-server: $schema=s.json\n#\n# Why\n" + strings.Replace(minimal, "minimal", "mine", 1)},
		{"a schema further down", "\uFEFF# Why\n\n# yaml-language-server: $schema=old.json\n" + minimal,
			"# yaml-language-server: $schema=s.json\n# Why\n\n" + strings.Replace(minimal, "minimal", "mine", 1)},
		// Only the scenario's own name is replaced.
		{"other names", strings.Replace(minimal, "name: minimal", "summary: |\n  name: x\nname: minimal", 1),
			"# yaml-language-server: $schema=s.json\n" +
				strings.Replace(minimal, "name: minimal", "summary: |\n  name: x\nname: mine", 1)},
	} {
		got, err := mustParse(t, c.source).Copy("mine", "s.json")
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %v\n%s\nwant\n%s", c.name, err, got, c.want)
		}
	}
	flow := mustParse(t, `{name: minimal, title: t, server: {maxclients: 8}, arms: [{name: control}]}`)
	if _, err := flow.Copy("mine", "s.json"); err == nil || !strings.Contains(err.Error(), "x.yaml: cannot rename it") {
		t.Errorf("flow style: %v", err)
	}
	if _, err := mustParse(t, minimal).Copy("No Name", "s.json"); err == nil ||
		!strings.HasPrefix(err.Error(), `"No Name": want lower-case`) {
		t.Errorf("a bad name: %v", err)
	}
}

// What the catalogue says of a failure it says in full: CONTRIBUTING.md, "How to add
// a scenario".
func TestEveryScenarioSaysWhy(t *testing.T) {
	for _, name := range scenarios.Names {
		source, err := scenarios.Files.ReadFile(name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if first, _, _ := strings.Cut(string(source), "\n"); first != SchemaLine("./"+scenarios.SchemaFile) {
			t.Errorf("%s: the first line is %q, want %q", name, first, SchemaLine("./"+scenarios.SchemaFile))
		}
		var headings []string
		for _, note := range (&Scenario{Source: source}).Notes() {
			if note.Heading != "" { // a line or two may lead
				headings = append(headings, note.Heading)
			}
			if note.Text == "" {
				t.Errorf("%s: nothing stands under %q", name, note.Heading)
			}
			for line := range strings.Lines(note.Text) {
				// An address cannot be broken.
				if n := len([]rune(strings.TrimSpace(line))); n > 84 && len(strings.Fields(line)) > 1 {
					t.Errorf("%s: a line of %d characters under %q, want at most 84", name, n, note.Heading)
				}
			}
		}
		if !slices.Equal(headings, Headings) {
			t.Errorf("%s: the comment at the top has the sections %q, want %q", name, headings, Headings)
		}
	}
}
