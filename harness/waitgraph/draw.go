package waitgraph

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/text"
)

// maxNodes is how many nodes a drawing may have before similar ones are merged: by default only
// workers that hold and wait for the very same resources, beyond this all resources of a kind and
// all members in the same position.
const maxNodes = 12

// drawing is a condensed residue: boxes are resources, all other nodes are processes.
type drawing struct {
	nodes []node
	lines []line
}

type node struct {
	label    string
	resource bool
}

// line leads from a waiting process to its resource, or from a held resource to its holder, so that
// a circular wait can be followed along the arrows.
type line struct {
	from, to int
	held     bool
	units    int // held or waited for, total
}

// DOT draws the residue as a Graphviz digraph.
func (res *Residue) DOT() string {
	d := res.draw()
	var b strings.Builder
	b.WriteString("digraph residue {\n\trankdir=LR;\n")
	for i, n := range d.nodes {
		shape := "ellipse"
		if n.resource {
			shape = "box"
		}
		fmt.Fprintf(&b, "\tn%d [shape=%s, label=\"%s\"];\n", i, shape, dotLabel.Replace(printable(n.label)))
	}
	for _, l := range d.lines {
		style := "dashed"
		if l.held {
			style = "solid"
		}
		fmt.Fprintf(&b, "\tn%d -> n%d [style=%s, label=\"%s\"];\n", l.from, l.to, style, l.label())
	}
	b.WriteString("}\n")
	return b.String()
}

// Mermaid draws the residue as a Mermaid flowchart, which GitHub renders in Markdown.
func (res *Residue) Mermaid() string {
	d := res.draw()
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for i, n := range d.nodes {
		left, right := "([", "])"
		if n.resource {
			left, right = "[", "]"
		}
		fmt.Fprintf(&b, "\tn%d%s\"%s\"%s\n", i, left, mermaidLabel.Replace(printable(n.label)), right)
	}
	for _, l := range d.lines {
		arrow := "-.->"
		if l.held {
			arrow = "-->"
		}
		fmt.Fprintf(&b, "\tn%d %s|\"%s\"| n%d\n", l.from, arrow, l.label(), l.to)
	}
	return b.String()
}

func (l line) label() string {
	switch {
	case l.held && l.units == 1:
		return "held by"
	case l.held:
		return fmt.Sprintf("%d held", l.units)
	case l.units == 1:
		return "waits for"
	}
	return fmt.Sprintf("%d wait", l.units)
}

var (
	dotLabel = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	// Mermaid has no backslash escapes; a number sign begins an entity, a backtick may begin
	// Markdown, and angle brackets are parsed as HTML.
	mermaidLabel = strings.NewReplacer(`#`, `#35;`, `"`, `#quot;`, `<`, `#lt;`, `>`, `#gt;`, `&`, `#amp;`,
		"`", `#96;`, `\`, `#92;`)
)

// printable replaces control characters, line breaks and invalid UTF-8.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == 0x2028 || r == 0x2029 {
			return '\ufffd'
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}

// draw merges similar nodes, as far as necessary.
func (res *Residue) draw() drawing {
	d := res.merge(res.identical(), each(len(res.Resources)))
	if len(d.nodes) <= maxNodes {
		return d
	}
	ofKind := make([]int, len(res.Resources))
	for i, r := range res.Resources {
		ofKind[i] = slices.Index(kinds[:], r.Kind)
	}
	ofMember := make([]int, len(res.Members))
	for g, members := range res.alike() {
		for _, i := range members {
			ofMember[i] = g
		}
	}
	return res.merge(ofMember, ofKind)
}

func each(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// identical numbers the members so that those with the same role, refusal, holds and waits have the
// same number.
func (res *Residue) identical() []int {
	index := res.index()
	numbers := map[string]int{}
	of := make([]int, len(res.Members))
	var key []byte
	for i, m := range res.Members {
		key = append(append(key[:0], byte(m.Role)), m.Refused...)
		for _, shares := range [2][]Share{m.Holds, m.Waits} {
			key = append(key, '|')
			sorted := slices.SortedFunc(slices.Values(shares), func(a, b Share) int {
				return cmp.Compare(index[ref{a.Kind, a.Resource}], index[ref{b.Kind, b.Resource}])
			})
			for _, s := range sorted {
				key = fmt.Appendf(key, "%d*%d ", index[ref{s.Kind, s.Resource}], s.Units)
			}
		}
		n, ok := numbers[string(key)]
		if !ok {
			n = len(numbers)
			numbers[string(key)] = n
		}
		of[i] = n
	}
	return of
}

// merge draws members and resources with the same number as one node. Nodes and lines are in the
// order of the members.
func (res *Residue) merge(ofMember, ofResource []int) drawing {
	var d drawing
	index := res.index()
	members, resources := map[int]int{}, map[int]int{} // number -> node
	memberNodes, resourceNodes := map[int][]int{}, map[int][]int{}
	lines := map[line]int{} // line without units -> its index
	add := func(to map[int]int, of map[int][]int, number, i int, resource bool) int {
		n, ok := to[number]
		if !ok {
			n = len(d.nodes)
			to[number] = n
			d.nodes = append(d.nodes, node{resource: resource})
		}
		of[n] = append(of[n], i)
		return n
	}
	for i, r := range ofMember {
		add(members, memberNodes, r, i, false)
	}
	for i, r := range ofResource {
		add(resources, resourceNodes, r, i, true)
	}
	connect := func(l line, units int) {
		i, ok := lines[l]
		if !ok {
			i = len(d.lines)
			lines[l] = i
			d.lines = append(d.lines, l)
		}
		d.lines[i].units += units
	}
	for i, m := range res.Members {
		from := members[ofMember[i]]
		for _, s := range m.Waits {
			connect(line{from: from, to: resources[ofResource[index[ref{s.Kind, s.Resource}]]]}, s.Units)
		}
		for _, s := range m.Holds {
			connect(line{from: resources[ofResource[index[ref{s.Kind, s.Resource}]]], to: from, held: true}, s.Units)
		}
	}
	for i := range d.nodes {
		if d.nodes[i].resource {
			d.nodes[i].label = res.labelResources(resourceNodes[i])
		} else {
			d.nodes[i].label = res.labelMembers(memberNodes[i])
		}
	}
	return d
}

func (res *Residue) labelMembers(members []int) string {
	first := res.Members[members[0]]
	word := roleWords[first.Role]
	switch {
	case first.Refused != "" && len(members) > 1:
		return fmt.Sprintf("%s (refused: %s)", text.Plural(len(members), word), first.Refused)
	case first.Refused != "":
		return fmt.Sprintf("%s (refused: %s)", first.Name, first.Refused)
	case len(members) > 1:
		return text.Plural(len(members), word)
	case first.Role == Worker:
		return first.Name
	}
	return fmt.Sprintf("%s (%s)", first.Name, word)
}

func (res *Residue) labelResources(resources []int) string {
	first, units := res.Resources[resources[0]], 0
	for _, i := range resources {
		units += res.Resources[i].Units
	}
	switch {
	case first.Kind == Slot:
		return text.Plural(units, "client slot")
	case first.Kind == Turn && len(resources) == 1:
		return fmt.Sprintf("pool %s: %s", first.Name, text.Plural(units, "turn"))
	case first.Kind == Turn:
		return fmt.Sprintf("%d pools: %s", len(resources), text.Plural(units, "turn"))
	case len(resources) == 1:
		return "lock " + first.Name
	}
	return text.Plural(len(resources), "lock")
}
