// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// values are one of each type of JSON.
var values = map[string]any{
	"absent": absent, "null": nil, "true": true, "number": json.Number("12345678901234567890"), "fraction": json.Number("1.5"),
	"exponent": json.Number("1e3"), "negative": json.Number("-1"), "empty": "", "list": []string{"account-1"}, "object": map[string]string{"id": "account-1"},
}

// TestReplyTypes protects grants from what is no identifier and no token: each type
// of JSON in each member of the reply.
func TestReplyTypes(t *testing.T) {
	accepted := map[string]string{ // and what becomes of it
		"UserCode number":    "12345678901234567890",
		"publicToken absent": "", "publicToken null": "", "publicToken true": "", "publicToken number": "", "publicToken fraction": "",
		"publicToken exponent": "", "publicToken negative": "", "publicToken empty": "", "publicToken list": "", "publicToken object": "",
	}
	codes := map[string]delegation.Code{
		"UserCode": delegation.IssuerUnavailable, "accessToken": delegation.IssuerUnavailable,
		"clientId": delegation.AccountConflict, "clientUserId": delegation.AccountConflict,
	}
	for _, member := range []string{"UserCode", "accessToken", "publicToken", "clientId", "clientUserId"} {
		for kind, value := range values {
			t.Run(member+" "+kind, func(t *testing.T) {
				r := newRig(t, nil)
				r.answerWith(replies(map[string]any{member: value}))
				result, err := r.redeem()
				want, ok := accepted[member+" "+kind]
				code := codes[member]
				if kind == "absent" || kind == "null" {
					if code == delegation.AccountConflict {
						code = delegation.CredentialsRejected
					}
				}
				switch {
				case !ok:
					refused(t, err, code, "")
					if result != nil {
						t.Error("there is a result")
					}
				case err != nil:
					t.Error(delegation.Explain(err))
				case member == "UserCode" && result.Account != want, member == "publicToken" && result.Reply["publicToken"] != want:
					t.Errorf("%+v", result)
				}
			})
		}
	}
}

// TestReplyValues protects what a grant is kept by and sent with.
func TestReplyValues(t *testing.T) {
	for name, test := range map[string]struct {
		changed map[string]any
		words   string
	}{
		"account of 10 KB":               {map[string]any{"UserCode": strings.Repeat("a", 10<<10)}, "the answer's UserCode"},
		"account of 1025 bytes":          {map[string]any{"UserCode": strings.Repeat("a", maxAccount+1)}, "the answer's UserCode"},
		"number of 1025 digits":          {map[string]any{"UserCode": json.Number(strings.Repeat("1", maxAccount+1))}, "the answer's UserCode"},
		"account with a line break":      {map[string]any{"UserCode": "a\nb"}, "control characters"},
		"account with a C1 character":    {map[string]any{"UserCode": "a\u0085b"}, "control characters"},
		"account that cannot be read":    {map[string]any{"UserCode": "a\ufffdb"}, "the answer's UserCode"},
		"account with the client secret": {map[string]any{"UserCode": "x" + canarySecret}, "UserCode repeats a secret"},
		"account with the access token":  {map[string]any{"UserCode": canaryAccess}, "UserCode repeats a secret"},
		"access token with a line break": {map[string]any{"accessToken": "a\r\nX: y"}, "characters that no bearer token has"},
		"access token with a blank":      {map[string]any{"accessToken": "a b"}, "characters that no bearer token has"},
		"access token outside of ASCII":  {map[string]any{"accessToken": "tökén"}, "characters that no bearer token has"},
		"access token of 10 KB":          {map[string]any{"accessToken": strings.Repeat("a", 10<<10)}, "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.answerWith(replies(test.changed))
			_, err := r.redeem()
			refused(t, err, delegation.IssuerUnavailable, test.words)
		})
	}
	for _, account := range []string{"a", strings.Repeat("a", maxAccount), "ä 1/2"} {
		r := newRig(t, nil)
		r.answerWith(replies(map[string]any{"UserCode": account, "error": nil, "errors": []string{}}))
		if result, err := r.redeem(); err != nil || result.Account != account {
			t.Errorf("%q: %+v, %v", account, result, err)
		}
	}
}

// TestPublicTokenIsPublic protects the secrets from a platform that repeats one as
// public token, which browsers are told.
func TestPublicTokenIsPublic(t *testing.T) {
	for _, public := range []string{canarySecret, canaryAccess, "x" + canaryAccess + "x", "a b", strings.Repeat("a", maxToken+1)} {
		r := newRig(t, nil)
		r.answerWith(replies(map[string]any{"publicToken": public}))
		result, err := r.redeem()
		if err != nil || len(result.Reply) > 0 {
			t.Errorf("%.40q: %+v, %v", public, result, err)
		}
	}
}

// TestBinding protects people from whoever posts another person's one-time token:
// by each binding, what the platform says of user and client, and what follows.
func TestBinding(t *testing.T) {
	const otherUser, otherClient, silent = "another user", "another client", "says neither"
	said := map[string]map[string]any{
		"the user":  {},
		otherUser:   {"clientUserId": "pairwise-of-bob"},
		otherClient: {"clientId": "another-app"},
		"a prefix":  {"clientUserId": "pairwise-of-alic"},
		"no client": {"clientId": absent},
		"no user":   {"clientUserId": absent},
		silent:      {"clientId": absent, "clientUserId": absent},
	}
	for _, binding := range []Binding{BindingEcho, BindingVerify, BindingNone} {
		for name, changed := range said {
			t.Run(string(binding)+", "+name, func(t *testing.T) {
				r := newRig(t, func(c *Config) { c.Binding, c.VerifyURL = binding, "/me" })
				r.answerWith(replies(changed))
				result, err := r.redeem()
				conflict := name == otherUser || name == otherClient || name == "a prefix"
				switch {
				case conflict:
					refused(t, err, delegation.AccountConflict, "another user's, or another application's")
				case binding == BindingEcho && changed["clientId"] == absent:
					refused(t, err, delegation.CredentialsRejected, "does not name clientId, so that it may be anybody's: use binding verify")
				case binding == BindingEcho && changed["clientUserId"] == absent:
					refused(t, err, delegation.CredentialsRejected, "does not name clientUserId")
				case binding == BindingVerify && changed["clientUserId"] == absent:
					refused(t, err, delegation.CredentialsRejected, "the answer of verify_url does not name clientUserId")
				case err != nil || result.Account != "account-1":
					t.Errorf("%+v, %v", result, err)
				}
				if err != nil && result != nil {
					t.Error("there is a result")
				}
			})
		}
	}
}

// TestVerify protects people where the exchange itself names nobody: what an address
// says that is asked with the new access token.
func TestVerify(t *testing.T) {
	exchanged := replies(map[string]any{"clientId": absent, "clientUserId": absent})
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		code   delegation.Code // empty: connected
		words  string
	}{
		"of the user":        {answers(200, "application/json", `{"clientUserId":"pairwise-of-alice","name":"Alice"}`), "", ""},
		"of the account":     {answers(200, "application/json", `{"clientUserId":"pairwise-of-alice","UserCode":"account-1","clientId":"app"}`), "", ""},
		"of another account": {answers(200, "application/json", `{"clientUserId":"pairwise-of-alice","UserCode":"account-2"}`), delegation.AccountConflict, "two accounts"},
		"of another user":    {answers(200, "application/json", `{"clientUserId":"pairwise-of-bob"}`), delegation.AccountConflict, "another user's"},
		"of nobody":          {answers(200, "application/json", `{"UserCode":"account-1"}`), delegation.CredentialsRejected, "see names user"},
		"a page":             {answers(200, "text/html", "<html>"), delegation.IssuerUnavailable, "verify_url: the answer is a page"},
		"refused":            {answers(401, "application/json", canaryAccess), delegation.IssuerUnavailable, "verify_url: status 401 for a new access token"},
		"down":               {answers(503, "application/json", ""), delegation.IssuerUnavailable, "verify_url: status 503"},
		"no answer":          {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, delegation.IssuerUnavailable, "verify_url: it closed the connection"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.Binding, c.VerifyURL = BindingVerify, "/me" })
			r.answerWith(func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path == "/me" {
					test.answer(w, req)
				} else {
					exchanged(w, req)
				}
			})
			_, err := r.redeem()
			if test.code == "" {
				if err != nil {
					t.Error(delegation.Explain(err))
				}
			} else {
				refused(t, err, test.code, test.words)
			}
			if me := r.asked()[1]; me.method != http.MethodGet || me.header.Get("Authorization") != "Bearer "+canaryAccess || fmt.Sprint(me.query) != "map[]" {
				t.Errorf("verify_url got %+v", me)
			}
		})
	}
}
