// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// logged are the functions and methods whose first text is a line of the log;
// warn and Warn are also what the grants tell the operator by.
var logging = []string{"Debug", "Info", "Warn", "Error", "Log", "Check", "Write", "warn", "log", "Warnings"}

// texts are what an expression may be, as far as it stands in the source: the
// whole text, or what it begins with.
func (s *source) texts(e ast.Expr) (all []string) {
	if text, ok := literal(e); ok {
		text, _, _ = strings.Cut(text, "%")
		return []string{text}
	}
	switch e := e.(type) {
	case *ast.BinaryExpr:
		return s.texts(e.X)
	case *ast.CallExpr:
		if name := calledName(e); name == "Sprintf" {
			return s.texts(e.Args[0])
		}
		return s.returned(calledName(e))
	case *ast.Ident:
		return s.assigned(e.Name)
	}
	return nil
}

func calledName(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

// returned are the texts that functions of a name return.
func (s *source) returned(name string) (all []string) {
	s.each(func(n ast.Node) {
		if f, ok := n.(*ast.FuncDecl); ok && f.Name.Name == name && f.Body != nil {
			ast.Inspect(f.Body, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.ReturnStmt:
					for _, e := range n.Results {
						all = append(all, s.texts(e)...)
					}
				case *ast.CallExpr:
					if calledName(n) == "append" {
						for _, e := range n.Args[1:] {
							all = append(all, s.texts(e)...)
						}
					}
				}
				return true
			})
		}
	})
	return all
}

// assigned are the texts that a constant or variable of a name may have.
func (s *source) assigned(name string) (all []string) {
	s.each(func(n ast.Node) {
		var names, values []ast.Expr
		switch n := n.(type) {
		case *ast.AssignStmt:
			names, values = n.Lhs, n.Rhs
		case *ast.ValueSpec:
			for _, id := range n.Names {
				names = append(names, id)
			}
			values = n.Values
		case *ast.RangeStmt:
			if call, ok := n.X.(*ast.CallExpr); ok && n.Value != nil && n.Tok == token.DEFINE {
				if id, ok := n.Value.(*ast.Ident); ok && id.Name == name {
					all = append(all, s.returned(calledName(call))...)
				}
			}
			return
		}
		for i, to := range names {
			if id, ok := to.(*ast.Ident); ok && id.Name == name && len(values) == len(names) {
				if text, ok := literal(values[i]); ok {
					all = append(all, text)
				}
			}
		}
	})
	return all
}

// logLines are the texts of all lines of the log.
func (s *source) logLines() (all []string) {
	for _, call := range s.calls(logging...) {
		for i, arg := range call.Args {
			if i > 1 {
				break // level and text, or text
			}
			for _, text := range s.texts(arg) {
				all = append(all, text)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// TestDocsLogLines protects who reads the log, and who watches it: the page has
// every line, by how it begins, and no others.
func TestDocsLogLines(t *testing.T) {
	table := rows(documents(t)[operationsPage], "## Log")
	lines := sourceCode(t).logLines()
	if len(lines) < 30 {
		t.Fatalf("%d lines were found", len(lines))
	}
	for _, line := range lines {
		found := false
		for begins := range table {
			found = found || strings.HasPrefix(line, begins)
		}
		if !found {
			t.Errorf("the page does not have %q", line)
		}
	}
	for begins := range table {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, begins) }) {
			t.Errorf("the page has %q, which there is not", begins)
		}
	}
}
