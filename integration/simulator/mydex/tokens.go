// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"crypto/rand"
	"encoding/base64"
	"slices"
	"sync"
	"time"
)

// issuedToken is a token the simulator issued. It is never changed but for
// revoked, which the store's lock guards.
type issuedToken struct {
	scopes  []string
	expires time.Time
	revoked bool
}

// tokenStore remembers tokens, the expired ones for an hour more, so that a
// refusal can say what was wrong with them.
type tokenStore struct {
	mu      sync.RWMutex
	tokens  map[string]*issuedToken
	sweepAt int
}

const rememberExpired = time.Hour

// issue makes a token of the form that Ory Hydra gives its opaque ones.
func (s *tokenStore) issue(t issuedToken, now time.Time) string {
	token := "ory_at_" + secret(32) + "." + secret(32)

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens == nil {
		s.tokens = make(map[string]*issuedToken)
	}
	if len(s.tokens) >= s.sweepAt {
		for k, old := range s.tokens {
			if now.Sub(old.expires) > rememberExpired {
				delete(s.tokens, k)
			}
		}
		s.sweepAt = max(1024, 2*len(s.tokens))
	}
	s.tokens[token] = &t
	return token
}

// secret returns n random bytes as text that is safe in URLs.
func secret(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, says crypto/rand
	return base64.RawURLEncoding.EncodeToString(b)
}

// judge returns why the token does not carry all of the scopes now, or an
// empty string if it does.
func (s *tokenStore) judge(token string, now time.Time, scopes ...string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.tokens[token]
	switch {
	case token == "":
		return "there is no bearer token"
	case t == nil:
		return "the bearer token is unknown"
	case t.revoked:
		return "the bearer token is revoked"
	case !now.Before(t.expires):
		return "the bearer token is expired"
	}
	for _, scope := range scopes {
		if !slices.Contains(t.scopes, scope) {
			return "the bearer token lacks the scope " + scope
		}
	}
	return ""
}

func (s *tokenStore) revokeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokens {
		t.revoked = true
	}
}
