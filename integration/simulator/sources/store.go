// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"slices"
	"sync"
	"time"
)

// grant is one consent. Only the store changes it.
type grant struct {
	client, account, patient string
	scopes                   []string
	redirectURI              string
	ended                    bool
	access, refresh          string // the latest
}

// code is a code that was given to a browser.
type code struct {
	grant            *grant
	challenge, nonce string
	google           bool // by Google's rule there is a refresh token
	expires          time.Time
	used             bool
}

// accessToken opens the API. secret is that of OAuth 1.0a.
type accessToken struct {
	grant   *grant
	secret  string
	expires time.Time
	used    bool
}

// refreshToken is spent once, or again where the vendor keeps it.
type refreshToken struct {
	grant    *grant
	replaced time.Time // zero: it is the latest
	next     string    // the access token that came with the one that replaced it
}

// store is what the vendor remembers.
type store struct {
	mu         sync.Mutex
	grants     []*grant
	codes      map[string]*code
	access     map[string]*accessToken
	refresh    map[string]*refreshToken
	registered map[[2]string]bool // client and account
	nonces     map[string]nonce   // of Withings' signed calls
	notes      map[[2]string][]string
	requests   map[string]*requestToken
}

// Grant is a consent as a test sees it.
type Grant struct {
	ClientID string   `json:"clientId"`
	Account  string   `json:"account"`
	Patient  string   `json:"patient,omitempty"`
	Scopes   []string `json:"scopes"`
	Ended    bool     `json:"ended"`
	// Access and Refresh are the latest tokens.
	Access  string `json:"access"`
	Refresh string `json:"refresh,omitempty"`
}

// Grants returns all consents of which a code or verifier was redeemed, oldest
// first, the ended ones too.
func (v *Vendor) Grants() []Grant {
	v.store.mu.Lock()
	defer v.store.mu.Unlock()
	all := make([]Grant, len(v.store.grants))
	for i, g := range v.store.grants {
		all[i] = Grant{g.client, g.account, g.patient, slices.Clone(g.scopes), g.ended, g.access, g.refresh}
	}
	return all
}

// Withdraw does what a person does who ends all consents on the vendor's own pages.
// An empty account is everybody.
func (v *Vendor) Withdraw(account string) {
	v.store.mu.Lock()
	defer v.store.mu.Unlock()
	for _, g := range v.store.grants {
		g.ended = g.ended || account == "" || g.account == account
	}
}

// ExpireAccess has the access tokens of these accounts end now, those of OAuth 1.0a
// too. Without an account, all end.
func (v *Vendor) ExpireAccess(accounts ...string) {
	v.store.mu.Lock()
	defer v.store.mu.Unlock()
	for _, t := range v.store.access {
		if len(accounts) == 0 || slices.Contains(accounts, t.grant.account) {
			t.expires = time.Unix(0, 0)
		}
	}
}

// ready makes the maps; the caller holds the lock.
func (s *store) ready() {
	if s.codes == nil {
		s.codes, s.requests = make(map[string]*code), make(map[string]*requestToken)
		s.access, s.refresh = make(map[string]*accessToken), make(map[string]*refreshToken)
		s.registered, s.nonces, s.notes = make(map[[2]string]bool), make(map[string]nonce), make(map[[2]string][]string)
	}
}

// issueCode remembers a code and returns its text.
func (s *store) issueCode(c *code) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready()
	text := secret("code-")
	s.codes[text] = c
	return text
}

// consented reports whether the account has a living consent for the client.
func (s *store) consented(g *grant) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.grants, func(other *grant) bool {
		return !other.ended && other.client == g.client && other.account == g.account
	})
}

// find returns the grant of an access token that is taken now, and why there is none.
func (s *store) find(text string, now time.Time) (g *grant, t accessToken, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.access[text]
	switch {
	case text == "":
		return nil, t, "there is no access token"
	case found == nil:
		return nil, t, "the access token is unknown"
	case found.grant.ended:
		return nil, t, "the consent has ended"
	case !now.Before(found.expires):
		return nil, t, "the access token is expired"
	}
	found.used = true
	return found.grant, *found, ""
}

// end ends a consent, and with all those of its account for the client.
func (s *store) end(g *grant, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.ended = true
	for _, other := range s.grants {
		if all && other.client == g.client && other.account == g.account {
			other.ended = true
		}
	}
	delete(s.registered, [2]string{g.client, g.account})
}

// register registers a person with a client. It returns whether that is new.
func (s *store) register(g *grant) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := [2]string{g.client, g.account}
	if s.registered[key] {
		return false
	}
	s.registered[key] = true
	return true
}

func (s *store) isRegistered(g *grant) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.registered[[2]string{g.client, g.account}]
}
