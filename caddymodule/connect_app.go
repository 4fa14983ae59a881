// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/strictjson"
)

// The app of a flow that begins with a ticket has no cookies in the browser in which
// its user goes to the vendor: a native app that opens its system's browser, or the
// frontend of another site, whose cookies are third-party ones. The browser comes back
// to the app with a handle, and the app ends the flow with it, by its own session.

// finishPath is where an app ends a flow with a handle.
const finishPath = "/finish"

// handleParameter is the query parameter of the app's address that has the handle.
const handleParameter = "handle"

// otherSiteClient is the value of client, in the body of POST /start, of a frontend on
// another site. Its address is a page; that of a [nativeClient] may be a scheme.
const otherSiteClient = "other_site"

// appRedirect is one of the addresses of then_native.
type appRedirect struct {
	*policy.Redirect
	address string // as it is configured
}

// parseAppRedirects parses the addresses of then_native.
func parseAppRedirects(addresses []string) ([]appRedirect, error) {
	redirects := make([]appRedirect, len(addresses))
	for i, address := range addresses {
		to, err := policy.ParseAppRedirect(address, connectParameter, sourceParameter, handleParameter)
		if err != nil {
			return nil, fmt.Errorf("then_native %q: %w", address, err)
		}
		redirects[i] = appRedirect{to, address}
	}
	return redirects, nil
}

// errNoAppRedirect says why a provider has no then_native.
func errNoAppRedirect(provider string) error {
	return fmt.Errorf("then_native: provider %s has no data sources that an app connects: remove the line", provider)
}

// checkAppOption refuses then_native for a provider without data sources, by the kind
// that the global options of a Caddyfile name.
func (c *Connect) checkAppOption(app App) error {
	if g, ok := c.optionGuest(app); ok && len(c.ThenNative) > 0 && !g.hasSources() {
		return errNoAppRedirect(c.Provider)
	}
	return nil
}

// parseThenNative reads:
//
//	then_native <URLs...>
func (c *Connect) parseThenNative(d *caddyfile.Dispenser) error {
	addresses := d.RemainingArgs()
	if len(addresses) == 0 {
		return d.Err("then_native needs the addresses of apps, such as org.example.app:/connected")
	}
	if _, err := parseAppRedirects(addresses); err != nil {
		return d.WrapErr(err)
	}
	c.ThenNative = append(c.ThenNative, addresses...)
	return nil
}

// appOf returns the address of then_native that a client asks for: the one that it
// names, letter by letter (RFC 9700 section 2.1), or the first that is one of its kind.
// The error is route_denied.
func (c *Connect) appOf(client, then string) (string, error) {
	for _, to := range c.appRedirects {
		if (client == nativeClient || to.IsPage()) && (then == "" || then == to.address) {
			return to.address, nil
		}
	}
	return "", delegation.Refuse(delegation.RouteDenied, fmt.Errorf("the client %s has no such address to come back to: add it to then_native of delegate_connect", client))
}

// returnToApp serves a browser that comes back in the flow of an app, and reports
// whether it is one. It is redirected to the app: with a handle, or with the code of a
// refusal.
func (v *connectRequest) returnToApp() bool {
	query := v.r.URL.Query()
	states, browserToken := query["state"], v.readCookie().BrowserToken
	if len(v.appRedirects) == 0 || len(states) != 1 || !consent.IsToken(states[0]) || browserToken == "" {
		return false
	}
	request := grants.ReturnRequest{State: states[0], BrowserToken: browserToken, Query: query}
	app := v.source.consents.AppOfFlow(v.r.Context(), request)
	for _, to := range v.appRedirects {
		if app != to.address { // perhaps the setting has lost it since
			continue
		}
		parameters := url.Values{connectParameter: {string(delegation.ConsentPending)}, sourceParameter: {v.source.name}}
		if handle, err := v.source.consents.HandleAppReturn(v.r.Context(), request); err != nil {
			parameters.Set(connectParameter, string(v.recordRefusal(err).Code))
		} else {
			parameters.Set(handleParameter, sourceToken(v.source.name, handle.Reveal()))
			countRequest(v.Provider, v.sourceName(), outcomeAnswered)
		}
		v.redirectAfterReturn(to.WithParameters(parameters))
		return true
	}
	return false
}

// finish ends the flow of a handle, for the user who is signed in in the app, and
// answers the state of its source as GET /status does.
func (v *connectRequest) finish() error {
	handle, err := v.readHandle()
	if err != nil {
		return err
	}
	source, token := splitSourceToken(handle)
	if v.source = v.sourceNamed(source); v.source == nil || token == "" {
		v.source = nil
		return delegation.Refuse(delegation.FlowExpired, errors.New("this is no handle"))
	}
	first, err := v.source.consents.Finish(v.r.Context(), v.owner, token)
	v.recordCompleted(first, err)
	if err != nil {
		return err
	}
	return v.sourcesStatus()
}

// readHandle reads the body of POST /finish. The error is flow_expired for one without
// a handle, body_too_large or body_incomplete.
func (v *connectRequest) readHandle() (handle string, err error) {
	body, err := readBody(v.w, v.r)
	if err != nil {
		return "", err
	}
	members, err := strictjson.Members(body)
	if err != nil || len(members) != 1 || json.Unmarshal(members[handleParameter], &handle) != nil {
		return "", delegation.Refuse(delegation.FlowExpired, errors.New("the body is {\"handle\": \"…\"}, with the one that the app's address has got"))
	}
	return handle, nil
}

// redirectAfterReturn redirects a browser that has come back from a vendor, whose
// address has the state.
func (v *connectRequest) redirectAfterReturn(to string) {
	v.w.Header().Set("Location", to)
	v.w.Header().Set("Referrer-Policy", "no-referrer")
	v.w.WriteHeader(http.StatusSeeOther)
}
