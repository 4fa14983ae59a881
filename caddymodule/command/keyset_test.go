// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestKeysetCommand protects a fleet's operator: the two steps of a rotation
// take turns, each says what comes next, and none prints a key or lets go of
// what is sealed.
func TestKeysetCommand(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyset.json")
	if out, err := delegateCommand(t, "keyset", "generate", path); err != nil || !strings.Contains(out, path) {
		t.Fatalf("generate: %q, %v", out, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	sealed, err := readKeyset(t, path).Seal([]byte("token"), []byte("row"))
	if err != nil {
		t.Fatal(err)
	}
	for i, says := range []string{"then run rotate again", "rotation is then complete", "then run rotate again"} {
		out, err := delegateCommand(t, "keyset", "rotate", path)
		if err != nil || !strings.Contains(out, says) || !strings.Contains(out, "every machine") {
			t.Errorf("rotate %d: %q, %v; want %q", i, out, err, says)
		}
		keys := readKeyset(t, path)
		if staged := i%2 == 0; keys.Staged() != staged {
			t.Errorf("rotate %d: staged %t", i, keys.Staged())
		}
		if got, err := keys.Open(sealed, []byte("row")); err != nil || string(got) != "token" {
			t.Errorf("rotate %d: opened %q, %v", i, got, err)
		}
	}
}

// TestKeysetCommandRefused protects the keys in use from a slip: nothing is
// overwritten, nothing is left behind, and scripts see that it failed.
func TestKeysetCommandRefused(t *testing.T) {
	dir := t.TempDir()
	path, absent := filepath.Join(dir, "keyset.json"), filepath.Join(dir, "absent.json")
	if _, err := delegateCommand(t, "keyset", "generate", path); err != nil {
		t.Fatal(err)
	}
	before := readKeyset(t, path).Fingerprint()
	for _, args := range [][]string{
		{"keyset", "generate", path},
		{"keyset", "generate"},
		{"keyset", "generate", ""},
		{"keyset", "generate", absent, absent},
		{"keyset", "generate", filepath.Join(absent, "keyset.json")},
		{"keyset", "rotate"},
		{"keyset", "rotate", absent},
		{"keyset", "rotate", dir},
		{"keyset", "rotate", path, path},
		{"keyset", "rotte", path},
		{"keyst"},
	} {
		if out, err := delegateCommand(t, args...); err == nil {
			t.Errorf("%q succeeded: %s", args, out)
		}
	}
	if after := readKeyset(t, path).Fingerprint(); after != before {
		t.Error("the keys were changed")
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}
