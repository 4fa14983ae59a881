// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"crypto/rand"
	"encoding/base64"
	"slices"
)

// secret returns n random bytes as text that is safe in URLs.
func secret(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, says crypto/rand
	return base64.RawURLEncoding.EncodeToString(b)
}

// tokenProblem returns why the token does not carry all of the scopes now, or an
// empty string if it does.
func (c *call) tokenProblem(token string, scopes ...string) string {
	t, live := c.sim.tokens.Find(token, c.now)
	switch {
	case token == "":
		return "there is no bearer token"
	case t == nil:
		return "the bearer token is unknown"
	case !live:
		return "the bearer token is expired or revoked"
	}
	for _, scope := range scopes {
		if !slices.Contains(t.Scopes, scope) {
			return "the bearer token lacks the scope " + scope
		}
	}
	return ""
}
