// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestRevokeWithNonce protects people who leave a vendor that wants the request signed:
// it is told with a nonce that it has just given, and neither the client's secret nor a
// token is sent. An answer that says in its body that it has failed has not ended the
// consent. The signature is openssl's.
func TestRevokeWithNonce(t *testing.T) {
	const given, done = `{"status":0,"body":{"nonce":"n-1{access}"}}`, `{"status":0,"body":{}}`
	for name, c := range map[string]struct {
		nonce, answer string
		status        int
		code          delegation.Code
		words         string
	}{
		"told":                     {nonce: given, answer: done, status: 200},
		"the nonce is refused":     {nonce: `{"status":401,"error":"canary"}`, code: delegation.IssuerUnavailable, words: "the nonce: the member status says"},
		"no nonce":                 {nonce: `{"status":0,"body":{}}`, code: delegation.IssuerUnavailable, words: "the answer has no nonce"},
		"no body":                  {nonce: `{"status":0}`, code: delegation.IssuerUnavailable, words: "the answer has no nonce"},
		"a nonce of two lines":     {nonce: `{"status":0,"body":{"nonce":"canary\r\n"}}`, code: delegation.IssuerUnavailable, words: "nonce holds characters"},
		"a page instead of it":     {nonce: "<html>canary", code: delegation.IssuerUnavailable, words: "the answer is a page"},
		"the request is refused":   {nonce: given, answer: `{"status":503,"error":"canary"}`, status: 200, code: delegation.IssuerUnavailable, words: "the member status says"},
		"the vendor fails":         {nonce: given, answer: done, status: 500, code: delegation.IssuerUnavailable, words: "status 500"},
		"an answer that says less": {nonce: given, answer: `{}`, status: 200, code: delegation.IssuerUnavailable, words: "the member status says"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newCodeRig(t, func(cfg *Config) {
				cfg.Reply.Root, cfg.Reply.OK, cfg.Reply.OKValue = "body", "status", "0"
				cfg.Revoke = &Call{
					Method: http.MethodPost, URL: "https://login.lab.example/revoke", Auth: AuthNonce, NonceURL: "https://login.lab.example/signature",
					Form: map[string]string{"action": "revoke", "userid": "{account}"},
				}
			})
			r.onStatus("/signature", http.StatusOK, c.nonce)
			if c.status != 0 {
				r.onStatus("/revoke", c.status, c.answer)
			}
			err := r.Sources()[0].Hooks.(delegation.GrantRevoker).RevokeGrant(t.Context(), &delegation.Grant{Account: "u-1", Tokens: delegation.GrantTokens{
				Access: delegation.NewSecret(canaryAccess), Refresh: delegation.NewSecret(canaryRefresh),
			}})
			if c.code != "" {
				refused(t, err, c.code, c.words)
			} else if err != nil {
				t.Error(delegation.Explain(err))
			}
			asked := r.asked("/signature")
			if len(asked) != 1 {
				t.Fatalf("%d nonces", len(asked))
			}
			form, err := url.ParseQuery(asked[0].body)
			if err != nil || form.Get("action") != "getnonce" || form.Get("client_id") != "app" || form.Get("timestamp") == "" || len(form.Get("signature")) != 64 || len(form) != 4 {
				t.Errorf("%s", asked[0].body)
			}
			clean(t, asked[0].body+asked[0].authorization)
			for _, told := range r.asked("/revoke") {
				const want = "action=revoke&client_id=app&nonce=n-1%7Baccess%7D&signature=d0db80ec27bd8a774a09ee4e53764ef80bf8acef971cd23da5e14d65346fd58e&userid=u-1"
				if told.body != want || told.authorization != "" {
					t.Errorf("%+v", told)
				}
			}
		})
	}
}

// TestNonceReserved protects the address of nonces from data calls: with one an app could
// not sign, but use up what the vendor allows.
func TestNonceReserved(t *testing.T) {
	r := newCodeRig(t, func(cfg *Config) {
		cfg.Revoke = &Call{Method: http.MethodPost, URL: cfg.API.String() + "/end", Auth: AuthNonce, NonceURL: cfg.API.String() + "/signature", Form: map[string]string{"action": "revoke"}}
	})
	r.grants.current = &delegation.Grant{ID: "g", Person: ada, Account: "a", Tokens: delegation.GrantTokens{Access: delegation.NewSecret(canaryAccess)}}
	for _, path := range []string{"/lab/signature", "/lab/end"} {
		if err := r.authorize(http.MethodPost, path); err == nil || delegation.AsRefusal(err).Code != delegation.RouteDenied {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := r.authorize(http.MethodPost, "/lab/signatures"); err != nil { // the control
		t.Error(delegation.Explain(err))
	}
}
