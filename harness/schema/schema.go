// Package schema writes the JSON Schema of scenario files, which editors complete
// and check by. It is made from what the loader goes by: the Go types with their
// comments, the catalogues, and the ranges of the validation. A new setting is in
// the schema when the schema is made anew; there is nothing to add here.
//
// The schema says less than the loader: what depends on several settings at once
// only the loader knows. It never refuses what the loader takes, but for a text
// that is given and empty where a word is wanted.
package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/scenarios"
)

const module = "github.com/lockjam/lockjam"

// Generate returns the JSON Schema of scenario files, indented. root is the folder
// of this repository: comments are read from the Go code in it. An error says what
// in the code the schema cannot be made from.
func Generate(root string) ([]byte, error) {
	g := &generator{
		source: &source{root: root, module: module, packages: map[string]*described{}},
	}
	g.bounds = scenario.Bounds()
	g.named = g.catalogues()
	s := scenario.Defaults()
	n := g.node("", reflect.ValueOf(s))
	n.Schema, n.ID = "http://json-schema.org/draft-07/schema#", scenarios.SchemaURL
	n.Title = "A scenario of lockjam"
	n.Description = "One failure of a Redis rate limiter: its server and swarm, what starts it, and what is expected of every signal and remedy."
	for field := range g.named {
		if !g.used[field] {
			g.errs = append(g.errs, fmt.Errorf("there is a catalogue for %s, and no such field", field))
		}
	}
	return text(n, append(g.errs, g.source.err)...)
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
	source *source
	bounds map[string]scenario.Bound
	named  map[string][]word // by field, see catalogues
	used   map[string]bool   // of named
	errs   []error
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
		if g.bound(at).Required {
			n.MinItems = 1
		}
	case reflect.Map:
		if t == reflect.TypeFor[server.Config]() {
			return directives()
		}
		n = &Node{Type: "object", AdditionalProperties: g.node(at+".*", reflect.New(t.Elem()).Elem())}
	case reflect.String:
		n = g.text(at, t)
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
	n := &Node{Type: "object", Properties: map[string]*Node{}, AdditionalProperties: line, PropertyNames: &Node{Enum: scenario.Directives()}}
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
		n.Properties[key] = g.field(below, t, f, v.Field(i))
		if g.required(below) {
			n.Required = append(n.Required, key)
		}
	}
	return n
}

// field is the schema of a field, with what its comment says, its default, and the
// words of its catalogue.
func (g *generator) field(at string, of reflect.Type, f reflect.StructField, v reflect.Value) *Node {
	n := g.node(at, v)
	name := path.Base(of.PkgPath()) + "." + of.Name() + "." + f.Name
	if words, ok := g.named[name]; ok {
		if g.used == nil {
			g.used = map[string]bool{}
		}
		g.used[name] = true
		g.choose(at, n, words)
	}
	n.Description = g.source.field(of, f)
	g.preset(at, n, v)
	g.details(at, n)
	return n
}

// choose puts the words of a catalogue where they belong: the values of a text, those
// of a list, the keys of a table.
func (g *generator) choose(at string, n *Node, words []word) {
	switch {
	case n.isText():
		n.choose(words)
		g.compare(at, n.Enum)
	case n.Type == "array":
		n.Items.choose(words)
	case n.Type == "object":
		each := n.AdditionalProperties.(*Node)
		n.Properties, n.AdditionalProperties = map[string]*Node{}, false
		for _, w := range words {
			of := *each
			of.Description = w.says
			of.Properties = map[string]*Node{}
			for key, p := range each.Properties {
				of.Properties[key] = p
			}
			n.Properties[w.text] = &of
		}
	}
}

func split(words []word) (texts, says []string) {
	for _, w := range words {
		texts, says = append(texts, w.text), append(says, w.says)
	}
	return texts, says
}

// text is a text of a type of its own, of which the constants are the words, or any.
func (g *generator) text(at string, t reflect.Type) *Node {
	n := &Node{Type: texts}
	bound := g.bound(at)
	if bound.Name {
		n.Pattern, n.MaxLength = scenario.NamePattern, scenario.MaxName
	}
	if t.PkgPath() == "" {
		if n.Enum = bound.Words; n.Enum != nil {
			n.Type = "string"
		}
		return n
	}
	n.choose(g.source.wordsOf(t.PkgPath(), t.Name()))
	g.compare(at, n.Enum)
	return n
}

// compare refuses words that the validation does not take, and misses those that it
// does.
func (g *generator) compare(at string, words []string) {
	takes := g.bound(at).Words
	if takes == nil {
		return
	}
	if !slices.Equal(slices.Sorted(slices.Values(words)), slices.Sorted(slices.Values(takes))) {
		g.errs = append(g.errs, fmt.Errorf("%s: the code has the words %q, and the validation takes %q", at, words, takes))
	}
}

func (g *generator) number(at, kind string) *Node {
	n := &Node{Type: kind}
	r := g.bound(at).Range
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

// bound is what validation asks of a setting, also where an arm changes it.
func (g *generator) bound(at string) scenario.Bound {
	if b, ok := g.bounds[at]; ok {
		return b
	}
	return g.bounds[strings.TrimPrefix(at, "arms[].")]
}

// required says whether a key must be there, or has something in it that must. What
// an arm leaves out is the scenario's.
func (g *generator) required(at string) bool {
	for key, b := range g.bounds {
		if b.Required && (key == at || strings.HasPrefix(key, at+".") && !strings.ContainsAny(key[len(at):], "[*")) {
			return true
		}
	}
	return false
}

// preset notes the default of a single value. An arm has those of its scenario.
func (g *generator) preset(at string, n *Node, v reflect.Value) {
	r := g.bound(at).Range
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
