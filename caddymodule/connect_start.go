// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// nativeClient is the value of client, in the body of POST /start, of a native app.
const nativeClient = "native"

func (v *connectRequest) start() error  { return v.startFlow(false) }
func (v *connectRequest) update() error { return v.startFlow(true) }

// startFlow begins a consent flow in this browser, in another one with
// ?device=other, or in a native app, and answers where to go or what the platform's
// widget needs.
func (v *connectRequest) startFlow(update bool) error {
	other, err := v.otherDevice()
	if err != nil {
		return err
	}
	asked, err := v.readStart()
	if err == nil {
		asked.ends, err = v.endsOfFlow()
	}
	if err == nil {
		asked.scopes, err = v.scopesToAsk(asked.scopes, update)
	}
	if err != nil {
		return err
	}
	if !v.provider.connectLimiter.Allow(v.owner) {
		// Each start is a call of the platform, which counts the operator's calls.
		return tooOften()
	}
	if other && asked.client != "" {
		return delegation.Refuse(delegation.RouteDenied, errors.New("an app begins on this device, with a ticket of its own: leave out device, or client"))
	}
	cookie := v.readCookie() // so that another tab's flow can be completed as well
	request := grants.StartRequest{
		Person: v.owner, Claim: v.participantClaim(v.repl, v.user, v.owner), Update: update,
		Native: asked.native, Recover: asked.recover, Scopes: asked.scopes, Ends: asked.ends,
		BrowserToken: delegation.NewSecret(cookie.BrowserToken), AnyBrowser: other,
	}
	if v.hasSources() && (other || asked.client != "") {
		request.AnyBrowser, request.Ticket, request.User, request.Then = false, true, v.userName(), asked.then
	}
	started, err := v.startConsent(v.r.Context(), v.source, request, actorUser)
	if err != nil {
		return err
	}
	if token := started.BrowserToken.Reveal(); token != "" && !asked.native {
		cookie.BrowserToken = token
		if started.Page.URL != "" { // who comes back from a page brings the state
			cookie.AddOwn(v.owner, started.State.Reveal())
		}
		v.cookieValue = "" // to be set in any case: it has to last as long as this flow
		v.saveCookie(cookie)
	}
	if v.hasSources() && v.isForm() && !request.Ticket {
		return v.writeContinue(started)
	}
	return writeJSON(v.w, http.StatusOK, v.startResponse(v.source, started))
}

// recoverPublicToken is the value of recover, in the body of POST /start, of a page
// whose widget has not taken the public token that it was given.
const recoverPublicToken = "publicToken"

// startBody is what the body of POST /start asks for.
type startBody struct {
	native  bool      // client: a native app begins
	recover bool      // recover: the widget needs another public token
	scopes  []string  // scopes: those to ask for, of a data source
	client  string    // client, with a data source: native or other_site, for a ticket; empty for this browser
	then    string    // then, with client: one of the addresses of then_native
	ends    time.Time // by the session, not by the body
}

// readStart reads the body. That of a provider whose people always go to a page of
// the platform is not read, and one of another shape asks for nothing. The error is
// route_denied for another value of a member, body_too_large or body_incomplete.
func (v *connectRequest) readStart() (asked startBody, err error) {
	if v.hasSources() {
		if v.source.hasEnded() {
			return asked, errEnded
		}
		return v.readSourceStart()
	}
	if !v.provider.canRedeem() || v.r.ContentLength == 0 {
		return asked, nil
	}
	body, err := readHanded(v.w, v.r)
	if err != nil && delegation.AsRefusal(err).Code != delegation.TokenRejected {
		return asked, err
	}
	for name, member := range map[string]struct {
		value string
		to    *bool
	}{"client": {nativeClient, &asked.native}, "recover": {recoverPublicToken, &asked.recover}} {
		if *member.to = body.Get(name) == member.value; !*member.to && body.Has(name) {
			return asked, delegation.Refuse(delegation.RouteDenied, fmt.Errorf("the member %s is %s, or left out", name, member.value))
		}
	}
	return asked, nil
}
