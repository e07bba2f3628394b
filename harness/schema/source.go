package schema

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// source is what comments in our Go code say of the fields of events: the one place in which
// those are described.
type source struct {
	root, module string
	packages     map[string]fields // by import path
	err          error             // the packages that could not be read
}

// fields are the comments of a package's fields, by type and name.
type fields map[string]map[string]string

// pkg reads a package's files, once.
func (s *source) pkg(path string) fields {
	if d, ok := s.packages[path]; ok {
		return d
	}
	d := fields{}
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

func (d fields) file(f *ast.File) {
	ast.Inspect(f, func(n ast.Node) bool {
		t, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if structure, ok := t.Type.(*ast.StructType); ok {
			of := map[string]string{}
			d[t.Name.Name] = of
			for _, f := range structure.Fields.List {
				for _, name := range f.Names {
					of[name.Name] = paragraph(f.Doc, f.Comment)
				}
			}
		}
		return false
	})
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
