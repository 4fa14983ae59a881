// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// source is the production Go below caddymodule: what the pages are compared
// with. It is read, so that nothing has to be listed by hand here.
type source struct {
	files    []*ast.File
	literals []string // all strings that stand in it, each once
}

var production = sync.OnceValues(func() (*source, error) {
	s, set := new(source), token.NewFileSet()
	err := filepath.WalkDir("../caddymodule", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		s.files = append(s.files, file)
		return nil
	})
	s.each(func(_ *ast.File, n ast.Node) {
		if text, ok := literal(n); ok {
			s.literals = append(s.literals, text)
		}
	})
	slices.Sort(s.literals)
	s.literals = slices.Compact(s.literals)
	return s, err
})

func sourceCode(t *testing.T) *source {
	t.Helper()
	s, err := production()
	if err != nil || len(s.files) < 50 {
		t.Fatalf("%d files of caddymodule: %v", len(s.files), err)
	}
	return s
}

// each calls f with everything that stands in the code, and its file.
func (s *source) each(f func(*ast.File, ast.Node)) {
	for _, file := range s.files {
		ast.Inspect(file, func(n ast.Node) bool {
			f(file, n)
			return true
		})
	}
}

// literal is the text of a string that stands in the code.
func literal(n ast.Node) (string, bool) {
	lit, ok := n.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

// calls returns the calls of functions and methods of these names.
func (s *source) calls(names ...string) (all []*ast.CallExpr) {
	s.each(func(_ *ast.File, n ast.Node) {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return
		}
		switch f := call.Fun.(type) {
		case *ast.SelectorExpr:
			ok = slices.Contains(names, f.Sel.Name)
		case *ast.Ident:
			ok = slices.Contains(names, f.Name)
		default:
			ok = false
		}
		if ok {
			all = append(all, call)
		}
	})
	return all
}

// constants are the values of constants whose type has this name.
func (s *source) constants(kind string) (all []string) {
	s.each(func(_ *ast.File, n ast.Node) {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return
		}
		if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != kind {
			return
		}
		for _, value := range spec.Values {
			if text, ok := literal(value); ok {
				all = append(all, text)
			}
		}
	})
	return all
}
