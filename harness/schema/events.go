package schema

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/lockjam/lockjam/harness/result"
)

// EventsFile is where the JSON Schema of events is, within the repository.
const EventsFile = "docs/events.schema.json"

// Events returns the JSON Schema of the events that `lockjam run --json` prints,
// indented: from the Go types and their comments, which are read in the folder root of
// this repository. It allows what it does not know, since fields may be added. An error
// says what in the code it cannot be made from.
func Events(root string) ([]byte, error) {
	g := &recordGenerator{source: &source{root: root, module: module, packages: map[string]fields{}}}
	n := g.node(reflect.TypeFor[result.Event]())
	n.Schema = "http://json-schema.org/draft-07/schema#"
	n.Title = "An event of lockjam run --json"
	n.Description = "One line of the stream, " + result.EventSchema +
		"; docs/events.md says which kind has which fields."
	for _, kind := range result.EventKinds {
		n.Properties["event"].Enum = append(n.Properties["event"].Enum, string(kind))
	}
	return text(n, append(g.errs, g.source.err)...)
}

// recordGenerator makes the schema of what encoding/json writes.
type recordGenerator struct {
	source *source
	errs   []error
}

func (g *recordGenerator) node(t reflect.Type) *Node {
	switch t.Kind() {
	case reflect.Pointer:
		return g.node(t.Elem())
	case reflect.Interface:
		return &Node{}
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return &Node{Type: "string", Description: "RFC 3339"}
		}
		n := &Node{Type: "object", Properties: map[string]*Node{}}
		g.fields(n, t)
		return n
	case reflect.Slice:
		return &Node{Type: "array", Items: g.node(t.Elem())}
	case reflect.Map:
		return &Node{Type: "object", AdditionalProperties: g.node(t.Elem())}
	case reflect.String:
		return &Node{Type: "string"}
	case reflect.Bool:
		return &Node{Type: "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return &Node{Type: "integer"}
	case reflect.Float64:
		return &Node{Type: "number"}
	}
	g.errs = append(g.errs, fmt.Errorf("no schema for a %s", t))
	return &Node{}
}

// fields adds those of a struct, and of what is embedded in it.
func (g *recordGenerator) fields(n *Node, t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case key == "-":
			continue
		case f.Anonymous && key == "":
			g.fields(n, f.Type)
			continue
		}
		of := g.node(f.Type)
		optional := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		says := g.source.pkg(t.PkgPath())[t.Name()][f.Name]
		switch kind := f.Type.Kind(); {
		case !optional && (kind == reflect.Pointer || kind == reflect.Slice || kind == reflect.Map):
			of = &Node{AnyOf: []*Node{{Type: "null"}, of}}
		case says == "":
			says = of.Description
		}
		of.Description = says
		n.Properties[key] = of
		if !optional {
			n.Required = append(n.Required, key)
		}
	}
}
