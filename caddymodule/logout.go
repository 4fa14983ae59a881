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
	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

func init() {
	caddy.RegisterModule(Logout{})
	httpcaddyfile.RegisterHandlerDirective("delegate_logout", parseLogout)
	httpcaddyfile.RegisterDirectiveOrder("delegate_logout", httpcaddyfile.After, "request_header")
}

// Logout stands before the app's own logout. It drops the user's tokens of all
// providers, on all machines, and ends their sessions at app_session: that of
// the request, and all that were issued before, whatever they say of how long
// they live. Then the request goes on. Somebody who is not signed in passes.
//
// What delegate_token has handed out lives at the platform until it expires.
type Logout struct {
	Directive

	// Backchannel makes it the address instead at which an issuer tells that it
	// has signed somebody out (OpenID Connect Back-Channel Logout 1.0). Its
	// logout tokens are verified as sessions are. It answers by itself.
	Backchannel *SessionJWT `json:"backchannel,omitempty"`

	// HTTP says how the issuer is reached. Default: directly.
	HTTP *HTTP `json:"http,omitempty"`

	// InsecureHTTP allows http to another host than this one for the issuer's
	// keys, as that of app_session does.
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

// Provision checks the settings.
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

// Cleanup lets go of what reloads share.
func (l *Logout) Cleanup() error { return l.refs.release() }

// ServeHTTP signs the user out and passes the request on.
func (l *Logout) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if l.logoutVerifier != nil {
		return l.serveBackchannel(w, r)
	}
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	in := l.signedInUser(r, repl)
	switch result := l.checkOrigin(w, r, false, in).(type) {
	case answered:
		return nil
	case refused:
		return l.refuse(w, r, result.cause)
	}
	who, err := l.person(r, repl, in)
	switch {
	case err == nil:
	case delegation.AsRefusal(err).Code != delegation.SessionRequired:
		return l.refuse(w, r, err) // somebody may be signed in, and would stay so
	case in == nil:
		return next.ServeHTTP(w, r)
	default:
		// By this directive's name nobody is signed in, or no longer. By the
		// session's own somebody is.
		who = in.session.People()[0]
	}
	ctx := delegation.Detach(r.Context()) // who asks may leave
	withinLimit := l.app.logoutLimiter.Allow(who)
	signOut := func() { l.signOut(ctx, in, who, withinLimit) }
	signOut()
	if in == nil || in.session.Remote() {
		// Until its own logout is done the app says that its user is signed in,
		// to whoever asks. Also if its answer breaks off, which is a panic.
		defer signOut()
	}
	return next.ServeHTTP(w, r)
}

// signOut revokes the session, if there is one, and drops the user's tokens: of
// somebody who signs out too often only the former, and told to the other machines
// within a second.
func (l *Logout) signOut(ctx context.Context, in *signedInUser, who delegation.Person, withinLimit bool) {
	if in != nil {
		_ = l.app.publishRevocations(ctx, withinLimit, l.app.revokeSession(in)...)
	}
	if withinLimit {
		for _, person := range in.people(who) {
			l.app.dropTokens(ctx, person)
		}
	}
}

// dropTokens drops somebody's tokens of all providers.
func (a *App) dropTokens(ctx context.Context, who delegation.Person) {
	for _, name := range slices.Sorted(maps.Keys(a.providers)) {
		// An error is that other machines cannot be told now. It is logged
		// there, and they are told as soon as they can be.
		_ = a.providers[name].purge(ctx, delegation.Selection{Realm: who.Realm, Subject: who.Subject}, false, "logout")
	}
}

// maxLogoutBody is more than any logout token needs.
const maxLogoutBody = 64 << 10

// serveBackchannel answers an issuer (section 2.5 to 2.8). It has no session, and is no
// browser.
func (l *Logout) serveBackchannel(w http.ResponseWriter, r *http.Request) error {
	headers.SetOwnHeaders(w.Header())
	if r.Method != http.MethodPost {
		return l.refuse(w, r, &delegation.Refusal{Code: delegation.MethodNotAllowed, Allow: []string{http.MethodPost}})
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxLogoutBody)
	told, err := l.logoutVerifier.Verify(r.Context(), r.PostFormValue("logout_token"))
	switch {
	case err == nil:
	case delegation.AsRefusal(err).Code == delegation.SessionUnavailable:
		return l.refuse(w, r, err) // the issuer may try again
	default:
		_ = l.recordRefusal(r, err) // for the log
		return writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_request"})
	}
	ctx := delegation.Detach(r.Context())
	// The realm of tokens may have been given, and that of sessions that are
	// asked about; that of signed ones is their issuer.
	realms := []string{told.Issuer}
	if l.Realm != "" && l.Realm != told.Issuer {
		realms = append(realms, l.Realm)
	}
	for _, realm := range realms {
		names, err := told.Revoke(l.app.revocations, realm)
		if err != nil {
			return l.refuse(w, r, err)
		}
		_ = l.app.publishRevocations(ctx, told.Subject == "" || l.app.logoutLimiter.Allow(delegation.Person{Realm: realm, Subject: told.Subject}), names...)
		if told.Subject != "" {
			l.app.dropTokens(ctx, delegation.Person{Realm: realm, Subject: told.Subject})
		}
	}
	w.WriteHeader(http.StatusOK)
	return nil
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

// validate reports settings that would have no effect.
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

// parseBackchannel reads the block. It notes where its settings stand.
func (l *Logout) parseBackchannel(d *caddyfile.Dispenser, written map[string]caddyfile.Dispenser) error {
	if l.Backchannel != nil || d.NextArg() {
		return d.Err("backchannel stands once, and takes a block alone")
	}
	l.Backchannel = new(SessionJWT)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		written[word] = *d
		if ok, err := l.Backchannel.parse(d); err != nil {
			return err
		} else if !ok || word == "type" {
			return d.Errf("unrecognized subdirective %q of backchannel", word)
		}
	}
	err := l.Backchannel.check()
	if err == nil {
		err = l.Backchannel.checkBackchannel()
	}
	if err != nil {
		return d.Errf("backchannel: %v", err)
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Logout)(nil)
	_ caddy.CleanerUpper          = (*Logout)(nil)
	_ caddyhttp.MiddlewareHandler = (*Logout)(nil)
)
