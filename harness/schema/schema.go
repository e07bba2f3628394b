// Package schema writes the JSON Schema of scenario files, which editors complete and check
// by: from the Go types, the table of fields in package scenario, and the catalogues. A new
// setting needs an entry in that table and nothing here.
//
// The schema says less than the loader: what depends on several settings at once only the
// loader knows. It never refuses what the loader takes, but for a text that is given and
// empty where a word is wanted.
package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/scenarios"
)

const module = "github.com/lockjam/lockjam"

// Generate returns the JSON Schema of scenario files, indented. An error says which field has
// no entry in the table, or which entry no field.
func Generate() ([]byte, error) {
	g := &generator{fields: map[string]scenario.Field{}, used: map[string]bool{}, words: catalogues()}
	for _, f := range scenario.Fields() {
		g.fields[f.Key] = f
	}
	s := scenario.Defaults()
	n := g.node("", reflect.ValueOf(s))
	n.Schema, n.ID = "http://json-schema.org/draft-07/schema#", scenarios.SchemaURL
	n.Title = "A scenario of lockjam"
	n.Description = "One failure of a Redis rate limiter: its server and swarm, what starts it, and what is expected of every signal and remedy."
	for key := range g.fields {
		if !g.used[key] {
			g.errs = append(g.errs, fmt.Errorf("the table has %s, and no such field is there", key))
		}
	}
	return text(n, g.errs...)
}

// text is a schema as a file, unless something went wrong while it was made.
func text(schema any, errs ...error) ([]byte, error) {
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(schema)
	return b.Bytes(), err
}

type generator struct {
	fields map[string]scenario.Field
	used   map[string]bool            // of fields
	words  map[string][]scenario.Word // of catalogues, by key
	errs   []error
}

// of is a field of the table, also where an arm changes it.
func (g *generator) of(at string) (f scenario.Field, own bool) {
	if f, ok := g.fields[at]; ok {
		g.used[at] = true
		return f, true
	}
	within := strings.TrimPrefix(at, "arms[].")
	f, ok := g.fields[within]
	if ok {
		g.used[within] = true
	}
	return f, ok
}

// node is the schema of what stands at a path of the file. The value is the default.
func (g *generator) node(at string, v reflect.Value) *Node {
	t := v.Type()
	var n *Node
	switch t.Kind() {
	case reflect.Pointer:
		return g.node(at, reflect.New(t.Elem()).Elem())
	case reflect.Struct:
		n = g.structure(at, v)
	case reflect.Slice:
		n = &Node{Type: "array", Items: g.node(at+"[]", reflect.New(t.Elem()).Elem())}
		g.details(at+"[]", n.Items)
		if f, _ := g.of(at); f.Required {
			n.MinItems = 1
		}
	case reflect.Map:
		if t == reflect.TypeFor[server.Config]() {
			return directives()
		}
		n = &Node{Type: "object", AdditionalProperties: g.node(at+".*", reflect.New(t.Elem()).Elem())}
	case reflect.String:
		n = g.text(at)
	case reflect.Bool:
		n = &Node{Type: "boolean"}
	case reflect.Int, reflect.Int64:
		n = g.number(at, "integer")
	case reflect.Float64:
		n = g.number(at, "number")
	default:
		g.errs = append(g.errs, fmt.Errorf("%s: no schema for a %s", at, t))
		return &Node{}
	}
	return n
}

// directives is the schema of what a scenario sets in redis.conf.
func directives() *Node {
	line := &Node{Type: texts}
	n := &Node{Type: "object", Properties: map[string]*Node{}, AdditionalProperties: line,
		PropertyNames: &Node{Enum: scenario.Directives()}}
	for _, directive := range scenario.Directives() {
		if scenario.SeveralLines(directive) {
			n.Properties[directive] = &Node{
				Description: "One line of redis.conf, or a list of them.",
				AnyOf:       []*Node{line, {Type: "array", Items: line, MinItems: 1}},
			}
		}
	}
	return n
}

func (g *generator) structure(at string, v reflect.Value) *Node {
	t := v.Type()
	n := object(map[string]*Node{})
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("yaml")
		if key == "-" {
			continue
		}
		below := strings.TrimPrefix(at+"."+key, ".")
		n.Properties[key] = g.field(below, v.Field(i))
		if g.required(below) {
			n.Required = append(n.Required, key)
		}
	}
	return n
}

// field is the schema of a field, with its text, its default, and the words of its catalogue.
func (g *generator) field(at string, v reflect.Value) *Node {
	f, ok := g.of(at)
	if !ok {
		g.errs = append(g.errs, fmt.Errorf("%s has no entry in the table of fields", at))
	}
	n := g.node(at, v)
	if words := g.words[at]; words != nil {
		g.choose(n, words)
	}
	n.Description = f.Text
	g.preset(at, n, v)
	g.details(at, n)
	return n
}

// choose puts the words of a catalogue where they belong: the values of a text, those
// of a list, the keys of a table.
func (g *generator) choose(n *Node, words []scenario.Word) {
	switch {
	case n.isText():
		n.choose(words)
	case n.Type == "array":
		n.Items.choose(words)
	case n.Type == "object":
		each := n.AdditionalProperties.(*Node)
		n.Properties, n.AdditionalProperties = map[string]*Node{}, false
		for _, w := range words {
			of := *each
			of.Description = w.Says
			of.Properties = map[string]*Node{}
			for key, p := range each.Properties {
				of.Properties[key] = p
			}
			n.Properties[w.Text] = &of
		}
	}
}

func split(words []scenario.Word) (texts, says []string) {
	for _, w := range words {
		texts, says = append(texts, w.Text), append(says, w.Says)
	}
	return texts, says
}

// text is a text that takes certain words, a name, or anything.
func (g *generator) text(at string) *Node {
	n := &Node{Type: texts}
	f, _ := g.of(at)
	if f.Name {
		n.Pattern, n.MaxLength = scenario.NamePattern, scenario.MaxName
	}
	if f.Words != nil {
		n.choose(f.Words)
	}
	return n
}

func (g *generator) number(at, kind string) *Node {
	n := &Node{Type: kind}
	r := g.rangeOf(at)
	if r == nil {
		return n
	}
	within := &Node{Minimum: &r.Low, Maximum: &r.High}
	if len(r.Also) == 0 {
		n.Minimum, n.Maximum = within.Minimum, within.Maximum
		return n
	}
	for _, value := range r.Also {
		n.AnyOf = append(n.AnyOf, &Node{Const: value})
	}
	n.AnyOf = append(n.AnyOf, within)
	return n
}

// rangeOf is a number's range, whatever the other settings say; nil where it has none.
func (g *generator) rangeOf(at string) *scenario.Range {
	f, _ := g.of(at)
	if f.Free {
		return nil
	}
	return f.Range
}

// required reports whether a key must be there, or has something in it that must. What
// an arm leaves out is the scenario's.
func (g *generator) required(at string) bool {
	for key, f := range g.fields {
		if f.Required && (key == at || strings.HasPrefix(key, at+".") && !strings.ContainsAny(key[len(at):], "[*")) {
			return true
		}
	}
	return false
}

// preset notes the default of a single value. An arm has those of its scenario.
func (g *generator) preset(at string, n *Node, v reflect.Value) {
	r := g.rangeOf(at)
	if strings.HasPrefix(at, "arms[]") || strings.Contains(at, "*") || g.required(at) {
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		n.Default = v.Bool()
	case reflect.String:
		if v.String() != "" {
			n.Default = v.String()
		}
	case reflect.Int, reflect.Int64:
		if r == nil || float64(v.Int()) >= r.Low || slices.Contains(r.Also, float64(v.Int())) {
			n.Default = v.Int()
		}
	case reflect.Float64:
		if r == nil || v.Float() >= r.Low || slices.Contains(r.Also, v.Float()) {
			n.Default = v.Float()
		}
	}
}
