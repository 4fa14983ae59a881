// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

func init() {
	caddy.RegisterModule(Connect{})
	httpcaddyfile.RegisterHandlerDirective("delegate_connect", parseConnect)
}

// Connect lets people consent at the platform, and takes the platform's callbacks.
// What it does depends on the path that is left, as behind handle_path:
//
//	POST   /start     begins a consent flow; answers {"url": …, "qr": …, "expires_in": …},
//	                  where the browser has to go; with ?device=other another device
//	                  may go there
//	POST   /update    the same, to ask somebody who is connected for more
//	GET    /return    the browser comes back here, and is redirected to the app's page
//	GET    /status    {"status": "none|pending|connected|update_required"}; with
//	                  ?wait=<seconds> it waits so long for pending to end
//	DELETE /          deletes the person's grant
//	POST   /disconnect  the same by a form, and is redirected to the app's page
//	POST   /callback  the platform's callback; PUT as well
//
// With a platform whose widget is in the app's page, /start answers what the widget
// needs in place of url and qr, and for a native app, with {"client":"native"}, a
// redeem_url besides. There are then also:
//
//	POST   /redeem           takes what the widget has handed over; answers 201
//	                         {"connected": true, …}
//	POST   /redeem/<ticket>  the same for a native app, by its redeem_url
//	GET    /connect.js       the script that does all of it in the app's page
//
// With a provider of data sources, the name of one stands behind the endpoint, except
// where an app begins in a browser without its cookies:
//
//	POST   /start/<source>, /update/<source>       the body may have scopes; a form is
//	                                               answered by a page that leads to the
//	                                               vendor
//	GET    /return/<source>
//	GET    /go/<ticket>       of {"client":"native"} or other_site: the browser's page
//	POST   /finish            takes the handle that the app has got; answers as /status
//	GET    /status, /status/<source>               besides {"sources": {"<source>": {…}}}
//	DELETE /, /<source>                            all sources, or one
//	POST   /disconnect, /disconnect/<source>
//	GET    /logo/<source>, /connect.js, /page.js, /style.css
//	GET    /                                       with page: all sources with a button each
//
// All but the callback, the tickets, scripts, styles and logos are for whoever is
// signed in.
type Connect struct {
	ProviderDirective

	// URL is the address of this directive as browsers and the platform know it,
	// such as https://app.example.org/connect/mydex. It is never taken from a
	// request's Host. Required.
	URL string `json:"url,omitempty"`

	// Then is the app's page where the browser is sent at the end: a path of this
	// site or a URL on a trusted origin, with or without a query and a fragment.
	// The query parameter connect is added: connected, pending, or a code. Default:
	// `/`.
	Then string `json:"then,omitempty"`

	// ThenNative are the addresses of apps that may connect data sources without a
	// cookie: native ones, by a scheme of their own with a dot or an https URL, and
	// frontends of other sites, by an https URL. The query parameters connect, source
	// and handle are added. Only for a provider with sources. Default: none.
	ThenNative []string `json:"then_native,omitempty"`

	// Callback is a segment behind /callback that nobody can guess, such as
	// {file./run/secrets/callback}: at least 16 letters and digits. Default: none.
	Callback string `json:"callback,omitempty"`

	// CallbackFrom are the addresses that a callback may come from, as ranges
	// (CIDR). Caddy's trusted_proxies decide what the client's address is. Default:
	// any.
	CallbackFrom []string `json:"callback_from,omitempty"`

	// CrossDevice lets people consent on another device than the one that they
	// began on, and operators begin for them by POST /delegate/journeys of the
	// admin API; it is how long they have. From 1m to 24h. Not for a platform whose
	// widget is in the app's page. Default: neither.
	CrossDevice caddy.Duration `json:"cross_device,omitempty"`

	// Page serves the page of data sources at the address of this directive, where
	// people connect and disconnect them. Only for a provider with sources. Default:
	// there is none.
	Page bool `json:"page,omitempty"`

	// Operator is the name of the app or the study as the page's users know it.
	// Default: none.
	Operator string `json:"operator,omitempty"`

	// SignIn is where the page sends whoever is not signed in: a path of this site or
	// a URL on a trusted origin. Default: they are refused.
	SignIn string `json:"sign_in,omitempty"`

	// User is a placeholder by whose value the page names its user, such as
	// {http.auth.user.email}, so that whoever sits at somebody else's device notices.
	// Like Subject it must be one that only an authenticator sets. Default: the
	// subject.
	User string `json:"user,omitempty"`

	own             *connectSource   // of a provider without data sources
	sources         []*connectSource // of one with them
	baseURL         *url.URL
	returnPage      *policy.Redirect
	appRedirects    []appRedirect // of ThenNative
	callbackSegment delegation.Secret
	callbackRanges  []netip.Prefix
}

// connectParameter is the query parameter of the app's page that has the outcome of
// a consent flow, and sourceParameter the one that names its data source.
const connectParameter, sourceParameter = "connect", "source"

// CaddyModule returns the Caddy module information.
func (Connect) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.delegate_connect",
		New: func() caddy.Module { return new(Connect) },
	}
}

// Provision checks the settings. It touches no network.
func (c *Connect) Provision(ctx caddy.Context) error {
	if err := c.provision(ctx); err != nil {
		return err
	}
	if !c.provider.needsConsent() && !c.provider.hasSources() {
		return fmt.Errorf("provider %s needs nobody's consent: remove delegate_connect", c.Provider)
	}
	repl := caddy.NewReplacer()
	address, err := expandSetting(repl, c.URL)
	if err != nil {
		return fmt.Errorf("url: %w", err)
	}
	if c.baseURL, err = delegation.ParseBaseURL("url", "https://app.example.org/connect/"+c.Provider, address); err != nil {
		return err
	}
	if c.Then == "" {
		c.Then = "/"
	}
	if c.returnPage, err = policy.ParseRedirect(c.Then, connectParameter, sourceParameter); err == nil {
		err = c.returnPage.CheckOrigin(c.baseURL, c.app.origins)
	}
	if err != nil {
		return fmt.Errorf("then %q: %w", c.Then, err)
	}
	if c.Callback != "" {
		if !c.provider.canReadCallbacks() {
			return fmt.Errorf("callback: the platform of provider %s calls no server: remove the line", c.Provider)
		}
		if c.callbackSegment, err = loadSecret("callback", c.Callback); err != nil {
			return err
		}
		if s := c.callbackSegment.Reveal(); len(s) < 16 || url.PathEscape(s) != s || strings.Contains(s, "/") {
			return errors.New("callback: take at least 16 letters and digits, so that nobody can guess it")
		}
	}
	guardLogs(ctx, c.baseURL, c.callbackSegment)
	if c.callbackRanges, err = parseRanges(c.CallbackFrom); err != nil {
		return err
	}
	if err := checkCrossDevice(c.CrossDevice); err != nil {
		return err
	}
	if c.CrossDevice > 0 {
		if c.provider.endsInPage() {
			return errCrossDeviceWidget(c.Provider)
		}
		c.provider.connectHandlers = append(c.provider.connectHandlers, c)
	}
	if len(c.ThenNative) > 0 && !c.provider.hasSources() {
		return errNoAppRedirect(c.Provider)
	}
	if c.appRedirects, err = parseAppRedirects(c.ThenNative); err != nil {
		return err
	}
	if err := c.provisionSources(); err != nil {
		return err
	}
	return c.provisionPage()
}

// ServeHTTP serves a callback, a native app, a browser that comes back, or a request
// of the person who is signed in.
func (c *Connect) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	repl.Set("http.delegate.provider", c.providerName)
	headers.SetOwnHeaders(w.Header()) // on answers without a body as well
	if path := r.URL.Path; path == callbackPath || strings.HasPrefix(path, callbackPath+"/") {
		return c.handleCallback(w, r, strings.TrimPrefix(path, callbackPath))
	}
	v := &connectRequest{Connect: c, w: w, r: r, repl: repl}
	endpoint, ticket, hasTicket := v.split()
	if slices.Contains(unloggedPaths, endpoint) {
		leaveOutOfLogs(r.Context())
	}
	if serve := v.routeBeforeSession(endpoint, ticket, hasTicket); serve != nil {
		return serve()
	}
	v.user = c.signedInUser(r, repl)
	switch result := c.checkOrigin(w, r, false, v.user).(type) {
	case answered:
		return nil
	case refused:
		return v.refuseRequest(result.cause)
	}
	serve, err := v.route(endpoint)
	if err == nil {
		v.owner, err = c.person(r, repl, v.user)
	}
	if err == nil {
		v.noteEnds()
		err = serve()
	}
	if err != nil {
		return v.refuseRequest(err)
	}
	countRequest(c.Provider, v.sourceName(), outcomeAnswered)
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Connect)(nil)
	_ caddyhttp.MiddlewareHandler = (*Connect)(nil)
)
