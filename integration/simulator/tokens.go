// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"crypto/rand"
	"encoding/hex"
	"slices"
	"sync"
	"time"
)

// Kinds of token, as records name them.
const (
	kindNone        = "none"
	kindService     = "service"
	kindParticipant = "participant"
	kindUnknown     = "unknown"
)

// issuedToken is a token the simulator minted. It is never changed but for
// revoked, which the store's lock guards.
type issuedToken struct {
	kind          string
	participantID string
	scopes        []string
	expires       time.Time
	revoked       bool
}

func (t *issuedToken) allows(scope string) bool {
	return scope == "" || slices.Contains(t.scopes, "api") || slices.Contains(t.scopes, scope)
}

// tokenStore remembers tokens, the expired ones for an hour more, so that a
// record can still say whose they were.
type tokenStore struct {
	mu      sync.RWMutex
	tokens  map[string]*issuedToken
	sweepAt int
}

const rememberExpired = time.Hour

// mint makes a token: 32 hexadecimal digits that say nothing, as the
// platform's reference tokens are.
func (s *tokenStore) mint(t issuedToken, now time.Time) string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	token := hex.EncodeToString(b)

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

// find returns a token and whether it is accepted now.
func (s *tokenStore) find(token string, now time.Time) (t *issuedToken, live bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t = s.tokens[token]
	return t, t != nil && !t.revoked && now.Before(t.expires)
}

func (s *tokenStore) revoke(which func(*issuedToken) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokens {
		if which(t) {
			t.revoked = true
		}
	}
}
