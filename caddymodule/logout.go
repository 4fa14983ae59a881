// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
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
	Gate
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
	l.app = app
	return l.settle(ctx)
}

// ServeHTTP signs the user out and passes the request on.
func (l *Logout) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if done, err := l.admit(w, r, false); err != nil {
		return l.refuse(w, r, err)
	} else if done {
		return nil
	}
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	who, err := l.person(r, repl)
	if err != nil {
		return next.ServeHTTP(w, r)
	}
	ctx := context.WithoutCancel(r.Context()) // who asks may leave
	in := l.signedIn(r, repl)
	if in != nil {
		l.app.end(ctx, in.session)
	}
	l.app.signOut(ctx, who)
	err = next.ServeHTTP(w, r)
	if in != nil && in.session.Asked() {
		// Until now the app has said that its user is signed in, to whoever
		// asked meanwhile.
		l.app.end(ctx, in.session)
	}
	return err
}

// signOut drops somebody's tokens of all providers.
func (a *App) signOut(ctx context.Context, who delegation.Person) {
	for _, name := range slices.Sorted(maps.Keys(a.providers)) {
		// An error is that other machines cannot be told now. It is logged
		// there, and they are told as soon as they can be.
		_ = a.providers[name].purge(ctx, delegation.Selection{Realm: who.Realm, Subject: who.Subject}, false, "logout")
	}
}

// parseLogout reads:
//
//	delegate_logout [<matcher>] {
//	    subject           <placeholder>
//	    realm             <name>
//	    proxy_status_name <name>
//	}
func parseLogout(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	var l Logout
	d := h.Dispenser
	d.Next() // directive name
	if d.NextArg() {
		return nil, d.Errf("delegate_logout signs out everywhere: it takes no provider %q", d.Val())
	}
	for d.NextBlock(0) {
		ok, err := l.parse(d)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, d.Errf("unrecognized subdirective %q of delegate_logout", d.Val())
		}
	}
	return &l, l.check(d)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Logout)(nil)
	_ caddyhttp.MiddlewareHandler = (*Logout)(nil)
)
