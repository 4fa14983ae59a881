// SPDX-License-Identifier: Apache-2.0

//go:build unix

package keyset

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestRotateOwner protects Caddy from losing its keys when root rotates them:
// the file stays with the user it belongs to. Who may not give a file away
// the file stays with the user it belongs to.
func TestRotateOwner(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keyset.json")
	if err := generate(t).Create(path); err != nil {
		t.Fatal(err)
	}
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = 65534, 65533
		if err := os.Chown(path, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Rotate(path); err != nil {
		t.Fatal(err)
	}
	if stat := mustStat(t, path).Sys().(*syscall.Stat_t); int(stat.Uid) != uid || int(stat.Gid) != gid {
		t.Errorf("it belongs to %d:%d now, not %d:%d", stat.Uid, stat.Gid, uid, gid)
	}
	wantFiles(t, dir, "keyset.json")
}
