// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
)

// The directive authorize and the global option security of caddy-security, as
// far as its documentation and source say what a delegate directive behind them
// meets: who has no token gets 302, or 401 with `disable auth redirect`; who has
// one is known by id, which is the e-mail address, and sub.
func init() {
	caddy.RegisterModule(securityApp{})
	caddy.RegisterModule(authorizer{})
	httpcaddyfile.RegisterGlobalOption("security", parseSecurity)
	httpcaddyfile.RegisterHandlerDirective("authorize", parseAuthorize)
	httpcaddyfile.RegisterDirectiveOrder("authorize", httpcaddyfile.Before, "basic_auth")
}

// authorizerToken is the cookie that the stand-in takes for a session of Alice.
const authorizerToken = "access_token=alices"

type securityApp struct {
	// Policies tell of each authorization policy whether it redirects.
	Policies map[string]bool `json:"policies"`
}

func (securityApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "security", New: func() caddy.Module { return new(securityApp) }}
}
func (securityApp) Start() error { return nil }
func (securityApp) Stop() error  { return nil }

func parseSecurity(d *caddyfile.Dispenser, _ any) (any, error) {
	app := securityApp{Policies: make(map[string]bool)}
	d.Next()
	for d.NextBlock(0) {
		words := append([]string{d.Val()}, d.RemainingArgs()...)
		if len(words) != 3 || words[0] != "authorization" || words[1] != "policy" {
			return nil, d.Errf("security: %v", words)
		}
		app.Policies[words[2]] = true
		for nesting := d.Nesting(); d.NextBlock(nesting); {
			switch line := strings.Join(append([]string{d.Val()}, d.RemainingArgs()...), " "); {
			case line == "disable auth redirect":
				app.Policies[words[2]] = false
			case strings.HasPrefix(line, "set auth url "), strings.HasPrefix(line, "allow roles "), strings.HasPrefix(line, "crypto key verify "):
			default:
				return nil, d.Errf("authorization policy: %s", line)
			}
		}
	}
	return httpcaddyfile.App{Name: "security", Value: caddyconfig.JSON(app, nil)}, nil
}

type authorizer struct {
	Policy string `json:"gatekeeper_name"`

	redirects bool
}

func (authorizer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.authentication.providers.authorizer", New: func() caddy.Module { return new(authorizer) }}
}

func (a *authorizer) Provision(ctx caddy.Context) error {
	app, err := ctx.App("security")
	if err != nil {
		return err
	}
	redirects, ok := app.(*securityApp).Policies[a.Policy]
	if !ok {
		return errors.New("there is no authorization policy " + a.Policy)
	}
	a.redirects = redirects
	return nil
}

func (a *authorizer) Authenticate(w http.ResponseWriter, r *http.Request) (caddyauth.User, bool, error) {
	if !strings.Contains(r.Header.Get("Cookie"), authorizerToken) {
		if a.redirects {
			w.Header().Set("Location", "https://auth.example.org/?redirect_url="+r.URL.String())
			w.WriteHeader(http.StatusFound)
		}
		return caddyauth.User{}, false, errors.New("authorization failed")
	}
	return caddyauth.User{ID: "mallory-may-register@example.org", Metadata: map[string]string{"sub": "alice", "email": "mallory-may-register@example.org", "roles": "authp/user"}}, true, nil
}

func parseAuthorize(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	args := h.RemainingArgs()
	if len(args) != 3 || args[1] != "with" {
		return nil, h.Errf("malformed directive: %s", strings.Join(args, " "))
	}
	return caddyauth.Authentication{ProvidersRaw: caddy.ModuleMap{"authorizer": caddyconfig.JSON(authorizer{Policy: args[2]}, nil)}}, nil
}
