// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"slices"
	"time"
)

// issued are the tokens of one answer.
type issued struct {
	grant           grant // as it is then
	access, refresh string
	expires         time.Time
	graced          bool   // the refresh token had been replaced
	nonce           string // of the authorize request
}

// redeem redeems a code. reason says why not; a code that arrives again ends its
// consent (RFC 6749 section 4.1.2).
func (s *store) redeem(text string, client Client, form url.Values, v *Vendor, set *Settings, now time.Time) (i issued, reused bool, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.codes[text]
	switch {
	case c == nil:
		return i, false, "the code is unknown"
	case c.grant.client != client.ID:
		return i, false, "the code is another client's"
	case c.used:
		c.grant.ended = true
		return i, true, "the code is used"
	case !now.Before(c.expires):
		return i, false, "the code is expired"
	case form.Get("redirect_uri") != c.grant.redirectURI:
		return i, false, "redirect_uri is not that of the authorize request"
	case c.challenge != "" && form.Get("code_verifier") == "":
		return i, false, "code_verifier is missing"
	case c.challenge != "" && challenge(form.Get("code_verifier")) != c.challenge:
		return i, false, "code_verifier does not match code_challenge"
	case c.challenge == "" && form.Has("code_verifier"):
		return i, false, "code_verifier without a code_challenge"
	}
	c.used = true
	s.grants = append(s.grants, c.grant)
	with := set.Refresh == "rotates" || set.Refresh == "kept" || set.Refresh == "google" && c.google
	if set.OfflineScope != "" && !slices.Contains(c.grant.scopes, set.OfflineScope) {
		with = false
	}
	i = s.issue(c.grant, with, v, set, now)
	i.nonce = c.nonce
	return i, false, ""
}

// challenge is the code_challenge of a verifier (RFC 7636 section 4.6).
func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// issue makes tokens; the caller holds the lock.
func (s *store) issue(g *grant, withRefresh bool, v *Vendor, set *Settings, now time.Time) issued {
	i := issued{expires: now.Add(time.Duration(set.AccessLifetime) * time.Second)}
	i.access = secret("access-")
	if set.Expires == "jwt" {
		i.access = v.accessJWT(g, now, i.expires)
	}
	s.access[i.access] = &accessToken{grant: g, expires: i.expires}
	g.access = i.access
	if withRefresh {
		i.refresh = secret("refresh-")
		s.refresh[i.refresh] = &refreshToken{grant: g}
		g.refresh = i.refresh
	}
	i.grant = *g
	return i
}

// spend answers a refresh token. reason says why not; reused tells of one that had
// been replaced.
func (s *store) spend(text string, client Client, v *Vendor, set *Settings, now time.Time) (i issued, reused bool, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.refresh[text]
	switch {
	case t == nil:
		return i, false, "the refresh token is unknown"
	case t.grant.client != client.ID:
		return i, false, "the refresh token is another client's"
	case t.grant.ended:
		return i, false, "the consent has ended"
	}
	graced := !t.replaced.IsZero()
	if graced && !s.graced(t, set, now) {
		t.grant.ended = t.grant.ended || set.ReuseEnds
		return i, true, "the refresh token has been replaced"
	}
	if set.RefreshEndsAccess {
		for _, a := range s.access {
			if a.grant == t.grant {
				a.expires = now
			}
		}
	}
	latest := t.grant.refresh
	i = s.issue(t.grant, set.Refresh == "rotates", v, set, now)
	i.graced = graced
	if i.refresh != "" {
		for _, text := range []string{text, latest} {
			if old := s.refresh[text]; old.replaced.IsZero() {
				old.replaced = now
			}
			s.refresh[text].next = i.access
		}
	}
	return i, false, ""
}

// graced reports whether a replaced refresh token is still taken.
func (s *store) graced(t *refreshToken, set *Settings, now time.Time) bool {
	if !now.Before(t.replaced.Add(time.Duration(set.Grace) * time.Second)) {
		return false
	}
	return !set.GraceUntilUsed || !s.access[t.next].used
}
