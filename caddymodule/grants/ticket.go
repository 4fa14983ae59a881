// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"crypto/rand"
	"net/url"
	"slices"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// OpenedTicket is the flow of a ticket, for the browser that has opened it.
type OpenedTicket struct {
	// Person has begun the flow, and User is how the page calls them.
	delegation.Person
	User string
	// Page is the platform's page, where the browser is to go.
	Page string
	// State is the value of the query parameter state of the return URL.
	State delegation.Secret
	// ForApp reports that an app gets the browser back, see [Flow.Then].
	ForApp bool
}

// startsByTicket tells whether the flow's browser is the first that opens a ticket.
func (f *storedFlow) startsByTicket() bool { return f.ticket && f.mode == FlowRedirect }

// OpenTicket makes a browser the one of the flow that a ticket was given out for, and
// gives it an hour from then on. The same browser may open the ticket again, such as
// when a person goes back from the platform's page, until it has come back from there.
// The error is [ErrNotFound] for another browser, for a ticket that there is not, and
// for one that has expired; [ErrDamaged] or [ErrUnavailable].
func (s *Store) OpenTicket(ctx context.Context, provider, source, ticket, browserToken string) (*OpenedTicket, error) {
	const operation = "opening a ticket"
	ctx = delegation.Detach(ctx)
	var f *storedFlow
	var opened bool
	find := func(ctx context.Context, db querier) (err error) {
		f, opened, err = s.flowOfTicket(ctx, db, provider, source, ticket, browserToken)
		return err
	}
	err := s.read(ctx, operation, find) // what opens nothing does not have writers wait
	if err == nil && !opened {
		err = s.write(ctx, operation, func(ctx context.Context, tx querier) error {
			if err := find(ctx, tx); err != nil || opened {
				return err
			}
			f.browser, f.expires = s.tokenPseudonym("browser", browserToken), f.judged.Add(flowLifetime)
			return s.replaceFlow(ctx, tx, f)
		})
	}
	if err != nil {
		return nil, err
	}
	back, err := url.Parse(f.secret.ReturnURL)
	if err != nil {
		return nil, ErrDamaged
	}
	return &OpenedTicket{
		Person: f.owner.Person, User: f.secret.User, Page: f.secret.Page,
		State: delegation.NewSecret(back.Query().Get("state")), ForApp: f.then != "",
	}, nil
}

// flowOfTicket returns the open flow of a ticket. opened reports that this browser has
// opened it before.
func (s *Store) flowOfTicket(ctx context.Context, db querier, provider, source, ticket, browserToken string) (f *storedFlow, opened bool, err error) {
	if f, err = s.flowByToken(ctx, db, provider, source, "link", ticket); err != nil {
		return nil, false, err
	}
	if f.judged, err = s.now(ctx, db); err != nil {
		return nil, false, err
	}
	opened = f.browser != "" && slices.Contains(s.tokenPseudonyms("browser", browserToken), f.browser)
	if !f.startsByTicket() || f.at(f.judged) != consent.Open || f.browser != "" && !opened {
		return nil, false, ErrNotFound
	}
	return f, opened, nil
}

// AppOfFlow returns the address of the app that gets the browser back which has come
// with a state; empty for a flow that ends in the browser. The error is
// [ErrNotFound], [ErrForeignFlow], [ErrDamaged] or [ErrUnavailable].
func (s *Store) AppOfFlow(ctx context.Context, ret Return) (then string, err error) {
	err = s.read(ctx, "looking for a consent flow", func(ctx context.Context, db querier) error {
		f, err := s.flowOfBrowser(ctx, db, ret)
		if err == nil {
			then = f.then
		}
		return err
	})
	return then, err
}

// IssueHandle returns a random value with which the owner of a staged flow completes
// it in an app, by [Return], once and within an hour after the first handle was given
// out. The flow's browser alone gets one, and a second takes the place of the first.
// From then on the ticket opens nothing. The error is [ErrNotFound] unless the flow
// is staged and has [Flow.Then]; [ErrForeignFlow], [ErrDamaged] or [ErrUnavailable].
func (s *Store) IssueHandle(ctx context.Context, ret Return) (delegation.Secret, error) {
	handle := rand.Text()
	err := s.write(delegation.Detach(ctx), "ending a consent flow in an app", func(ctx context.Context, tx querier) error {
		f, err := s.flowOfBrowser(ctx, tx, ret)
		if err != nil {
			return err
		}
		now, err := s.now(ctx, tx)
		if err != nil {
			return err
		}
		if f.then == "" || f.at(now) != consent.Staged {
			return ErrNotFound
		}
		f.link = s.tokenPseudonym("handle", handle)
		if f.expires.After(now) {
			f.expires = now // a staged flow waits for an hour after that
		}
		return s.replaceFlow(ctx, tx, f)
	})
	if err != nil {
		return delegation.Secret{}, err
	}
	return delegation.NewSecret(handle), nil
}

// flowOfHandle returns the flow of an app's handle. The error is [ErrForeignFlow]
// unless the person whose session the app has, has begun it: an attacker could
// otherwise have a victim's app end the attacker's flow, or the reverse.
func (s *Store) flowOfHandle(ctx context.Context, db querier, ret Return) (*storedFlow, error) {
	f, err := s.queryFlow(ctx, db, "SELECT "+flowColumns+" FROM journeys WHERE provider = ", ret.Provider, " AND source = ", ret.Source,
		" AND link IN ", s.tokenPseudonyms("handle", ret.Handle), "")
	if err == nil && f.owner != ret.Owner {
		err = ErrForeignFlow
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}
