// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// errAcceptsAnything is the error of a verifier that accepts a made-up credential.
var errAcceptsAnything = errors.New("a session that was made up just now is said to be somebody's: whoever sends anything is signed in")

// Probe verifies a made-up credential from the source, for an operator who wants to know
// whether sessions can be verified. It returns nil if the credential is refused as
// session_required, as it should be.
func Probe(ctx context.Context, v Verifier, source Source) error {
	_, err := v.Verify(ctx, Credential{Text: rand.Text(), Source: source})
	if err == nil {
		return errAcceptsAnything
	}
	if r, ok := errors.AsType[*delegation.Refusal](err); ok && r.Code == delegation.SessionRequired {
		return nil
	}
	return err
}
