// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

func delegated() *delegation.Delegation {
	return &delegation.Delegation{Provider: "health", Person: alice, Method: http.MethodGet, URI: "/v1/human/activity?day=1", Path: "/v1/human/activity"}
}

// TestAuthorize protects who a request is sent as.
func TestAuthorize(t *testing.T) {
	r := newRig(t, nil)
	_, err := r.Authorize(t.Context(), &delegation.Delegation{})
	refused(t, err, delegation.SessionRequired, "")
	_, err = r.Authorize(t.Context(), delegated())
	refused(t, err, delegation.ConsentRequired, "")
	r.grants.current = &delegation.Grant{Account: "account-1", Secret: delegation.NewSecret(`{"access":"` + canaryAccess + `\n"}`)}
	_, err = r.Authorize(t.Context(), delegated())
	refused(t, err, delegation.GrantsUnavailable, "not one of a Connect platform")
	r.grants.current = grant(t, "account-1", canaryAccess, "")
	d := delegated()
	c, err := r.Authorize(t.Context(), d)
	if err != nil || d.Participant != "account-1" || !d.Cached {
		t.Fatalf("%v, %+v", err, d)
	}
	req, _ := http.NewRequest(http.MethodGet, "https://api.example/v1/x", nil)
	if err := c.Apply(req); err != nil || req.Header.Get("Authorization") != "Bearer "+canaryAccess {
		t.Errorf("%v, %v", req.Header, err)
	}
	clean(t, fmt.Sprintf("%+v %#v %v", c, c, d))
	if len(r.asked()) > 0 {
		t.Error("the platform was asked")
	}
}

// TestTokenPlaces protects that requests carry one token, the person's own: what the
// client has sent in its place is dropped in every spelling.
func TestTokenPlaces(t *testing.T) {
	for name, test := range map[string]struct {
		place         TokenPlace
		query, header string // of the client; the header's name
		wantQuery     string
		wantHeader    string
	}{
		"bearer":         {TokenPlace{In: TokenInBearer}, "a=1&access_token=stolen&b=%20", "Accept", "a=1&b=%20", "Authorization: Bearer T/+="},
		"query":          {TokenPlace{TokenInQuery, "token"}, "a=1", "Authorization", "a=1&token=T%2F%2B%3D", ""},
		"query alone":    {TokenPlace{TokenInQuery, "token"}, "", "Accept", "token=T%2F%2B%3D", ""},
		"query replaced": {TokenPlace{TokenInQuery, "api.tok"}, "TOKEN=1&api_tok=2&%61pi.tok=3&api%2Etok[]=4&%2561pi_tok=5&+api.tok=6&x;api_tok=7&api.tok&token=8", "Accept", "TOKEN=1&token=8&api.tok=T%2F%2B%3D", ""},
		"folded":         {TokenPlace{TokenInQuery, "key"}, "%E2%84%AAey=1&KEY=2&a=k", "Accept", "a=k&key=T%2F%2B%3D", ""},
		"header":         {TokenPlace{TokenInHeader, "x-access-token"}, "a=1", "X_Access_Token", "a=1", "X-Access-Token: T/+="},
	} {
		t.Run(name, func(t *testing.T) {
			c := &Credential{token: &accessToken{access: delegation.NewSecret("T/+=")}, place: test.place}
			req, _ := http.NewRequest(http.MethodGet, "https://api.example/v1/x?"+test.query, nil)
			req.Header[test.header] = []string{"stolen"}
			if err := c.Apply(req); err != nil {
				t.Fatal(delegation.Explain(err))
			}
			var got []string
			for name, values := range req.Header {
				if name != "Accept" {
					got = append(got, name+": "+strings.Join(values, ","))
				}
			}
			if req.URL.RawQuery != test.wantQuery || strings.Join(got, " | ") != test.wantHeader {
				t.Errorf("query %q, header %q\nwant  %q, header %q", req.URL.RawQuery, got, test.wantQuery, test.wantHeader)
			}
		})
	}
	c := &Credential{token: &accessToken{access: delegation.NewSecret("T")}}
	for _, query := range []string{"a b", "a=\x00", "a#b", "%zz=1"} {
		req, _ := http.NewRequest(http.MethodGet, "https://api.example/v1/x", nil)
		req.URL.RawQuery = query
		refused(t, c.Apply(req), delegation.PathAmbiguous, "")
	}
	if err := new(Credential).Apply(nil); err == nil {
		t.Error("a credential without a token is put on a request")
	}
	if s := c.Secrets(); len(s) != 1 || s[0].Reveal() != "T" {
		t.Error("the token is not among the secrets that an answer must not repeat")
	}
	for in, want := range map[string]bool{TokenInQuery: true, TokenInHeader: false} {
		r := newRig(t, func(c *Config) { c.TokenIn = TokenPlace{in, "tok"} })
		if got := r.Upstream(nil).CredentialInURL; got != want {
			t.Errorf("%s: the credential is in the URL: %t", in, got)
		}
		if warned := r.logs.FilterMessageSnippet("token_in is query").Len() == 1; warned != want {
			t.Errorf("%s: warned %t", in, warned)
		}
	}
}

// TestRenew protects the platform from calls that cannot help: a token has no
// successor but that of the next consent, which is looked for in the database alone.
func TestRenew(t *testing.T) {
	r := newRig(t, nil)
	r.grants.current = grant(t, "account-1", canaryAccess, "")
	c, err := r.Authorize(t.Context(), delegated())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := r.Renew(t.Context(), delegated(), c); err != nil || again != c {
		t.Errorf("%v, %v", again, err)
	}
	r.grants.newer = grant(t, "account-2", "another", "")
	d := delegated()
	again, err := r.Renew(t.Context(), d, c)
	if err != nil || again == c || d.Participant != "account-2" {
		t.Errorf("%v, %v, %+v", again, err, d)
	}
	if _, err := r.Renew(t.Context(), d, delegation.Bearer{}); err == nil {
		t.Error("another provider's credential is renewed")
	}
	if len(r.asked()) > 0 || r.grants.newerCalls != 2 {
		t.Errorf("%d calls of the platform, %d look-ups", len(r.asked()), r.grants.newerCalls)
	}
}

// TestUnauthorized protects people from losing their consent because of one route,
// and shows who is asked to consent anew.
func TestUnauthorized(t *testing.T) {
	const probed, verified, neither = "probe_path", "verify_url", "neither"
	for name, test := range map[string]struct {
		by        string
		status    int
		accepted  bool // by another route, before
		here      bool // and then by this one
		notPaced  bool
		suspended bool
	}{
		"probe refused":       {by: probed, status: 401, suspended: true},
		"verify refused":      {by: verified, status: 401, suspended: true},
		"probe accepted":      {by: probed, status: 200},
		"probe forbidden":     {by: probed, status: 403},
		"probe down":          {by: probed, status: 500},
		"probe elsewhere":     {by: probed, status: 302},
		"probe after use":     {by: probed, status: 401, accepted: true, suspended: true},
		"others just now":     {by: probed, status: 401, notPaced: true},
		"no probe":            {by: neither, status: 200, suspended: true},
		"no probe, used":      {by: neither, status: 401, accepted: true},
		"no probe, used here": {by: neither, status: 401, accepted: true, here: true, suspended: true},
		"no probe, no pace":   {by: neither, status: 401, notPaced: true},
		"probe without help":  {by: verified, status: 200},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(c *Config) {
				switch test.by {
				case probed:
					c.ProbePath = "/v1/human/profile?x=1"
				case verified:
					c.VerifyURL = "/me"
				}
			})
			r.answerWith(answers(test.status, "application/json", "{}"))
			r.grants.notPaced = test.notPaced
			r.grants.current = grant(t, "account-1", canaryAccess, "")
			c, err := r.Authorize(t.Context(), delegated())
			if err != nil {
				t.Fatal(err)
			}
			answered := func(path string, status int) bool {
				of := c
				if path != "/here" {
					if of, err = r.Authorize(t.Context(), delegated()); err != nil {
						t.Fatal(err)
					}
				}
				if err := of.Apply(httptest.NewRequest(http.MethodGet, path, nil)); err != nil {
					t.Fatal(err)
				}
				return of.Stale(&http.Response{StatusCode: status})
			}
			if test.accepted && answered("/elsewhere", http.StatusOK) || test.here && answered("/here", http.StatusOK) {
				t.Error("a success is stale")
			}
			if !answered("/here", http.StatusUnauthorized) {
				t.Error("a 401 is not stale")
			}
			if !c.Stale(&http.Response{StatusCode: http.StatusUnauthorized}) || c.Stale(&http.Response{StatusCode: http.StatusForbidden}) {
				t.Error("401 alone is stale")
			}
			found := r.DiagnoseUnauthorized(t.Context(), delegated(), c)
			if (found != nil) != test.suspended || (len(r.grants.suspended) == 1) != test.suspended {
				t.Errorf("found %v, suspended %d", found, len(r.grants.suspended))
			}
			calls := r.asked()
			switch {
			case test.by == neither && len(calls) > 0, test.by != neither && len(calls) != 1:
				t.Errorf("%d calls", len(calls))
			case test.by == probed && (calls[0].path != "/v1/human/profile" || calls[0].method != http.MethodGet || calls[0].header.Get("Authorization") != "Bearer "+canaryAccess):
				t.Errorf("the probe is %+v", calls[0])
			}
		})
	}
	if newRig(t, nil).DiagnoseUnauthorized(t.Context(), delegated(), delegation.Bearer{}) != nil {
		t.Error("another provider's credential is looked into")
	}
}

// TestProbe protects suspended grants: they are resumed when the platform accepts
// the token again, and not because it is silent.
func TestProbe(t *testing.T) {
	for status, want := range map[int]delegation.ProbeResult{200: delegation.ProbeAccepted, 401: delegation.ProbeRefused, 403: delegation.ProbeUnknown, 500: delegation.ProbeUnknown, 302: delegation.ProbeUnknown} {
		r := newRig(t, func(c *Config) { c.ProbePath = "/v1/profile" })
		r.answerWith(answers(status, "application/json", "{}"))
		if got := r.ProbeGrant(t.Context(), grant(t, "account-1", canaryAccess, "")); got != want {
			t.Errorf("%d: %v, want %v", status, got, want)
		}
	}
	r := newRig(t, nil)
	if got := r.ProbeGrant(t.Context(), grant(t, "account-1", canaryAccess, "")); got != delegation.ProbeUnknown || len(r.asked()) > 0 {
		t.Errorf("without a probe: %v", got)
	}
	if got := r.ProbeGrant(t.Context(), new(delegation.Grant)); got != delegation.ProbeUnknown {
		t.Errorf("a grant that cannot be read: %v", got)
	}
}
