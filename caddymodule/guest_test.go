// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// TestH10_OneOwner protects against the next call of a guest that nothing
// recovers: outside of guest*.go nothing is selected of one, no interface of
// package delegation asserted but that it is a provider, and no method of a
// credential called.
func TestH10_OneOwner(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasPrefix(path, "guest") || strings.HasSuffix(path, "_test.go") {
			continue
		}
		files, file := parsed(t, path)
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				receiver, _ := n.X.(*ast.Ident)
				if n.Sel.Name == "guest" || receiver != nil && receiver.Name == "guest" || slices.Contains([]string{"Apply", "Stale"}, n.Sel.Name) {
					t.Errorf("%s: %s: have guest.go call it", files.Position(n.Pos()), n.Sel.Name)
				}
			case *ast.TypeAssertExpr:
				if name := assertedInterface(n); name != "" && name != "Provider" {
					t.Errorf("%s: delegation.%s: have guest.go call it", files.Position(n.Pos()), name)
				}
			}
			return true
		})
	}
}

// TestGuestInterfacesAreResolvedAtLoad protects the path of a request from
// looking up again what a provider's module can do: in guest*.go only
// newGuestModule and newGuestConsent, which run at load, assert the interfaces of one. A credential is a new value of
// each request.
func TestGuestInterfacesAreResolvedAtLoad(t *testing.T) {
	paths, err := filepath.Glob("guest*.go")
	if err != nil || len(paths) < 3 {
		t.Fatal(paths, err)
	}
	resolved := 0
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		files, file := parsed(t, path)
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.TypeSwitchStmt:
					t.Errorf("%s: a type switch: resolve the interfaces in newGuestModule", files.Position(n.Pos()))
				case *ast.TypeAssertExpr:
					switch name := assertedInterface(n); {
					case name == "" || name == "SecretLister":
					case f.Name.Name == "newGuestModule" || f.Name.Name == "newGuestConsent":
						resolved++
					default:
						t.Errorf("%s: delegation.%s: resolve it in newGuestModule", files.Position(n.Pos()), name)
					}
				}
				return true
			})
		}
	}
	if resolved == 0 {
		t.Error("newGuestModule resolves nothing: the test looks at the wrong function")
	}
}

// parsed is the syntax of a file of this package.
func parsed(t *testing.T, path string) (*token.FileSet, *ast.File) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return files, file
}

// assertedInterface is the name of the type of package delegation that is
// asserted; empty for others.
func assertedInterface(n *ast.TypeAssertExpr) string {
	if asserted, ok := n.Type.(*ast.SelectorExpr); ok {
		if from, ok := asserted.X.(*ast.Ident); ok && from.Name == "delegation" {
			return asserted.Sel.Name
		}
	}
	return ""
}

// TestH10_StateThatPanics protects reloads from waiting for ever for a guest
// whose state could not be made.
func TestH10_StateThatPanics(t *testing.T) {
	var held poolRefs
	for range 2 {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("it did not panic")
				}
			}()
			held.loadOrNew(t.Name(), func() caddy.Destructor { panic("the-token-of-somebody") })
		}()
	}
	if len(held) > 0 {
		t.Error("what was not made is given back")
	}
}
