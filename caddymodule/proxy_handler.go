// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/replay"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Handler decides whether a request may go to a platform, and as whom. It
// resolves the participant of the signed-in user, obtains a scoped token and
// leaves both to the `delegate` transport of the reverse_proxy behind it.
// Whatever it refuses, it refuses before the platform is touched.
//
// It sets these placeholders, none of which names a person:
//
// Placeholder | Description
// ------------|-------------
// `{http.delegate.provider}` | The provider's name
// `{http.delegate.code}` | The code of the refusal, if there was one
// `{http.delegate.cache}` | `hit` or `miss`: whether the token was at hand
// `{http.delegate.renewed}` | `true` if the token was renewed after a 401
type Handler struct {
	ProviderDirective

	// Allow is the route policy: the first line that matches decides, what no
	// line covers is refused. Default: the provider's own table.
	Allow []Allow `json:"allow,omitempty"`

	ForwardedHeaders

	table      *policy.Table
	allowLines []caddyfile.Dispenser // where a Caddyfile has the lines of Allow
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.delegate",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision compiles the route policy.
func (h *Handler) Provision(ctx caddy.Context) error {
	if err := h.ProviderDirective.provision(ctx); err != nil {
		return err
	}
	var err error
	if h.table, err = compilePolicy(h.Allow, h.provider); err != nil {
		return err
	}
	return h.ForwardedHeaders.provision()
}

// ServeHTTP authorises the request and passes it on, or refuses it.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	repl.Set("http.delegate.provider", h.providerName)

	p := &proxiedRequest{directive: &h.ProviderDirective, provider: h.provider, policy: h.table, headerRules: &h.ForwardedHeaders}
	switch result := h.authorize(w, r, repl, p).(type) {
	case answered:
		return nil
	case refused:
		return p.refuse(w, r, result.cause)
	}
	if err := p.prepare(r, repl); err != nil {
		return p.refuse(w, r, err)
	}
	return p.passOn(w, r, next)
}

// authorize judges the request by itself: its origin, its path, its user. It
// fills in the delegation.
func (h *Handler) authorize(w http.ResponseWriter, r *http.Request, repl *caddy.Replacer, p *proxiedRequest) admission {
	d := &p.delegation
	d.Provider, d.URI = h.Provider, requestTarget(r.URL)
	d.Method, d.Upgrade = policy.WireMethod(r)
	path, match, denied := h.judgePath(r, d.Method, d.Upgrade)
	d.Path, d.Scopes, d.Public = path, match.Scopes, match.Public
	if p.source = h.provider.sourceOf(path); p.source != nil {
		d.Source = p.source.Name
	}
	if d.Public {
		return checkPublicOrigin(h.app.origins, w, r, d.Upgrade)
	}
	user := h.signedInUser(r, repl)
	switch result := h.checkOrigin(w, r, d.Upgrade, user).(type) {
	case answered:
		return result
	case refused:
		if d.Upgrade && denied != nil && h.isNonBrowserClient(r, repl, user) {
			return refused{denied} // with an Origin the result would be the same
		}
		return result
	}
	// A client that is not signed in learns nothing of the policy.
	var err error
	if d.Person, err = h.person(r, repl, user); err != nil {
		return refused{err}
	}
	if denied != nil {
		return refused{missedByPrefix(h.table, r, denied, d)}
	}
	d.Claim = h.participantClaim(repl, user, d.Person)
	return admitted{}
}

// judgePath judges the path, as it is now and as the client sent it: a rewrite
// in between may have hidden a second reading. It returns the canonical path
// also of a request that it refuses, if there is one.
func (h *Handler) judgePath(r *http.Request, method string, upgrade bool) (string, policy.Match, error) {
	path, err := policy.Canonical(r.URL.EscapedPath())
	if received, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		if err := policy.CheckTarget(received.RequestURI); err != nil {
			return path, policy.Match{}, err
		}
	}
	if err != nil {
		return "", policy.Match{}, err
	}
	match, err := h.table.Match(method, path, upgrade)
	return path, match, err
}

// prepare finds what an authorised request needs on the wire: its headers,
// credential and upstream.
func (p *proxiedRequest) prepare(r *http.Request, repl *caddy.Replacer) (err error) {
	d := &p.delegation
	p.header = p.headerRules.requestHeaders.Filter(r.Header, d.Upgrade)
	if headers.TooLarge(d.URI, p.header) {
		return delegation.Refuse(delegation.HeadersTooLarge, nil)
	}
	if err := replay.CheckLength(r); err != nil {
		return err
	}
	if !d.Public {
		p.attachment.Context = r.Context()
		if p.credential, err = p.provider.Authorize(&p.attachment, d); err != nil {
			return err
		}
		repl.Set("http.delegate.cache", cacheStatus(d.Cached))
	}
	if p.upstream, err = p.provider.Upstream(d); err != nil {
		return err
	}
	var ok bool
	if p.upstreamPath, ok = p.upstream.CutMount(d.Path); !ok {
		return delegation.Refuse(delegation.NotDelegated, errOutsideMount)
	}
	if d.Upgrade && p.upstream.CredentialInURL {
		return delegation.Refuse(delegation.RouteDenied, errUnsearchable)
	}
	return nil
}

// errOutsideMount is the cause where a provider's upstream is not for the path.
var errOutsideMount = errors.New("the path is not below the Mount of the provider's upstream: the provider's routes must not cover others")

// cacheStatus is any, because a placeholder's value is: a string would be
// allocated anew for every request.
func cacheStatus(hit bool) any {
	if hit {
		return "hit"
	}
	return "miss"
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
