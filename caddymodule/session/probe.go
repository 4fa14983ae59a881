// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Probe fetches the keys now, for an operator who wants to know whether they can
// be, and tells how many there are.
func (r *Remote) Probe(ctx context.Context) (keys int, err error) {
	set, err := r.fetch(ctx)
	if err != nil {
		return 0, err
	}
	return len(set.keys), nil
}

// errBelieved says that whoever vouches for sessions vouches for any.
var errBelieved = errors.New("a session that was made up just now is said to be somebody's: whoever sends anything is signed in")

// Probe asks a verifier about a session that was made up. That nobody is signed
// in by it is the right answer; the error says what else came.
func Probe(ctx context.Context, v Verifier, slot Slot) error {
	_, err := v.Verify(ctx, Credential{Text: rand.Text(), Slot: slot})
	if err == nil {
		return errBelieved
	}
	if r, ok := errors.AsType[*delegation.Refusal](err); ok && r.Code == delegation.SessionRequired {
		return nil
	}
	return err
}
