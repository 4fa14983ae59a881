// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// connectRequest is one request to delegate_connect, except for callbacks.
type connectRequest struct {
	*Connect
	w     http.ResponseWriter
	r     *http.Request
	repl  *caddy.Replacer
	user  *signedInUser     // see [SubjectSettings.signedInUser]
	owner delegation.Person // the person who is signed in; empty before that is known

	source *connectSource // what the request is for; nil: all data sources

	handle string // of an app, in POST /finish or /confirm

	cookieValue string // as the browser has sent it, or was told
}

// split returns the endpoint that a request is for, and the ticket in its address.
// It sets the source. A path of a source that there is not is no
// endpoint.
func (v *connectRequest) split() (endpoint, ticket string, hasTicket bool) {
	if v.hasSources() {
		if text, ok := strings.CutPrefix(v.r.URL.Path, goPath+"/"); ok {
			name, ticket := splitSourceToken(text)
			v.source = v.sourceNamed(name)
			return goPath, ticket, true
		}
		endpoint, name := splitSourcePath(v.r.URL.Path)
		if v.source = v.sourceNamed(name); v.source == nil && name != "" {
			return "", "", false
		}
		return endpoint, "", false
	}
	v.source = v.own
	if v.provider.canRedeem() {
		if ticket, hasTicket = strings.CutPrefix(v.r.URL.Path, redeemPath+"/"); hasTicket {
			return redeemPath, ticket, true
		}
	}
	return v.r.URL.Path, "", false
}

// routeBeforeSession returns the method that serves an endpoint which judges itself
// where its requests come from, and whose they are; nil for another one.
func (v *connectRequest) routeBeforeSession(endpoint, ticket string, hasTicket bool) func() error {
	get := v.r.Method == http.MethodGet
	switch {
	case endpoint == returnPath && get && v.source != nil:
		return v.handleReturn // a navigation from the platform's site
	case endpoint == goPath && hasTicket && get:
		return func() error { return v.openTicket(ticket) } // for whoever has it
	case endpoint == redeemPath && hasTicket:
		return func() error { return v.redeemTicket(ticket) }
	case endpoint == scriptPath && v.provider.canRedeem():
		return func() error { return v.serveScript(v.w, v.r) }
	case v.hasSources() && v.servesAsset(endpoint):
		return func() error { return v.serveAsset(endpoint) }
	case endpoint == pagePath && get && v.Page && v.source == nil:
		return v.servePage
	default:
		return nil
	}
}

// route returns the method that serves an endpoint and the request's method. The
// error is route_denied or method_not_allowed.
func (v *connectRequest) route(endpoint string) (func() error, error) {
	routes := map[string]map[string]func() error{
		"/start":      {http.MethodPost: v.start},
		"/update":     {http.MethodPost: v.update},
		"/status":     {http.MethodGet: v.status},
		returnPath:    {},
		"/":           {http.MethodDelete: v.disconnect},
		"/disconnect": {http.MethodPost: v.disconnectByForm},
	}
	if v.provider.canRedeem() {
		routes[redeemPath] = map[string]func() error{http.MethodPost: v.redeem}
	}
	if v.hasSources() {
		routes = v.sourceRoutes()
	}
	methods, ok := routes[endpoint]
	if !ok {
		return nil, delegation.Refuse(delegation.RouteDenied, errors.New("delegate_connect has no such path for this provider: the page on directives lists them"))
	}
	serve, ok := methods[v.r.Method]
	if !ok {
		refusal := delegation.Refuse(delegation.MethodNotAllowed, nil)
		for method := range methods {
			refusal.Allow = append(refusal.Allow, method)
		}
		if len(refusal.Allow) == 0 {
			refusal.Allow = []string{http.MethodGet}
		}
		return nil, refusal
	}
	return serve, nil
}

// completeFlow completes a flow that the browser has come back from, and drops it
// from the cookie when it has ended. It records the outcome.
// query is what the platform has sent the browser back with; nil if it was here
// before.
func (v *connectRequest) completeFlow(cookie *consent.Cookie, state string, query url.Values) error {
	first, err := v.source.consents.HandleReturn(v.r.Context(), grants.ReturnRequest{
		Person: v.owner, State: state, BrowserToken: cookie.BrowserToken, AnyBrowser: v.CrossDevice > 0, Query: query, Late: v.lateOutcome(),
	})
	if err == nil || first {
		// Only then: the flow may belong to another user of this browser, and
		// anybody's page can send a browser here with any state.
		cookie.Remove(state)
	}
	if endsFlow(err) && !errors.Is(err, delegation.ErrForeignFlow) {
		cookie.Remove(state) // no such flow, or not any more
	}
	v.recordCompleted(first, err)
	return err
}

// recordCompleted records, in the log and in the metrics, how a flow has ended in this
// request, and has other machines drop what they know of the person. first reports
// that it has.
func (v *connectRequest) recordCompleted(first bool, err error) {
	if first {
		v.provider.recordConsent(outcomeEvent(err), actorUser, v.source.name, v.owner)
		v.purgePerson(v.owner)
	}
}

// endsFlow reports whether an error says that a flow has led, or can lead, to
// nothing; or that its browser has nothing more to do in it.
func endsFlow(err error) bool {
	if err == nil || errors.Is(err, delegation.ErrPending) {
		return false
	}
	if errors.Is(err, delegation.ErrConfirm) {
		return true
	}
	switch delegation.AsRefusal(err).Code {
	case delegation.ConsentRequired, delegation.ConsentDenied, delegation.FlowExpired, delegation.TokenRejected:
		return true
	}
	return false
}

// purgePerson drops what this and other machines remember of a person: that they
// had no grant, or another one.
func (v *connectRequest) purgePerson(who delegation.Person) {
	_ = v.provider.purge(delegation.Detach(v.r.Context()), delegation.Selection{Realm: who.Realm, Subject: who.Subject}, false, "connect")
}

// handleReturn serves the browser that the platform has sent back: it completes the
// flow, and redirects to the app's page with the outcome. The address alone
// completes nothing: the cookie has to fit, and the person.
func (v *connectRequest) handleReturn() error {
	if err := checkNavigation(v.r); err != nil {
		return v.refuse(err)
	}
	if v.hasSources() {
		if v.returnToApp() {
			return nil
		}
		if v.mayHaveSession() {
			return v.writeReturn(v.source.endpointPath(returnPath))
		}
	}
	outcome := string(delegation.ConsentConnected)
	err := v.completeReturn()
	switch {
	case errors.Is(err, delegation.ErrPending):
		outcome = string(delegation.ConsentPending) // the page asks for the status
		if v.provider.canReadCallbacks() {
			v.provider.callbacks.recordReturn()
		}
	case errors.Is(err, delegation.ErrConfirm):
		outcome = string(delegation.ConsentConfirm)
		countRequest(v.Provider, v.sourceName(), outcomeAnswered)
	case err != nil:
		outcome = string(v.recordRefusal(err).Code)
	default:
		countRequest(v.Provider, v.sourceName(), outcomeAnswered)
	}
	v.redirectAfterReturn(v.afterFlow(outcome))
	return nil
}

// checkNavigation refuses what a page embeds, where only a navigation comes.
func checkNavigation(r *http.Request) error {
	if dest := r.Header.Values("Sec-Fetch-Dest"); len(dest) > 0 && !slices.Equal(dest, []string{"document"}) {
		return delegation.Refuse(delegation.CrossOrigin, errors.New("this address is for navigations only: Sec-Fetch-Dest is not document"))
	}
	return nil
}

// completeReturn completes the flow whose state is in the address. What cannot be
// completed now is kept for /status.
func (v *connectRequest) completeReturn() (err error) {
	cookie := v.readCookie()
	defer func() { v.saveCookie(cookie) }()
	query := v.r.URL.Query()
	state := query["state"]
	if len(state) != 1 || !consent.IsToken(state[0]) || cookie.BrowserToken == "" && v.CrossDevice == 0 {
		state = nil
	}
	if v.owner, err = v.person(v.r, v.repl, v.signedInUser(v.r, v.repl)); err != nil {
		if state != nil {
			v.keepState(cookie, state[0], v.completeFlow(cookie, state[0], query)) // which fails without a person, but tells whether there is such a flow
		}
		return err
	}
	if state == nil {
		return delegation.Refuse(delegation.ConsentRequired, errors.New("the browser that came back has begun no consent flow, or has lost its cookie"))
	}
	err = v.completeFlow(cookie, state[0], query)
	v.keepState(cookie, state[0], err)
	return err
}

// keepState keeps a state in the cookie, for /status, whose flow cannot be completed
// now: the platform has not called back, its owner is not signed in, or the
// database is away. The state of no flow is not kept, and that of a flow which this
// browser has not begun takes no place of its own ones: anybody's page can send a
// browser here.
func (v *connectRequest) keepState(cookie *consent.Cookie, state string, err error) {
	pending := errors.Is(err, delegation.ErrPending)
	if !pending && !errors.Is(err, delegation.ErrForeignFlow) &&
		(err == nil || delegation.AsRefusal(err).Code != delegation.GrantsUnavailable) {
		return
	}
	if cookie.MarkReturned(state) {
		return
	}
	if pending { // whoever is signed in has begun it, perhaps on another device
		cookie.AddOwn(v.owner, state)
		cookie.MarkReturned(state)
		return
	}
	cookie.AddPending(state)
}
