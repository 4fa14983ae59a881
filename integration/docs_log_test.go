// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"testing"
)

// logging tells whether a call writes a line of the log, and which of its values
// is the text: by a logger's methods, or by what the grants are given for that.
func logging(call *ast.CallExpr) (text ast.Expr, ok bool) {
	at := 0
	switch f := call.Fun.(type) {
	case *ast.Ident:
		ok = f.Name == "log" || f.Name == "warn"
	case *ast.SelectorExpr:
		by := types.ExprString(f.X)
		switch f.Sel.Name {
		case "Debug", "Info", "Warn", "Error":
			ok = strings.HasSuffix(by, "ogger") || strings.HasSuffix(by, "ogger()") || strings.HasPrefix(by, "caddy.Log()")
		case "Log", "Check":
			ok = strings.HasSuffix(by, "ogger")
			at = 1
		case "warn":
			ok = true
		}
	}
	if !ok || len(call.Args) <= at {
		return nil, false
	}
	return call.Args[at], true
}

// texts are what an expression of a file may be, as far as it stands in the
// source: the whole text, or what it begins with.
func (s *source) texts(file *ast.File, e ast.Expr, deep int) (all []string) {
	if text, ok := literal(e); ok {
		text, _, _ = strings.Cut(text, "%")
		return []string{text}
	}
	if deep == 0 {
		return nil
	}
	switch e := e.(type) {
	case *ast.BinaryExpr:
		return s.texts(file, e.X, deep)
	case *ast.CallExpr:
		if name := calledName(e); name == "Sprintf" {
			return s.texts(file, e.Args[0], deep)
		}
		return s.returned(calledName(e), deep-1)
	case *ast.Ident:
		return s.assigned(file, e.Name, deep-1)
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
func (s *source) returned(name string, deep int) (all []string) {
	s.each(func(file *ast.File, n ast.Node) {
		if f, ok := n.(*ast.FuncDecl); ok && f.Name.Name == name && f.Body != nil {
			ast.Inspect(f.Body, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.ReturnStmt:
					for _, e := range n.Results {
						all = append(all, s.texts(file, e, deep)...)
					}
				case *ast.CallExpr:
					if calledName(n) == "append" {
						for _, e := range n.Args[1:] {
							all = append(all, s.texts(file, e, deep)...)
						}
					}
				}
				return true
			})
		}
	})
	return all
}

// assigned are the texts that a constant or variable of a name may have in a file.
func (s *source) assigned(file *ast.File, name string, deep int) (all []string) {
	ast.Inspect(file, func(n ast.Node) bool {
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
					all = append(all, s.returned(calledName(call), deep)...)
				}
			}
		}
		for i, to := range names {
			if id, ok := to.(*ast.Ident); ok && id.Name == name && len(values) == len(names) {
				if text, ok := literal(values[i]); ok {
					all = append(all, text)
				}
			}
		}
		return true
	})
	return all
}

// isParameter tells whether a function of the file has a parameter of that name:
// what its callers give is looked at there.
func isParameter(file *ast.File, name string) (is bool) {
	ast.Inspect(file, func(n ast.Node) bool {
		if f, ok := n.(*ast.FuncType); ok {
			for _, field := range f.Params.List {
				is = is || slices.ContainsFunc(field.Names, func(id *ast.Ident) bool { return id.Name == name })
			}
		}
		return !is
	})
	return is
}

// logLines are the texts of all lines of the log, and the calls whose text
// cannot be read from the source.
func (s *source) logLines() (all, unread []string) {
	s.each(func(file *ast.File, n ast.Node) {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return
		}
		text, ok := logging(call)
		if !ok {
			return
		}
		texts := s.texts(file, text, 2)
		if id, ok := text.(*ast.Ident); len(texts) == 0 && !(ok && isParameter(file, id.Name)) {
			unread = append(unread, types.ExprString(call))
		}
		all = append(all, texts...)
	})
	slices.Sort(all)
	return slices.Compact(all), unread
}

// TestDocsLogLines protects who reads the log, and who watches it: the page has
// every line, by how it begins, and no others.
func TestDocsLogLines(t *testing.T) {
	table := rows(documents(t)[operationsPage], "## Log")
	lines, unread := sourceCode(t).logLines()
	if len(lines) < 30 || len(unread) > 0 {
		t.Fatalf("%d lines were found; these cannot be read: %q", len(lines), unread)
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
