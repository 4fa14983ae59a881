// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"crypto/rsa"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// While keys are rotated nobody knows which of the two the platform has. The
// one that works is remembered, so that rotation does not double the calls.
func TestKeyRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(2)...)
		pf.keys = []*rsa.PublicKey{&testKeys()[1].PublicKey}
		c := testConfig(ByID)
		c.Keys = testKeys()
		p, h := open(t, c, pf)
		wantParticipant(t, p, guid(0), guid(0), "")
		if pf.asserts != 2 || h.logs.FilterMessageSnippet("one of the two private keys").Len() != 1 {
			t.Errorf("%d assertions, log %v", pf.asserts, h.logs.All())
		}
		time.Sleep(2 * time.Hour)
		wantParticipant(t, p, guid(1), guid(1), "")
		if pf.asserts != 3 {
			t.Errorf("%d assertions: the key that works was not remembered", pf.asserts)
		}
		// The rotation goes back.
		pf.change(func() { pf.keys = []*rsa.PublicKey{&testKeys()[0].PublicKey} })
		time.Sleep(2 * time.Hour)
		wantParticipant(t, p, guid(0), guid(0), "")
		// Neither is known.
		pf.change(func() { pf.keys, pf.asserts = nil, 0 })
		time.Sleep(2 * time.Hour)
		wantParticipant(t, p, guid(0), "", delegation.CredentialsRejected)
		if pf.asserts != 2 {
			t.Errorf("%d assertions with two keys that are both refused", pf.asserts)
		}
	})
}

// A failure of the second key that says nothing about keys must not be
// reported as a wrong key.
func TestKeyRotationOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(1)...)
		c := testConfig(ByID)
		c.Keys = testKeys()
		p, _ := open(t, c, pf)
		pf.token = func(url.Values) *http.Response {
			if pf.asserts == 1 {
				return reply(400, `{"error":"invalid_client"}`)
			}
			return reply(503, "")
		}
		wantParticipant(t, p, guid(0), "", delegation.IssuerUnavailable)
	})
}

// Whatever the issuer has against the service token is the operator's to mend:
// no participant is told that they were refused.
func TestServiceTokenErrors(t *testing.T) {
	for code, refusal := range map[string]delegation.Code{
		"invalid_client":         delegation.CredentialsRejected,
		"unauthorized_client":    delegation.CredentialsRejected,
		"invalid_grant":          delegation.CredentialsRejected,
		"own_word":               delegation.CredentialsRejected,
		"unsupported_grant_type": delegation.CredentialsRejected,
		"invalid_scope":          delegation.ScopeRejected,
		"server_error":           delegation.IssuerUnavailable,
	} {
		synctest.Test(t, func(t *testing.T) {
			pf := newPlatform(people(1)...)
			p, _ := open(t, testConfig(ByIdentifier), pf)
			pf.token = func(url.Values) *http.Response {
				return reply(400, map[string]string{"error": code, "error_description": "planted"})
			}
			wantParticipant(t, p, "planted-0", "", refusal)
			if gets, lists, grants, _ := pf.counts(); gets+lists+grants != 0 || pf.asserts != 1 {
				t.Errorf("%s: calls went on without a service token", code)
			}
		})
	}
}

// With a clock that is off every key looks wrong: the operator has to be told
// which of the two it is.
func TestClockSkew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(1)...)
		p, _ := open(t, testConfig(ByID), pf)
		pf.token = func(url.Values) *http.Response {
			res := reply(400, `{"error":"invalid_client"}`)
			res.Header.Set("Date", time.Now().Add(-7*time.Minute).UTC().Format(http.TimeFormat))
			return res
		}
		_, err := p.Authorize(t.Context(), request(guid(0)))
		cause := asRefusal(t, err).Unwrap().Error()
		if !strings.Contains(cause, "clock is 7m0s ahead") || strings.Contains(cause, "service_account") {
			t.Errorf("%q; want the clock, and nothing that may be right", cause)
		}
	})
}

// A service token that was revoked before its time heals at its first use, in
// a lookup as well as in a grant, and the user notices nothing.
func TestServiceTokenRevoked(t *testing.T) {
	for _, by := range []string{ByIdentifier, ByID} {
		synctest.Test(t, func(t *testing.T) {
			pf := newPlatform(people(2)...)
			p, _ := open(t, testConfig(by), pf)
			subject := map[string]func(int) string{ByID: guid, ByIdentifier: func(i int) string { return pf.people[i].identifier }}[by]
			wantParticipant(t, p, subject(0), guid(0), "")
			pf.change(func() { clear(pf.live) })
			wantParticipant(t, p, subject(1), guid(1), "")
			if _, _, _, service := pf.counts(); service != 2 {
				t.Errorf("%s: %d service tokens", by, service)
			}
		})
	}
}

// A platform that refuses every service token is not asked for ever new ones.
func TestServiceTokenNeverAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(20)...)
		p, _ := open(t, testConfig(ByIdentifier), pf)
		pf.admin = func(*http.Request) *http.Response { return reply(401, `{"message":"planted"}`) }
		for n := range 20 { // each of them once: a failure is remembered
			wantParticipant(t, p, pf.people[n].identifier, "", delegation.CredentialsRejected)
		}
		if _, _, _, service := pf.counts(); service > 4 {
			t.Errorf("%d service tokens for 20 requests", service)
		}
	})
}

// A participant whom the issuer refuses and who keeps asking must cost the
// others nothing: no new service token each time, and no quota.
func TestRefusedParticipant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(2)...)
		p, _ := open(t, testConfig(ByIdentifier), pf)
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
		pf := newPlatform(people(1)...)
		p, _ := open(t, testConfig(ByIdentifier), pf)
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
		pf := newPlatform(people(1)...)
		p, _ := open(t, testConfig(ByIdentifier), pf)
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

// A key that is replaced where it is kept is used without a reload, and one
// that cannot be read leaves the old one in use: a file may just be being
// written.
func TestKeysAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(1)...)
		kept, failing := testKeys()[:1], error(nil)
		c := testConfig(ByID)
		c.LoadKeys = func() ([]*rsa.PrivateKey, error) { return kept, failing }
		p, h := open(t, c, pf)
		wantParticipant(t, p, guid(0), guid(0), "")
		before := p.identity(request(guid(0)))

		failing = errors.New("no such file")
		for range 3 {
			time.Sleep(2 * time.Hour)
			wantParticipant(t, p, guid(0), guid(0), "")
		}
		if n := h.logs.FilterMessageSnippet("cannot be read").Len(); n != 1 {
			t.Errorf("the operator was told %d times", n)
		}

		kept, failing = testKeys()[1:], nil
		pf.change(func() { pf.keys = []*rsa.PublicKey{&testKeys()[1].PublicKey} })
		time.Sleep(2 * time.Hour)
		wantParticipant(t, p, guid(0), guid(0), "")
		if after := p.identity(request(guid(0))); after.Key != before.Key {
			t.Error("R13: a rotation has made everybody's token unreachable")
		}
	})
}

// A key file that hangs, as on a network that is gone, must not stop those
// whose token is at hand.
func TestHungKeyFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(1)...)
		hang, hung := make(chan struct{}), false
		c := testConfig(ByID)
		c.LoadKeys = func() ([]*rsa.PrivateKey, error) {
			if hung {
				<-hang
			}
			return testKeys()[:1], nil
		}
		p, _ := open(t, c, pf)
		wantParticipant(t, p, guid(0), guid(0), "")
		hung = true
		stale, _, err := p.serviceToken(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = p.renewServiceToken(t.Context(), stale) }()
		synctest.Wait()
		began := time.Now()
		wantParticipant(t, p, guid(0), guid(0), "")
		if time.Since(began) != 0 {
			t.Error("a token at hand waited for the file")
		}
		close(hang)
		synctest.Wait()
	})
}

// An SDK whose token is about to be renewed early must not be refused because
// the issuer is down: the one at hand still serves.
func TestHandoutInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(1)...)
		p, _ := open(t, testConfig(ByID), pf)
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
		pf := newPlatform(people(20)...)
		p, _ := open(t, testConfig(ByID), pf)
		for n := range 20 {
			pf.refuse[guid(n)] = true
			wantParticipant(t, p, guid(n), "", delegation.DelegationRefused)
		}
		if _, _, _, service := pf.counts(); service > 4 {
			t.Errorf("%d service tokens for 20 people", service)
		}
	})
}
