package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/lockjam/lockjam/harness/result"
)

// documented is what docs/events.md says of a kind.
type documented struct {
	fields  map[string]bool // to whether it is always there
	example string
}

const everyEvent = "Every event"

// events reads docs/events.md.
func events(t *testing.T) map[string]documented {
	t.Helper()
	row := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (.*) \\|$")
	example := regexp.MustCompile("(?s)```json\n(.*?)\n```")
	kinds := map[string]documented{}
	for _, section := range strings.Split(readFile(t, "../../docs/events.md"), "\n## ")[1:] {
		name, text, _ := strings.Cut(section, "\n")
		d := documented{fields: map[string]bool{}}
		for _, m := range row.FindAllStringSubmatch(text, -1) {
			d.fields[m[1]] = !strings.Contains(m[2], "(may be left out)")
		}
		if m := example.FindStringSubmatch(text); m != nil {
			d.example = m[1]
		}
		kinds[strings.Trim(name, "`")] = d
	}
	return kinds
}

// differs says how a line is not what the documentation says.
func differs(t *testing.T, kinds map[string]documented, s *jsonschema.Schema, line string) []string {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
	if err != nil {
		return []string{err.Error()}
	}
	var wrong []string
	if err := s.Validate(v); err != nil {
		wrong = append(wrong, err.Error())
	}
	e := v.(map[string]any)
	kind, _ := e["event"].(string)
	d, known := kinds[kind]
	if !known {
		return append(wrong, "its kind is not documented")
	}
	fields := maps.Clone(d.fields)
	for name, always := range kinds[everyEvent].fields {
		arms := slices.Contains([]string{"scenario", "arm", "image", "repeat"}, name)
		if !arms || !strings.HasPrefix(kind, "run-") {
			fields[name] = always
		}
	}
	for name := range e {
		if _, ok := fields[name]; !ok {
			wrong = append(wrong, "field "+name+" is not documented")
		}
	}
	for name, always := range fields {
		if _, there := e[name]; always && !there {
			wrong = append(wrong, "field "+name+" is missing")
		}
	}
	return wrong
}

// What a real run prints is what docs/events.md and the schema beside it say, and their
// examples are what a run may print.
func TestEventsAreDocumented(t *testing.T) {
	s, err := jsonschema.NewCompiler().Compile("../../docs/events.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	kinds := events(t)
	for _, kind := range result.EventKinds {
		d := kinds[string(kind)]
		if !strings.HasPrefix(d.example, `{"event":"`+string(kind)+`",`) {
			t.Errorf("%s has no example: %q", kind, d.example)
			continue
		}
		if wrong := differs(t, kinds, s, d.example); len(wrong) > 0 {
			t.Errorf("the example of %s: %q", kind, wrong)
		}
	}
	if len(kinds) != len(result.EventKinds)+1 {
		t.Errorf("%d kinds are documented, and there are %d", len(kinds)-1, len(result.EventKinds))
	}
	h := newHouse(t)
	cmd := h.command("run", "short.yaml", "--server", "process", "--json")
	out, err := cmd.Output()
	stdout := string(out)
	inconclusive := err != nil // on a machine that is busy with other tests it may be
	if inconclusive {
		h.ends(err, 2, "%s", stdout)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(stdout) {
		if wrong := differs(t, kinds, s, line); len(wrong) > 0 {
			t.Fatalf("%q: %s", wrong, line)
		}
		kind, _, _ := strings.Cut(strings.TrimPrefix(line, `{"event":"`), `"`)
		seen[kind] = true
	}
	for _, kind := range result.EventKinds {
		// These two come where something goes wrong.
		if !inconclusive && !seen[string(kind)] && kind != result.NoteEvent && kind != result.ArmRepeated {
			t.Errorf("no event %s", kind)
		}
	}
}
