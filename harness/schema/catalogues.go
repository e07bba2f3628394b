package schema

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/claims"
	"github.com/lockjam/lockjam/harness/remedies"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/signals"
	"github.com/lockjam/lockjam/harness/triggers"
)

// catalogues are the words of the fields that name an entry of a catalogue, by key.
func catalogues() map[string][]scenario.Word {
	return map[string][]scenario.Word{
		"claims":                claimWords(),
		"signals":               signalWords(),
		"incident.kind":         scenario.KindWords,
		"trigger.kind":          triggerWords(),
		"arms[].claim":          claimWords(),
		"arms[].trigger.kind":   triggerWords(),
		"arms[].remedy":         remedyWords(),
		"arms[].expect.verdict": scenario.VerdictWords,
	}
}

func claimWords() []scenario.Word {
	var words []scenario.Word
	for _, id := range claims.IDs() {
		words = append(words, scenario.Word{Text: id, Says: claims.WordsOf(id)})
	}
	return words
}

func signalWords() []scenario.Word {
	var words []scenario.Word
	for _, s := range signals.All() {
		words = append(words, scenario.Word{Text: s.Name, Says: claimed(s.Summary, s.Claim)})
	}
	return words
}

func remedyWords() []scenario.Word {
	var words []scenario.Word
	for _, r := range remedies.All() {
		words = append(words, scenario.Word{Text: r.Name, Says: claimed(r.Summary, r.Claim)})
	}
	return words
}

func triggerWords() []scenario.Word {
	var words []scenario.Word
	for _, t := range triggers.All() {
		words = append(words, scenario.Word{Text: t.Name, Says: t.Summary})
	}
	return words
}

func claimed(summary, claim string) string {
	if claim == "" {
		return summary
	}
	return fmt.Sprintf("%s. Claim %s.", strings.TrimSuffix(summary, "."), claim)
}

// details narrow what the types alone leave open, by where in the file it stands.
func (g *generator) details(path string, n *Node) {
	switch path {
	case "arms[]":
		g.remedyParams(n)
		g.expectedVerdict(n)
	case "trigger", "arms[].trigger":
		triggerSettings(n)
	case "signals":
		signalParams(n)
	}
}

// remedyParams ties an arm's params to its remedy.
func (g *generator) remedyParams(arm *Node) {
	unnamed, _ := remedies.Find("")
	for _, r := range remedies.All() {
		params := map[string]*Node{}
		for _, p := range r.Params {
			params[p.Name] = &Node{Type: texts, Default: p.Default,
				Description: fmt.Sprintf("%s's; %q unless given.", r.Name, p.Default)}
		}
		is := with("remedy", &Node{Const: r.Name})
		if r.Name == unnamed.Name { // it need not be named
			is = property("remedy", &Node{Const: r.Name})
		}
		arm.AllOf = append(arm.AllOf, &Node{If: is, Then: property("params", object(params))})
	}
}

// expectedVerdict tells the verdicts on a prevention from those on a remedy.
func (g *generator) expectedVerdict(arm *Node) {
	verdict := func(all []result.Verdict) *Node {
		return property("expect", property("verdict", &Node{Enum: verdictsOf(all)}))
	}
	arm.AllOf = append(arm.AllOf, &Node{
		If:   with("prevention", &Node{Pattern: "."}),
		Then: verdict(result.PreventionVerdicts),
		Else: verdict(result.Verdicts),
	})
}

func verdictsOf(all []result.Verdict) []string {
	words := make([]string, len(all))
	for i, v := range all {
		words[i] = string(v)
	}
	return words
}

// triggerSettings ties the settings of a trigger to its kind, where that is given.
func triggerSettings(trigger *Node) {
	for _, t := range triggers.All() {
		trigger.AllOf = append(trigger.AllOf, &Node{
			If:   with("kind", &Node{Const: t.Name}),
			Then: &Node{PropertyNames: &Node{Enum: append([]string{"kind"}, t.Uses...)}},
		})
	}
}

// between bounds a number as a signal's parameter is.
func (n *Node) between(r signals.Range) {
	low, high := &n.Minimum, &n.Maximum
	if r.OverLow {
		low = &n.ExclusiveMinimum
	}
	if r.UnderHigh {
		high = &n.ExclusiveMaximum
	}
	*low, *high = &r.Low, &r.High
}

// signalParams gives each signal its own parameters.
func signalParams(all *Node) {
	for _, s := range signals.All() {
		params := map[string]*Node{}
		for _, name := range slices.Sorted(maps.Keys(s.Params)) {
			n := &Node{Type: "number", Default: s.Params[name],
				Description: fmt.Sprintf("%s's; %g unless given.", s.Name, s.Params[name])}
			n.between(s.Ranges[name])
			params[name] = n
		}
		of := all.Properties[s.Name]
		description := of.Properties["params"].Description
		of.Properties["params"] = object(params)
		of.Properties["params"].Description = description
	}
}
