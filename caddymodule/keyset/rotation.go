// SPDX-License-Identifier: Apache-2.0

package keyset

import (
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
)

// step is where a keyset stands in its rotation.
type step int

const (
	settled step = iota // the primary is the newest key
	staged              // one key is newer than the primary
)

// stepOf returns the step of a handle. ok is false if the keys are in no order that
// Stage and Promote leave.
func stepOf(h *keyset.Handle) (s step, ok bool) {
	all := entries(h)
	newest := all[len(all)-1]
	if newest.IsPrimary() {
		return settled, true
	}
	ok = len(all) > 1 && all[len(all)-2].IsPrimary() && newest.KeyStatus() == keyset.Enabled
	return staged, ok
}

// Staged tells whether a key waits for Promote.
func (k *Keyset) Staged() bool {
	s, _ := stepOf(k.seal)
	return s == staged
}

// Stage adds a new key that opens and names but is not the primary, and drops
// the keys older than the one before the primary. It is an error while a key
// is staged. After an error the keyset is as it was.
func (k *Keyset) Stage() error {
	if k.Staged() {
		return errors.New("a key is staged already: promote it before another is added")
	}
	seal, err := stagedHandle(k.seal, aead.AES256GCMKeyTemplate())
	if err != nil {
		return fmt.Errorf("staging a key that seals: %w", err)
	}
	name, err := stagedHandle(k.name, prf.HMACSHA256PRFKeyTemplate())
	if err != nil {
		return fmt.Errorf("staging a key that names: %w", err)
	}
	return k.replaceKeys(seal, name)
}

// Promote makes the staged key the primary and keeps the one before. It is an
// error if no key is staged. After an error the keyset is as it was.
func (k *Keyset) Promote() error {
	if !k.Staged() {
		return errors.New("no key is staged: stage one, and load the file on every machine, before it is promoted")
	}
	seal, err := promotedHandle(k.seal)
	if err != nil {
		return fmt.Errorf("promoting the key that seals: %w", err)
	}
	name, err := promotedHandle(k.name)
	if err != nil {
		return fmt.Errorf("promoting the key that names: %w", err)
	}
	return k.replaceKeys(seal, name)
}

// replaceKeys makes the keyset one of other keys.
func (k *Keyset) replaceKeys(seal, name *keyset.Handle) error {
	next, err := newFromHandles(seal, name)
	if err != nil {
		return err
	}
	*k = *next
	return nil
}

// stagedHandle returns a handle with a new key, and without those older than the one
// before the primary.
func stagedHandle(h *keyset.Handle, kind *tinkpb.KeyTemplate) (*keyset.Handle, error) {
	m := keyset.NewManagerFromHandle(h)
	all := entries(h)
	// The key before the primary stays: a machine that has yet to load the
	// file of the last promotion still seals and names by it.
	for _, e := range all[:max(0, len(all)-2)] {
		if err := m.Delete(e.KeyID()); err != nil {
			return nil, err
		}
	}
	if _, err := m.Add(kind); err != nil {
		return nil, err
	}
	return m.Handle()
}

// promotedHandle returns a handle whose newest key is the primary.
func promotedHandle(h *keyset.Handle) (*keyset.Handle, error) {
	m := keyset.NewManagerFromHandle(h)
	all := entries(h)
	if err := m.SetPrimary(all[len(all)-1].KeyID()); err != nil {
		return nil, err
	}
	return m.Handle()
}
