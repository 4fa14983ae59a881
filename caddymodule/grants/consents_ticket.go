// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// OpenTicket makes a browser the one of the flow that a ticket was given out for, see
// [Store.OpenTicket]. The error is flow_expired if the ticket opens nothing here, or
// grants_unavailable.
func (c *Consents) OpenTicket(ctx context.Context, ticket, browserToken string) (*OpenedTicket, error) {
	store, err := c.store(ctx)
	if err != nil {
		return nil, err
	}
	opened, err := store.OpenTicket(ctx, c.o.Provider, c.o.Source, ticket, browserToken)
	if errors.Is(err, ErrNotFound) {
		return nil, delegation.Refuse(delegation.FlowExpired, errors.New("there is no consent flow for this ticket: it has expired, or another browser has opened it"))
	}
	if err != nil {
		return nil, refusalOf(err)
	}
	return opened, nil
}

// AppOfFlow returns the address of the app that gets a returning browser, and for
// which [Consents.HandleAppReturn] is to be called in place of
// [Consents.HandleReturn]; empty for another flow, and if there is none.
func (c *Consents) AppOfFlow(ctx context.Context, r ReturnRequest) string {
	store, err := c.store(ctx)
	if err != nil {
		return ""
	}
	then, err := store.AppOfFlow(ctx, c.nobodyReturns(r))
	if err != nil {
		return "" // HandleReturn has the same error
	}
	return then
}

// HandleAppReturn has the platform redeem what the browser of an app's flow brings,
// and returns the handle with which the app ends the flow, see
// [Store.IssueHandle]. Whose session that browser has does not count: the app
// has begun, and its user ends the flow. The error is that of
// [Consents.HandleReturn], never [delegation.ErrPending].
func (c *Consents) HandleAppReturn(ctx context.Context, r ReturnRequest) (handle delegation.Secret, err error) {
	r.Person, r.untilEnd = delegation.Person{}, true
	// A page that is loaded again has redeemed before, and completes nothing because
	// nobody is signed in.
	if _, err = c.HandleReturn(ctx, r); !errors.Is(err, delegation.ErrPending) && !errors.Is(err, delegation.ErrForeignFlow) {
		return handle, err
	}
	store, err := c.store(ctx)
	if err != nil {
		return handle, err
	}
	handle, err = store.IssueHandle(ctx, c.nobodyReturns(r))
	if errors.Is(err, ErrNotFound) {
		return handle, errNoHandle
	}
	if err != nil {
		return handle, refusalOf(err)
	}
	return handle, nil
}

func (c *Consents) nobodyReturns(r ReturnRequest) Return {
	return Return{Owner: c.owner(delegation.Person{}), StateToken: r.State, BrowserToken: r.BrowserToken}
}

// errNoHandle is the refusal of a handle, or of a flow that is to give one out.
var errNoHandle = delegation.Refuse(delegation.FlowExpired, errors.New("there is no consent flow to end: its handle has been used, or it has expired"))

// Finish ends the flow of an app's handle, for the person whose session the
// app has. first and err are those of [Consents.HandleReturn]; the error is flow_expired
// for a handle that was used or is too old.
func (c *Consents) Finish(ctx context.Context, person delegation.Person, handle string) (first bool, err error) {
	store, err := c.store(ctx)
	if err != nil {
		return false, err
	}
	g, first, err := store.Complete(ctx, Return{Owner: c.owner(person), Handle: handle, Probe: c.probe()})
	if first {
		c.o.Cache.drop(person)
	} else if errors.Is(err, ErrNotFound) {
		return false, errNoHandle
	}
	return first, completionError(g, err)
}
