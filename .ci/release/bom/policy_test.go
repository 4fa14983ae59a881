// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	mit = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the \"Software\"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:\n\nThe above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.\n\nTHE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.\n"
	gpl = "SPDX-License-Identifier: GPL-3.0-only\n"
	own = "You may use this on Tuesdays, if the vendor is in a good mood and the moon is full.\n"
)

// TestPolicy protects who passes a release on: a module without a licence, with one
// that is not allowed or that nobody has read is refused, by its name and the file's.
func TestPolicy(t *testing.T) {
	reviewed := fmt.Sprintf("%x", sha256.Sum256([]byte(own)))
	for _, c := range []struct {
		name, list string
		files      map[string]string
		want       string // of the error; empty for none
	}{
		{"allowed", "allow MIT # like most", map[string]string{"LICENSE": mit}, ""},
		{"not allowed", "allow ISC", map[string]string{"LICENSE": mit}, "the licence MIT in "},
		{"a second file", "allow MIT", map[string]string{"LICENSE": mit, "COPYING.vendor": gpl}, "COPYING.vendor is not allowed"},
		{"unrecognized", "allow MIT", map[string]string{"LICENSE.txt": own}, "the licence unknown in "},
		{"read by a person", "allow MIT\nreviewed " + reviewed + " MIT", map[string]string{"LICENSE": own}, ""},
		{"read by a person before it changed", "allow MIT\nreviewed " + reviewed + " MIT", map[string]string{"LICENSE": own + own}, "the licence unknown in "},
		{"read, and not allowed", "allow MIT\nreviewed " + reviewed + " Tuesday-1.0", map[string]string{"LICENSE": own}, "the licence Tuesday-1.0 in "},
		{"of what is not compiled in", "allow MIT\nreviewed " + reviewed, map[string]string{"LICENSE": mit, "LICENSE-LOGO": own}, ""},
		{"a notice alone", "allow MIT", map[string]string{"NOTICE": own, "README.md": mit}, "no licence was found"},
		{"a misspelt list", "alow MIT", nil, ":1: neither"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			list := filepath.Join(dir, "list")
			write(t, list, c.list)
			folder := filepath.Join(dir, "module")
			if err := os.Mkdir(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			for name, text := range c.files {
				write(t, filepath.Join(folder, name), text)
			}
			p, err := readPolicy(list)
			if err == nil {
				m := module{path: "example.org/m", version: "v1.0.0", folder: folder}
				if m.licences, err = readLicences(folder, p.reviewed); err == nil {
					err = p.judge(m)
				}
			}
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, and not %q", err, c.want)
			}
		})
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
