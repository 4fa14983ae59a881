// SPDX-License-Identifier: Apache-2.0

// Package permission judges who else can open a file that holds keys, or what
// they seal.
//
// Files that this program makes are for its user alone; they are given that
// mode again, as a copy or a restored backup often has another. Files that the
// operator provides stay as they are: a container's secrets are mounted read-
// only, often for a group.
package permission

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Permissions of users other than the owner.
const (
	groupAndOthers = fs.FileMode(0o077) // group and others
	others         = fs.FileMode(0o007)
)

// Restrict makes a file of this program readable and writable by its user
// alone; a file that does not exist is no error. exposed reports that every
// user of the machine could open it until now. A mode that cannot be changed is
// an error, unless it admits a group only, which the operator has chosen.
func Restrict(path string) (exposed bool, err error) {
	mode, err := modeOf(path)
	if err != nil || mode&groupAndOthers == 0 {
		return false, err
	}
	exposed = mode&others != 0
	changeErr := os.Chmod(path, mode&^groupAndOthers)
	if mode, err = modeOf(path); err != nil {
		return exposed, err
	}
	if mode&others != 0 { // also where a filesystem has no modes
		return exposed, fmt.Errorf("every user of this machine can open %s (mode %04o), and this could not be changed: chmod 600 it, as its owner or root: %w", path, mode, chmodCause(changeErr))
	}
	return exposed, nil
}

// errModeKept is the cause where chmod succeeded and changed nothing.
var errModeKept = errors.New("its filesystem keeps the mode")

// chmodCause is the error of chmod, or [errModeKept].
func chmodCause(err error) error {
	if err == nil {
		return errModeKept
	}
	return err
}

// Exposure describes who else can open a file with a secret, and how to change
// that; empty if only root and a group can, or if the file does not exist.
func Exposure(path string) string {
	mode, err := modeOf(path)
	switch {
	case err != nil:
		return ""
	case mode&others != 0:
		return fmt.Sprintf("every user of this machine can open it (mode %04o): chmod 600 it; as a secret of Docker give it mode 0400, of Kubernetes defaultMode 0440 with fsGroup", mode)
	default:
		return foreignOwner(path)
	}
}
