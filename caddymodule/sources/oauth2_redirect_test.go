// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestRedirect protects people from a code that is not theirs, or not this vendor's:
// of another issuer (RFC 9207), twice, or none.
func TestRedirect(t *testing.T) {
	const issuer = "https://login.lab.example"
	for name, c := range map[string]struct {
		issuer string
		handed url.Values
		code   delegation.Code
		words  string
	}{
		"usual":           {handed: url.Values{"code": {"c"}}},
		"any issuer":      {handed: url.Values{"code": {"c"}, "iss": {issuer}}},
		"the issuer":      {issuer: issuer, handed: url.Values{"code": {"c"}, "iss": {issuer}}},
		"another issuer":  {issuer: issuer, handed: url.Values{"code": {"c"}, "iss": {issuer + "/canary"}}, code: delegation.ConsentDenied, words: "another iss"},
		"another's error": {issuer: issuer, handed: url.Values{"error": {"server_error"}, "iss": {"https://evil.example"}}, code: delegation.ConsentDenied, words: "another iss"},
		"no issuer":       {issuer: issuer, handed: url.Values{"code": {"c"}}, code: delegation.ConsentDenied, words: "another iss"},
		"two issuers":     {issuer: issuer, handed: url.Values{"code": {"c"}, "iss": {issuer, "https://evil.example"}}, code: delegation.TokenRejected, words: "iss more than once"},
		"no code":         {handed: url.Values{"state": {"s"}}, code: delegation.TokenRejected, words: "no code"},
		"two codes":       {handed: url.Values{"code": {"canary-1", "canary-2"}}, code: delegation.TokenRejected, words: "code more than once"},
		"a code of lines": {handed: url.Values{"code": {"canary\r\nX: y"}}, code: delegation.TokenRejected, words: "holds what none has"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newCodeRig(t, func(cfg *Config) { cfg.Issuer = c.issuer })
			token, err := r.hooks.OneTimeToken(c.handed)
			if c.code != "" {
				refused(t, err, c.code, c.words)
			} else if err != nil || token.Reveal() != "c" {
				t.Error(err)
			}
		})
	}
}

// likeStrava has a vendor's own errors read as Strava's preset has it.
func likeStrava(c *Config) {
	c.Reply = Reply{RefusedAt: "errors.0.resource", Refused: []string{"RefreshToken", "AuthorizationCode"}}
}

// TestRedeemRefused protects people from losing a flow by a vendor in trouble, and the
// log from what it says: its word decides, and only a code that it refuses is spent.
func TestRedeemRefused(t *testing.T) {
	const inJSON = "application/json"
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		change func(*Config)
		code   delegation.Code
		words  string
	}{
		"the code":              {answer: says(400, inJSON, `{"error":"invalid_grant","error_description":"canary"}`), code: delegation.TokenRejected, words: "invalid_grant (status 400)"},
		"the code, 401":         {answer: says(401, inJSON, `{"error":"invalid_grant"}`), code: delegation.TokenRejected, words: "invalid_grant"},
		"the person":            {answer: says(403, inJSON, `{"error":"access_denied"}`), code: delegation.ConsentDenied, words: "access_denied"},
		"the client":            {answer: says(401, inJSON, `{"error":"invalid_client"}`), code: delegation.CredentialsRejected, words: "check client_id"},
		"the client's rights":   {answer: says(400, inJSON, `{"error":"unauthorized_client"}`), code: delegation.CredentialsRejected, words: "unauthorized_client"},
		"the client, no word":   {answer: says(401, "text/plain", "canary"), code: delegation.CredentialsRejected, words: "check client_id"},
		"the scope":             {answer: says(400, inJSON, `{"error":"invalid_scope"}`), code: delegation.ScopeRejected, words: "invalid_scope"},
		"a word of its own":     {answer: says(400, inJSON, `{"error":"canary_word"}`), code: delegation.IssuerUnavailable, words: "an error of its own (status 400)"},
		"no words":              {answer: says(400, inJSON, `{"canary":1`), code: delegation.IssuerUnavailable, words: "damaged JSON"},
		"a page":                {answer: says(400, "text/html", "<h1>canary</h1>"), code: delegation.IssuerUnavailable, words: "a page"},
		"too many":              {answer: says(429, inJSON, `{"error":"invalid_grant"}`), code: delegation.IssuerThrottled, words: "too many requests"},
		"down":                  {answer: says(503, inJSON, `{"error":"invalid_grant"}`), code: delegation.IssuerUnavailable, words: "fails by itself"},
		"a redirect":            {answer: says(307, inJSON, ""), code: delegation.IssuerUnavailable, words: "redirects"},
		"no answer":             {answer: breaks, code: delegation.IssuerUnavailable, words: "the connection broke"},
		"no token":              {answer: says(200, inJSON, `{"user":"canary"}`), code: delegation.IssuerUnavailable, words: "no access_token"},
		"an error in a success": {answer: says(200, inJSON, `{"error":{"canary":1},"access_token":"a"}`), code: delegation.IssuerUnavailable, words: "the member error"},
		"a name twice":          {answer: says(200, inJSON, `{"access_token":"a","access_token":"b"}`), code: delegation.IssuerUnavailable, words: "twice"},
		"a token of lines":      {answer: says(200, inJSON, `{"access_token":"canary\r\nX: y"}`), code: delegation.IssuerUnavailable, words: "access_token holds characters"},
		"another type":          {answer: says(200, inJSON, `{"access_token":"a","token_type":"mac"}`), code: delegation.IssuerUnavailable, words: "token_type"},
		"no account":            {answer: says(200, inJSON, `{"access_token":"a"}`), code: delegation.IssuerUnavailable, words: "the account is missing"},
		"an object as account":  {answer: says(200, inJSON, `{"access_token":"a","user":{"id":"canary"}}`), code: delegation.IssuerUnavailable, words: "the account is missing"},
		"dots as account":       {answer: says(200, inJSON, `{"access_token":"a","user":".."}`), code: delegation.IssuerUnavailable, words: "dots alone"},
		"a secret as account":   {answer: says(200, inJSON, `{"access_token":"canary-a","user":"x canary-a"}`), code: delegation.IssuerUnavailable, words: "the account is missing"},
		"another client's id token": {
			answer: says(200, inJSON, `{"access_token":"a","id_token":"`+jwt(`{"sub":"canary","aud":"other"}`)+`"}`),
			change: func(c *Config) { c.Account = &Lookup{In: InIDToken, Path: "sub"} }, code: delegation.IssuerUnavailable, words: "another client",
		},
		"withings, the code": {
			answer: says(200, inJSON, `{"status":503,"error":"canary"}`),
			change: func(c *Config) {
				c.Reply = Reply{Root: "body", OK: "status", OKValue: "0", RefusedAt: "status", Refused: []string{"503"}}
			}, code: delegation.TokenRejected, words: "status says that the code",
		},
		"withings, trouble": {
			answer: says(200, inJSON, `{"status":601,"body":{"access_token":"canary"}}`),
			change: func(c *Config) {
				c.Reply = Reply{Root: "body", OK: "status", OKValue: "0", RefusedAt: "status", Refused: []string{"503"}}
			}, code: delegation.IssuerUnavailable, words: "status says that it has failed",
		},
		"strava, the code": {
			answer: says(400, inJSON, `{"message":"canary","errors":[{"resource":"AuthorizationCode","field":"code","code":"invalid"}]}`),
			change: likeStrava, code: delegation.TokenRejected, words: "errors.0.resource says that the code",
		},
		"strava, the client": {
			answer: says(400, inJSON, `{"message":"canary","errors":[{"resource":"Application","field":"client_id","code":"invalid"}]}`),
			change: likeStrava, code: delegation.IssuerUnavailable, words: "an error of its own",
		},
		"strava, down": {
			answer: says(502, inJSON, `{"errors":[{"resource":"RefreshToken"}]}`),
			change: likeStrava, code: delegation.IssuerUnavailable, words: "fails by itself",
		},
		"invalid_request for a code": {
			answer: says(400, inJSON, `{"error":"invalid_request"}`),
			change: func(c *Config) { c.Reply = Reply{RefusedAt: "error", Refused: []string{"invalid_request"}} }, code: delegation.TokenRejected, words: "error says that the code",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newCodeRig(t, c.change)
			r.answers["/token"] = c.answer
			_, err := r.redeem(nil, nil)
			refused(t, err, c.code, c.words)
			if n := len(r.asked("/token")); n != 1 {
				t.Errorf("%d calls", n)
			}
		})
	}
}

// TestAfterConnect protects people from a grant that has no data: without the vendor's
// registration nobody is connected, and a second one is none too many.
func TestAfterConnect(t *testing.T) {
	for status, code := range map[int]delegation.Code{200: "", 204: "", 409: "", 403: delegation.CredentialsRejected, 500: delegation.IssuerUnavailable, 429: delegation.IssuerThrottled} {
		r := newCodeRig(t, func(c *Config) {
			c.APIHeaders = map[string]delegation.Secret{"X-Key": delegation.NewSecret(canaryKey)}
			c.AfterConnect = &Call{Method: http.MethodPost, URL: "https://api.lab.example/v3/users?of={account}", JSON: `{"member-id":"{id}"}`, Auth: "bearer", OK: []int{200, 201, 204, 409}}
		})
		r.onStatus("/v3/users", status, `{"canary":1}`)
		_, err := r.redeem(nil, nil)
		if code != "" {
			refused(t, err, code, "after connecting")
		} else if err != nil {
			t.Errorf("%d: %v", status, err)
		}
		calls := r.asked("/v3/users")
		if len(calls) != 1 || calls[0].body != `{"member-id":"pairwise-of-ada"}` || calls[0].query != "of=u-1" || calls[0].authorization != "Bearer "+canaryAccess ||
			calls[0].contentType != "application/json" || calls[0].header.Get("X-Key") != canaryKey {
			t.Errorf("%+v", calls)
		}
	}
}
