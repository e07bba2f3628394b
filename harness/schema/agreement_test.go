package schema_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/scenarios"
)

// compiled is the schema of the repository as editors have it.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(scenarios.Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(scenarios.SchemaURL, document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(scenarios.SchemaURL)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// files are scenarios that the loader takes.
func files(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, name := range scenarios.Names {
		source, err := scenarios.Files.ReadFile(name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		all[name] = source
	}
	for _, path := range []string{"harness/scenario/start.yaml", "cmd/lockjam/testdata/short.yaml"} {
		source, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		all[path] = source
	}
	return all
}

// tree is a YAML file as JSON would have it.
func tree(t *testing.T, source []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(source, &v); err != nil {
		t.Fatal(err)
	}
	return normal(t, v)
}

func normal(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	v, err = jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSchemaTakesEveryScenario(t *testing.T) {
	s := compiled(t)
	for name, source := range files(t) {
		if err := s.Validate(tree(t, source)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

const good = `name: mine
title: t
server: {maxclients: 8}
swarm: {instances: 2, arrivals: {tenant: by-worker}}
trigger: {kind: surge, instances: 4}
signals: {deadlock: {expect: fire, within_ms: 100}}
arms:
  - {name: control, remedy: none}
  - {name: live, remedy: raise-maxclients-live, params: {maxclients: "100"}, expect: {verdict: cured, unsafe: false}}
  - {name: jitter, prevention: jitter, claim: P1, swarm: {lock: {backoff: full-jitter}}, expect: {verdict: mitigated}}
`

// What an editor underlines is what `lockjam check` refuses.
func TestBothRefuse(t *testing.T) {
	s := compiled(t)
	if _, err := scenario.Parse("x.yaml", []byte(good)); err != nil || s.Validate(tree(t, []byte(good))) != nil {
		t.Fatalf("%v, %v", err, s.Validate(tree(t, []byte(good))))
	}
	for _, c := range []struct{ why, old, new string }{
		{"an unknown key", "title: t", "title: t\ntitel: t"},
		{"an unknown key further down", "instances: 2", "instance: 2"},
		{"an unknown key in what an arm changes", "backoff: full", "backof: full"},
		{"nothing where a key is required", "title: t\n", ""},
		{"nothing in what is required", "{maxclients: 8}", "{}"},
		{"no arms", good[strings.Index(good, "arms:"):], "arms: []\n"},
		{"an arm without a name", "name: jitter, ", ""},
		{"no name", "name: mine", "name: My Scenario"},
		{"a name that is too long", "name: mine", "name: " + strings.Repeat("x", 65)},
		{"a text for a number", "instances: 2", `instances: "2"`},
		{"a fraction of a worker", "instances: 2", "instances: 2.5"},
		{"a number for a word", "tenant: by-worker", "tenant: 5"},
		{"nothing for a text", "name: mine", "name:"},
		{"a list for a mapping", "{maxclients: 8}", "[8]"},
		{"a mapping for a list", "trigger:", "claims: {A1: true}\ntrigger:"},
		{"too few instances", "instances: 2", "instances: 0"},
		{"too many slots", "maxclients: 8", "maxclients: 100001"},
		{"a directive that a scenario cannot set", "{maxclients: 8}", "{maxclients: 8, config: {slaveof: no one}}"},
		{"an unknown directive", "{maxclients: 8}", "{maxclients: 8, config_if_known: {savee: '1 1'}}"},
		{"a directive twice that redis.conf has once", "{maxclients: 8}",
			"{maxclients: 8, config: {hz: ['10', '20']}}"},
		{"no room for the control connections", "maxclients: 8", "maxclients: 3"},
		{"a range that an arm leaves", "backoff: full-jitter", "poll_ms: 0"},
		{"neither never nor often enough", "trigger:", "watch: {locks_ms: 50}\ntrigger:"},
		{"a word of Go's", "tenant: by-worker", "tenant: each"},
		{"a word of a catalogue's", "kind: surge, instances: 4", "kind: surges"},
		{"a setting of another trigger", "kind: surge", "kind: crash-holders"},
		{"an unknown signal", "{deadlock:", "{dedlock:"},
		{"a signal without an expectation", "expect: fire, within_ms: 100", ""},
		{"a signal's parameter", "within_ms: 100", "params: {ratio: 0.5}"},
		{"an unknown remedy", "remedy: raise-maxclients-live", "remedy: raise-maxclients-life"},
		{"another remedy's parameter", "{maxclients: \"100\"}", "{waves: \"1\"}"},
		{"a parameter without a remedy", "remedy: none", "params: {waves: \"1\"}"},
		{"a list for a parameter", `"100"`, "[100]"},
		{"an unknown claim", "claim: P1", "claim: P9"},
		{"an unknown claim in the list", "trigger:", "claims: [P9]\ntrigger:"},
		{"a prevention's verdict on a remedy", "verdict: cured", "verdict: prevented"},
		{"a remedy's verdict on a prevention", "verdict: mitigated", "verdict: cured"},
		{"an unknown standstill", "trigger:", "incident: {kind: jam}\ntrigger:"},
		{"a text for true", "unsafe: false", "unsafe: maybe"},
	} {
		bad := strings.Replace(good, c.old, c.new, 1)
		if bad == good {
			t.Fatalf("%s: there is no %q", c.why, c.old)
		}
		_, err := scenario.Parse("x.yaml", []byte(bad))
		if err == nil {
			t.Errorf("%s: the loader takes it", c.why)
		}
		if s.Validate(tree(t, []byte(bad))) == nil {
			t.Errorf("%s: the schema takes it; the loader says %v", c.why, err)
		}
	}
}

// setting is one place in a scenario file, and what the schema says of it.
type setting struct {
	path   []string // "[]" for the item that follows the others
	schema *jsonschema.Schema
}

func (s setting) String() string { return strings.Join(s.path, ".") }

// settings are all the places that the schema knows.
func settings(path []string, s *jsonschema.Schema) []setting {
	var all []setting
	for _, key := range slices.Sorted(maps.Keys(s.Properties)) {
		below := append(slices.Clone(path), key)
		all = append(all, setting{below, s.Properties[key]})
		all = append(all, settings(below, s.Properties[key])...)
	}
	if items, ok := s.Items.(*jsonschema.Schema); ok {
		below := append(slices.Clone(path), "[]")
		all = append(all, setting{below, items})
		all = append(all, settings(below, items)...)
	}
	return all
}

// changed is a copy of a scenario in which one setting has another value. What it is
// part of is made where it is missing.
func changed(t *testing.T, base any, path []string, value any) []byte {
	t.Helper()
	root := normal(t, base)
	root = put(root, path, value)
	text, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func put(at any, path []string, value any) any {
	if len(path) == 0 {
		return value
	}
	if path[0] == "[]" {
		list, _ := at.([]any)
		if len(path) == 1 {
			return append(list, value)
		}
		item := map[string]any{"name": "another"}
		return append(list, put(item, path[1:], value))
	}
	m, ok := at.(map[string]any)
	if !ok {
		m = map[string]any{}
	}
	m[path[0]] = put(m[path[0]], path[1:], value)
	return m
}

func typeOf(s *jsonschema.Schema) string {
	if s.Types == nil || s.Types.IsEmpty() {
		return ""
	}
	if types := s.Types.ToStrings(); !slices.Contains(types, "string") {
		return types[0]
	}
	return "string"
}

// values are what is tried at a setting: the ends of its range and what lies beyond,
// its words and one that is none, and values of other types. exact says that the
// schema has to refuse what the loader refuses, too.
func (s setting) values() (loose, exact []any) {
	loose = []any{0, -1, 0.5}
	for _, of := range append([]*jsonschema.Schema{s.schema}, s.schema.AnyOf...) {
		if of.Minimum != nil {
			low, _ := of.Minimum.Float64()
			loose = append(loose, low, low-1, low/2)
		}
		if of.Maximum != nil {
			high, _ := of.Maximum.Float64()
			loose = append(loose, high, high+1)
		}
		if of.Enum != nil {
			loose = append(loose, of.Enum.Values...)
		}
	}
	switch typeOf(s.schema) {
	case "string":
		unknown := "no-such-word"
		if s.schema.Pattern != nil { // a name of the user's own
			unknown = "No Name"
		}
		exact = []any{unknown, nil, []any{}, map[string]any{}}
		if s.schema.Enum != nil {
			return append(loose, "none"), append(exact, 5, true)
		}
		return append(loose, "none", 5, true), exact // which are texts as well
	case "boolean":
		return []any{true, false}, []any{"yes", 1, nil, []any{}}
	case "integer":
		return loose, []any{"5", 1.5, true, nil, []any{}}
	case "number":
		return loose, []any{"5", true, nil, map[string]any{}}
	case "array":
		return nil, []any{"x", 5, nil, map[string]any{}}
	}
	return []any{map[string]any{}}, []any{"x", 5, nil, []any{}, map[string]any{"no_such_key": 1}}
}

// inFile are settings whose words are names that the same file gives: no schema can
// know them.
var inFile = []string{"arms.[].against.[]"}

// The schema never refuses what the loader takes; and what is of the wrong type, an
// unknown word or an unknown key, it refuses as the loader does. Whatever setting is
// added later is tried here.
func TestSchemaAgreesWithTheLoader(t *testing.T) {
	s := compiled(t)
	all := settings(nil, s)
	if len(all) < 200 {
		t.Fatalf("%d settings", len(all))
	}
	tried, taken := 0, 0
	for name, source := range map[string][]byte{"good": []byte(good), "healthy": files(t)["healthy"]} {
		base := tree(t, source)
		for _, at := range all {
			loose, exact := at.values()
			for i, value := range append(loose, exact...) {
				source := changed(t, base, at.path, value)
				document, err := jsonschema.UnmarshalJSON(bytes.NewReader(source))
				if err != nil {
					t.Fatal(err)
				}
				_, loader := scenario.Parse("x.yaml", source)
				editor := s.Validate(document)
				tried++
				if loader == nil {
					taken++
				}
				what := fmt.Sprintf("%s with %v: %v", name, at, value)
				if loader == nil && editor != nil {
					t.Errorf("%s: the loader takes it, and the schema says %v", what, editor)
				}
				if loader != nil && editor == nil && i >= len(loose) && !slices.Contains(inFile, at.String()) {
					t.Errorf("%s: the schema takes it, and the loader says %v", what, loader)
				}
			}
		}
	}
	t.Logf("%d settings, %d values tried, %d of them taken by the loader", len(all), tried, taken)
	if taken < tried/10 {
		t.Errorf("the loader took %d of %d", taken, tried)
	}
}

// Editors show what a setting and a word mean. What has no comment in the code is
// found here.
func TestEverythingIsDescribed(t *testing.T) {
	var document any
	if err := json.Unmarshal(scenarios.Schema, &document); err != nil {
		t.Fatal(err)
	}
	described(t, "", document)
}

func described(t *testing.T, path string, schema any) {
	t.Helper()
	s, _ := schema.(map[string]any)
	if says, _ := s["description"].(string); path != "" && !strings.HasSuffix(path, "[]") && says == "" {
		t.Errorf("%s has no description: give the field in the code a comment", path)
	}
	says, _ := s["enumDescriptions"].([]any)
	for i, word := range says {
		if word == "" {
			t.Errorf("%s: %v has no description: give the constant in the code a comment", path, s["enum"].([]any)[i])
		}
	}
	properties, _ := s["properties"].(map[string]any)
	for key, p := range properties {
		described(t, strings.TrimPrefix(path+"."+key, "."), p)
	}
	if s["items"] != nil {
		described(t, path+"[]", s["items"])
	}
}
