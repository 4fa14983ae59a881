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
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				receiver, _ := n.X.(*ast.Ident)
				if n.Sel.Name == "guest" || receiver != nil && receiver.Name == "guest" || slices.Contains([]string{"Apply", "Stale"}, n.Sel.Name) {
					t.Errorf("%s: %s: have guest.go call it", files.Position(n.Pos()), n.Sel.Name)
				}
			case *ast.TypeAssertExpr:
				asserted, _ := n.Type.(*ast.SelectorExpr)
				if asserted == nil {
					return true
				}
				if from, _ := asserted.X.(*ast.Ident); from != nil && from.Name == "delegation" && asserted.Sel.Name != "Provider" {
					t.Errorf("%s: delegation.%s: have guest.go call it", files.Position(n.Pos()), asserted.Sel.Name)
				}
			}
			return true
		})
	}
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
