// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

// redeemTicket exchanges at the platform what its library has handed to a native
// app. The library posts with neither session nor cookie; the ticket in the path
// says whose flow it is. The answer is never an error page, which no app can read,
// and no error goes to Caddy, which may log the address with it.
func (v *connectRequest) redeemTicket(ticket string) error {
	redeemed, err := v.exchangeTicket(ticket)
	if err != nil {
		refusal := v.recordRefusal(err)
		setRefusalHeaders(v.w.Header(), v.refusals.statusName, refusal)
		_ = writeBody(v.w, refusal.Status(), "application/problem+json", problemBody(refusal, requestID(v.r))) // an error is a client that has left
		return nil
	}
	countRequest(v.Provider, "", outcomeAnswered)
	_ = v.writeRedeemed(redeemed) // an error is a client that has left
	return nil
}

func (v *connectRequest) exchangeTicket(ticket string) (*grants.Redeemed, error) {
	if err := checkNotBrowser(v.r); err != nil {
		return nil, err
	}
	if v.r.Method != http.MethodPost {
		refusal := delegation.Refuse(delegation.MethodNotAllowed, nil)
		refusal.Allow = []string{http.MethodPost}
		return nil, refusal
	}
	if refusal := policy.CheckEarlyData(v.r, false); refusal != nil {
		return nil, refusal
	}
	limiter := v.provider.ticketLimiter
	if err := limiter.checkAddress(v.r, ticket); err != nil {
		return nil, err
	}
	if !consent.IsToken(ticket) {
		limiter.recordUnknown(v.r)
		return nil, delegation.Refuse(delegation.FlowExpired, errors.New("this is no ticket"))
	}
	handed, err := readHanded(v.w, v.r)
	if err != nil {
		return nil, err
	}
	endUnknown, err := limiter.beginUnknown(v.r, ticket)
	if err != nil {
		return nil, err
	}
	defer endUnknown()
	end, err := limiter.begin(ticket, handed)
	if err != nil {
		return nil, err
	}
	redeemed, err := v.source.consents.Redeem(v.r.Context(), grants.RedeemRequest{Ticket: ticket, Handed: handed})
	end(askedPlatform(redeemed, err))
	if err != nil && delegation.AsRefusal(err).Code == delegation.FlowExpired {
		limiter.recordUnknown(v.r)
	}
	v.recordRedeemed(redeemed, err, delegation.Person{})
	return redeemed, err
}

// checkNotBrowser refuses, with cross_origin, what a page has sent. Pages have the
// session and the cookie of the flow; a page that uses a ticket instead could have a
// visitor's browser end a flow that somebody else has begun.
func checkNotBrowser(r *http.Request) error {
	for _, name := range []string{"Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest"} {
		if len(r.Header[name]) > 0 {
			return delegation.Refuse(delegation.CrossOrigin, errors.New("a page has sent a native app's ticket: pages post to /redeem, with the session"))
		}
	}
	return nil
}
