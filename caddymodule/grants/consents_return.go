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
}

// HandleReturn ends a consent flow in the browser that comes back. first reports
// whether this call has ended it, even if the error says that the person is not
// connected by it. The error is [delegation.ErrPending] until the platform's
// callback has come, and wraps [delegation.ErrForeignFlow] for a person or browser
// that may not end the flow.
func (c *Consents) HandleReturn(ctx context.Context, r ReturnRequest) (first bool, err error) {
	return c.complete(ctx, r)
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
	return PendingResult{Account: r.Account, Label: r.Label, Scopes: r.Scopes, Secret: r.Secret, Tokens: r.Tokens, Reply: r.Reply}, nil
}
