// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

func init() {
	caddy.RegisterModule(Handler{})
	httpcaddyfile.RegisterHandlerDirective("delegate", parseHandler)
	httpcaddyfile.RegisterDirectiveOrder("delegate", httpcaddyfile.After, "request_header")
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
	Directive

	// Allow is the route policy: the first line that matches decides, what no
	// line covers is refused. Default: the provider's own table.
	Allow []Allow `json:"allow,omitempty"`

	ForwardedHeaders

	table *policy.Table
}

// Allow is one line of a route policy.
type Allow struct {
	// Methods that are allowed; HEAD follows GET, and WEBSOCKET allows an
	// upgrade. Default: DELETE, GET, HEAD, PATCH, POST and PUT.
	Methods []string `json:"methods,omitempty"`

	// Path is the pattern of the path: `*` stands for one segment, a trailing
	// `/**` for any number of them.
	Path string `json:"path"`

	// Scopes replace the provider's for this route; they must be among them.
	Scopes []string `json:"scopes,omitempty"`
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
	if err := h.Directive.provision(ctx); err != nil {
		return err
	}
	var err error
	if h.table, err = h.compilePolicy(h.provider); err != nil {
		return err
	}
	h.Directive.routePattern = h.loggedPattern
	return h.ForwardedHeaders.provision()
}

// compilePolicy compiles the route policy.
func (h *Handler) compilePolicy(p *provider) (*policy.Table, error) {
	routes := p.traits.Routes
	if h.Allow != nil { // an empty policy is a mistake, not the default
		routes = make([]delegation.Route, len(h.Allow))
		for i, a := range h.Allow {
			routes[i] = delegation.Route{Methods: a.Methods, Pattern: a.Path, Scopes: a.Scopes}
		}
	}
	if len(routes) == 0 {
		return nil, fmt.Errorf("provider %s: the route policy is empty: add an `allow` line", h.Provider)
	}
	table, err := policy.New(routes, p.traits.Scopes)
	if err != nil {
		return nil, fmt.Errorf("allow: %w", err)
	}
	for i, route := range routes {
		if !table.Upgrades(i) {
			continue
		}
		upstream, err := p.Upstream(&delegation.Delegation{Provider: p.name, Path: route.Pattern, Upgrade: true})
		if err != nil {
			return nil, err
		}
		if upstream.CredentialInURL {
			return nil, fmt.Errorf("allow: line %d (%s): %w: remove WEBSOCKET", i+1, route.Pattern, errUnsearchable)
		}
	}
	return table, nil
}

// ServeHTTP authorises the request and passes it on, or refuses it.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	repl.Set("http.delegate.provider", h.providerName)

	p := &proxiedRequest{provider: h.provider, directive: &h.Directive, headerRules: &h.ForwardedHeaders}
	d := &p.delegation
	done, err := h.authorize(w, r, repl, d)
	if err != nil {
		return h.refuse(w, r, err)
	}
	if done {
		return nil
	}
	header := h.requestHeaders.Filter(r.Header, d.Upgrade)
	if headersTooLarge(d.URI, header) {
		return h.refuse(w, r, delegation.Refuse(delegation.HeadersTooLarge, nil))
	}
	if err := checkHTTP10Length(r); err != nil {
		return h.refuse(w, r, err)
	}
	if !d.Public {
		p.attachment.Context = r.Context()
		if p.credential, err = h.provider.Authorize(&p.attachment, d); err != nil {
			return h.refuse(w, r, err)
		}
		repl.Set("http.delegate.cache", cacheStatus(d.Cached))
	}
	if p.upstream, err = h.provider.Upstream(d); err != nil {
		return h.refuse(w, r, err)
	}
	if d.Upgrade && p.upstream.CredentialInURL {
		return h.refuse(w, r, delegation.Refuse(delegation.RouteDenied, errUnsearchable))
	}
	return p.passOn(w, r, header, next)
}

// authorize judges the request by itself: its origin, its path, its user.
func (h *Handler) authorize(w http.ResponseWriter, r *http.Request, repl *caddy.Replacer, d *delegation.Delegation) (done bool, err error) {
	method, upgrade := wireMethod(r)
	path, verdict, denied := h.judgePath(r, method, upgrade)
	if verdict.Public {
		if err = h.checkPublicOrigin(w, r, upgrade); err != nil {
			return true, err
		}
	} else if done, err = h.checkOrigin(w, r, upgrade); done {
		if err != nil && upgrade && denied != nil && h.isNonBrowserClient(r, repl) {
			err = denied // with an Origin it would be the same
		}
		return done, err
	}
	*d = delegation.Delegation{
		Provider: h.Provider, Method: method, URI: requestTarget(r.URL), Path: path,
		Scopes: verdict.Scopes, Public: verdict.Public, Upgrade: verdict.Upgrade,
	}
	if d.Public {
		return false, nil
	}
	// Who is not signed in learns nothing of the policy.
	if d.Person, err = h.person(r, repl); err != nil {
		return false, err
	}
	d.Claim = h.participantClaim(r, repl, d.Person)
	if denied != nil {
		denied = h.missedByPrefix(r, denied, d, upgrade)
	}
	return false, denied
}

// judgePath judges the path, as it is now and as the client sent it: a rewrite in
// between may have hidden a second reading.
func (h *Handler) judgePath(r *http.Request, method string, upgrade bool) (string, policy.Match, error) {
	if received, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		if err := policy.CheckTarget(received.RequestURI); err != nil {
			return "", policy.Match{}, err
		}
	}
	path, err := policy.Canonical(r.URL.EscapedPath())
	if err != nil {
		return "", policy.Match{}, err
	}
	verdict, err := h.table.Match(method, path, upgrade)
	return path, verdict, err
}

// maxHeaders is what a client's target and headers may take, counted as in
// RFC 9113 section 6.5.2. More than an HTTP/2 upstream's limit would fail on
// the wire and count against the upstream, for everybody; common limits are
// 8 KiB and above.
const maxHeaders = 6 << 10

func headersTooLarge(uri string, h http.Header) bool {
	size := len(uri)
	for name, values := range h {
		for _, value := range values {
			size += len(name) + len(value) + 32
		}
	}
	return size > maxHeaders
}

// wireMethod returns the method as it will be sent and whether it is a WebSocket
// handshake: over HTTP/1.1 (RFC 6455), or by an extended CONNECT (RFC 8441,
// RFC 9220), which reverse_proxy sends on as a GET. Any other protocol is not
// an upgrade here: its header is dropped.
func wireMethod(r *http.Request) (method string, upgrade bool) {
	if r.Method == http.MethodConnect {
		if r.ProtoMajor == 2 && r.Header.Get(":protocol") == "websocket" || r.ProtoMajor == 3 && r.Proto == "websocket" {
			return http.MethodGet, true
		}
		return r.Method, false
	}
	return r.Method, httpguts.HeaderValuesContainsToken(r.Header["Upgrade"], "websocket")
}

// cacheStatus is any, because a placeholder's value is: a string would be
// allocated anew for every request.
func cacheStatus(hit bool) any {
	if hit {
		return "hit"
	}
	return "miss"
}

// parseHandler reads:
//
//	delegate [<matcher>] <provider> {
//	    subject           <placeholder>
//	    realm             <name>
//	    allow             [<methods>] <pattern> [<scopes...>]
//	    forward_headers   <names...>
//	    forward_response_headers <names...>
//	    proxy_status_name <name>
//	}
func parseHandler(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	var handler Handler
	d := h.Dispenser
	d.Next() // directive name
	if err := handler.parseProviderName(d, optionProviders(h)); err != nil {
		return nil, err
	}
	if d.NextArg() {
		return nil, d.Errf("delegate takes one provider, not %q as well", d.Val())
	}
	for d.NextBlock(0) {
		ok, err := handler.parse(d)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, d.Errf("unrecognized subdirective %q of delegate", d.Val())
		}
	}
	return &handler, handler.checkCommon(d)
}

// parse reads one subdirective, if it is one of the handler's.
func (h *Handler) parse(d *caddyfile.Dispenser) (ok bool, err error) {
	switch d.Val() {
	case "allow":
		route, err := policy.ParseRoute(d.RemainingArgs())
		if err != nil {
			return true, d.WrapErr(err)
		}
		if d.NextBlock(d.Nesting()) {
			return true, d.Err("allow takes no block")
		}
		h.Allow = append(h.Allow, Allow{Methods: route.Methods, Path: route.Pattern, Scopes: route.Scopes})
		return true, nil
	default:
		if ok, err := h.ForwardedHeaders.parse(d); ok {
			return true, err
		}
		return h.Directive.parseCommon(d)
	}
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
