// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// ReturnRequest is a browser that comes back from the platform.
type ReturnRequest struct {
	// Person is who is signed in; zero if nobody is.
	delegation.Person
	// State is the query parameter state of the return URL, and BrowserToken the
	// token that the browser brings; empty if there is none.
	State, BrowserToken string
	// AnyBrowser allows a flow with [StartRequest.AnyBrowser] to end here.
	AnyBrowser bool
	// Query is the query of the return URL. Nil: the browser was here already, and
	// asks whether its flow can be completed by now.
	Query url.Values
	// Late is called with what [Consents.HandleReturn] would have returned, where the
	// platform answers after the browser was sent on. It may be called after the request
	// has ended. Nil: nobody is told.
	Late func(first bool, err error)

	// untilEnd has the browser wait for as long as the exchange takes: at its end it has
	// something to take along.
	untilEnd bool
}

// HandleReturn ends a consent flow in the browser that comes back. first reports
// whether this call has ended it, even if the error says that the person is not
// connected by it. The error is [delegation.ErrPending] until the platform's
// callback has come, the platform has answered, or the person is signed in; it wraps
// [delegation.ErrForeignFlow] for a person or browser that may not end the flow, and
// [delegation.ErrConfirm] where the person has to decide, see [Consents.Confirm]. It is
// consent_denied for a
// person who has not consented, and flow_expired where they have to begin anew.
func (c *Consents) HandleReturn(ctx context.Context, r ReturnRequest) (first bool, err error) {
	if r.Query == nil {
		return c.complete(ctx, r)
	}
	if denied := denial(r.Query); denied != nil {
		return c.deny(ctx, r, c.ofOtherIssuer(r.Query, denied))
	}
	if c.o.Redeemer == nil {
		return c.complete(ctx, r)
	}
	token, err := c.o.Redeemer.OneTimeToken(r.Query)
	if err != nil {
		// Such as an answer of another issuer (RFC 9207 section 2.4).
		if refusal := delegation.AsRefusal(err); refusal.Code == delegation.ConsentDenied {
			return c.deny(ctx, r, refusal)
		}
		return false, err
	}
	done, err := c.redeemReturn(ctx, Claim{
		Owner: c.owner(r.Person), StateToken: r.State, BrowserToken: r.BrowserToken, AnyBrowser: r.AnyBrowser, OneTimeToken: token,
	}, r)
	switch {
	case err != nil:
		return false, err
	case done.before:
		return c.complete(ctx, r) // perhaps nobody was signed in then
	default:
		return done.isFirst(), done.err
	}
}

// ofOtherIssuer returns the refusal for an error response, which may be of another issuer
// than the platform's: what it says of the client and the platform is not believed then
// (RFC 9207 section 2.4).
func (c *Consents) ofOtherIssuer(query url.Values, denied *delegation.Refusal) *delegation.Refusal {
	if c.o.Redeemer == nil {
		return denied
	}
	if _, err := c.o.Redeemer.OneTimeToken(query); err != nil {
		// Any other is that there is no code.
		if refusal := delegation.AsRefusal(err); refusal.Code == delegation.ConsentDenied {
			return refusal
		}
	}
	return denied
}

// denial returns the refusal for an error response of the platform's (RFC 6749
// section 4.1.2.1), or the parameter denied of OAuth 1.0; nil for another response.
// A response that has a code as well is an error all the same. The parameter's value
// is not quoted unless the RFC has it.
func denial(query url.Values) *delegation.Refusal {
	if !query.Has("error") {
		if query.Has("denied") {
			return delegation.Refuse(delegation.ConsentDenied, errors.New("the person has not consented at the platform: denied"))
		}
		return nil
	}
	switch said := query.Get("error"); said {
	case "access_denied":
		return delegation.Refuse(delegation.ConsentDenied, errors.New("the person has not consented at the platform: access_denied"))
	case "server_error", "temporarily_unavailable":
		return delegation.Refuse(delegation.IssuerUnavailable, errors.New("the platform ended the consent flow: "+said))
	case "invalid_scope":
		return delegation.Refuse(delegation.ScopeRejected, errors.New("the platform ended the consent flow: invalid_scope; compare the scopes with those that it has given the client"))
	case "invalid_request", "unauthorized_client", "unsupported_response_type":
		return delegation.Refuse(delegation.CredentialsRejected, errors.New("the platform ended the consent flow: "+said+"; check the client's settings"))
	default:
		return delegation.Refuse(delegation.ConsentDenied, errors.New("the platform ended the consent flow with an error of its own"))
	}
}

// deny ends a flow without consent. Only the browser that began it can: anybody's
// page can send a browser here. A flow that has a result already is completed with
// it, because the result has come from the platform itself.
func (c *Consents) deny(ctx context.Context, r ReturnRequest, denied *delegation.Refusal) (first bool, err error) {
	signedIn := r.Person != (delegation.Person{})
	if signedIn {
		if first, err = c.complete(ctx, r); !errors.Is(err, delegation.ErrPending) {
			return first, err
		}
	}
	store, err := c.store(ctx)
	if err != nil {
		return false, err
	}
	err = store.Deny(ctx, Return{Owner: c.owner(r.Person), StateToken: r.State, BrowserToken: r.BrowserToken, AnyBrowser: r.AnyBrowser}, string(delegation.ConsentDenied))
	if err != nil {
		return false, refusalOf(err)
	}
	return signedIn, denied
}

// complete puts what the platform has handed over into use. A credential whose
// acceptance matters is probed once, before it takes another one's place.
func (c *Consents) complete(ctx context.Context, r ReturnRequest) (first bool, err error) {
	store, err := c.store(ctx)
	if err != nil {
		return false, err
	}
	g, first, err := store.Complete(ctx, Return{
		Owner: c.owner(r.Person), StateToken: r.State, BrowserToken: r.BrowserToken, AnyBrowser: r.AnyBrowser, Probe: c.probe(),
	})
	if first {
		c.o.Cache.drop(r.Person)
	}
	return first, completionError(g, err)
}

// completionError returns the error for the person whose flow has led to a grant.
func completionError(g *Grant, err error) error {
	switch {
	case errors.Is(err, ErrPending):
		return delegation.ErrPending
	case errors.Is(err, ErrConfirm):
		return delegation.ErrConfirm
	case errors.Is(err, ErrProbeRefused):
		return delegation.Refuse(delegation.ConsentRequired, errors.New("the platform does not accept the key that it gave"))
	case err != nil:
		return refusalOf(err)
	case g.State != Active:
		return refusalOf(ErrNotFound)
	default:
		return nil
	}
}

// probe returns the function of [Return.Probe]; nil for a provider that cannot ask.
// If the owner has no active grant, a refused one is suspended, which
// [pace.maySuspend] bounds.
func (c *Consents) probe() func(context.Context, *Grant, bool) ProbeResult {
	if c.o.Prober == nil {
		return nil
	}
	return func(ctx context.Context, g *Grant, hasActive bool) ProbeResult {
		decoded, err := c.decode(g)
		if err != nil {
			return ProbeUnknown // its first use tells
		}
		result := c.probeGrant(ctx, decoded)
		if result == ProbeRefused && !hasActive && !c.o.Cache.pace.maySuspend(g.Person) {
			return ProbeUnknown
		}
		return result
	}
}

// probeGrant asks the platform about a grant. What is no verdict says nothing.
func (c *Consents) probeGrant(ctx context.Context, g *delegation.Grant) delegation.ProbeResult {
	ctx, cancel := c.hookContext(ctx)
	defer cancel()
	switch result := c.o.Prober.ProbeGrant(ctx, g); result {
	case ProbeAccepted, ProbeRefused:
		return result
	default:
		return ProbeUnknown
	}
}

// HandleCallback handles a call of the platform's server, such as the one that
// brings a consent, and returns its kind. The body is bounded already. The error's
// text is for the log: it holds no secret and names nobody.
func (c *Consents) HandleCallback(ctx context.Context, r *http.Request) (delegation.CallbackKind, error) {
	if c.o.Callbacks == nil {
		return delegation.CallbackOther, errors.New("the provider's platform calls nobody")
	}
	callback, err := c.o.Callbacks.ReadCallback(ctx, r)
	switch {
	case err != nil:
		return delegation.CallbackOther, err
	case callback == nil:
		return delegation.CallbackOther, c.faultOf("returned neither a callback nor an error")
	case callback.Kind != delegation.CallbackConsent:
		return callback.Kind, nil
	}
	result, err := c.pendingResult(&callback.Result)
	if err != nil {
		return delegation.CallbackOther, err
	}
	store, err := c.store(ctx)
	if err != nil {
		return delegation.CallbackOther, err
	}
	err = store.Stage(ctx, c.o.Provider, c.o.Source, callback.CorrelationID, result)
	if errors.Is(err, ErrNotFound) {
		return delegation.CallbackOther, errors.New("no consent flow has this linking_token or correlation ID, or it has ended")
	}
	if err != nil {
		return delegation.CallbackOther, refusalOf(err)
	}
	return delegation.CallbackConsent, nil
}

// maxAccount is how long the name of an account may be, in bytes.
const maxAccount = 1024

// pendingResult returns a provider's result as the database keeps it. The error
// names no value.
func (c *Consents) pendingResult(r *delegation.ConsentResult) (PendingResult, error) {
	if r == nil || r.Account == "" || len(r.Account) > maxAccount {
		return PendingResult{}, c.faultOf("returned an account of no or more than 1024 bytes")
	}
	return PendingResult{Account: r.Account, Label: r.Label, Scopes: r.Scopes, Vendor: c.o.Vendor, Client: c.o.Client, Secret: r.Secret, Tokens: r.Tokens, Reply: r.Reply}, nil
}
