// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"net/http"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// imported has the vendor try a line of ada's.
func (r *codeRig) imported(i delegation.GrantImport) (*delegation.ConsentResult, error) {
	r.t.Helper()
	i.Person = ada
	read, err := r.hooks.ReadImport(&i)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.hooks.TryImport(r.t.Context(), &delegation.Grant{Person: ada, Account: read.Account, Scopes: read.Scopes, Secret: read.Secret, Tokens: read.Tokens, Suspended: true}, false)
}

// TestImportSpends protects a grant of another program: its refresh token is spent once,
// as the vendor wants it, and what the answer says of account and scopes counts.
func TestImportSpends(t *testing.T) {
	r := newCodeRig(t, func(c *Config) { c.RefreshParams = map[string]string{"redirect_uri": RedirectURI} })
	r.on("/token", `{"access_token":"canary-access","expires_in":3600,"refresh_token":"canary-refresh-2","user":"u-1","scope":"vitals"}`)
	line := delegation.GrantImport{Account: "u-2", Refresh: delegation.NewSecret(canaryRefresh), RedirectURI: "https://team.example/return"}
	result, err := r.imported(line)
	if err != nil || result.Account != "u-1" || len(result.Scopes) != 1 || result.Tokens.Refresh.Reveal() != "canary-refresh-2" {
		t.Errorf("%+v, %v", result, err)
	}
	calls := r.asked("/token")
	if len(calls) != 1 || calls[0].form.Get("refresh_token") != canaryRefresh || calls[0].form.Get("redirect_uri") != line.RedirectURI || calls[0].form.Get("grant_type") != "refresh_token" {
		t.Errorf("%+v", calls)
	}
	r.onStatus("/token", http.StatusBadRequest, `{"error":"invalid_grant"}`)
	_, err = r.imported(line)
	refused(t, err, delegation.DelegationRefused, "invalid_grant")

	for name, spoil := range map[string]func(*delegation.GrantImport){
		"no token":         func(i *delegation.GrantImport) { i.Refresh = delegation.Secret{} },
		"an access token":  func(i *delegation.GrantImport) { i.Access = delegation.NewSecret(canaryAccess) },
		"a token secret":   func(i *delegation.GrantImport) { i.AccessSecret = delegation.NewSecret(canaryAccess) },
		"a line break":     func(i *delegation.GrantImport) { i.Refresh = delegation.NewSecret("canary\r\n") },
		"no redirect URI":  func(i *delegation.GrantImport) { i.RedirectURI = "" },
		"no account":       func(i *delegation.GrantImport) { i.Account = "" },
		"an account of .":  func(i *delegation.GrantImport) { i.Account = "." },
		"a label of lines": func(i *delegation.GrantImport) { i.Label = "canary\n" },
	} {
		bad := line
		spoil(&bad)
		if _, err := r.hooks.ReadImport(&bad); err == nil {
			t.Errorf("%s is accepted", name)
		} else {
			clean(t, err.Error())
		}
	}
}

// TestImportAsksForAccount protects people from a table whose lines were exchanged:
// where the refresh does not say whose account it is, the vendor is asked with the new
// access token; if it does not answer, the tokens are not lost.
func TestImportAsksForAccount(t *testing.T) {
	r := newCodeRig(t, func(c *Config) { c.Account = &Lookup{In: InAnswer, URL: c.API.JoinPath("me"), Path: "id"} })
	line := delegation.GrantImport{Account: "u-1", Refresh: delegation.NewSecret(canaryRefresh)}
	r.on("/v1/me", `{"id":"u-1"}`)
	if result, err := r.imported(line); err != nil || result.Account != "u-1" {
		t.Errorf("%+v, %v", result, err)
	}
	r.onStatus("/v1/me", http.StatusInternalServerError, `{}`)
	result, err := r.imported(line)
	refused(t, err, delegation.IssuerUnavailable, "asking for the account")
	if result == nil || result.Account != "" || result.Tokens.Refresh.Reveal() == "" {
		t.Errorf("the tokens are lost: %+v", result)
	}

	// A vendor without refresh tokens: the access token is tried there.
	r = newCodeRig(t, func(c *Config) {
		c.Account, c.Refresh = &Lookup{In: InAnswer, URL: c.API.JoinPath("me"), Path: "id"}, RefreshNone
	})
	line = delegation.GrantImport{Account: "u-1", Access: delegation.NewSecret(canaryAccess)}
	r.on("/v1/me", `{"id":"u-1"}`)
	if result, err := r.imported(line); err != nil || result.Account != "u-1" || len(r.asked("/token")) != 0 {
		t.Errorf("%+v, %v", result, err)
	}
	r.onStatus("/v1/me", http.StatusUnauthorized, `{}`)
	_, err = r.imported(line)
	refused(t, err, delegation.DelegationRefused, "does not accept the access token")
	r.onStatus("/v1/me", http.StatusInternalServerError, `{}`)
	_, err = r.imported(line)
	refused(t, err, delegation.IssuerUnavailable, "does not say")
}
