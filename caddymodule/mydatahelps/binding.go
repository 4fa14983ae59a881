// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

// confirmInterval is how long a person counts as bound without the grants being asked
// again: another machine or the operator may have decided otherwise.
const confirmInterval = 30 * time.Second

// bindingPrefix is the beginning of the source of a grant that is a binding.
const bindingPrefix = "participant_field "

// bindingSource is the source of the grants that are the project's bindings.
func (c *Config) bindingSource() string { return bindingPrefix + c.bindingKey()[:16] }

func (p *Provider) bindingOwner(person delegation.Person) grants.Owner {
	return grants.Owner{Provider: p.host.Name(), Source: p.config.bindingSource(), Person: person}
}

// bindParticipant binds the person to the participant whose custom field names them,
// for good and on all machines that share the grants: of a binding in this process
// alone an attacker would wait for the end. While the database is away, people
// whom this process has bound are served and others are not, because the attacker
// also waits for a moment at which nothing contradicts. begun is the number of
// ended bindings when the look-up began: it must not bring back one of them. The
// error is [grants.ErrConflict] if one of the two is bound otherwise.
func (p *Provider) bindParticipant(ctx context.Context, person delegation.Person, id string, begun uint64) error {
	id = strings.ToLower(id)
	local := p.cache.bindings
	still := func() bool { return local.releases() == begun }
	if p.bindingStore == nil || p.checkOnly && !p.bindingStore.Exists() {
		if !local.bind(person, id) {
			return grants.ErrConflict
		}
		if !still() {
			local.drop(person)
			return tokens.ErrPurged
		}
		return nil
	}
	store, err := p.bindingStore.Store(ctx)
	if err == nil {
		err = p.storeBinding(ctx, store, person, id, still)
	}
	switch {
	case err == nil:
		local.replace(person, id)
		if !still() { // ended since it was written, or found as it was before
			local.drop(person)
		}
		return nil
	case errors.Is(err, grants.ErrConflict):
		local.drop(person)
		return err
	case errors.Is(err, grants.ErrNotFound):
		return tokens.ErrPurged
	case local.isBound(person, id):
		return nil
	default:
		return delegation.Refuse(delegation.GrantsUnavailable, err)
	}
}

func (p *Provider) storeBinding(ctx context.Context, store *grants.Store, person delegation.Person, id string, still func() bool) error {
	if !p.checkOnly {
		return store.BindIf(ctx, p.bindingOwner(person), id, still)
	}
	err := store.CheckBinding(ctx, p.bindingOwner(person), id)
	if errors.Is(err, grants.ErrNotFound) {
		err = nil
	}
	return err
}

// confirmBinding asks the grants, once in confirmInterval, whether a person is still
// bound to their cached participant, and deletes the hit if not. A database that
// is away changes nothing.
func (p *Provider) confirmBinding(ctx context.Context, person delegation.Person, claim string) error {
	d, key := p.cache, lookupKey(person, claim)
	h, ok := d.hits.Peek(person, key)
	if !ok || p.bindingStore == nil || time.Since(time.Unix(0, h.confirmedAt.Load())) < confirmInterval {
		return nil
	}
	_, err := d.flights.Do(ctx, "confirm "+key, person, func(ctx context.Context) (string, error) {
		now := time.Now().UnixNano()
		store, err := p.bindingStore.Store(ctx)
		if err == nil {
			err = store.CheckBinding(ctx, p.bindingOwner(person), strings.ToLower(h.id))
		}
		if errors.Is(err, grants.ErrNotFound) || errors.Is(err, grants.ErrConflict) {
			d.bindings.drop(person)
			d.hits.Delete(person, key)
		}
		h.confirmedAt.Store(now)
		return "", nil
	})
	return err
}

// warnOfForeignBindings logs, once for each configuration, that there are bindings of
// another project, which do not count.
func (p *Provider) warnOfForeignBindings(ctx context.Context) {
	if p.bindingStore == nil || p.checkOnly || !p.foreignCounted.CompareAndSwap(false, true) {
		return
	}
	ctx = delegation.Detach(ctx)
	background.Go("counting the bindings of other projects", func() {
		var n int
		store, err := p.bindingStore.Store(ctx)
		if err == nil {
			n, err = store.CountOtherSources(ctx, p.host.Name(), p.config.bindingSource(), bindingPrefix)
		}
		switch {
		case err != nil:
			p.foreignCounted.Store(false) // tried again at the next look-up
		case n > 0:
			p.host.Logger().Warn("there are pins of participant_field of another project, which bind nobody in this one: if project is mistaken, correct it; if not, `caddy delegate grants delete` ends them",
				zap.Int("pins", n))
		}
	})
}

// Release implements [delegation.Releaser].
func (p *Provider) Release(person delegation.Person) { _ = p.Unbind(context.Background(), person) }

// Unbind implements [delegation.Unbinder]: it ends the binding of a person to the
// participant that they were first found to be by a custom field.
func (p *Provider) Unbind(ctx context.Context, person delegation.Person) error {
	p.cache.bindings.release(person)
	if p.bindingStore == nil {
		return nil
	}
	store, err := p.bindingStore.Store(ctx)
	if err != nil {
		return err
	}
	return store.DeleteByOwner(ctx, p.bindingOwner(person))
}

var _ delegation.Unbinder = (*Provider)(nil)
