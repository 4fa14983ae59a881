// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// redeemed is what a flow leads to whose redirect names an account, too.
func (r *signedRig) redeemed(g *delegation.Grant) (*delegation.ConsentResult, error) {
	r.t.Helper()
	page, err := r.start()
	if err != nil {
		r.t.Fatal(err)
	}
	handed := redirected(canaryRequestToken, canaryVerifier)
	result, err := r.redeem(page, handed, g)
	r.code(err)
	return result, err
}

// TestOAuth1Account protects people with several sources: whose account it is comes from
// where the source says, and one without a name gets the same when they connect again.
func TestOAuth1Account(t *testing.T) {
	me := func(c *Config, path string) *Lookup {
		return &Lookup{In: InAnswer, URL: c.API.JoinPath("me"), Path: path}
	}
	for name, c := range map[string]struct {
		change               func(*Config)
		account, label, code string
	}{
		"reply":      {func(c *Config) { c.Account = &Lookup{In: InReply, Path: "userid"} }, "4711", "", ""},
		"call":       {func(c *Config) { c.Account, c.Label = me(c, "user.id"), me(c, "user.name") }, "9007199254740993", "Ada", ""},
		"or":         {func(c *Config) { c.Account = &Lookup{In: InReply, Path: "no", Or: me(c, "user.id")} }, "9007199254740993", "", ""},
		"none there": {func(c *Config) { c.Account = me(c, "user.no") }, "", "", "issuer_unavailable"},
		"the secret": {func(c *Config) { c.Account = &Lookup{In: InReply, Path: "oauth_token_secret"} }, "", "", "issuer_unavailable"},
		"the token":  {func(c *Config) { c.Account = &Lookup{In: InReply, Path: "oauth_token"} }, "", "", "issuer_unavailable"},
		"no label":   {func(c *Config) { c.Label = me(c, "user.no") }, "4711", "", ""},
	} {
		result, err := newSignedRig(t, c.change).redeemed(nil)
		if c.code != "" {
			if code := delegation.AsRefusal(err).Code; string(code) != c.code {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || result.Account != c.account || result.Label != c.label {
			t.Errorf("%s: %+v, %v", name, result, err)
		}
	}
	none := newSignedRig(t, func(c *Config) { c.Account = nil })
	first, err := none.redeemed(nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := none.redeemed(nil)
	if err != nil || len(first.Account) != 26 || first.Account == second.Account {
		t.Errorf("two people have the accounts %q and %q, %v", first.Account, second.Account, err)
	}
	if again, err := none.redeemed(&delegation.Grant{Account: first.Account}); err != nil || again.Account != first.Account {
		t.Errorf("connected again the account is %q and not %q, %v", again.Account, first.Account, err)
	}
}

// TestOAuth1Calls protects people whose vendor has to be told that they have come or left:
// both calls are signed, and one that the vendor has nothing to do for counts as done.
func TestOAuth1Calls(t *testing.T) {
	r := newSignedRig(t, func(c *Config) {
		c.AfterConnect = &Call{Method: http.MethodPost, URL: c.API.String() + "/subscribe", Form: map[string]string{"user": "{account}"}, Auth: "signed"}
		c.Revoke = &Call{Method: http.MethodDelete, URL: c.API.String() + "/users/{account}", Auth: "signed"}
	})
	if _, err := r.redeemed(nil); err != nil {
		t.Fatal(err)
	}
	calls := r.vendor.seen()
	if last := calls[len(calls)-1]; last.method != http.MethodPost || last.uri != "/api/subscribe" || last.body != "user=4711" || last.protocol["oauth_token"] != canarySignedToken {
		t.Errorf("after connecting: %+v", last)
	}
	revoke := func() (delegation.Code, string) {
		return r.code(r.Sources()[0].Hooks.(delegation.GrantRevoker).RevokeGrant(t.Context(), signedGrant(r)))
	}
	for _, c := range []struct {
		status, first int // of the call, and of the first leg
		body          string
		want          delegation.Code
	}{
		{204, 200, "", ""},
		{404, 200, "", ""},
		{410, 200, "", ""},
		{401, 200, "oauth_problem=token_revoked", ""},
		{401, 200, "", ""},
		{401, 401, "", delegation.CredentialsRejected},
		{403, 200, "", delegation.CredentialsRejected},
		{429, 200, "", delegation.IssuerThrottled},
		{500, 200, "", delegation.IssuerUnavailable},
	} {
		r.vendor.set(func(v *oauth1Vendor) {
			v.answer = func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path == "/oauth/request_token" {
					w.WriteHeader(c.first)
					fmt.Fprint(w, "oauth_token=t&oauth_token_secret=s&oauth_callback_confirmed=true")
					return
				}
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			}
		})
		if code, text := revoke(); code != c.want {
			t.Errorf("%+v: %s", c, text)
		}
	}
	calls = r.vendor.seen()
	if calls[0].method != http.MethodDelete || calls[0].uri != "/api/users/4711" || calls[0].protocol["oauth_token"] != canarySignedToken {
		t.Errorf("the end: %+v", calls[0])
	}
	if _, ok := newSignedRig(t, nil).Sources()[0].Hooks.(delegation.GrantRevoker); ok {
		t.Error("a vendor that offers nothing is told of the end")
	}
	// No app ends a consent by itself.
	d := delegated("/users/4711")
	d.Method = http.MethodDelete
	r.connected()
	_, err := r.Authorize(t.Context(), d)
	if code, text := r.code(err); code != delegation.RouteDenied {
		t.Error(text)
	}
}

// TestOAuth1Config protects the operator: what cannot work is named at load.
func TestOAuth1Config(t *testing.T) {
	elsewhere, _ := url.Parse("https://other.example/me")
	for want, change := range map[string]func(*Config){
		"OAuth 1.0a needs request_token_url":    func(c *Config) { c.RequestTokenURL = nil },
		"OAuth 1.0a needs client_id":            func(c *Config) { c.ClientSecret = delegation.Secret{} },
		"a look-up by GET goes to another host": func(c *Config) { c.Label = &Lookup{In: InAnswer, URL: elsewhere} },
	} {
		c := Config{Name: "lab", Protocol: OAuth1, Signature: "HMAC-SHA1", RequestTokenURL: elsewhere, TokenURL: elsewhere, AuthURL: elsewhere, ClientID: "app", ClientSecret: delegation.NewSecret("s")}
		c.API, _ = url.Parse("https://api.example")
		change(&c)
		if _, err := New([]Config{c}); err == nil || !strings.HasPrefix(err.Error(), "source lab: "+want) {
			t.Errorf("%v\nwant %s…", err, want)
		}
	}
}

// TestOAuth1Check protects the operator, who learns before there is any user whether the
// vendor accepts the client.
func TestOAuth1Check(t *testing.T) {
	r := newSignedRig(t, nil)
	check := func() string {
		var b strings.Builder
		r.Check(t.Context(), delegation.CheckRequest{}, func(f delegation.Finding) { fmt.Fprintf(&b, "%t %s: %s\n", f.OK, f.Step, f.Detail) })
		r.clean(b.String())
		return b.String()
	}
	const sound = "true lab client: request_token_url answers with a request token\n" +
		"true lab exchange: access_token_url refuses a request token that nobody has, with status 401\n" +
		"true lab page: auth_url answers with status 401 to nobody's request\n"
	if got := check(); got != sound {
		t.Errorf("%s\nwant %s", got, sound)
	}
	if calls := r.vendor.seen(); len(calls) != 1 || calls[0].protocol["oauth_callback"] != "oob" {
		t.Errorf("%+v", calls)
	}
	for path, change := range map[string]func(*Config){
		"correct access_token_url": func(c *Config) { c.TokenURL = at("http://" + c.TokenURL.Host + "/elsewhere") },
		"correct auth_url":         func(c *Config) { c.AuthURL = at("http://" + c.AuthURL.Host + "/elsewhere") },
	} {
		r = newSignedRig(t, change)
		nowhere := r.vendor.server.Config.Handler
		r.vendor.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path == "/elsewhere" {
				http.NotFound(w, req)
				return
			}
			nowhere.ServeHTTP(w, req)
		})
		if got := check(); !strings.Contains(got, "status 404: "+path) {
			t.Errorf("%s\nwant %s", got, path)
		}
	}
	r = newSignedRig(t, nil)
	r.vendor.set(func(v *oauth1Vendor) { v.sha256 = true })
	if got, want := check(), "false lab client: credentials_rejected: request_token_url: status 401 signature_method_rejected: check client_id, client_secret and signature\n"; !strings.HasPrefix(got, want) {
		t.Errorf("%s\nwant %s", got, want)
	}
}
