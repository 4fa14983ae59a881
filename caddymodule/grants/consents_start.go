// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// StartRequest is a consent flow that is to begin.
type StartRequest struct {
	// Person is who is to consent.
	delegation.Person
	// Claim is the value by which the session names the person at the platform.
	Claim string
	// Scopes are those to ask for; empty: the provider's.
	Scopes []string
	// ReturnURL is where the browser is to come back to: an absolute URL without a
	// query. The query parameter state is added.
	ReturnURL string
	// Update asks a person who is connected already to consent to more.
	Update bool
	// BrowserToken is the token that the browser has from an earlier flow, if any.
	BrowserToken delegation.Secret
	// AnyBrowser lets the flow end in any browser in which the person is signed
	// in, not just in the one that began it.
	AnyBrowser bool
	// Lifetime is how long the flow may take, or how long a ticket can be opened.
	// Default: an hour; 10 minutes, which is the most for an app, with a ticket.
	Lifetime time.Duration
	// Ends is when the grant ends by itself; zero if that is not known.
	Ends time.Time
	// Native is for a native app that ends the flow of a widget by a ticket, and has
	// neither cookie nor session then.
	Native bool
	// Ticket is for a browser that is not known yet: the first one that opens the
	// ticket has the flow, see [Consents.OpenTicket]. Only where people consent at a
	// page of the platform's and the browser brings what is redeemed.
	Ticket bool
	// User is how the page of a ticket calls the person. Then is the address of the
	// app that the browser is sent to at the end, and that ends the flow by
	// [Consents.Finish]; empty: the person is signed in in the browser.
	User, Then string
	// Recover is for a widget that has not taken what it was given of the person's
	// grant, see [delegation.ConsentStart].
	Recover bool
}

// Started is a consent flow that has begun.
type Started struct {
	// Page is where the person consents.
	Page *delegation.ConsentPage
	// BrowserToken is a token that the browser has to bring back, as a cookie.
	// Empty if the flow may end in any browser, or by a ticket.
	BrowserToken delegation.Secret
	// State is the value of the query parameter state of the return URL (RFC 6749
	// section 10.12). Only the platform is told, not the browser.
	State delegation.Secret
	// Ticket ends the flow of a native app, once, see [RedeemRequest], or is opened by
	// a browser, see [StartRequest]; Page has no URL then. Empty otherwise.
	Ticket delegation.Secret
	// Expires is when the flow ends without consent.
	Expires time.Time
}

// Start begins a consent flow. An update of somebody who is not connected is
// refused, as consent_required, and so is every flow while the database is away,
// before the platform is called.
func (c *Consents) Start(ctx context.Context, r StartRequest) (*Started, error) {
	if (r.Native || r.Ticket) && c.o.Redeemer == nil {
		return nil, errNoNative
	}
	store, err := c.store(ctx)
	if err != nil {
		return nil, err
	}
	grant, err := c.startingGrant(ctx, store, r)
	if err != nil {
		return nil, err
	}
	flow := &Flow{
		Owner: c.owner(r.Person), Kind: FlowConnect, BrowserToken: r.BrowserToken, AnyBrowser: r.AnyBrowser,
		Lifetime: r.Lifetime, Ticket: r.Native || r.Ticket, Scopes: r.Scopes, Ends: r.Ends, User: r.User, Then: r.Then,
	}
	if r.Update {
		flow.Kind = FlowUpdate
	}
	if flow.Ticket && (flow.Lifetime <= 0 || (r.Native || r.Then != "") && flow.Lifetime > ticketLifetime) {
		flow.Lifetime = ticketLifetime // whoever has the ticket needs neither session nor cookie
	}
	PrepareFlow(flow)
	flow.ReturnURL = returnURL(r.ReturnURL, flow.StateToken)
	page, err := c.startConsent(ctx, r, &delegation.ConsentStart{
		Person: r.Person, Source: c.o.Source, Scopes: r.Scopes, Grant: grant, Update: r.Update, Claim: r.Claim, Native: r.Native, Recover: r.Recover,
		ReturnURL: flow.ReturnURL, State: flow.StateToken, CorrelationID: flow.CorrelationID, Verifier: flow.Verifier,
	})
	if err != nil {
		return nil, err
	}
	// Only now: nobody can be on the way to a page that there is not.
	flow.Secret, flow.Mode, flow.Page = page.Secret, c.mode(page), page.URL
	if err := store.Begin(ctx, flow); err != nil {
		return nil, refusalOf(err)
	}
	return newStarted(page, flow), nil
}

// newStarted returns what the browser is told of a flow, and what is kept for it.
func newStarted(page *delegation.ConsentPage, flow *Flow) *Started {
	shown := *page
	shown.Secret = delegation.Secret{}
	started := &Started{Page: &shown, BrowserToken: flow.BrowserToken, State: flow.StateToken, Expires: flow.Expires}
	if flow.Ticket {
		started.Ticket = flow.CorrelationID
		shown.URL = "" // which has the state: it is for the browser that opens the ticket
	}
	return started
}

// ticketLifetime is how long an app's ticket lives at most.
const ticketLifetime = 10 * time.Minute

// mode returns how the outcome of a flow with a page comes.
func (c *Consents) mode(page *delegation.ConsentPage) FlowMode {
	switch {
	case c.o.Redeemer == nil:
		return FlowCallback
	case page.URL == "":
		return FlowPage
	default:
		return FlowRedirect
	}
}

// startingGrant returns the grant that a flow's person has; nil if none. An update
// needs one that can be read.
func (c *Consents) startingGrant(ctx context.Context, store *Store, r StartRequest) (*delegation.Grant, error) {
	g, err := store.Find(ctx, c.owner(r.Person))
	var decoded *delegation.Grant
	if err == nil {
		decoded, err = c.decode(g)
	}
	if err != nil && (r.Update || errors.Is(err, ErrUnavailable)) {
		return nil, refusalOf(err)
	}
	return decoded, nil // a grant that cannot be read does not keep its person from consenting anew
}

// startConsent has the provider prepare the page.
func (c *Consents) startConsent(ctx context.Context, r StartRequest, start *delegation.ConsentStart) (*delegation.ConsentPage, error) {
	ctx, cancel := c.hookContext(ctx)
	defer cancel()
	page, err := c.o.Starter.StartConsent(ctx, start)
	switch {
	case err != nil:
		return nil, err
	case page == nil:
		return nil, c.faultOf("returned neither a page nor an error")
	case page.URL == "" && c.o.Redeemer == nil:
		return nil, c.faultOf("has no address where the person consents, and takes nothing from the app's page")
	case page.URL != "" && start.Native, page.URL == "" && r.Ticket:
		return nil, errNoNative
	case page.URL == "" && r.AnyBrowser && !r.Native:
		return nil, errNoOtherDevice
	default:
		return page, nil
	}
}

// errNoOtherDevice is the refusal of another device where the widget is in the app's
// page: what it hands over counts in the browser that began alone.
var errNoOtherDevice = delegation.Refuse(delegation.RouteDenied, errors.New("the platform's widget is in the app's page, which the other device has to open and begin in: leave out device, and cross_device"))

// errNoNative is the refusal of a native app at a provider whose people consent at
// the platform's page, whose outcome no app hands over.
var errNoNative = delegation.Refuse(delegation.RouteDenied, errors.New("a native app can begin a consent flow only where it hands over the outcome: leave out client"))

// returnURL returns the URL that the browser comes back to.
func returnURL(base string, state delegation.Secret) string {
	return base + "?" + url.Values{"state": {state.Reveal()}}.Encode()
}
