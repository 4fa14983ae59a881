// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/connectpage"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

// goPath is where a browser opens a ticket: /go/<source>.<ticket>.
const goPath = "/go"

// sourceToken is a ticket or a handle of a source: with the source's name in front of
// it, so that it is looked for there alone.
func sourceToken(source, token string) string { return source + "." + token }

// splitSourceToken returns what [sourceToken] has joined; an empty token for any other
// text.
func splitSourceToken(text string) (source, token string) {
	source, token, _ = strings.Cut(text, ".")
	if !consent.IsToken(token) {
		token = ""
	}
	return source, token
}

// openTicket serves the browser that opens a ticket, which an app or an operator has
// begun a flow for: it is the flow's browser from then on, and is shown whose data it
// will be and a link to the vendor. No error goes to Caddy, which may log the address
// with it.
func (v *connectRequest) openTicket(ticket string) error {
	cookie := new(consent.Cookie)
	opened, err := v.readTicket(cookie, ticket)
	if err != nil {
		refusal := v.recordRefusal(err)
		setRefusalHeaders(v.w.Header(), v.refusals.statusName, refusal)
		_ = connectpage.Write(v.w, v.r, refusal.Status(), &connectpage.ErrorPage{ // an error cannot be: there is no foreign text
			Site: v.site(delegation.ConsentNone), Outcome: connectpage.Outcome{Code: string(refusal.Code)},
		})
		return nil
	}
	if !opened.ForApp {
		cookie.AddOwn(opened.Person, opened.State.Reveal()) // whoever has begun it is signed in here, or will be
	}
	v.cookieValue = "" // to be set in any case: it has to last as long as this flow
	v.saveCookie(cookie)
	countRequest(v.Provider, v.sourceName(), outcomeAnswered)
	page := &connectpage.ContinuePage{Site: v.site(delegation.ConsentPending), User: opened.User, Title: v.source.Title, URL: opened.Page}
	if v.Page && !opened.ForApp {
		page.Back = v.pageAddress()
	}
	return connectpage.Write(v.w, v.r, http.StatusOK, page)
}

// readTicket makes this browser the one of the ticket's flow, and reads the cookie that
// says so. A browser that has none yet gets a token.
func (v *connectRequest) readTicket(cookie *consent.Cookie, ticket string) (*grants.OpenedTicket, error) {
	if refusal := policy.CheckServiceWorker(v.r); refusal != nil {
		return nil, refusal
	}
	if err := checkNavigation(v.r); err != nil {
		return nil, err
	}
	if v.source == nil || ticket == "" {
		v.provider.ticketLimiter.recordUnknown(v.r)
		return nil, delegation.Refuse(delegation.FlowExpired, errors.New("this is no ticket"))
	}
	limiter := v.provider.ticketLimiter
	if err := limiter.checkAddress(v.r, ticket); err != nil {
		return nil, err
	}
	*cookie = *v.readCookie()
	if cookie.BrowserToken == "" {
		cookie.BrowserToken = rand.Text()
	}
	opened, err := v.source.consents.OpenTicket(v.r.Context(), ticket, cookie.BrowserToken)
	if err != nil && delegation.AsRefusal(err).Code == delegation.FlowExpired {
		limiter.recordUnknown(v.r)
	}
	return opened, err
}
