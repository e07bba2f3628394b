package scenario

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/swarm"
	"github.com/lockjam/lockjam/harness/triggers"
)

// decoder fills a Scenario from a YAML tree. The library's own decoder stops at the first problem,
// and takes 017 for fifteen and .nan for a number; this one goes on, and takes what it is given for
// what it says. A number or a boolean where text is wanted is the text that stands in the file. It
// remembers where every value stood, for the validation that comes after it.
type decoder struct {
	path   string
	places map[string]place // of every key in the file, as "swarm.lock.ttl_ms" or "arms[0].name"
	bad    []string         // keys whose values could not be used
	errs   Errors

	scenario *Scenario
	late     []func() // what waits for the rest of the file
}

var (
	wholeNumber = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)$`)
	plainKey    = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
	number      = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)
)

func (d *decoder) complain(at place, format string, args ...any) {
	d.errs = append(d.errs, &Error{Path: d.path, Line: at.line, Column: at.column,
		Message: fmt.Sprintf(format, args...)})
}

// reject complains about a key's value and remembers the key, so that
// validation does not complain about what was never set.
func (d *decoder) reject(key, format string, args ...any) {
	d.bad = append(d.bad, key)
	d.complain(d.place(key), "%s: %s", key, fmt.Sprintf(format, args...))
}

func (d *decoder) root(n ast.Node, s *Scenario) {
	d.places[""] = nodePlace(n)
	if _, ok := n.(*ast.MappingNode); !ok {
		d.complain(nodePlace(n), "want a mapping that begins with name, not %s", kind(n))
		d.bad = append(d.bad, "")
		return
	}
	d.scenario = s
	d.value("", n, reflect.ValueOf(s).Elem())
	for _, decode := range d.late {
		decode()
	}
}

// override decodes what an arm changes over a copy of what the scenario says, once
// all of that is known.
func (d *decoder) override(key string, n ast.Node, into reflect.Value) {
	d.late = append(d.late, func() {
		p := reflect.New(into.Type().Elem())
		switch of := p.Interface().(type) {
		case *swarm.Settings:
			*of = d.scenario.Swarm
		case *Server:
			*of = d.scenario.Server
		case *triggers.Settings:
			*of = d.scenario.Trigger
		case *Phases:
			*of = d.scenario.Phases
		}
		d.value(key, n, p.Elem())
		into.Set(p)
	})
}

// value decodes a node into what has the default already.
func (d *decoder) value(key string, n ast.Node, into reflect.Value) {
	switch into.Kind() {
	case reflect.Pointer:
		if into.Type().Elem().Kind() == reflect.Struct {
			d.override(key, n, into)
			return
		}
		into.Set(reflect.New(into.Type().Elem()))
		d.value(key, n, into.Elem())
	case reflect.Struct:
		d.structure(key, n, into)
	case reflect.Map:
		d.table(key, n, into)
	case reflect.Slice:
		d.list(key, n, into)
	case reflect.String:
		decodeText(d, key, n, into)
	case reflect.Bool:
		decodeBoolean(d, key, n, into)
	case reflect.Int, reflect.Int64:
		decodeWhole(d, key, n, into)
	case reflect.Float64:
		decodeReal(d, key, n, into)
	default:
		panic(fmt.Sprintf("scenario: no YAML for %s, the type of %s", into.Type(), key))
	}
}

func (d *decoder) structure(key string, n ast.Node, into reflect.Value) {
	fields := map[string]int{}
	var names []string
	for i := range into.NumField() {
		if name := into.Type().Field(i).Tag.Get("yaml"); name != "-" {
			fields[name] = i
			names = append(names, name)
		}
	}
	d.pairs(key, n, func(name string, at place, value ast.Node) {
		i, ok := fields[name]
		if !ok {
			if near := nearest(name, names); near != "" {
				d.bad = append(d.bad, join(key, near))
			}
			d.complain(at, "unknown key %s%s; %s", quote(name), in(key), hint(name, names))
			return
		}
		d.value(join(key, name), value, into.Field(i))
	})
}

func (d *decoder) table(key string, n ast.Node, into reflect.Value) {
	was := into.MapRange()
	merged := reflect.MakeMap(into.Type())
	for was.Next() { // an arm adds to what the scenario has
		merged.SetMapIndex(was.Key(), was.Value())
	}
	into.Set(merged)
	d.pairs(key, n, func(name string, _ place, value ast.Node) {
		v := reflect.New(into.Type().Elem()).Elem()
		if into.Type() == reflect.TypeFor[server.Config]() {
			decodeDirective(d, join(key, name), name, value, v)
		} else {
			d.value(join(key, name), value, v)
		}
		into.SetMapIndex(reflect.ValueOf(name), v)
	})
}

func (d *decoder) list(key string, n ast.Node, into reflect.Value) {
	sequence, ok := n.(*ast.SequenceNode)
	if !ok {
		d.reject(key, "want a list, not %s", kind(n))
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), len(sequence.Values), len(sequence.Values)))
	for i, value := range sequence.Values {
		item := fmt.Sprintf("%s[%d]", key, i)
		d.places[item] = nodePlace(value)
		d.value(item, value, into.Index(i))
	}
}

// pairs goes through a mapping, notes where everything stands, and refuses
// keys that come twice or are no plain words.
func (d *decoder) pairs(key string, n ast.Node, visit func(name string, at place, value ast.Node)) {
	mapping, ok := n.(*ast.MappingNode)
	if !ok {
		d.reject(key, "want a mapping, not %s", kind(n))
		return
	}
	seen := map[string]place{}
	for _, pair := range mapping.Values {
		at := tokenPlace(pair.Key.GetToken())
		word, ok := pair.Key.(*ast.StringNode)
		if !ok {
			d.complain(at, "want a word as the key%s: quote it if it is one (merge keys, aliases and complex keys are not supported)", in(key))
			continue
		}
		name := word.Value
		if first, twice := seen[name]; twice {
			d.complain(at, "the key %s%s is in line %d already", quote(name), in(key), first.line)
			continue
		}
		seen[name] = at
		d.places[join(key, name)] = valuePlace(at, pair.Value)
		visit(name, at, pair.Value)
	}
}

// valuePlace is where a message about a value points: at the value, or at its
// key if the value is a collection, which begins with what may be in order.
func valuePlace(key place, value ast.Node) place {
	switch value.(type) {
	case *ast.MappingNode, *ast.SequenceNode, *ast.NullNode:
		return key
	}
	return nodePlace(value)
}

func decodeText(d *decoder, key string, n ast.Node, into reflect.Value) {
	var s string
	switch n := n.(type) {
	case *ast.StringNode:
		s = n.Value
	case *ast.LiteralNode:
		// The library keeps the carriage returns of a file with Windows line ends.
		s = strings.ReplaceAll(n.Value.Value, "\r\n", "\n")
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		s = n.GetToken().Value // as it stands: 0x10 and 1.50 are texts of four letters
	default:
		d.reject(key, "want text, not %s", kind(n))
		return
	}
	// What a terminal would act upon, and what would be a line of redis.conf of its own.
	if i := strings.IndexFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }); i >= 0 {
		d.reject(key, "control characters are not allowed: %s", quote(s))
		return
	}
	into.SetString(s)
}

// checkDirective takes a text, or a list of texts where redis.conf has the directive several times.
func decodeDirective(d *decoder, key, name string, n ast.Node, into reflect.Value) {
	if _, list := n.(*ast.SequenceNode); !list || !SeveralLines(name) {
		if decodeText(d, key, n, into); strings.Contains(into.String(), "\n") {
			d.reject(key, "%s: want one line", quote(into.String()))
		}
		return
	}
	var lines []string
	d.list(key, n, reflect.ValueOf(&lines).Elem())
	for i, line := range lines {
		if strings.Contains(line, "\n") {
			d.reject(fmt.Sprintf("%s[%d]", key, i), "%s: want one line", quote(line))
		}
	}
	into.SetString(strings.Join(lines, "\n"))
}

func decodeBoolean(d *decoder, key string, n ast.Node, into reflect.Value) {
	b, ok := n.(*ast.BoolNode)
	if !ok {
		d.reject(key, "want true or false, not %s", kind(n))
		return
	}
	into.SetBool(b.Value)
}

func decodeWhole(d *decoder, key string, n ast.Node, into reflect.Value) {
	plain, ok := plainText(n)
	if !ok || !wholeNumber.MatchString(plain) {
		d.reject(key, "want a whole number, not %s", kind(n))
		return
	}
	v, err := strconv.ParseInt(plain, 10, into.Type().Bits())
	if err != nil {
		d.reject(key, "%s is out of range", quote(plain))
		return
	}
	into.SetInt(v)
}

func decodeReal(d *decoder, key string, n ast.Node, into reflect.Value) {
	plain, ok := plainText(n)
	if !ok || !number.MatchString(plain) {
		d.reject(key, "want a number, not %s", kind(n))
		return
	}
	v, err := strconv.ParseFloat(plain, 64)
	if err != nil { // it says infinity
		d.reject(key, "%s is out of range", quote(plain))
		return
	}
	into.SetFloat(v)
}

// plainText is a scalar as it stands in the file, if it is not quoted. The
// library's own idea of its type is of no use: to it 1e3 is text and 017 is
// fifteen.
func plainText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value, true
	case *ast.StringNode:
		return n.Value, n.Token.Type == token.StringType
	}
	return "", false
}

// kind says in a message what a node is.
func kind(n ast.Node) string {
	switch n := n.(type) {
	case *ast.MappingNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "nothing: give a value or leave the key out"
	case *ast.StringNode:
		if n.Token.Type != token.StringType && number.MatchString(n.Value) {
			return "the text " + quote(n.Value) + ": take the quotes away"
		}
		return "the text " + quote(n.Value)
	case *ast.LiteralNode:
		return "a text of several lines"
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NanNode, *ast.InfinityNode:
		return n.GetToken().Value
	case *ast.AnchorNode, *ast.AliasNode:
		return "an anchor or an alias: they are not supported"
	case *ast.TagNode:
		return "a tag: tags are not supported"
	}
	return strings.ToLower(n.Type().YAMLName())
}

// place finds where to point for a key: at its value, or at the nearest key
// above it that is in the file.
func (d *decoder) place(key string) place { return nearestPlace(d.places, key) }

func nearestPlace(places map[string]place, key string) place {
	for {
		at, ok := places[key]
		switch {
		case ok:
			return at
		case key == "":
			return place{1, 1}
		}
		key = key[:max(0, strings.LastIndexAny(key, ".["))]
	}
}

// has reports whether a key is in the file.
func (d *decoder) has(key string) bool {
	_, ok := d.places[key]
	return ok
}

// spoilt reports whether a key's value, what it is part of, or a part of it could
// not be used.
func (d *decoder) spoilt(key string) bool {
	return slices.ContainsFunc(d.bad, func(bad string) bool { return under(key, bad) || under(bad, key) })
}

// under reports whether a key is another one or lies under it.
func under(key, above string) bool {
	rest, ok := strings.CutPrefix(key, above)
	return ok && (above == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

// join adds a name to a key; a name that is no plain word is quoted, since keys
// go into messages.
func join(key, name string) string {
	if !plainKey.MatchString(name) {
		name = quote(name)
	}
	if key == "" {
		return name
	}
	return key + "." + name
}

func in(key string) string {
	if key == "" {
		return ""
	}
	return " in " + key
}
