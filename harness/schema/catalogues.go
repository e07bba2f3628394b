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

// catalogues are the fields whose words are the names of something, by package,
// type and name in Go. A text of a type of its own needs no entry here, for its
// constants are found.
func (g *generator) catalogues() map[string][]word {
	remedy, prevention := g.verdicts(result.Verdicts), g.verdicts(result.PreventionVerdicts)
	return map[string][]word{
		"scenario.Scenario.Claims":   g.claims(),
		"scenario.Scenario.Signals":  signalWords(),
		"scenario.Incident.Kind":     g.only(wordsOf(scenario.Kinds), "harness/waitgraph", "Kind"),
		"scenario.Arm.Claim":         g.claims(),
		"scenario.Arm.Remedy":        remedyWords(),
		"scenario.ArmExpect.Verdict": append(remedy, prevention...),
		"triggers.Settings.Kind":     triggerWords(),
	}
}

// only describes some of the constants of a type.
func (g *generator) only(texts []string, pkg, name string) []word {
	all := g.source.wordsOf(g.source.module+"/"+pkg, name)
	words := make([]word, len(texts))
	for i, text := range texts {
		words[i].text = text
		if at := slices.IndexFunc(all, func(w word) bool { return w.text == text }); at >= 0 {
			words[i] = all[at]
		}
	}
	return words
}

func (g *generator) verdicts(all []result.Verdict) []word {
	return g.only(wordsOf(all), "harness/result", "Verdict")
}

func wordsOf[T ~string](all []T) []string {
	words := make([]string, len(all))
	for i, w := range all {
		words[i] = string(w)
	}
	return words
}

func (g *generator) claims() []word {
	var words []word
	for _, id := range claims.IDs() {
		words = append(words, word{id, claims.WordsOf(id)})
	}
	return words
}

func signalWords() []word {
	var words []word
	for _, s := range signals.All() {
		words = append(words, word{s.Name, claimed(s.Summary, s.Claim)})
	}
	return words
}

func remedyWords() []word {
	var words []word
	for _, r := range remedies.All() {
		words = append(words, word{r.Name, claimed(r.Summary, r.Claim)})
	}
	return words
}

func triggerWords() []word {
	var words []word
	for _, t := range triggers.All() {
		words = append(words, word{t.Name, t.Summary})
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
			params[p.Name] = &Node{Type: texts, Default: p.Default, Description: fmt.Sprintf("%s's; %q unless given.", r.Name, p.Default)}
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
		return property("expect", property("verdict", &Node{Enum: wordsOf(all)}))
	}
	arm.AllOf = append(arm.AllOf, &Node{
		If:   with("prevention", &Node{Pattern: "."}),
		Then: verdict(result.PreventionVerdicts),
		Else: verdict(result.Verdicts),
	})
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
			n := &Node{Type: "number", Default: s.Params[name], Description: fmt.Sprintf("%s's; %g unless given.", s.Name, s.Params[name])}
			n.between(s.Ranges[name])
			params[name] = n
		}
		of := all.Properties[s.Name]
		description := of.Properties["params"].Description
		of.Properties["params"] = object(params)
		of.Properties["params"].Description = description
	}
}
