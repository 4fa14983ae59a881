// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNetworkFilesystem protects a database from a folder that another machine
// has: two of them would damage it. It is refused before anything is made.
func TestNetworkFilesystem(t *testing.T) {
	folder := t.TempDir()
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		t.Fatal(err)
	}
	kind := int64(s.Type) & 0xFFFFFFFF //nolint:unconvert // differs between architectures
	if name, err := networkFilesystem(folder); name != "" || err != nil {
		t.Fatalf("a folder of this machine is on %q, %v", name, err)
	}
	networkFilesystems[kind] = "NFS" // as if it were
	t.Cleanup(func() { delete(networkFilesystems, kind) })
	file := filepath.Join(folder, "grants.db")
	_, err := Open(t.Context(), Options{File: file, Keyset: newKeyset(t)})
	if err == nil || !strings.Contains(err.Error(), "is on NFS") || !strings.Contains(err.Error(), "grants postgres") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("it was made: %v", err)
	}
	if name, err := networkFilesystem("/nowhere"); name != "" || err == nil {
		t.Errorf("%q %v", name, err)
	}
}

// TestReadOnly protects grants that this user may read and not write: Caddy is
// refused with what to mend, and they are as they were.
func TestReadOnly(t *testing.T) {
	parent := t.TempDir()
	for _, above := range []string{parent, filepath.Dir(parent)} { // to be reached by another user
		if err := os.Chmod(above, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	folder := filepath.Join(parent, "delegate")
	at := Options{File: filepath.Join(folder, "grants.db"), Keyset: newKeyset(t)}
	s := opened(t, at)
	connected(t, s, "alice", "1", "key")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	change := func(file, directory os.FileMode) {
		t.Helper()
		for _, err := range []error{os.Chmod(at.File, file), os.Chmod(folder, directory)} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	change(0o444, 0o555)
	func() {
		if os.Geteuid() == 0 { // to whom modes mean nothing
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			if err := unix.Setfsuid(65534); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = unix.Setfsuid(0) }()
		}
		_, err := Open(t.Context(), at)
		if err == nil || !strings.Contains(err.Error(), "opening the grants") || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("%v", err)
		}
	}()
	change(0o600, 0o700)
	holds(t, opened(t, at), "alice", "1", "key")
}
