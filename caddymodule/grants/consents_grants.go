// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Get implements [delegation.Grants]. A grant that was dropped while it was read is
// not used.
func (c *Consents) Get(ctx context.Context, person delegation.Person) (g *delegation.Grant, err error) {
	for range 3 {
		since := c.o.Cache.dropCount(person)
		if g, err = c.lookUp(ctx, person, since); c.o.Cache.dropCount(person) == since {
			return g, err
		}
	}
	if err == nil {
		err = delegation.Refuse(delegation.GrantsUnavailable, errors.New("the grant changes all the time"))
	}
	return nil, err
}

// lookUp returns the grant in memory, or reads it.
func (c *Consents) lookUp(ctx context.Context, person delegation.Person, since uint64) (*delegation.Grant, error) {
	known, ok := c.o.Cache.get(person)
	if ok = ok && !known.hasEnded(); ok && time.Since(known.refreshedAt) < freshFor {
		return known.grant, nil
	}
	if ok {
		// The others go on with this grant, while one call reads it again.
		again := *known
		again.refreshedAt = time.Now()
		c.o.Cache.putUnlessDropped(person, &again, since)
	}
	// Calls after a drop do not join a flight from before it.
	key := strconv.FormatUint(since, 36) + " " + cacheKey(person)
	g, err := c.o.Cache.flights.Do(ctx, key, person, func(ctx context.Context) (*delegation.Grant, error) { return c.load(ctx, person, since) })
	if ok && err != nil && delegation.AsRefusal(err).Code == delegation.GrantsUnavailable {
		return known.grant, nil
	}
	return g, err
}

// load reads a person's grant, probes it if it is suspended, and keeps it in
// memory.
func (c *Consents) load(ctx context.Context, person delegation.Person, since uint64) (*delegation.Grant, error) {
	store, err := c.store(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	g, err := store.Find(ctx, c.owner(person))
	if err == nil {
		if ended, e := store.hasEnded(ctx, g); e != nil || ended { // the housekeeping deletes it
			err = cmp.Or(e, ErrNotFound)
		}
	}
	if err == nil && g.State != Active {
		g, err = c.probeSuspended(ctx, store, g)
	}
	decoded, err := c.keep(person, g, err, began, since)
	if err == nil {
		c.noteUse(store, person, since)
	}
	return decoded, err
}

// keep keeps a grant in memory whose reading began when the person's dropCount was
// since, or drops the one in memory if there is none. The error is a refusal.
func (c *Consents) keep(person delegation.Person, g *Grant, err error, began time.Time, since uint64) (*delegation.Grant, error) {
	var decoded *delegation.Grant
	if err == nil {
		if decoded, err = c.decode(g); err != nil {
			err = refusalOfDecoding(err)
		}
	}
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrConflict) || errors.Is(err, errOtherVendor) {
		c.o.Cache.store.Delete(person, cacheKey(person))
	}
	if err != nil {
		return nil, refusalOf(err)
	}
	cached := &cachedGrant{grant: decoded, ends: g.Ends, readAt: began, refreshedAt: began}
	if known, ok := c.o.Cache.get(person); ok && known.grant.ID == decoded.ID {
		cached.notedAt = known.notedAt
	}
	c.o.Cache.putUnlessDropped(person, cached, since)
	return decoded, nil
}

// probeSuspended probes a suspended grant, and returns it if it is accepted. One with a
// refresh token is tried by spending that, where the provider can. Otherwise the error
// is [ErrNotFound].
func (c *Consents) probeSuspended(ctx context.Context, store *Store, g *Grant) (*Grant, error) {
	refreshes := c.o.Refresher != nil && g.Tokens.Refresh.Reveal() != ""
	if g.isImporting() || c.o.Prober == nil && !refreshes {
		return nil, ErrNotFound
	}
	if age, err := store.UnchangedFor(ctx, g); err != nil {
		return nil, err
	} else if age < probeSuspendedAfter {
		return nil, ErrNotFound
	}
	decoded, err := c.decode(g)
	if err != nil || !c.o.Cache.pace.mayProbe(g.Person) {
		return nil, ErrNotFound
	}
	if refreshes {
		return c.refreshSuspended(ctx, store, g)
	}
	result := c.probeGrant(ctx, decoded)
	if result == delegation.ProbeUnknown {
		return nil, ErrNotFound // the answer says nothing of the credential
	}
	now, err := store.Resume(ctx, g, result == delegation.ProbeAccepted)
	if err == nil {
		c.o.Note(delegation.ConsentResumed, g.Person)
	}
	if !errors.Is(err, ErrNotFound) {
		return now, err
	}
	// The credential is not accepted; or another machine was first.
	return activeOnly(store.Find(ctx, g.Owner))
}

// activeOnly returns a grant that is in use. A suspended one is [ErrNotFound].
func activeOnly(g *Grant, err error) (*Grant, error) {
	if err == nil && g.State != Active {
		return nil, ErrNotFound
	}
	return g, err
}

// GetNewer implements [delegation.Grants]. A suspended grant is not probed.
func (c *Consents) GetNewer(ctx context.Context, stale *delegation.Grant) (*delegation.Grant, bool, error) {
	store, err := c.store(ctx)
	if err != nil {
		return nil, false, err
	}
	since, began := c.o.Cache.dropCount(stale.Person), time.Now()
	found, err := activeOnly(store.Find(ctx, c.owner(stale.Person)))
	g, err := c.keep(stale.Person, found, err, began, since)
	if err != nil {
		return nil, false, err
	}
	return g, g.ID != stale.ID || g.Version != stale.Version, nil
}

// causeRefused is the cause of a grant's suspension.
const causeRefused = "refused"

// Suspend implements [delegation.Grants].
func (c *Consents) Suspend(ctx context.Context, g *delegation.Grant) *delegation.Refusal {
	if !c.o.Cache.pace.maySuspend(g.Person) {
		return nil
	}
	store, err := c.store(ctx)
	if err != nil {
		return nil
	}
	done, err := store.Suspend(ctx, c.stored(g), causeRefused)
	if err != nil {
		return nil
	}
	c.o.Cache.drop(g.Person)
	if done {
		c.o.Note(delegation.ConsentSuspended, g.Person)
	} else if _, err := c.Get(ctx, g.Person); err == nil {
		return nil // the person has consented anew meanwhile
	}
	return delegation.Refuse(delegation.ConsentRequired, errors.New("the platform does not accept the person's credential any more"))
}
