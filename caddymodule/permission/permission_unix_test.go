// SPDX-License-Identifier: Apache-2.0

//go:build unix

package permission

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRestrict protects what this program keeps from other users of the machine,
// also after a copy or a restored backup has opened it to them.
func TestRestrict(t *testing.T) {
	for mode, want := range map[fs.FileMode]struct {
		mode    fs.FileMode
		exposed bool
		told    string // of a secret of that mode that the operator provides
	}{
		0o600: {0o600, false, ""},
		0o400: {0o400, false, ""},
		0o440: {0o400, false, ""}, // Kubernetes with fsGroup
		0o660: {0o600, false, ""},
		0o644: {0o600, true, "chmod 600"},
		0o444: {0o400, true, "defaultMode"}, // Docker's default
		0o602: {0o600, true, "chmod 600"},
		0o666: {0o600, true, "mode 0666"},
	} {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		link := file + "-link"
		if err := os.Symlink(file, link); err != nil {
			t.Fatal(err)
		}
		if got := Exposure(link); (got == "") != (want.told == "") || !strings.Contains(got, want.told) {
			t.Errorf("%o: %q", mode, got)
		}
		exposed, err := Restrict(link)
		info, statErr := os.Stat(file)
		if err != nil || statErr != nil || exposed != want.exposed || info.Mode().Perm() != want.mode {
			t.Errorf("%o: %v, exposed %v, now %v", mode, err, exposed, info.Mode())
		}
	}
	if exposed, err := Restrict(filepath.Join(t.TempDir(), "none")); exposed || err != nil {
		t.Error(exposed, err)
	}
}
