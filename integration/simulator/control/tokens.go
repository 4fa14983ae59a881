// SPDX-License-Identifier: Apache-2.0

package control

import "time"

// Token is an access token that a simulator issued.
type Token struct {
	Kind    string // the platform's own word
	Owner   string // whose it is; empty: the client's
	Scopes  []string
	Expires time.Time
	revoked bool
}

// Tokens are the access tokens that were issued, the expired ones for an hour
// more, so that a refusal can say what was wrong. The zero value is ready.
type Tokens struct{ all Expiring[*Token] }

const rememberExpired = time.Hour

// Issue stores a token under its text.
func (s *Tokens) Issue(text string, t Token, now time.Time) {
	s.all.Add(text, &t, t.Expires.Add(rememberExpired), now)
}

// Find returns a token, nil if it was never issued, and whether it is accepted now.
func (s *Tokens) Find(text string, now time.Time) (t *Token, live bool) {
	s.all.Read(text, func(found *Token) { t, live = found, found != nil && !found.revoked && now.Before(found.Expires) })
	return t, live
}

// Revoke makes the tokens for which f is true be accepted no more.
func (s *Tokens) Revoke(f func(*Token) bool) {
	s.all.Change(func(t *Token) { t.revoked = t.revoked || f(t) })
}
