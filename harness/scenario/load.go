package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/lockjam/lockjam/scenarios"
)

const (
	maxSource = 1 << 20 // bytes of one file
	// The parser's time grows with the square of the nesting and of the number
	// of keys. Ten thousand tokens take it half a second at the worst; the
	// longest scenario has some five hundred.
	maxTokens = 10_000
)

// pipeLimit is how long a pipe may take to deliver a scenario.
const pipeLimit = 10 * time.Second

// Load reads a scenario from a file of the user's. What is wrong with the
// contents comes back as [Errors]; what is wrong with the file, as package os
// says it.
func Load(path string) (*Scenario, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	defer f.Close()
	// It may be a pipe, as <(...) in a shell is, and one without a writer.
	_ = f.SetReadDeadline(time.Now().Add(pipeLimit)) // a file has none, and needs none
	s, err := Read(f, path)
	if err != nil {
		return nil, err
	}
	s.File = path
	return s, nil
}

// Read reads a scenario that is no file of the user's; path is for messages. It fails
// as Load does.
func Read(r io.Reader, path string) (*Scenario, error) {
	source, err := read(r)
	if err != nil {
		return nil, err
	}
	return Parse(path, source)
}

// ReadRecorded reads a scenario that has been run. It may have directives that none may
// have any more, since no server is started with it.
func ReadRecorded(r io.Reader, path string) (*Scenario, error) {
	source, err := read(r)
	if err != nil {
		return nil, err
	}
	v := catalogue()
	v.recorded = true
	return parse(path, source, v, "")
}

func read(r io.Reader) ([]byte, error) {
	// One byte more than is allowed is enough to know, and ends a read of /dev/zero.
	source, err := io.ReadAll(io.LimitReader(r, maxSource+1))
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	return source, nil
}

// Embedded loads a scenario of the catalogue by its name. A name that is not
// in the catalogue is [ErrUnknown].
func Embedded(name string) (*Scenario, error) {
	if !slices.Contains(scenarios.Names, name) {
		return nil, fmt.Errorf("%w %s; %s", ErrUnknown, quote(name), hint(name, scenarios.Names))
	}
	source, err := scenarios.Files.ReadFile(name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	return parse("scenarios/"+name+".yaml", source, catalogue(), name)
}

// Parse reads a scenario from the text of a file; path is for messages. Every
// problem that it finds is in the [Errors] that it returns.
func Parse(path string, source []byte) (*Scenario, error) {
	return parse(path, source, catalogue(), "")
}

// parse takes the words that a scenario may use, and the name that the scenario must have; "" leaves it free.
func parse(path string, source []byte, v vocabulary, name string) (*Scenario, error) {
	d := &decoder{path: path, places: map[string]place{"": {1, 1}}}
	s := Defaults()
	s.Path, s.Source = path, source
	if root := d.tree(source); root != nil {
		d.root(root, &s)
		c := &checker{decoder: d, vocabulary: v, failed: map[string]bool{}}
		c.scenario(&s, name)
	}
	if len(d.errs) > 0 {
		d.errs.sort()
		return nil, d.errs
	}
	s.places = d.places
	return &s, nil
}

// tree parses the source into its one mapping, or complains and returns nil.
func (d *decoder) tree(source []byte) ast.Node {
	if len(source) > maxSource {
		d.complain(place{1, 1}, "the file is larger than 1 MiB")
		return nil
	}
	if at, valid := validUTF8(source); !valid {
		d.complain(at, "not UTF-8 text")
		return nil
	}
	source = bytes.TrimPrefix(source, []byte("\uFEFF")) // some editors begin a file with it
	tokens := lexer.Tokenize(string(source))
	if len(tokens) > maxTokens {
		d.complain(tokenPlace(tokens[maxTokens]), "more than %d YAML tokens: no scenario is that long", maxTokens)
		return nil
	}
	// The decoder finds duplicates itself, all of them.
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.syntax(err)
		return nil
	}
	return d.document(file)
}

// document picks the file's only document.
func (d *decoder) document(file *ast.File) ast.Node {
	var root ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil: // comments before the first "---", or nothing after the last
		case root != nil:
			at := doc.Start
			if at == nil {
				at = doc.Body.GetToken()
			}
			d.complain(tokenPlace(at), "a second YAML document: one scenario per file")
			return nil
		case doc.Body.Type() == ast.DirectiveType:
			d.complain(nodePlace(doc.Body), "YAML directives are not supported")
			return nil
		default:
			root = doc.Body
		}
	}
	if root == nil {
		d.complain(place{1, 1}, "the file holds no scenario")
	}
	return root
}

// syntax turns an error of the parser, several lines with an excerpt, into one
// line.
func (d *decoder) syntax(err error) {
	at, message := place{1, 1}, err.Error()
	var located yaml.Error
	if errors.As(err, &located) {
		at, message = tokenPlace(located.GetToken()), located.GetMessage()
	}
	message = strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return '→'
		case unicode.IsControl(r):
			return ' '
		}
		return r
	}, message)
	if message == "" {
		message = "not YAML"
	}
	d.complain(at, "%s", message)
}

// place is a position in the file, counted from 1.
type place struct{ line, column int }

func tokenPlace(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{1, 1}
	}
	return place{max(1, t.Position.Line), max(1, t.Position.Column)}
}

// nodePlace is where a node begins. A block mapping's own token is the first
// colon in it.
func nodePlace(n ast.Node) place {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		return tokenPlace(m.Values[0].Key.GetToken())
	}
	return tokenPlace(n.GetToken())
}

// validUTF8 finds the first byte that is not UTF-8.
func validUTF8(source []byte) (place, bool) {
	if utf8.Valid(source) {
		return place{}, true
	}
	at := place{1, 1}
	for len(source) > 0 {
		r, size := utf8.DecodeRune(source)
		switch {
		case r == utf8.RuneError && size == 1:
			return at, false
		case r == '\n':
			at = place{at.line + 1, 1}
		default:
			at.column++
		}
		source = source[size:]
	}
	return at, false
}
