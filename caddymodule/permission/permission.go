// SPDX-License-Identifier: Apache-2.0

// Package permission judges who else can read a file that holds keys or what
// they seal.
//
// Files that this program makes are for its user alone: they are given that mode
// again, as a copy or a restored backup often has another. Files that the
// operator provides are left as they are: a container's secrets are mounted
// read-only, often for a group. What everybody on the machine can read is told.
package permission

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

const (
	notOwner = fs.FileMode(0o077) // group and others
	others   = fs.FileMode(0o007)
)

// Restrict has a file of this program be readable and writable by its user
// alone. exposed tells that everybody could read or write it until now. What
// cannot be changed is an error, unless it is open to a group only, whom the
// operator has chosen. A file that there is not is none.
func Restrict(path string) (exposed bool, err error) {
	mode, err := modeOf(path)
	if err != nil || mode&notOwner == 0 {
		return false, err
	}
	exposed = mode&others != 0
	changeErr := os.Chmod(path, mode&^notOwner)
	if mode, err = modeOf(path); err != nil {
		return exposed, err
	}
	if mode&others != 0 { // also where a filesystem has no modes
		return exposed, fmt.Errorf("every user of this machine can open %s (mode %04o), and this could not be changed: chmod 600 it, as its owner or root: %w", path, mode, errOrSame(changeErr))
	}
	return exposed, nil
}

var errSame = errors.New("its filesystem keeps the mode")

func errOrSame(err error) error {
	if err == nil {
		return errSame
	}
	return err
}

// Exposed tells who else can open a file with a secret, and what to do; empty if
// nobody else can but root and a group. A file that there is not is no matter.
func Exposed(path string) string {
	mode, err := modeOf(path)
	switch {
	case err != nil:
		return ""
	case mode&others != 0:
		return fmt.Sprintf("every user of this machine can open it (mode %04o): chmod 600 it; as a secret of Docker give it mode 0400, of Kubernetes defaultMode 0440 with fsGroup", mode)
	default:
		return stranger(path)
	}
}
