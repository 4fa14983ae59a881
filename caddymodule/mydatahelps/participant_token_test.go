// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// A participant whom the issuer refuses and who keeps asking must cost the
// others nothing: no new service token each time, and no quota.
func TestRefusedParticipant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByIdentifier, 2)
		pf.refuse[guid(0)] = true
		for range 50 {
			wantParticipant(t, p, "planted-0", "", delegation.DelegationRefused)
			wantParticipant(t, p, "planted-1", guid(1), "")
		}
		if gets, _, _, service := pf.counts(); gets != 2 || service > 4 {
			t.Errorf("%d lookups, %d service tokens", gets, service)
		}
	})
}

// Somebody who withdrew while their lookup was cached is told so, not that
// something went wrong; and asking again and again costs a lookup per 30 s.
func TestWithdrawnWhileCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByIdentifier, 1)
		wantParticipant(t, p, "planted-0", guid(0), "")
		time.Sleep(2 * time.Hour) // the token is gone, the lookup is not
		synctest.Wait()
		pf.change(func() { pf.people[0].withdrawn = "2026-01-01T00:00:00Z"; pf.refuse[guid(0)] = true; pf.gets = nil })
		wantParticipant(t, p, "planted-0", "", delegation.DelegationRefused)
		synctest.Wait()
		for range 10 {
			wantParticipant(t, p, "planted-0", "", delegation.ParticipantWithdrawn)
		}
		if gets, _, _, _ := pf.counts(); gets > 2 {
			t.Errorf("%d lookups", gets)
		}
	})
}

// The issuer's invalid_grant leads to a new lookup at most every 30 s, paid by
// the strangers' share.
func TestDoubtIsPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByIdentifier, 1)
		pf.refuse[guid(0)] = true
		for range 600 {
			wantParticipant(t, p, "planted-0", "", delegation.DelegationRefused)
			time.Sleep(time.Second)
		}
		if gets, _, _, _ := pf.counts(); gets < 10 || gets > 21 {
			t.Errorf("%d lookups in ten minutes", gets)
		}
		if p.cache.quota.unknownSpent < 10 {
			t.Errorf("%d of them paid by the strangers", p.cache.quota.unknownSpent)
		}
	})
}

// An SDK whose token is about to be renewed early must not be refused because
// the issuer is down: the one at hand still serves.
func TestHandoutInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByID, 1)
		never := func(*delegation.Token) bool { return false }
		first, err := p.IssueToken(t.Context(), request(guid(0)), never)
		if err != nil {
			t.Fatal(err)
		}
		pf.change(func() { pf.token = func(url.Values) *http.Response { return reply(503, "") } })
		if again, err := p.IssueToken(t.Context(), request(guid(0)), never); again != first || err != nil {
			t.Errorf("%v, %v", again, err)
		}
		pf.change(func() { pf.token, pf.refuse[guid(0)] = nil, true })
		time.Sleep(time.Minute)
		if _, err := p.IssueToken(t.Context(), request(guid(0)), never); asRefusal(t, err).Code != delegation.DelegationRefused {
			t.Errorf("%v; want the refusal of somebody who may not any more", err)
		}
	})
}

// Participants whom the issuer refuses, however many, are no reason for ever
// new service tokens.
func TestRefusedParticipants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByID, 20)
		for n := range 20 {
			pf.refuse[guid(n)] = true
			wantParticipant(t, p, guid(n), "", delegation.DelegationRefused)
		}
		if _, _, _, service := pf.counts(); service > 4 {
			t.Errorf("%d service tokens for 20 people", service)
		}
	})
}

// A token handed to an SDK has to last: one at hand that the caller does not
// want is replaced, one just minted is returned whatever the caller thinks.
func TestIssueToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByID, 1)
		issue := func(keep bool) *delegation.Token {
			token, err := p.IssueToken(t.Context(), request(guid(0)), func(*delegation.Token) bool { return keep })
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		first := issue(false)
		if _, _, grants, _ := pf.counts(); grants != 1 {
			t.Errorf("%d grants for the first token", grants)
		}
		if issue(true) != first {
			t.Error("a token that was to be kept was replaced")
		}
		if issue(false) == first {
			t.Error("a token that was not to be kept was returned")
		}
		if _, err := p.IssueToken(t.Context(), request("planted"), func(*delegation.Token) bool { return true }); asRefusal(t, err).Code != delegation.ParticipantUnknown {
			t.Errorf("%v", err)
		}
	})
}

// What the issuer says about scopes and client of the participant's token is
// the operator's matter.
func TestParticipantTokenErrors(t *testing.T) {
	for code, refusal := range map[string]delegation.Code{
		"invalid_scope":          delegation.ScopeRejected,
		"invalid_client":         delegation.CredentialsRejected,
		"unsupported_grant_type": delegation.CredentialsRejected,
		"access_denied":          delegation.DelegationRefused,
	} {
		synctest.Test(t, func(t *testing.T) {
			p, pf := openWith(t, ByID, 1)
			pf.token = func(form url.Values) *http.Response {
				if form.Has("client_assertion") {
					return nil
				}
				return reply(400, map[string]string{"error": code, "error_description": "planted"})
			}
			wantParticipant(t, p, guid(0), "", refusal)
		})
	}
}
