// SPDX-License-Identifier: Apache-2.0

//go:build unix

package keyset

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives f to the owner of the old file. The operator who rotates is often
// root, and Caddy another user that must still be able to read it.
func keepOwner(f *os.File, old fs.FileInfo) error {
	stat, ok := old.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	// No system call where nothing changes: a service's sandbox may deny it.
	if created, err := f.Stat(); err == nil {
		if now, ok := created.Sys().(*syscall.Stat_t); ok && now.Uid == stat.Uid && now.Gid == stat.Gid {
			return nil
		}
	}
	if err := f.Chown(int(stat.Uid), int(stat.Gid)); err != nil {
		return fmt.Errorf("keeping the owner, rotate as that user or as root: %w", err)
	}
	return nil
}
