package schema

import "github.com/lockjam/lockjam/harness/scenario"

// Node is a JSON Schema, as far as scenario files need one: draft 7, which editors
// understand.
type Node struct {
	Schema               string           `json:"$schema,omitempty"`
	ID                   string           `json:"$id,omitempty"`
	Title                string           `json:"title,omitempty"`
	Description          string           `json:"description,omitempty"`
	Type                 any              `json:"type,omitempty"` // a word, or a list of them; nil: any
	Const                any              `json:"const,omitempty"`
	Enum                 []string         `json:"enum,omitempty"`
	EnumDescriptions     []string         `json:"enumDescriptions,omitempty"` // what editors show of each word
	Pattern              string           `json:"pattern,omitempty"`
	MaxLength            int              `json:"maxLength,omitempty"`
	Minimum              *float64         `json:"minimum,omitempty"`
	Maximum              *float64         `json:"maximum,omitempty"`
	ExclusiveMinimum     *float64         `json:"exclusiveMinimum,omitempty"`
	ExclusiveMaximum     *float64         `json:"exclusiveMaximum,omitempty"`
	Default              any              `json:"default,omitempty"`
	Required             []string         `json:"required,omitempty"`
	PropertyNames        *Node            `json:"propertyNames,omitempty"`
	Properties           map[string]*Node `json:"properties,omitempty"`
	AdditionalProperties any              `json:"additionalProperties,omitempty"` // false, or a *Node
	MinItems             int              `json:"minItems,omitempty"`
	Items                *Node            `json:"items,omitempty"`
	AnyOf                []*Node          `json:"anyOf,omitempty"`
	AllOf                []*Node          `json:"allOf,omitempty"`
	If                   *Node            `json:"if,omitempty"`
	Then                 *Node            `json:"then,omitempty"`
	Else                 *Node            `json:"else,omitempty"`
}

// texts are the types that are taken where text is wanted: a number or a boolean is the
// text that stands in the file.
var texts = []string{"string", "number", "boolean"}

// isText reports whether n is of a text.
func (n *Node) isText() bool {
	_, any := n.Type.([]string)
	return any || n.Type == "string"
}

// choose leaves no text but these words.
func (n *Node) choose(words []scenario.Word) {
	n.Type = "string"
	n.Enum, n.EnumDescriptions = split(words)
}

// object is an object that has these properties and no others.
func object(properties map[string]*Node) *Node {
	return &Node{Type: "object", Properties: properties, AdditionalProperties: false}
}

// property is a schema of whatever has a property like that.
func property(name string, n *Node) *Node {
	return &Node{Properties: map[string]*Node{name: n}}
}

// with is property, where the property must be there.
func with(name string, n *Node) *Node {
	return &Node{Required: []string{name}, Properties: map[string]*Node{name: n}}
}
