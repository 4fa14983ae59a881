// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// errAcceptsAnything says that whoever vouches for sessions vouches for any.
var errAcceptsAnything = errors.New("a session that was made up just now is said to be somebody's: whoever sends anything is signed in")

// Probe asks a verifier about a session that was made up. That nobody is signed
// in by it is the right answer; the error says what else came.
func Probe(ctx context.Context, v Verifier, slot Source) error {
	_, err := v.Verify(ctx, Credential{Text: rand.Text(), Source: slot})
	if err == nil {
		return errAcceptsAnything
	}
	if r, ok := errors.AsType[*delegation.Refusal](err); ok && r.Code == delegation.SessionRequired {
		return nil
	}
	return err
}
