// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/http"

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
	native, err := v.isNative()
	if err != nil {
		return err
	}
	if !v.provider.connectLimiter.Allow(v.owner) {
		// Each start is a call of the platform, which counts the operator's calls.
		return tooOften()
	}
	cookie := v.readCookie() // so that another tab's flow can be completed as well
	started, err := v.startConsent(v.r.Context(), grants.StartRequest{
		Person: v.owner, Claim: v.participantClaim(v.repl, v.user, v.owner), Update: update, Native: native,
		BrowserToken: delegation.NewSecret(cookie.BrowserToken), AnyBrowser: other,
	}, actorUser)
	if err != nil {
		return err
	}
	if token := started.BrowserToken.Reveal(); token != "" && !native {
		cookie.BrowserToken = token
		if started.Page.URL != "" { // who comes back from a page brings the state
			cookie.AddOwn(v.owner, started.State.Reveal())
		}
		v.cookieValue = "" // to be set in any case: it has to last as long as this flow
		v.saveCookie(cookie)
	}
	return writeJSON(v.w, http.StatusOK, v.startResponse(started))
}

// isNative tells whether a native app begins, as the member client of the body
// says. The body of a provider whose people always go to a page of the platform is
// not read, and one of another shape says nothing. The error is route_denied for
// another client, body_too_large or body_incomplete.
func (v *connectRequest) isNative() (bool, error) {
	if !v.provider.canRedeem() || v.r.ContentLength == 0 {
		return false, nil
	}
	body, err := readHanded(v.w, v.r)
	if err != nil && delegation.AsRefusal(err).Code != delegation.TokenRejected {
		return false, err
	}
	switch client := body.Get("client"); {
	case !body.Has("client"):
		return false, nil
	case client != nativeClient:
		return false, delegation.Refuse(delegation.RouteDenied, errors.New("the member client is "+nativeClient+", or left out"))
	default:
		return true, nil
	}
}
