// SPDX-License-Identifier: Apache-2.0

package keyset

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// wantFiles fails if anything else is in the directory, such as a file half
// written.
func wantFiles(t *testing.T, dir string, names ...string) {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range found {
		got = append(got, f.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("the directory has %q, want %q", got, names)
	}
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode()
}

// TestCreate protects keys in use from being overwritten, also by one of two
// who create at once, and new ones from being read by others.
func TestCreate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keyset.json")
	var wg sync.WaitGroup
	var made atomic.Pointer[Keyset]
	var count atomic.Int32
	for range 8 {
		k := generate(t)
		wg.Go(func() {
			if k.Create(path) == nil {
				made.Store(k)
				count.Add(1)
			}
		})
	}
	wg.Wait()
	if count.Load() != 1 {
		t.Fatalf("%d of 8 created the file, want 1", count.Load())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if k, err := Parse(string(text)); err != nil || k.Fingerprint() != made.Load().Fingerprint() {
		t.Errorf("the file has another keyset: %v", err)
	}
	if got := mode(t, path); got != 0o600 {
		t.Errorf("mode %v", got)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "absent"), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, link, dir, filepath.Join(dir, "absent", "keyset.json")} {
		if err := generate(t).Create(path); err == nil {
			t.Errorf("%s was written", path)
		}
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(after, text) {
		t.Error("the file was changed")
	}
	wantFiles(t, dir, "keyset.json", "link")
}

// TestRotateMode protects the file from being opened to more people, or to
// fewer than its owner, by a rotation.
func TestRotateMode(t *testing.T) {
	for before, after := range map[os.FileMode]os.FileMode{0o600: 0o600, 0o400: 0o400, 0o644: 0o600, 0o440: 0o400, 0o700: 0o600} {
		path := filepath.Join(t.TempDir(), "keyset.json")
		if err := generate(t).Create(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, before); err != nil {
			t.Fatal(err)
		}
		if _, err := Rotate(path); err != nil {
			t.Fatal(err)
		}
		if got := mode(t, path); got != after {
			t.Errorf("%v became %v, want %v", before, got, after)
		}
	}
}

// TestRotateRefused protects the only copy of the keys: where a step cannot be
// taken, the file stays as it was and nothing is left beside it.
func TestRotateRefused(t *testing.T) {
	dir := t.TempDir()
	path, link, other := filepath.Join(dir, "keyset.json"), filepath.Join(dir, "link"), filepath.Join(dir, "other.json")
	if err := generate(t).Create(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other, []byte("hunter2-7f3a"), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		link:                         "symbolic link",
		dir:                          "no regular file",
		other:                        "no keyset",
		filepath.Join(dir, "absent"): "no such file",
	} {
		if _, err := Rotate(path); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want an error with %q", path, err, want)
		}
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(after, text) {
		t.Error("the file was changed")
	}
	wantFiles(t, dir, "keyset.json", "link", "other.json")

	// A directory in the place of the file fails the last move.
	if err := generate(t).replace(dir, mustStat(t, path)); err == nil {
		t.Error("a directory was replaced")
	}
	wantFiles(t, filepath.Dir(dir), filepath.Base(dir))
}

func mustStat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}
