// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// connectRequest is one request to delegate_connect, except for callbacks.
type connectRequest struct {
	*Connect
	w     http.ResponseWriter
	r     *http.Request
	repl  *caddy.Replacer
	owner delegation.Person // the person who is signed in; empty before that is known

	cookieValue string // as the browser has sent it, or was told
}

// route returns the method that serves the request's path and method. The error is
// route_denied or method_not_allowed.
func (v *connectRequest) route() (func() error, error) {
	routes := map[string]map[string]func() error{
		"/start":  {http.MethodPost: v.start},
		"/update": {http.MethodPost: v.update},
		"/status": {http.MethodGet: v.status},
		"/return": {},
		"/":       {http.MethodDelete: v.disconnect},
	}
	methods, ok := routes[v.r.URL.Path]
	if !ok {
		return nil, delegation.Refuse(delegation.RouteDenied, errors.New("delegate_connect has no such path: start, update, return, status and callback"))
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

func (v *connectRequest) start() error  { return v.startFlow(false) }
func (v *connectRequest) update() error { return v.startFlow(true) }

// startFlow begins a consent flow in this browser, or in another one with
// ?device=other, and answers where to go.
func (v *connectRequest) startFlow(update bool) error {
	other, err := v.otherDevice()
	if err != nil {
		return err
	}
	if !v.provider.connectLimiter.Allow(v.owner) {
		// Each start is a call of the platform, which counts the operator's calls.
		refusal := delegation.Refuse(delegation.TooManyRequests, nil)
		refusal.RetryAfter = personInterval
		return refusal
	}
	cookie := v.readCookie() // so that another tab's flow can be completed as well
	a, err := v.startConsent(v.r.Context(), delegation.ConsentFlow{
		Person: v.owner, Update: update, BrowserToken: delegation.NewSecret(cookie.BrowserToken), AnyBrowser: other,
	}, actorUser)
	if err != nil {
		return err
	}
	if !other {
		cookie.BrowserToken = a.BrowserToken.Reveal()
		cookie.AddOwn(v.owner, a.State.Reveal())
		v.cookieValue = "" // to be set in any case: it has to last as long as this flow
		v.saveCookie(cookie)
	}
	return writeJSON(v.w, http.StatusOK, startResponse(a))
}

// completeFlow completes a flow that the browser has come back from, and drops it
// from the cookie when it has ended. It records the outcome in the log and in the
// metrics, and has other machines drop what they know of the person.
func (v *connectRequest) completeFlow(cookie *consent.Cookie, state string) error {
	ctx := v.r.Context()
	first, err := v.connector.CompleteConsent(ctx, delegation.Return{
		Person: v.owner, State: state, BrowserToken: cookie.BrowserToken, AnyBrowser: v.CrossDevice > 0,
	})
	if err == nil || first {
		// Only then: the flow may belong to another user of this browser, and
		// anybody's page can send a browser here with any state.
		cookie.Remove(state)
	}
	if err != nil && delegation.AsRefusal(err).Code == delegation.ConsentRequired && !errors.Is(err, delegation.ErrPending) && !errors.Is(err, delegation.ErrForeignFlow) {
		cookie.Remove(state) // no such flow, or not any more
	}
	if !first {
		return err
	}
	event := consentConnected
	if err != nil {
		if event = consentRefused; delegation.AsRefusal(err).Code == delegation.AccountConflict {
			event = consentConflict
		}
	}
	v.provider.recordConsent(event, actorUser, v.owner)
	// Other machines may remember that the person had no grant, or another one.
	_ = v.provider.purge(delegation.Detach(ctx), delegation.Selection{Realm: v.owner.Realm, Subject: v.owner.Subject}, false, "connect")
	return err
}

// handleReturn serves the browser that the platform has sent back: it completes the
// flow, and redirects to the app's page with the outcome. The address alone
// completes nothing: the cookie has to fit, and the person.
func (v *connectRequest) handleReturn() error {
	// Only a navigation comes here, not what a page embeds.
	if dest := v.r.Header.Values("Sec-Fetch-Dest"); len(dest) > 0 && !slices.Equal(dest, []string{"document"}) {
		return v.refuse(v.w, v.r, delegation.Refuse(delegation.CrossOrigin, errors.New("/return is for navigations only: Sec-Fetch-Dest is not document")))
	}
	outcome := string(delegation.ConsentConnected)
	err := v.completeReturn()
	switch {
	case errors.Is(err, delegation.ErrPending):
		outcome = string(delegation.ConsentPending) // the page asks for the status
		v.provider.callbacks.recordReturn()
	case err != nil:
		outcome = string(v.recordRefusal(v.r, err).Code)
	default:
		requestsTotal.WithLabelValues(v.Provider, outcomeAnswered).Inc()
	}
	v.w.Header().Set("Location", v.returnPage.WithParameter(connectParameter, outcome))
	v.w.Header().Set("Referrer-Policy", "no-referrer") // the address has the state
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// completeReturn completes the flow whose state is in the address. What cannot be
// completed now is kept for /status.
func (v *connectRequest) completeReturn() (err error) {
	cookie := v.readCookie()
	defer func() { v.saveCookie(cookie) }()
	state := v.r.URL.Query()["state"]
	if len(state) != 1 || !consent.IsToken(state[0]) || cookie.BrowserToken == "" && v.CrossDevice == 0 {
		state = nil
	}
	if v.owner, err = v.person(v.r, v.repl, v.signedInUser(v.r, v.repl)); err != nil {
		if state != nil {
			v.keepState(cookie, state[0], v.completeFlow(cookie, state[0])) // which fails without a person, but tells whether there is such a flow
		}
		return err
	}
	if state == nil {
		return delegation.Refuse(delegation.ConsentRequired, errors.New("the browser that came back has begun no consent flow, or has lost its cookie"))
	}
	err = v.completeFlow(cookie, state[0])
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

// disconnect deletes the person's grant and flows, on all machines.
func (v *connectRequest) disconnect() error {
	if err := v.connector.Disconnect(v.r.Context(), v.owner); err != nil {
		return err
	}
	v.provider.recordConsent(consentDisconnected, actorUser, v.owner)
	_ = v.provider.purge(delegation.Detach(v.r.Context()), delegation.Selection{Realm: v.owner.Realm, Subject: v.owner.Subject}, false, "connect")
	v.w.WriteHeader(http.StatusNoContent)
	return nil
}
