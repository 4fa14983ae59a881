// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"crypto/rand"
	"encoding/hex"
	"slices"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// Kinds of token, as records name them.
const (
	kindNone        = "none"
	kindService     = "service"
	kindParticipant = "participant"
	kindUnknown     = "unknown"
)

// allows tells whether a token opens a route that takes this scope.
func allows(t *control.Token, scope string) bool {
	return scope == "" || slices.Contains(t.Scopes, "api") || slices.Contains(t.Scopes, scope)
}

// reference makes a token's text: 32 hexadecimal digits that say nothing, as
// the platform's reference tokens are.
func reference() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}
