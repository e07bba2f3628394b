package scenario

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Bound is what validation asks of one setting, whatever the others say. What
// depends on others (a pool that is too small for its workers) is not in it.
type Bound struct {
	Range    *Range   // of a number; nil: any
	Words    []string // the only texts that it takes; nil: any
	Name     bool     // lower-case words joined by hyphens, see CheckName
	Required bool     // in what it is part of, if that is there
}

// Range is a range of numbers, both ends included. Also holds single values
// outside of it that have a meaning of their own.
type Range struct {
	Low, High float64
	Also      []float64
}

// Bounds asks the validation itself what it allows, for schemas and the like: it
// has small scenarios checked, and notes what is asked of each key. Keys are as in
// messages, but with arms[] for every arm and signals.* for every signal; what an
// arm changes has the bounds of the scenario's. The time it takes is under a second.
func Bounds() map[string]Bound {
	e := explorer{vocabulary: catalogue(), found: map[string]Bound{}}
	// What is missing in a scenario that says nothing is required.
	for _, nothing := range []world{{}, {"arms": []any{world{}}, "signals": world{e.signal(): world{}}}} {
		_, failed := e.look(nothing)
		for key := range failed {
			e.require(key)
		}
	}
	e.explore()
	bounds := maps.Clone(e.found) // to look further is to find again
	for key, bound := range bounds {
		if bound.Range != nil && !e.unconditional(key, *bound.Range) {
			bound.Range = nil
			bounds[key] = bound
		}
	}
	return bounds
}

// world is a scenario file as a tree.
type world map[string]any

type explorer struct {
	vocabulary vocabulary
	found      map[string]Bound
	worlds     []world // those that validation has nothing against
}

// explore looks at a plain scenario, and at each that differs from it by one word
// or special value: what is asked of some keys depends on the kind of another.
func (e *explorer) explore() {
	seen := map[string]bool{}
	todo := []world{{}}
	for len(todo) > 0 {
		change := todo[0]
		todo = todo[1:]
		if errs, _ := e.look(e.plain(change)); len(errs) == 0 {
			e.worlds = append(e.worlds, change)
		}
		for _, key := range slices.Sorted(maps.Keys(e.found)) {
			if seen[key] || strings.ContainsAny(key, "[*") {
				continue
			}
			seen[key] = true
			for _, word := range e.found[key].Words {
				todo = append(todo, world{key: word})
			}
			if r := e.found[key].Range; r != nil {
				for _, value := range r.Also {
					todo = append(todo, world{key: value})
				}
			}
		}
	}
}

// unconditional says whether a range holds in every world: a value outside of it
// is refused.
func (e *explorer) unconditional(key string, r Range) bool {
	for _, change := range e.worlds {
		if _, fixed := change[key]; fixed {
			continue
		}
		below := r.Low - 1
		for slices.Contains(r.Also, below) {
			below--
		}
		for _, value := range []float64{below, r.High + 1} {
			outside := maps.Clone(change)
			outside[key] = value
			if errs, _ := e.look(e.plain(outside)); len(errs) == 0 {
				return false
			}
		}
	}
	return true
}

// plain is a small scenario in which some keys have other values.
func (e *explorer) plain(change world) world {
	slots := e.vocabulary.controlConnections + 1
	w := world{
		"name": "plain", "title": "Plain", "server": world{"maxclients": slots},
		"signals": world{e.signal(): world{"expect": string(Any)}},
		"arms":    []any{world{"name": ControlArm}, world{"name": "prevented", "prevention": "more", "server": world{"maxclients": slots + 1}}},
	}
	for key, value := range change {
		w.set(strings.Split(key, "."), value)
	}
	return w
}

func (w world) set(path []string, value any) {
	if len(path) == 1 {
		w[path[0]] = value
		return
	}
	inner, ok := w[path[0]].(world)
	if !ok {
		inner = world{}
		w[path[0]] = inner
	}
	inner.set(path[1:], value)
}

// signal is a name that a scenario may use.
func (e *explorer) signal() string {
	return slices.Sorted(maps.Keys(e.vocabulary.signals))[0]
}

// look has a scenario checked and returns what is wrong with it, and with which keys.
func (e *explorer) look(w world) (Errors, map[string]bool) {
	source, err := json.Marshal(w) // which is YAML as well
	if err != nil {
		panic(err) // a world is made of maps, lists, words and numbers
	}
	s := Defaults()
	d := &decoder{places: map[string]place{"": {1, 1}}}
	c := &checker{decoder: d, vocabulary: e.vocabulary, failed: map[string]bool{}, asked: e.note}
	if root := d.tree(source); root != nil {
		d.root(root, &s)
		c.scenario(&s, "")
	}
	return d.errs, c.failed
}

// note remembers what was asked of a key for the first time.
func (e *explorer) note(key string, b Bound) {
	key = e.general(key)
	known := e.found[key]
	b.Required = known.Required
	if known.Range == nil && known.Words == nil && !known.Name {
		e.found[key] = b
	}
}

func (e *explorer) require(key string) {
	key = e.general(key)
	b := e.found[key]
	b.Required = true
	e.found[key] = b
}

var index = regexp.MustCompile(`\[\d+\]`)

// general is a key without the number of its arm and the name of its signal.
func (e *explorer) general(key string) string {
	key = index.ReplaceAllString(key, "[]")
	if rest, ok := strings.CutPrefix(key, "signals."+e.signal()); ok {
		return "signals.*" + rest
	}
	return key
}

// ask tells who listens what validation asks of a key.
func (c *checker) ask(key string, b Bound) {
	if c.asked != nil {
		c.asked(key, b)
	}
}
