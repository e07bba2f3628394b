package schema

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// source is what comments in our Go code say of types, fields and words: the one
// place in which they are described.
type source struct {
	root, module string
	packages     map[string]*described // by import path
	err          error                 // the first package that could not be read
}

// described is a package's comments.
type described struct {
	types  map[string]string            // of a type
	fields map[string]map[string]string // of a field, by type and name
	words  map[string][]word            // the constants of a type, in their order
	yaml   map[string]string            // what files call a field or constant, by its name in Go
}

// word is a text that a setting may have, and what it means.
type word struct{ text, says string }

// pkg reads a package's files, once.
func (s *source) pkg(path string) *described {
	if d, ok := s.packages[path]; ok {
		return d
	}
	d := &described{types: map[string]string{}, fields: map[string]map[string]string{}, words: map[string][]word{}, yaml: map[string]string{}}
	s.packages[path] = d
	within, ours := strings.CutPrefix(path, s.module)
	if !ours {
		return d
	}
	files, err := filepath.Glob(filepath.Join(s.root, filepath.FromSlash(within), "*.go"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no Go files of %s: %w", path, os.ErrNotExist)
	}
	s.err = errors.Join(s.err, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		s.err = errors.Join(s.err, err)
		if err == nil {
			d.file(tree)
		}
	}
	return d
}

func (d *described) file(f *ast.File) {
	for _, decl := range f.Decls {
		g, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range g.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				d.typ(spec, g.Doc)
			case *ast.ValueSpec:
				if g.Tok == token.CONST {
					d.constant(spec)
				}
			}
		}
	}
}

func (d *described) typ(t *ast.TypeSpec, above *ast.CommentGroup) {
	d.types[t.Name.Name] = paragraph(t.Doc, above)
	fields, ok := t.Type.(*ast.StructType)
	if !ok {
		return
	}
	of := map[string]string{}
	d.fields[t.Name.Name] = of
	for _, f := range fields.Fields.List {
		for _, name := range f.Names {
			of[name.Name] = paragraph(f.Doc, f.Comment)
			if f.Tag == nil {
				continue
			}
			if tag, err := strconv.Unquote(f.Tag.Value); err == nil {
				if key := reflect.StructTag(tag).Get("yaml"); key != "" && key != "-" {
					d.yaml[name.Name] = key
				}
			}
		}
	}
}

func (d *described) constant(v *ast.ValueSpec) {
	of, ok := v.Type.(*ast.Ident)
	if !ok || len(v.Names) != 1 || len(v.Values) != 1 {
		return
	}
	literal, ok := v.Values[0].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return
	}
	text, err := strconv.Unquote(literal.Value)
	if err != nil {
		return
	}
	name := v.Names[0].Name
	d.yaml[name] = text
	d.words[of.Name] = append(d.words[of.Name], word{text, predicate(paragraph(v.Doc, v.Comment), name)})
}

// paragraph is the first comment that there is, on one line.
func paragraph(comments ...*ast.CommentGroup) string {
	for _, c := range comments {
		if text := strings.Join(strings.Fields(c.Text()), " "); text != "" {
			return text
		}
	}
	return ""
}

// predicate takes the name away that a comment begins with: what follows says what
// the word means.
func predicate(text, name string) string {
	rest, ok := strings.CutPrefix(text, name)
	if !ok {
		return text
	}
	rest = strings.TrimSpace(strings.TrimPrefix(rest, ":"))
	rest = strings.TrimPrefix(rest, "is ")
	first, size := utf8.DecodeRuneInString(rest)
	return string(unicode.ToUpper(first)) + rest[size:]
}

// field says what a field of a struct is: in its own comment, or else in its type's.
func (s *source) field(of reflect.Type, f reflect.StructField) string {
	d := s.pkg(of.PkgPath())
	key := f.Tag.Get("yaml")
	t := f.Type
	own := d.spoken(d.fields[of.Name()][f.Name], f.Name, key, of)
	if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
		return strings.TrimSuffix("What differs in this arm; what is left out is the scenario's. "+own, " ")
	}
	if own != "" {
		return own
	}
	if t.Name() == "" || t.PkgPath() == "" || t.Kind() != reflect.String && t.Kind() != reflect.Struct {
		return ""
	}
	d = s.pkg(t.PkgPath())
	return d.spoken(d.types[t.Name()], t.Name(), key, t)
}

// wordsOf are the constants of a type of texts, and what they mean.
func (s *source) wordsOf(path, name string) []word {
	d := s.pkg(path)
	words := slices.Clone(d.words[name])
	for i := range words {
		words[i].says = d.spoken(words[i].says, "", "", nil)
	}
	return words
}

var identifier = regexp.MustCompile(`\b[A-Z][A-Za-z0-9]*\b`)

// spoken is a comment in the words of a scenario file: a name of Go becomes what
// files call it. Comments begin with the name of what they describe. Elsewhere a
// name of one hump may be an ordinary word: it has to be a field of the same struct,
// and not begin a sentence.
func (d *described) spoken(text, name, key string, of reflect.Type) string {
	if rest, ok := strings.CutPrefix(text, name+" "); ok && name != "" {
		text = key + " " + rest
	}
	at := 0
	var b strings.Builder
	for _, m := range identifier.FindAllStringIndex(text, -1) {
		said := text[m[0]:m[1]]
		b.WriteString(text[at:m[0]])
		at = m[1]
		humps := strings.IndexFunc(said[1:], unicode.IsUpper) >= 0
		begins := m[0] == 0 || strings.HasSuffix(text[:m[0]], ". ")
		field := false
		if of != nil && of.Kind() == reflect.Struct {
			_, field = of.FieldByName(said)
		}
		if file, ok := d.yaml[said]; ok && (humps || field && !begins) {
			said = file
		}
		b.WriteString(said)
	}
	return b.String() + text[at:]
}
