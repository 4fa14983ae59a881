// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// requestPath are the files that a warm request runs through, by prefix.
var requestPath = []string{"proxy", "admission", "directive", "subject", "refusal", "guest_credential", "guest_result"}

// noImports stands in for imported packages, of which this test needs nothing:
// without them the package is checked in a fraction of a second.
type noImports map[string]*types.Package

// Import implements [types.Importer].
func (n noImports) Import(name string) (*types.Package, error) {
	if n[name] == nil {
		n[name] = types.NewPackage(name, path.Base(name))
		n[name].MarkComplete()
	}
	return n[name], nil
}

// sourceFiles are the files of this package without its tests.
func sourceFiles(t *testing.T, set *token.FileSet) []*ast.File {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// fileUses returns which files of this package use which others, and one name of
// what they use.
func fileUses(t *testing.T) map[string]map[string]string {
	t.Helper()
	set := token.NewFileSet()
	files := sourceFiles(t, set)
	info := types.Info{Uses: make(map[*ast.Ident]types.Object)}
	check := types.Config{Importer: make(noImports), Error: func(error) {}} // what is imported is unknown, and an error each time
	pkg, _ := check.Check("caddymodule", set, files, &info)
	uses := make(map[string]map[string]string)
	for use, object := range info.Uses {
		if object.Pkg() != pkg {
			continue
		}
		from, to := set.Position(use.Pos()).Filename, set.Position(object.Pos()).Filename
		if from == to || to == "" {
			continue
		}
		if uses[from] == nil {
			uses[from] = make(map[string]string)
		}
		uses[from][to] = object.Name()
	}
	return uses
}

// TestRequestPathHasNoCycles protects whoever reads the way of a request: from
// the directive to the response, no file uses one that uses it.
func TestRequestPathHasNoCycles(t *testing.T) {
	uses := fileUses(t)
	onPath := func(file string) bool {
		return slices.ContainsFunc(requestPath, func(prefix string) bool { return strings.HasPrefix(file, prefix) })
	}
	seen := make(map[string]bool) // done, and in no cycle
	var visit func(file string, way []string)
	visit = func(file string, way []string) {
		if i := slices.Index(way, file); i >= 0 {
			for j, from := range way[i:] {
				to := append(way[i+1:], file)[j]
				t.Errorf("cycle: %s uses %s of %s", from, uses[from][to], to)
			}
			return
		}
		if seen[file] {
			return
		}
		for _, to := range slices.Sorted(maps.Keys(uses[file])) {
			if onPath(to) {
				visit(to, append(slices.Clone(way), file))
			}
		}
		seen[file] = true
	}
	files := 0
	for _, file := range slices.Sorted(maps.Keys(uses)) {
		if onPath(file) {
			files++
			visit(file, nil)
		}
	}
	if files < 15 || uses["proxy_handler.go"]["subject.go"] == "" {
		t.Fatalf("%d files, and %v: the test sees nothing", files, uses["proxy_handler.go"])
	}
}

// TestServeHTTPIsShort protects whoever reads the way of a request: every
// handler's ServeHTTP reads top to bottom in 40 lines.
func TestServeHTTPIsShort(t *testing.T) {
	set, handlers := token.NewFileSet(), 0
	for _, file := range sourceFiles(t, set) {
		for _, declared := range file.Decls {
			f, ok := declared.(*ast.FuncDecl)
			if !ok || f.Name.Name != "ServeHTTP" {
				continue
			}
			handlers++
			if begin, end := set.Position(f.Pos()), set.Position(f.End()); end.Line-begin.Line >= 40 {
				t.Errorf("%s has %d lines", begin, end.Line-begin.Line+1)
			}
		}
	}
	if handlers < 5 {
		t.Errorf("%d handlers: the test sees nothing", handlers)
	}
}
