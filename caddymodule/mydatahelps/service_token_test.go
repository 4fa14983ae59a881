// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"crypto/rsa"
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
			p, pf := openWith(t, ByIdentifier, 1)
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
		p, pf := openWith(t, ByID, 1)
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
			p, pf := openWith(t, by, 2)
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
		p, pf := openWith(t, ByIdentifier, 20)
		pf.admin = func(*http.Request) *http.Response { return reply(401, `{"message":"planted"}`) }
		for n := range 20 { // each of them once: a failure is remembered
			wantParticipant(t, p, pf.people[n].identifier, "", delegation.CredentialsRejected)
		}
		if _, _, _, service := pf.counts(); service > 4 {
			t.Errorf("%d service tokens for 20 requests", service)
		}
	})
}
