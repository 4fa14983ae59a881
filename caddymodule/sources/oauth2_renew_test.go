// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"net/http"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// credentialOf is the credential of a data call of ada's.
func (r *codeRig) credentialOf(d *delegation.Delegation) delegation.Credential {
	r.t.Helper()
	c, err := r.Authorize(r.t.Context(), d)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func dataCall() *delegation.Delegation {
	return &delegation.Delegation{Person: ada, Method: http.MethodGet, Path: "/lab/x"}
}

// TestRenew protects people from a vendor that ends an access token early: the next one
// is fetched. One that is refused at once says nothing of their consent.
func TestRenew(t *testing.T) {
	r := newCodeRig(t, nil)
	r.connect(nil)
	d := dataCall()
	c := r.credentialOf(d)
	r.on("/token", next)
	newer, err := r.Renew(t.Context(), d, c)
	if err != nil {
		t.Fatal(err)
	}
	out, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.lab.example/v1/x", http.NoBody)
	if err := newer.Apply(out); err != nil || out.Header.Get("Authorization") != "Bearer canary-next" {
		t.Errorf("%v %v", out.Header, err)
	}
	if _, err := r.Renew(t.Context(), d, c); err != nil || len(r.asked("/token")) != 2 {
		t.Errorf("the stale one once more: %d calls, %v", len(r.asked("/token")), err)
	}
	if got := r.DiagnoseUnauthorized(t.Context(), d, newer); got != nil || r.grants.suspended != 0 {
		t.Errorf("%v", got)
	}
	_, err = r.Renew(t.Context(), d, delegation.Bearer{})
	refused(t, err, delegation.NotDelegated, "")
}

// TestRenewOtherAccount protects a request from the token of an account that the person
// has connected meanwhile, and that it was not authorised for.
func TestRenewOtherAccount(t *testing.T) {
	r := newCodeRig(t, nil)
	r.connect(nil)
	d := dataCall()
	c := r.credentialOf(d)
	other := *r.grants.current
	other.ID, other.Account, other.Tokens.Access = "g-2", "u-2", delegation.NewSecret("canary-other")
	r.grants.current = &other
	_, err := r.Renew(t.Context(), d, c)
	refused(t, err, delegation.ConsentRequired, "anew")
	if d = dataCall(); r.credentialOf(d) == nil || d.Participant != "u-2" {
		t.Error("the next request is not of the new account")
	}
}

// TestNoRefreshToken protects the person whose vendor gives none from a 401 that is
// about the route, and their grant from being used for ever once they have ended it.
func TestNoRefreshToken(t *testing.T) {
	for name, c := range map[string]struct {
		probe  int // status of the account's address; 0: there is none
		newer  bool
		ended  bool
		probed delegation.ProbeResult // ten minutes later
	}{
		"revoked":           {probe: 401, ended: true, probed: delegation.ProbeRefused},
		"about the route":   {probe: 200, probed: delegation.ProbeAccepted},
		"in trouble":        {probe: 503, probed: delegation.ProbeUnknown},
		"nobody to ask":     {ended: true, probed: delegation.ProbeAccepted},
		"connected already": {probe: 200, newer: true, probed: delegation.ProbeAccepted},
	} {
		t.Run(name, func(t *testing.T) {
			r := newCodeRig(t, func(cfg *Config) {
				cfg.Refresh = RefreshNone
				if c.probe != 0 {
					cfg.Account = &Lookup{In: InAnswer, URL: at("https://api.lab.example/me"), Path: "id"}
				}
			})
			r.on("/me", `{"id":"u-1"}`)
			r.connect(nil)
			r.onStatus("/me", c.probe, `{"id":"u-1"}`)
			d := dataCall()
			stale := r.credentialOf(d)
			if c.newer {
				g := *r.grants.current
				g.Version, g.Tokens.Access = 2, delegation.NewSecret("canary-next")
				r.grants.newer = &g
			}
			again, err := r.Renew(t.Context(), d, stale)
			if err != nil {
				t.Fatal(err)
			}
			out, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.lab.example/v1/x", http.NoBody)
			want := map[bool]string{false: "Bearer " + canaryAccess, true: "Bearer canary-next"}[c.newer]
			if err := again.Apply(out); err != nil || out.Header.Get("Authorization") != want || len(r.asked("/token")) != 1 {
				t.Errorf("%d calls, %v", len(r.asked("/token")), err)
			}
			found := r.DiagnoseUnauthorized(t.Context(), d, again)
			if (found != nil) != c.ended || (r.grants.suspended == 1) != c.ended {
				t.Errorf("%v, suspended %d times", found, r.grants.suspended)
			}
			g := *r.grants.current
			g.Suspended = true
			if got := r.hooks.ProbeGrant(t.Context(), &g); got != c.probed {
				t.Errorf("ten minutes later %v", got)
			}
			g.Suspended = false
			if got := r.hooks.ProbeGrant(t.Context(), &g); got != delegation.ProbeAccepted {
				t.Errorf("a new one: %v", got)
			}
		})
	}
}

// TestRefusedRoute protects a grant that has neither refresh token nor an address to ask
// from a route that its vendor refuses with 401, such as one of somebody else's data,
// while another route takes the token.
func TestRefusedRoute(t *testing.T) {
	for name, c := range map[string]struct {
		path  string // of the call that was accepted before; empty: none
		ended bool
	}{"nothing accepted": {"", true}, "the same route": {"/lab/x", true}, "another route": {"/lab/y", false}} {
		r := newCodeRig(t, func(cfg *Config) { cfg.Refresh = RefreshNone })
		r.connect(nil)
		var err error
		if r.grants.current.Decoded, err = r.hooks.DecodeGrant(r.grants.current); err != nil {
			t.Fatal(err)
		}
		answered := func(path string, status int) delegation.Credential {
			d := dataCall()
			d.Path = path
			cred := r.credentialOf(d)
			out, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.lab.example"+path, http.NoBody)
			if err := cred.Apply(out); err != nil {
				t.Fatal(err)
			}
			if stale := cred.Stale(&http.Response{StatusCode: status}); stale != (status == http.StatusUnauthorized) {
				t.Errorf("%s: stale %t by %d", name, stale, status)
			}
			return cred
		}
		if c.path != "" {
			answered(c.path, http.StatusOK)
		}
		if found := r.DiagnoseUnauthorized(t.Context(), dataCall(), answered("/lab/x", http.StatusUnauthorized)); (found != nil) != c.ended || (r.grants.suspended == 1) != c.ended {
			t.Errorf("%s: %v, suspended %d times", name, found, r.grants.suspended)
		}
	}
}

// TestRevoke protects people who have left from staying known to the vendor: it is told
// as it wants, and again if it is away. What it does not know any more has ended.
func TestRevoke(t *testing.T) {
	for name, c := range map[string]struct {
		call   Call
		status int
		body   string
		code   delegation.Code
		want   vendorCall
	}{
		"google": {Call{Method: "POST", URL: "https://login.lab.example/revoke?token={access}"}, 200, "", "", vendorCall{query: "token=canary-access%2F"}},
		"strava": {
			Call{Method: "POST", URL: "https://login.lab.example/revoke", Form: map[string]string{"token": "{refresh}"}, Auth: "basic"},
			200, "", "",
			vendorCall{authorization: "Basic YXBwOmNhbmFyeS1jbGllbnQlMjZzZWNyZXQ=", body: "token=canary-refresh"},
		},
		"polar":               {Call{Method: "DELETE", URL: "https://login.lab.example/revoke", Auth: "bearer"}, 204, "", "", vendorCall{authorization: "Bearer canary-access/"}},
		"not known":           {Call{Method: "DELETE", URL: "https://login.lab.example/revoke", Auth: "bearer"}, 404, "", "", vendorCall{authorization: "Bearer canary-access/"}},
		"revoked already":     {Call{Method: "DELETE", URL: "https://login.lab.example/revoke", Auth: "bearer"}, 401, "", "", vendorCall{authorization: "Bearer canary-access/"}},
		"an invalid token":    {Call{Method: "POST", URL: "https://login.lab.example/revoke"}, 400, `{"error":"invalid_token"}`, "", vendorCall{}},
		"another 400":         {Call{Method: "POST", URL: "https://login.lab.example/revoke"}, 400, `{"error":"canary"}`, delegation.IssuerUnavailable, vendorCall{}},
		"the client":          {Call{Method: "POST", URL: "https://login.lab.example/revoke", Auth: "basic"}, 401, "", delegation.CredentialsRejected, vendorCall{authorization: "Basic YXBwOmNhbmFyeS1jbGllbnQlMjZzZWNyZXQ="}},
		"away":                {Call{Method: "POST", URL: "https://login.lab.example/revoke"}, 503, "", delegation.IssuerUnavailable, vendorCall{}},
		"a status of its own": {Call{Method: "POST", URL: "https://login.lab.example/revoke", OK: []int{409}}, 409, "", "", vendorCall{}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newCodeRig(t, func(cfg *Config) { cfg.Revoke = &c.call })
			r.onStatus("/revoke", c.status, c.body)
			revoker, ok := r.Sources()[0].Hooks.(delegation.GrantRevoker)
			if !ok {
				t.Fatal("the hooks revoke nothing")
			}
			err := revoker.RevokeGrant(t.Context(), &delegation.Grant{Account: "u-1", Tokens: delegation.GrantTokens{
				Access: delegation.NewSecret(canaryAccess + "/"), Refresh: delegation.NewSecret(canaryRefresh),
			}})
			if c.code != "" {
				refused(t, err, c.code, "ending the consent")
			} else if err != nil {
				t.Error(delegation.Explain(err))
			}
			calls := r.asked("/revoke")
			if len(calls) != 1 {
				t.Fatalf("%d calls", len(calls))
			}
			got := calls[0]
			if got.method != c.call.Method || got.query != c.want.query || got.authorization != c.want.authorization || got.body != c.want.body {
				t.Errorf("%+v", got)
			}
		})
	}
	if _, ok := newCodeRig(t, nil).Sources()[0].Hooks.(delegation.GrantRevoker); ok {
		t.Error("a vendor that offers no revocation is asked for one")
	}
}
