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
	if err := f.Chown(int(stat.Uid), int(stat.Gid)); err != nil {
		return fmt.Errorf("keeping the owner, rotate as that user or as root: %w", err)
	}
	return nil
}
