// SPDX-License-Identifier: Apache-2.0

package keyset

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ownerOnly is the most that others than Caddy's user may do with the file:
// nothing.
const ownerOnly = 0o600

// Create writes the keyset to a new file of mode 0600. It is an error if there is a
// file, or anything else, of that name.
func (k *Keyset) Create(path string) error {
	// Claims the name, so that of two who create it at once only one succeeds.
	claim, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, ownerOnly)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already and may be in use: name another file, or `rotate` this one", path)
	}
	if err != nil {
		return fmt.Errorf("creating the keyset: %w", err)
	}
	info, err := claim.Stat()
	if err := errors.Join(err, claim.Close()); err != nil {
		return errors.Join(fmt.Errorf("creating the keyset: %w", err), os.Remove(path))
	}
	if err := k.replace(path, info); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// Rotate takes the keyset in a file one step further; staged tells whether the step
// was to stage a key, or to promote one. The file is replaced at once or not at
// all, and keeps its owner; its mode is 0600 or less afterwards. A symbolic link is
// refused: replacing it would leave the file it leads to.
func Rotate(path string) (staged bool, err error) {
	info, err := os.Lstat(path)
	if err != nil {
		return false, fmt.Errorf("finding the keyset: %w", err)
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return false, fmt.Errorf("%s is a symbolic link: name the file it leads to", path)
	}
	if !info.Mode().IsRegular() {
		return false, fmt.Errorf("%s is no regular file: name the file that `generate` wrote", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return false, fmt.Errorf("reading the keyset: %w", err)
	}
	k, err := Parse(string(text))
	if err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	next := k.Stage
	if k.Staged() {
		next = k.Promote
	}
	if err := next(); err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	return k.Staged(), k.replace(path, info)
}

// replace writes a file beside the old one, and moves it there when all of it is on
// the disk.
func (k *Keyset) replace(path string, old fs.FileInfo) (err error) {
	text, err := k.Marshal()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".keyset-*") // of mode 0600
	if err != nil {
		return fmt.Errorf("writing the keyset beside the old one: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(text)
	if err == nil {
		err = f.Chmod(old.Mode().Perm() & ownerOnly)
	}
	if err == nil {
		err = keepOwner(f, old)
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing the keyset: %w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("putting the keyset in its place: %w", err)
	}
	return nil
}
