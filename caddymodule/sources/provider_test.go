// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// authorize asks for the credential of a data call.
func (r *codeRig) authorize(method, path string, scopes ...string) error {
	_, err := r.Authorize(r.t.Context(), &delegation.Delegation{Person: ada, Method: method, Path: path, Scopes: scopes})
	return err
}

// TestAuthorize protects people's data from requests of nobody, of another source, and
// of more than they have consented to.
func TestAuthorize(t *testing.T) {
	r := newCodeRig(t, nil)
	refused(t, r.authorize(http.MethodGet, "/lab/x"), delegation.ConsentRequired, "")
	r.connect(nil)
	d := &delegation.Delegation{Person: ada, Method: http.MethodGet, Path: "/lab/x", Scopes: []string{"sleep"}}
	if _, err := r.Authorize(t.Context(), d); err != nil || d.Participant != "u-1" || !d.Cached {
		t.Errorf("%+v %v", d, err)
	}
	up := r.Upstream(d)
	if up.Host != "api.lab.example" || up.Prefix != "/v1" || up.Mount != "/lab" {
		t.Errorf("%+v", up)
	}
	_, err := r.Authorize(t.Context(), &delegation.Delegation{Method: http.MethodGet, Path: "/lab/x"})
	refused(t, err, delegation.SessionRequired, "")
	refused(t, r.authorize(http.MethodGet, "/other/x"), delegation.RouteDenied, "name of a source")
	refused(t, r.authorize(http.MethodGet, "/lab"), delegation.RouteDenied, "nothing below it")
	if up := r.Upstream(&delegation.Delegation{Path: "/other/x"}); up.Host != "" {
		t.Errorf("a path of no source goes to %s", up.Host)
	}
}

// TestT64_GrantedScopes protects a person's consent from being stretched, and one that
// is wider than asked from being of no use: what was granted is compared with what the
// route needs, and the page is told what that is.
func TestT64_GrantedScopes(t *testing.T) {
	for name, c := range map[string]struct {
		scope  string // of the reply; "": it does not say
		needed []string
		denied bool
	}{
		"as asked":               {"", []string{"vitals", "sleep"}, false},
		"as said":                {"sleep vitals", []string{"vitals", "sleep"}, false},
		"wider":                  {"vitals sleep ecg", []string{"vitals"}, false},
		"narrower, enough":       {"vitals", []string{"vitals"}, false},
		"narrower":               {"vitals", []string{"sleep", "vitals"}, true},
		"none":                   {" ", []string{"vitals"}, true},
		"a route without scopes": {"vitals", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newCodeRig(t, nil)
			if c.scope != "" {
				r.on("/token", fmt.Sprintf(`{"access_token":"canary-access","expires_in":60000,"user":1,"scope":%q}`, c.scope))
			}
			r.connect(nil)
			err := r.authorize(http.MethodGet, "/lab/x", c.needed...)
			if !c.denied {
				if err != nil {
					t.Error(delegation.Explain(err))
				}
				return
			}
			refused(t, err, delegation.ConsentRequired, "without a scope")
			if got := delegation.AsRefusal(err).RequiredScopes; fmt.Sprint(got) != fmt.Sprint(c.needed) {
				t.Errorf("the page is told %q", got)
			}
		})
	}
}

// TestT66_VendorsOwnAddresses protects the vendor's authorization server from apps: its
// addresses are never forwarded, however they are written and whatever the policy
// allows. Neighbours of them are.
func TestT66_VendorsOwnAddresses(t *testing.T) {
	r := newCodeRig(t, func(c *Config) {
		c.API = at("https://api.lab.example/v1")
		c.TokenURL, c.RefreshURL = at("https://api.lab.example./v1/oauth2/token"), at("https://API.lab.example:443/v1/oauth2/refresh")
		c.AuthURL = at("https://api.lab.example/v1/oauth2/login")
		c.Account, c.Reserve = nil, []string{"/v1/connect", "/old/token"}
		c.AfterConnect = &Call{Method: http.MethodPost, URL: "https://api.lab.example/v1/users", JSON: "{}"}
		c.Revoke = &Call{Method: http.MethodDelete, URL: "https://api.lab.example/v1/users/{account}?token={access}"}
	})
	r.grants.current = &delegation.Grant{ID: "g", Person: ada, Account: "a", Tokens: delegation.GrantTokens{Access: delegation.NewSecret(canaryAccess)}}
	for _, request := range []string{
		"POST /oauth2/token", "GET /oauth2/token", "POST /oauth2/token/", "POST /OAuth2/Token", "POST /oauth2/%74oken", "POST /oauth2/%2574oken", "POST //oauth2/token",
		"POST /oauth2;a=b/token", "POST /oauth2/token;a=b", "POST /oauth2%2Ftoken", "POST /oauth2/refresh", "GET /oauth2/login",
		"POST /users", "DELETE /users/17", "PATCH /users/17", "POST /users/17/",
		"GET /connect", "POST /Connect/deauthorize", "POST /connect;x/token.json",
	} {
		method, path, _ := strings.Cut(request, " ")
		if err := r.authorize(method, "/lab"+path); err == nil || delegation.AsRefusal(err).Code != delegation.RouteDenied {
			t.Errorf("%s is forwarded", request)
		}
	}
	for _, request := range []string{"GET /users/17", "GET /users", "POST /users/17/weights", "GET /oauth2/tokens", "GET /token", "GET /connected", "GET /old/token"} {
		method, path, _ := strings.Cut(request, " ")
		if err := r.authorize(method, "/lab"+path); err != nil {
			t.Errorf("%s: %v", request, delegation.Explain(err))
		}
	}
}

// TestAPIHeaders protects the operator's subscription key from being replaced by a
// client's header that a server reads as the same.
func TestAPIHeaders(t *testing.T) {
	r := newCodeRig(t, func(c *Config) {
		c.APIHeaders = map[string]delegation.Secret{"Ocp-Apim-Subscription-Key": delegation.NewSecret(canaryKey)}
	})
	r.connect(nil)
	c, err := r.Authorize(t.Context(), &delegation.Delegation{Person: ada, Method: http.MethodGet, Path: "/lab/x"})
	if err != nil {
		t.Fatal(err)
	}
	out, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.lab.example/v1/x", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	out.Header = http.Header{"Ocp_Apim_subscription-Key": {"theirs"}, "Authorization": {"Bearer theirs"}, "Accept": {"*/*"}}
	if err := c.Apply(out); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(out.Header); got != "map[Accept:[*/*] Authorization:[Bearer canary-access] Ocp-Apim-Subscription-Key:[canary-key]]" {
		t.Error(got)
	}
}

// TestNewRefused protects operators from a source with which tokens would go astray, or
// nobody could connect.
func TestNewRefused(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"api_host_url is missing":                 func(c *Config) { c.API = nil },
		"client_id is missing":                    func(c *Config) { c.ClientID = "" },
		"client_secret is missing":                func(c *Config) { c.ClientSecret = delegation.Secret{} },
		"auth_url or access_token_url is missing": func(c *Config) { c.AuthURL = nil },
		"a look-up by GET goes to another host": func(c *Config) {
			c.Label = &Lookup{In: InAnswer, URL: at("https://api.lab.example:8443/me"), Path: "id"}
		},
		"a look-up by GET goes to another host ": func(c *Config) {
			c.Account.Or = &Lookup{In: InAnswer, URL: at("http://api.lab.example/me"), Path: "id"}
		},
		"a look-up by GET goes to another host  ":  func(c *Config) { c.Granted = &Lookup{In: InAnswer, Path: "id"} },
		"source lab is there twice: remove one":    nil,
		"there is no source: define one with `sou": nil,
	} {
		c := Config{
			Name: "lab", Protocol: OAuth2, AuthURL: at("https://l.example/a"), TokenURL: at("https://l.example/t"), API: at("https://api.lab.example"),
			ClientID: "app", ClientSecret: delegation.NewSecret(canaryClient), Account: &Lookup{In: InReply, Path: "id"},
		}
		list := []Config{c}
		switch {
		case change != nil:
			change(&list[0])
		case strings.Contains(want, "twice"):
			list = append(list, c)
		default:
			list = nil
		}
		_, err := New(list)
		if err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%v\nwant %s", err, want)
			continue
		}
		clean(t, err.Error())
	}
}
