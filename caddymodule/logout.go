// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

func init() {
	caddy.RegisterModule(Logout{})
	httpcaddyfile.RegisterHandlerDirective("delegate_logout", parseLogout)
}

// Logout signs the user out, before the app's own logout. It drops the user's tokens
// of all providers, on all machines, and ends the user's sessions at app_session: that
// of the request, and all that were issued before it, whatever end they tell. Then the
// request goes on. A request of somebody who is not signed in passes.
//
// A token that delegate_token has handed out is valid at the platform until it expires.
type Logout struct {
	Directive

	// Backchannel makes the directive the address at which an issuer tells that it has
	// signed somebody out (OpenID Connect Back-Channel Logout 1.0). The logout tokens
	// are verified as sessions are. The request does not go on. Default: none.
	Backchannel *SessionJWT `json:"backchannel,omitempty"`

	// HTTP is how the issuer is reached, with backchannel. Default: directly.
	HTTP *HTTP `json:"http,omitempty"`

	// InsecureHTTP allows http to another host than this one for the issuer's keys, as
	// that of app_session does. Default: https, or http on loopback.
	InsecureHTTP bool `json:"insecure_http,omitempty"`

	logoutVerifier *session.LogoutVerifier
	refs           poolRefs
}

// CaddyModule returns the Caddy module information.
func (Logout) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.delegate_logout",
		New: func() caddy.Module { return new(Logout) },
	}
}

// Provision checks the settings, and loads the keys of a back-channel. It asks nobody.
func (l *Logout) Provision(ctx caddy.Context) error {
	app, err := configuredApp(ctx)
	if err != nil {
		return err
	}
	if err := l.validate(); err != nil {
		return err
	}
	if l.Backchannel != nil {
		verifier, _, err := l.Backchannel.newVerifier(l.HTTP, &l.refs, app.addressCheck(ctx.Logger(), l.InsecureHTTP))
		if err != nil {
			return fmt.Errorf("backchannel: %w", err)
		}
		l.logoutVerifier = session.NewLogoutVerifier(verifier)
		app.logoutRealms.addLogout(verifier.Issuer, l.Realm)
	}
	return l.attach(app, ctx.Logger())
}

// Cleanup releases what reloads share.
func (l *Logout) Cleanup() error { return l.refs.release() }

// ServeHTTP signs the user out and passes the request on.
func (l *Logout) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if l.logoutVerifier != nil {
		return l.serveBackchannel(w, r)
	}
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	user := l.signedInUser(r, repl)
	switch result := l.checkOrigin(w, r, false, user).(type) {
	case answered:
		return nil
	case refused:
		return l.refuse(w, r, result.cause)
	}
	who, err := l.person(r, repl, user)
	switch {
	case err == nil:
	case delegation.AsRefusal(err).Code != delegation.SessionRequired:
		return l.refuse(w, r, err) // somebody may be signed in, and would stay so
	case user == nil:
		return next.ServeHTTP(w, r)
	default:
		// By this directive's realm and subject nobody is signed in, or no longer. By
		// those of the session somebody is.
		who = user.session.People()[0]
	}
	ctx := delegation.Detach(r.Context()) // the client may leave
	withinLimit := l.app.logoutLimiter.Allow(who)
	l.signOut(ctx, user, who, withinLimit)
	if user == nil || user.session.Remote() {
		// Until the app's own logout is done, the app vouches for its user. The
		// deferred call runs also if the app's answer breaks off, which is a panic.
		defer l.signOut(ctx, user, who, withinLimit)
	}
	return next.ServeHTTP(w, r)
}

// signOut revokes the sessions of a user whom app_session has found, which may be nil,
// and drops the tokens of the person, or of all as whom the session is used. Beyond the
// limit of sign-outs (withinLimit is false) it spares the lookups and writes for tokens,
// which were dropped a moment ago, and other machines are told within a second.
func (l *Logout) signOut(ctx context.Context, user *signedInUser, who delegation.Person, withinLimit bool) {
	people := []delegation.Person{who}
	if user != nil {
		// An error is that other machines cannot be told now. It is logged where it
		// happens, and they are told as soon as they can be.
		_ = l.app.publishRevocations(ctx, withinLimit, l.app.revokeSession(user)...)
		// After that: until then a request under way may use the session by one more
		// name, for which it obtains a token.
		people = user.session.People()
	}
	if !withinLimit {
		return
	}
	for _, person := range people {
		l.app.dropTokens(ctx, person)
	}
}

// dropTokens drops a person's tokens of all providers.
func (a *App) dropTokens(ctx context.Context, who delegation.Person) {
	for _, name := range slices.Sorted(maps.Keys(a.providers)) {
		// As above, an error is about other machines and logged where it happens.
		_ = a.providers[name].purge(ctx, delegation.Selection{Realm: who.Realm, Subject: who.Subject}, false, "logout")
	}
}

// parseLogout reads:
//
//	delegate_logout [<matcher>] {
//	    subject           <placeholder>
//	    realm             <name>
//	    backchannel {
//	        # jwks, public_key, hmac_secret, issuer, audience and algorithms of app_session
//	    }
//	    insecure_http
//	    http {
//	        ...
//	    }
//	}
func parseLogout(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	var l Logout
	d := h.Dispenser
	d.Next() // directive name
	if d.NextArg() {
		return nil, d.Errf("delegate_logout signs out everywhere: it takes no provider %q", d.Val())
	}
	written := make(map[string]caddyfile.Dispenser)
	for d.NextBlock(0) {
		var err error
		ok := true
		switch d.Val() {
		case "backchannel":
			err = l.parseBackchannel(d, written)
		case "http":
			err = parseHTTP(d, &l.HTTP)
		case "insecure_http":
			err = parseFlag(d, &l.InsecureHTTP)
		default:
			ok, err = l.parseCommon(d)
		}
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, d.Errf("unrecognized subdirective %q of delegate_logout", d.Val())
		}
	}
	if l.Backchannel != nil {
		if err := checkAddressesAt(map[string]string{"jwks": l.Backchannel.JWKS}, written, l.InsecureHTTP); err != nil {
			return nil, err
		}
	}
	if err := l.validate(); err != nil {
		return nil, d.WrapErr(err)
	}
	return &l, l.checkCaddyfile(d)
}

// validate returns an error for settings that are unsafe or would have no effect.
func (l *Logout) validate() error {
	switch {
	case l.Backchannel == nil && l.HTTP != nil:
		return errors.New("http goes with backchannel: nobody is asked without")
	case l.Backchannel != nil && l.Subject != "":
		return errors.New("subject does not go with backchannel: the logout token names the user")
	case l.Backchannel == nil && l.InsecureHTTP:
		return errors.New("insecure_http goes with backchannel: nobody is asked without")
	case l.Backchannel != nil:
		if err := l.Backchannel.check(); err != nil {
			return fmt.Errorf("backchannel: %w", err)
		}
		if err := l.Backchannel.checkBackchannel(); err != nil {
			return fmt.Errorf("backchannel: %w", err)
		}
		return l.Backchannel.checkHTTP(l.HTTP, l.InsecureHTTP)
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Logout)(nil)
	_ caddy.CleanerUpper          = (*Logout)(nil)
	_ caddyhttp.MiddlewareHandler = (*Logout)(nil)
)
