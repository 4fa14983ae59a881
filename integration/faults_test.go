// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTablesOfTests protects who looks for what keeps a fault or an attack away:
// every test that the tables name is there. A name that ends in an ellipsis, or
// with an underscore, stands for all that begin so.
func TestTablesOfTests(t *testing.T) {
	all := declaredTests(t)
	for _, file := range []string{"FAULTS.md", "abuse/README.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(`\b(?:Test[A-Z]|Fuzz[A-Z])\w*…?`).FindAllString(string(text), -1)
		for _, name := range found {
			prefix, open := strings.CutSuffix(name, "…")
			if !strings.Contains(all, "\n"+prefix) || !open && !strings.HasSuffix(prefix, "_") && !strings.Contains(all, "\n"+prefix+"\n") {
				t.Errorf("%s names %s, which there is not", file, name)
			}
		}
		if len(found) < 40 {
			t.Errorf("%s names %d tests", file, len(found))
		}
	}
}

// declaredTests are the names of all tests of the repository, each in a line.
func declaredTests(t *testing.T) string {
	t.Helper()
	var names []string
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	if err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && entry.Name() == "node_modules" {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1])
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return "\n" + strings.Join(names, "\n") + "\n"
}
