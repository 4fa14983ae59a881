// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

func init() { caddy.RegisterModule(forgetful{}) }

// forgetful is a third party's provider with a mistake: it returns neither a
// credential nor an error. Which one it makes its setting says.
type forgetful struct {
	URL     string `json:"url,omitempty"`
	Mistake string `json:"mistake,omitempty"`
}

func (forgetful) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "delegate.providers.forgetful", New: func() caddy.Module { return new(forgetful) }}
}

func (f *forgetful) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	for d.NextBlock(0) {
		switch word := d.Val(); {
		case word == "url" && d.NextArg():
			f.URL = d.Val()
		case word == "mistake" && d.NextArg():
			f.Mistake = d.Val()
		}
	}
	return nil
}

// pointer, list and function are credentials that may be nil within an interface.
type (
	pointer  struct{ delegation.Bearer }
	list     []string
	function func(*http.Request) error
)

func (*pointer) Apply(*http.Request) error       { return nil }
func (*pointer) Stale(res *http.Response) bool   { return res.StatusCode == http.StatusUnauthorized }
func (list) Apply(*http.Request) error           { return nil }
func (list) Stale(res *http.Response) bool       { return res.StatusCode == http.StatusUnauthorized }
func (function) Apply(*http.Request) error       { return nil }
func (function) Stale(res *http.Response) bool   { return res.StatusCode == http.StatusUnauthorized }
func (f *forgetful) Open(delegation.Host) error  { return nil }
func (f *forgetful) Forget(delegation.Selection) {}
func (f *forgetful) Traits() delegation.Traits {
	return delegation.Traits{
		Scopes: []string{"read"}, BaseURL: f.URL + "/", Fingerprint: f.URL + f.Mistake,
		Routes: []delegation.Route{{Pattern: "/public/**", Public: true}, {Pattern: "/**"}},
	}
}

func (f *forgetful) Upstream(*delegation.Delegation) delegation.Upstream {
	u, _ := url.Parse(f.URL)
	return delegation.Upstream{Scheme: u.Scheme, Address: u.Host, Host: u.Host}
}

func (f *forgetful) credential(when string) (delegation.Credential, error) {
	mistake, ok := strings.CutPrefix(f.Mistake, when)
	if !ok {
		mistake = "none"
	}
	switch mistake {
	case "_nil":
		return nil, nil
	case "_pointer":
		return (*pointer)(nil), nil
	case "_list":
		return list(nil), nil
	case "_function":
		return function(nil), nil
	case "_bearer":
		return delegation.Bearer{}, nil
	case "_token":
		return delegation.Bearer{Token: new(delegation.Token)}, nil
	default:
		return delegation.Bearer{Token: &delegation.Token{Access: delegation.NewSecret("a-token-of-" + when)}}, nil
	}
}

func (f *forgetful) Authorize(context.Context, *delegation.Delegation) (delegation.Credential, error) {
	return f.credential("authorize")
}

func (f *forgetful) Renew(context.Context, *delegation.Delegation, delegation.Credential) (delegation.Credential, error) {
	return f.credential("renew")
}

func (f *forgetful) IssueToken(context.Context, *delegation.Delegation, func(*delegation.Token) bool) (*delegation.Token, error) {
	now := time.Now()
	switch f.Mistake {
	case "issue_nil":
		return nil, nil
	case "issue_empty":
		return &delegation.Token{Minted: now, Expires: now.Add(time.Hour)}, nil
	default:
		return &delegation.Token{Access: delegation.NewSecret("a-token"), Minted: now, Expires: now.Add(time.Hour)}, nil
	}
}

// TestR11_NoCredentialNoRequest protects the platform, and whoever is signed
// in, from a provider's module that returns nothing: what needs a credential is
// not sent without one, and no token is handed out that is none.
func TestR11_NoCredentialNoRequest(t *testing.T) {
	s := newStack(t)
	asked := make(chan string, 100)
	s.Intercept(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		asked <- r.Header.Get("Authorization")
		if strings.HasPrefix(r.URL.Path, "/stale") {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	seen := func() []string {
		var all []string
		for len(asked) > 0 {
			all = append(all, <-asked)
		}
		return all
	}
	for _, mistake := range []string{"none", "authorize_nil", "authorize_pointer", "authorize_list", "authorize_function", "authorize_bearer", "authorize_token", "renew_nil", "renew_pointer", "renew_list", "renew_bearer", "renew_token", "issue_nil", "issue_empty"} {
		t.Run(mistake, func(t *testing.T) {
			load(t, s, `{`+stack.Options+`
	delegate {
		provider forgetful {
			url     [[.PlatformURL]]
			mistake `+mistake+`
		}
	}
}
http://127.0.0.1:[[.Port]] {
	handle_path /mdh/* {`+stack.SignIn+`
		delegate_proxy forgetful {
			subject {rp.header.Remote-User}
		}
	}
	handle /mdh-token {`+stack.SignIn+`
		delegate_token forgetful {
			subject {rp.header.Remote-User}
		}
	}
}
`)
			seen()
			u := signIn(t, s, "alice")
			refused := func(got answer) {
				t.Helper()
				if got.StatusCode < 500 || got.Header.Get("Proxy-Status") == "" || strings.Contains(got.body, "access_token") {
					t.Errorf("%d %s", got.StatusCode, got.body)
				}
			}
			got := u.get("/mdh/data")
			if strings.HasPrefix(mistake, "authorize") {
				refused(got)
				if all := seen(); len(all) > 0 {
					t.Errorf("sent with %q", all)
				}
				refused(u.do(u.request(http.MethodPost, "/mdh/data", strings.NewReader("body"))))
			} else {
				got.want(t, http.StatusOK, "")
			}
			seen()
			if strings.HasPrefix(mistake, "renew") {
				refused(u.get("/mdh/stale"))
				if all := seen(); len(all) != 1 || all[0] != "Bearer a-token-of-authorize" {
					t.Errorf("sent with %q", all)
				}
			}
			u.get("/mdh/public/logo").want(t, http.StatusOK, "")
			if all := seen(); len(all) != 1 || all[0] != "" {
				t.Errorf("the public route was sent with %q", all)
			}
			if got := u.do(u.request(http.MethodPost, "/mdh-token", nil)); strings.HasPrefix(mistake, "issue") {
				refused(got)
			} else {
				got.want(t, http.StatusOK, "")
			}
			if all := seen(); len(all) > 0 {
				t.Errorf("sent with %q", all)
			}
		})
	}
}
