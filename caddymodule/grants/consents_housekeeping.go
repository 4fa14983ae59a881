// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	// housekeepingEvery is how often what other processes have written is looked for.
	housekeepingEvery = time.Minute
	// minHousekeepingPause is the rest after a housekeeping.
	minHousekeepingPause = 500 * time.Millisecond
	// housekeepingBatch is how much is done of one kind before others look again whether
	// it is theirs.
	housekeepingBatch = 100
	// housekeepingAtOnce is how many calls of the platform run at the same time.
	housekeepingAtOnce = 4
)

// Wake has [Consents.Keep] look at once for what is due.
func (c *Consents) Wake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Keep does the housekeeping of the source until ctx ends: it ends what ends by its date,
// drops what nobody has decided on or fetched, tells the platform of revocations, and refreshes unused grants before their refresh
// token ends. Of all processes that share the database one does it at a time.
func (c *Consents) Keep(ctx context.Context) {
	holder := newID()
	for {
		wait := housekeepingEvery // also after a panic
		_ = background.Do("housekeeping of grants", func() (err error) {
			wait, err = c.keepOnce(ctx, holder)
			return err
		})
		select {
		case <-time.After(wait):
		case <-c.wake:
		case <-ctx.Done():
			return
		}
	}
}

// keepOnce does what is due, if it is this process's turn, and returns the time until the
// next look.
func (c *Consents) keepOnce(ctx context.Context, holder string) (time.Duration, error) {
	store, err := c.o.Store.Store(ctx)
	if err != nil {
		return housekeepingEvery, err // requests that need it report it
	}
	wait, err := store.untilHousekeeping(ctx, c.o.Provider, c.o.Source, c.o.Refresher != nil, housekeepingEvery)
	if err != nil || wait > 0 {
		return max(wait, minHousekeepingPause), err
	}
	name := c.o.Provider + "/" + c.o.Source
	if ok, err := store.takeTurn(ctx, name, holder); err != nil || !ok {
		return housekeepingEvery, err
	}
	defer func() { _ = store.endTurn(delegation.Detach(ctx), name, holder) }() // it lapses otherwise
	// A study ends for everybody at once: a vendor that hangs keeps nobody here.
	more, err := c.endDue(ctx, store)
	if more {
		return minHousekeepingPause, nil
	}
	return minHousekeepingPause, errors.Join(err, c.dropOverdue(ctx, store), c.revokeDue(ctx, store), c.renewUnused(ctx, store))
}

// endDue ends the consents whose date has come, as if their owners had left. more reports
// that there may be others.
func (c *Consents) endDue(ctx context.Context, store *Store) (more bool, err error) {
	owners, damaged, err := store.dueOwners(ctx, c.o.Provider, c.o.Source, housekeepingBatch)
	if err != nil {
		return false, err
	}
	for _, o := range owners {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		_, deleted, err := store.EndByOwner(ctx, o, DeleteOptions{Revocable: c.o.Revoker != nil, Client: c.o.Client, IfDue: true})
		c.o.Cache.drop(o.Person)
		if err != nil {
			return false, err
		}
		if deleted > 0 {
			more = len(owners) == housekeepingBatch
			c.o.Ended(ctx, o.Person)
		}
	}
	for _, id := range damaged {
		if err := store.Delete(ctx, id, "housekeeping"); err != nil && !errors.Is(err, ErrNotFound) {
			return false, err
		}
	}
	return more, nil
}

// dropOverdue drops the results of flows that were not decided on, or not fetched, in
// time.
func (c *Consents) dropOverdue(ctx context.Context, store *Store) error {
	_, err := store.dropOverdue(ctx, c.o.Provider, c.o.Source, housekeepingBatch)
	return err
}

// revokeDue tells the platform of what has ended.
func (c *Consents) revokeDue(ctx context.Context, store *Store) error {
	if n, err := store.giveUpRevocations(ctx, c.o.Provider, c.o.Source, c.o.Revoker == nil); err != nil {
		return err
	} else if c.o.Revoker != nil {
		for range n {
			c.o.Revoked(RevocationGivenUp, nil)
		}
	}
	all, err := store.leaseRevocations(ctx, c.o.Provider, c.o.Source, housekeepingBatch, housekeepingTerm)
	// What has been begun is finished: a refresh that is broken off has spent the token by
	// which the platform is told.
	begun := delegation.Detach(ctx)
	inParallel(ctx, all, func(r *Revocation) { _ = c.revoke(begun, store, r) }) // it is told of by c.o.Revoked
	return err
}

// renewUnused refreshes grants whose refresh token would end unused.
func (c *Consents) renewUnused(ctx context.Context, store *Store) error {
	if c.o.Refresher == nil {
		return nil
	}
	all, err := store.renewableGrants(ctx, c.o.Provider, c.o.Source, housekeepingBatch)
	inParallel(ctx, all, func(g *Grant) { c.renew(ctx, store, g) })
	return err
}

// The time until an unused grant is tried again that could not be refreshed, and one that
// was refused once.
const (
	renewAgain        = time.Hour
	renewRefusedAgain = time.Minute
)

// renew refreshes an unused grant. Its refresh token is spent by one process at a time,
// as by a request.
func (c *Consents) renew(ctx context.Context, store *Store, g *Grant) {
	now, err := store.RefreshGrant(ctx, g.Owner, g.Tokens.Access, c.o.CallTimeout, c.refresh)
	if err == nil {
		c.refused.forget(g.ID)
		c.o.Cache.drop(g.Person)
		return
	}
	pause := renewAgain
	if delegation.AsRefusal(err).Code == delegation.DelegationRefused && now != nil {
		pause = renewRefusedAgain
		if c.refused.isSecond(now, time.Now()) && c.Suspend(ctx, now.forProvider()) != nil {
			c.refused.forget(g.ID)
		}
	}
	_ = store.renewLater(ctx, g.ID, pause) // otherwise at the next look
}

// inParallel calls f with each item, with a few at the same time. After the end of ctx
// the rest is left.
func inParallel[T any](ctx context.Context, items []T, f func(T)) {
	var all sync.WaitGroup
	slots := make(chan struct{}, housekeepingAtOnce)
	for _, item := range items {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		background.GoIn(&all, "housekeeping of grants", func() {
			defer func() { <-slots }()
			f(item)
		})
	}
	all.Wait()
}
