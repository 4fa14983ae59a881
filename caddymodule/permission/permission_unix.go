// SPDX-License-Identifier: Apache-2.0

//go:build unix

package permission

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// modeOf returns the permissions of a file, or of the target of a symbolic
// link; 0 if it does not exist.
func modeOf(path string) (fs.FileMode, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Mode().Perm(), nil
}

// foreignOwner describes a file's owner who is neither this process's user nor
// root: they can put another file in its place. Empty if there is none.
func foreignOwner(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Uid == 0 || int(stat.Uid) == os.Geteuid() || os.Geteuid() == 0 {
		return ""
	}
	return fmt.Sprintf("it belongs to another user (uid %d), who can change it: chown it to the user Caddy runs as, or root", stat.Uid)
}
