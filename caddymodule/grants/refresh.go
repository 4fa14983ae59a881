// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// ErrSuspended is that the platform did not accept the grant's credential. It is an
// [ErrNotFound] for callers that do not tell the two apart.
var ErrSuspended error = suspendedError{}

type suspendedError struct{}

func (suspendedError) Error() string { return "grants: the platform did not accept the credential" }
func (suspendedError) Unwrap() error { return ErrNotFound }

const refreshing = "refreshing a credential"

// RefreshGrant returns the grant that an owner has in use, with another access token
// than refused. It has the platform issue one by spend only if the database does not
// have one, and only one machine at a time does that; the others wait for it and
// read again. callTimeout bounds spend, which is not called within a transaction.
//
// The error is spend's, with the grant as it is then, for [Store.Suspend]; or
// [ErrSuspended], [ErrUnavailable] and those of [Store.Find]. It is ErrUnavailable
// as well while tokens that were issued cannot be stored: they are in memory, and
// the next call after the database is back returns them.
func (s *Store) RefreshGrant(ctx context.Context, o Owner, refused delegation.Secret, callTimeout time.Duration, spend delegation.Spend) (*Grant, error) {
	// A machine that takes the lease and fails is followed by the next: so the bound
	// is more than one lease.
	wait := newLeaseWait(2 * (callTimeout + leaseMargin))
	for {
		g, err := s.Find(ctx, o)
		if err != nil {
			return nil, err
		}
		if g.State != Active {
			return nil, ErrSuspended
		}
		if g.hasOther(refused) {
			return g, nil
		}
		if s.later.has(g.ID) {
			return nil, &unavailableError{refreshing, "the platform's answer is in memory and cannot be stored", false}
		}
		l, err := s.Lease(ctx, g, LeaseRefresh, callTimeout)
		switch {
		case errors.Is(err, ErrLeased) || errors.Is(err, ErrNotFound): // or it was changed
			if err := s.awaitLease(ctx, g, wait); err != nil {
				return nil, err
			}
			continue
		case err != nil:
			return nil, err
		case l.Grant.Version != g.Version: // somebody was faster
			if err := l.Cancel(ctx); err != nil {
				return nil, err
			}
			continue
		}
		g, err = l.spend(ctx, callTimeout, spend)
		switch {
		case errors.Is(err, ErrReplaced) || err == nil && g.Owner != o:
			continue // connected anew, or moved to somebody else by an operator
		case err == nil && g.State != Active:
			return nil, ErrSuspended
		case g == nil || err == nil:
			return g, err
		}
		// What was refused may not be current any more: somebody who was thought dead
		// has stored what had been issued to them.
		if now, e := s.Find(ctx, o); e == nil {
			g = now
		}
		if g.State == Active && g.hasOther(refused) {
			return g, nil
		}
		return g, err
	}
}

// forProvider returns the grant as the contract has it, without a decoded value.
func (g *Grant) forProvider() *delegation.Grant {
	return &delegation.Grant{
		ID: g.ID, Version: g.Version, Person: g.Person, Source: g.Source, Vendor: g.Vendor, Account: g.Account, Label: g.Label, Scopes: g.Scopes,
		Secret: g.Secret, Tokens: g.Tokens, Suspended: g.State != Active, Created: g.Created, Changed: g.Changed,
	}
}

// hasOther tells whether a grant has an access token, and another than refused.
func (g *Grant) hasOther(refused delegation.Secret) bool {
	return g.Tokens.Access.Reveal() != "" && !g.Tokens.Access.Equal(refused)
}

// spend calls the platform and ends the lease by how that went. With an error of the
// platform's it returns the leased grant. It goes on when ctx ends: nobody else may
// be told what the platform has answered.
func (l *Lease) spend(ctx context.Context, callTimeout time.Duration, spend delegation.Spend) (*Grant, error) {
	ctx = delegation.Detach(ctx)
	until := time.Now().Add(callTimeout)
	if until.After(l.ends) { // taking the lease took long
		until = l.ends
	}
	call, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	tokens, err := spend(call, l.Grant.forProvider(), l.Uncertain > 0)
	if err == nil && tokens == nil {
		err = delegation.Refuse(delegation.IssuerUnavailable, errors.New("the provider has returned no tokens"))
	}
	switch {
	case err == nil:
		return l.Rotate(ctx, *tokens, nil)
	case nothingSpent(err):
		_ = l.Cancel(ctx) // the platform's word is what the caller needs
	default:
		_ = l.Release(ctx)
	}
	return l.Grant, err
}

// nothingSpent tells whether a failed call is known to have spent nothing: it was
// not sent, or the platform has said why it issues nothing. After any other failure
// it may have.
func nothingSpent(err error) bool {
	if errors.Is(err, delegation.ErrNotSent) {
		return true
	}
	switch delegation.AsRefusal(err).Code {
	case delegation.DelegationRefused, delegation.CredentialsRejected, delegation.ScopeRejected, delegation.IssuerThrottled:
		return true
	default:
		return false
	}
}

// leaseWait is the pace at which somebody else's lease is waited for.
type leaseWait struct {
	deadline time.Time
	pause    time.Duration
}

// The time between two looks at a lease.
const (
	minLeasePause = 20 * time.Millisecond
	maxLeasePause = 500 * time.Millisecond
)

func newLeaseWait(most time.Duration) *leaseWait {
	return &leaseWait{deadline: time.Now().Add(most), pause: minLeasePause}
}

// awaitLease returns when a grant can be leased by the database's clock, or was
// changed. The error is [ErrUnavailable] if that takes too long, or ctx ends.
func (s *Store) awaitLease(ctx context.Context, g *Grant, w *leaseWait) error {
	for {
		if time.Now().After(w.deadline) {
			return &unavailableError{refreshing, "other machines have been at it for too long", false}
		}
		// Not all at the same moment.
		timer := time.NewTimer(w.pause/2 + rand.N(w.pause/2)) //nolint:gosec // a pause, not a secret
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return s.unavailable(refreshing, ctx.Err())
		}
		w.pause = min(w.pause*3/2, maxLeasePause)
		free := false
		err := s.read(ctx, refreshing, func(ctx context.Context, db querier) error {
			now, err := s.now(ctx, db)
			if err != nil {
				return err
			}
			until, version, err := s.leasedUntil(ctx, db, g.ID)
			free = errors.Is(err, ErrNotFound) || version != g.Version || !until.After(now)
			if errors.Is(err, ErrNotFound) {
				err = nil
			}
			return err
		})
		if err != nil || free {
			return err
		}
	}
}
