// SPDX-License-Identifier: Apache-2.0

package background

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// elsewhere says what to use instead of what only this package, and the one
// file that makes contexts, may use.
var elsewhere = map[string]string{
	"AfterFunc":     "background.After",
	"DoChan":        "singleflight.Group",
	"WithoutCancel": "delegation.Detach",
}

// TestR14_OneOwner protects against the next goroutine that recovers nothing,
// and the next context that takes all of a request along (R6): outside of this
// package there is no go statement, no timer with a function, no WaitGroup.Go,
// and no context without its deadline but with its values.
func TestR14_OneOwner(t *testing.T) {
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		if strings.HasPrefix(path, filepath.Join("..", "background")) {
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		flights := strings.HasPrefix(path, filepath.Join("..", "singleflight")) // recovers inside of singleflight's goroutine
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: a go statement: use background.Go", files.Position(n.Pos()))
			case *ast.SelectorExpr:
				receiver, _ := n.X.(*ast.Ident)
				instead, ok := elsewhere[n.Sel.Name]
				switch {
				case ok && !(flights && n.Sel.Name == "DoChan"):
					t.Errorf("%s: %s: use %s", files.Position(n.Pos()), n.Sel.Name, instead)
				case n.Sel.Name == "Go" && (receiver == nil || receiver.Name != "background"):
					t.Errorf("%s: Go: use background.GoIn", files.Position(n.Pos()))
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
