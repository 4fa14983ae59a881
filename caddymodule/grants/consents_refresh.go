// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/singleflight"
)

// refreshTimeout bounds one refresh with all that it waits for: it is more than two
// leases of the longest call.
const refreshTimeout = 5 * time.Minute

func newRefreshes() *singleflight.Group[delegation.Person, *delegation.Grant] {
	return singleflight.New[delegation.Person, *delegation.Grant](singleflight.Limits{Timeout: refreshTimeout, Waiting: 10_000, PerOwner: 100})
}

// Refresh implements [delegation.Grants]. All calls of this process for a person
// whose same token was refused are one, which goes on when they leave: nobody else
// may be told what the platform has answered.
func (c *Consents) Refresh(ctx context.Context, person delegation.Person, refused delegation.Secret, spend delegation.Spend) (*delegation.Grant, error) {
	token := sha256.Sum256([]byte(refused.Reveal()))
	key := hex.EncodeToString(token[:]) + " " + cacheKey(person)
	return c.o.Cache.refreshes.Do(ctx, key, person, func(ctx context.Context) (*delegation.Grant, error) {
		store, err := c.store(ctx)
		if err != nil {
			return nil, err
		}
		since, began := c.o.Cache.dropCount(person), time.Now()
		g, err := store.RefreshGrant(ctx, c.owner(person), refused, c.o.CallTimeout, func(ctx context.Context, g *delegation.Grant, uncertain bool) (*delegation.GrantTokens, error) {
			decoded, err := c.decodeForProvider(g)
			if err != nil {
				return nil, errors.Join(refusalOfDecoding(err), delegation.ErrNotSent)
			}
			return spend(ctx, decoded, uncertain)
		})
		if err == nil {
			began = time.Now() // the row was read or written just now: what was read before is older
		}
		return c.keep(person, g, err, began, since)
	})
}

// refreshSuspended tries a suspended grant by spending its refresh token, and returns it
// with what the platform has issued. Otherwise the error is [ErrNotFound].
func (c *Consents) refreshSuspended(ctx context.Context, store *Store, g *Grant) (*Grant, error) {
	l, err := store.Lease(ctx, g, LeaseRefresh, c.o.CallTimeout)
	switch {
	case errors.Is(err, ErrLeased):
		return nil, ErrNotFound // another machine is trying it
	case err != nil:
		return nil, err
	case l.Grant.Version != g.Version || l.Grant.State != Suspended: // somebody was faster
		if err := l.Cancel(ctx); err != nil {
			return nil, err
		}
		return activeOnly(store.Find(ctx, g.Owner))
	}
	now, err := l.spend(ctx, c.o.CallTimeout, c.refresh)
	if err == nil {
		c.o.Note(delegation.ConsentResumed, g.Person)
		return activeOnly(now, nil)
	}
	if errors.Is(err, ErrUnavailable) {
		return nil, err // what was issued is in memory, and stored once the database is back
	}
	if delegation.AsRefusal(err).Code == delegation.DelegationRefused {
		// Noted, so that it is left alone for as long as at first.
		if _, err := store.Resume(ctx, g, false); err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
	}
	return activeOnly(store.Find(ctx, g.Owner))
}

// refresh implements [delegation.Spend] by the provider's hook.
func (c *Consents) refresh(ctx context.Context, g *delegation.Grant, uncertain bool) (*delegation.GrantTokens, error) {
	decoded, err := c.decodeForProvider(g)
	if err != nil {
		return nil, errors.Join(refusalOfDecoding(err), delegation.ErrNotSent)
	}
	return c.o.Refresher.RefreshGrant(ctx, decoded, uncertain)
}

// PairwiseID implements [delegation.Grants].
func (c *Consents) PairwiseID(ctx context.Context, person delegation.Person) (string, error) {
	store, err := c.store(ctx)
	if err != nil {
		return "", err
	}
	id, err := store.PairwiseID(ctx, c.owner(person))
	if err != nil {
		return "", refusalOf(err)
	}
	return id, nil
}
