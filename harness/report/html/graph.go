package html

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"regexp"
	"slices"
	"strings"
)

// A residue is drawn with the waiters on the left and what they wait for on the
// right. Sizes are in the units of the viewBox, which are pixels at full size.
const (
	graphWidth  = 700
	graphBox    = 210 // of one node
	graphHeight = 34  // of one node
	graphRow    = 72  // from one node to the next
	graphMargin = 14
	labelShown  = 27  // characters of a label
	maxGraph    = 40  // nodes: a recorded drawing has a dozen
	maxEdges    = 200 // and not many more lines
	maxText     = 1e5 // bytes of a drawing
	alongEdge   = 0.2 // where on a line its label is, from its beginning
)

// graph is a residue as a run recorded it.
type graph struct {
	nodes []graphNode
	edges []graphEdge
}

type graphNode struct {
	label    string
	resource bool
	x, y     float64 // of its middle
}

// graphEdge leads from a waiter to what it waits for, or from what is held to its
// holder, so that a circular wait is a way that one can follow.
type graphEdge struct {
	from, to int
	held     bool
	label    string
}

var (
	nodeLine = regexp.MustCompile(`^\tn(\d{1,3})(\(\[|\[)"([^"]*)"(?:\]\)|\])$`)
	edgeLine = regexp.MustCompile(`^\tn(\d{1,3}) (-->|-\.->)\|"([^"]*)"\| n(\d{1,3})$`)
	// What waitgraph writes for what Mermaid would take for its own.
	fromMermaid = strings.NewReplacer(`#35;`, `#`, `#quot;`, `"`, `#lt;`, `<`, `#gt;`, `>`, `#amp;`, `&`, `#96;`, "`",
		`#92;`, `\`)
)

// parseGraph reads a drawing as waitgraph writes it. Anything else is an error: a run
// folder may hold anything.
func parseGraph(mermaid string) (*graph, error) {
	if len(mermaid) > maxText {
		return nil, fmt.Errorf("the drawing is longer than %d bytes", int(maxText))
	}
	g := &graph{}
	index := map[string]int{}
	for i, line := range strings.Split(strings.TrimRight(mermaid, "\n"), "\n") {
		if i == 0 && line == "flowchart LR" {
			continue
		}
		if n := nodeLine.FindStringSubmatch(line); n != nil {
			index[n[1]] = len(g.nodes)
			g.nodes = append(g.nodes, graphNode{label: fromMermaid.Replace(n[3]), resource: n[2] == "["})
			continue
		}
		e := edgeLine.FindStringSubmatch(line)
		if e == nil {
			return nil, fmt.Errorf("line %d of the drawing cannot be read", i+1)
		}
		from, known := index[e[1]]
		to, alsoKnown := index[e[4]]
		if !known || !alsoKnown {
			return nil, fmt.Errorf("line %d of the drawing joins what is not in it", i+1)
		}
		g.edges = append(g.edges, graphEdge{from: from, to: to, held: e[2] == "-->", label: fromMermaid.Replace(e[3])})
	}
	if len(g.nodes) == 0 || len(g.nodes) > maxGraph || len(g.edges) > maxEdges {
		return nil, fmt.Errorf("a drawing of %d nodes and %d lines is not drawn", len(g.nodes), len(g.edges))
	}
	return g, nil
}

// svg lays the graph out and draws it, with a title for screen readers.
func (g *graph) svg(title string) template.HTML {
	height := g.place()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="graph" role="img" aria-label="%s" viewBox="0 0 %d %.0f" width="%d" height="%.0f">`,
		html.EscapeString(title), graphWidth, height, graphWidth, height)
	for _, e := range g.edges {
		g.drawEdge(&b, e)
	}
	for _, n := range g.nodes {
		drawNode(&b, n)
	}
	for _, e := range g.edges { // last: nothing may cover a label
		g.drawLabel(&b, e)
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) // every label in it is escaped
}

// place gives every node its middle and returns the height of it all. Resources stand
// in the order of their users, which keeps most lines from crossing.
func (g *graph) place() float64 {
	var left, right []int
	for i, n := range g.nodes {
		if n.resource {
			right = append(right, i)
		} else {
			left = append(left, i)
		}
	}
	rows := float64(max(len(left), len(right)))
	height := rows*graphRow - (graphRow - graphHeight) + 2*graphMargin
	g.column(left, graphMargin+graphBox/2, height)
	slices.SortStableFunc(right, func(a, b int) int {
		switch d := g.middle(a) - g.middle(b); {
		case d < 0:
			return -1
		case d > 0:
			return 1
		}
		return 0
	})
	g.column(right, graphWidth-graphMargin-graphBox/2, height)
	return height
}

// column spreads nodes over the height, one below the other.
func (g *graph) column(nodes []int, x, height float64) {
	for k, i := range nodes {
		g.nodes[i].x = x
		g.nodes[i].y = height * (float64(k) + 0.5) / float64(len(nodes))
	}
}

// middle is how far down those are, on average, that a resource has lines to.
func (g *graph) middle(resource int) float64 {
	sum, n := 0.0, 0.0
	for _, e := range g.edges {
		switch resource {
		case e.from:
			sum, n = sum+g.nodes[e.to].y, n+1
		case e.to:
			sum, n = sum+g.nodes[e.from].y, n+1
		}
	}
	return sum / max(n, 1)
}

// ends are where a line leaves its first box and enters its second. Waiting and holding
// are a little apart, so that two lines between the same boxes are two.
func (g *graph) ends(e graphEdge) (x1, y1, x2, y2 float64) {
	from, to := g.nodes[e.from], g.nodes[e.to]
	side := math.Copysign(graphBox/2, to.x-from.x)
	if from.x == to.x { // between two of the same column: around the side
		return from.x + graphBox/2, from.y, to.x + graphBox/2, to.y
	}
	off := 7.0
	if e.held {
		off = -7
	}
	return from.x + side, from.y + off, to.x - side, to.y + off
}

func (g *graph) drawEdge(b *strings.Builder, e graphEdge) {
	x1, y1, x2, y2 := g.ends(e)
	angle := math.Atan2(y2-y1, x2-x1)
	class := "waits"
	if e.held {
		class = "holds"
	}
	const long, wide = 10, 0.4 // of an arrow's head, in units and radians
	fmt.Fprintf(b, `<path class="%s" d="M%.1f %.1fL%.1f %.1f"/>`, class, x1, y1, x2-5*math.Cos(angle),
		y2-5*math.Sin(angle))
	fmt.Fprintf(b, `<path class="tip" d="M%.1f %.1fL%.1f %.1fL%.1f %.1fz"/>`, x2, y2,
		x2-long*math.Cos(angle-wide), y2-long*math.Sin(angle-wide), x2-long*math.Cos(angle+wide),
		y2-long*math.Sin(angle+wide))
}

func (g *graph) drawLabel(b *strings.Builder, e graphEdge) {
	x1, y1, x2, y2 := g.ends(e)
	fmt.Fprintf(b, `<text class="label" x="%.1f" y="%.1f">%s</text>`, x1+alongEdge*(x2-x1), y1+alongEdge*(y2-y1)+4,
		html.EscapeString(middleOut(e.label)))
}

func drawNode(b *strings.Builder, n graphNode) {
	class, corner := "worker", graphHeight/2
	if n.resource {
		class, corner = "resource", 3
	}
	fmt.Fprintf(b, `<g class="%s"><title>%s</title><rect x="%.1f" y="%.1f" width="%d" height="%d" rx="%d"/><text x="%.1f" y="%.1f">%s</text></g>`,
		class, html.EscapeString(n.label), n.x-graphBox/2, n.y-graphHeight/2, graphBox, graphHeight, corner, n.x, n.y+5,
		html.EscapeString(middleOut(n.label)))
}

// middleOut cuts the middle out of a long label: names differ at their ends.
func middleOut(s string) string {
	r := []rune(s)
	if len(r) <= labelShown {
		return s
	}
	half := (labelShown - 1) / 2
	return string(r[:half]) + "…" + string(r[len(r)-half:])
}
