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

// confirmInterval is how long somebody counts as bound without the grants being
// asked: another machine or an operator may have decided otherwise.
const confirmInterval = 30 * time.Second

// bindingPrefix is how the source of a grant begins that is a binding.
const bindingPrefix = "participant_field "

// bindingSource is the source of the grants that are bindings of the project.
func (c *Config) bindingSource() string { return bindingPrefix + c.bindingKey()[:16] }

func (p *Provider) bindingOwner(who delegation.Person) grants.Owner {
	return grants.Owner{Provider: p.host.Name(), Source: p.config.bindingSource(), Person: who}
}

// bindParticipant binds the person to the participant whose custom field names them, for
// good and on all machines that share the grants: in this process alone an
// attacker would wait for a restart. Whom this process has bound goes on while
// the database is away; nobody else does, because an answer that nothing is
// known to contradict is what the attacker waits for. begun is how many bindings
// had been ended when the look-up began: it must not bring back one of them.
func (p *Provider) bindParticipant(ctx context.Context, who delegation.Person, id string, begun uint64) error {
	id = strings.ToLower(id)
	pins := p.cache.bindings
	still := func() bool { return pins.releases() == begun }
	if p.bindingStore == nil || p.checkOnly && !p.bindingStore.Exists() {
		if !pins.bind(who, id) {
			return grants.ErrConflict
		}
		if !still() {
			pins.drop(who)
			return tokens.ErrPurged
		}
		return nil
	}
	store, err := p.bindingStore.Store(ctx)
	if err == nil {
		err = p.storeBinding(ctx, store, who, id, still)
	}
	switch {
	case err == nil:
		pins.replace(who, id)
		if !still() { // released since it was written, or what was there was found
			pins.drop(who)
		}
		return nil
	case errors.Is(err, grants.ErrConflict):
		pins.drop(who)
		return err
	case errors.Is(err, grants.ErrNotFound):
		return tokens.ErrPurged
	case pins.isBound(who, id):
		return nil
	default:
		return delegation.Refuse(delegation.GrantsUnavailable, err)
	}
}

func (p *Provider) storeBinding(ctx context.Context, store *grants.Store, who delegation.Person, id string, still func() bool) error {
	if !p.checkOnly {
		return store.BindIf(ctx, p.bindingOwner(who), id, still)
	}
	err := store.CheckBinding(ctx, p.bindingOwner(who), id)
	if errors.Is(err, grants.ErrNotFound) {
		err = nil
	}
	return err
}

// confirmBinding has somebody looked up anew who is not bound any more as they were
// when they were found. A database that is away changes nothing.
func (p *Provider) confirmBinding(ctx context.Context, who delegation.Person, claim string) error {
	d, key := p.cache, lookupKey(who, claim)
	h, ok := d.hits.Peek(who, key)
	if !ok || p.bindingStore == nil || time.Since(time.Unix(0, h.confirmedAt.Load())) < confirmInterval {
		return nil
	}
	_, err := d.flights.Do(ctx, "confirm "+key, who, func(ctx context.Context) (string, error) {
		now := time.Now().UnixNano()
		store, err := p.bindingStore.Store(ctx)
		if err == nil {
			err = store.CheckBinding(ctx, p.bindingOwner(who), strings.ToLower(h.id))
		}
		if errors.Is(err, grants.ErrNotFound) || errors.Is(err, grants.ErrConflict) {
			d.bindings.drop(who)
			d.hits.Delete(who, key)
		}
		h.confirmedAt.Store(now)
		return "", nil
	})
	return err
}

// warnOfForeignBindings tells, once for each configuration, that there are bindings which
// do not count: those of another project.
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
			p.foreignCounted.Store(false) // at the next look-up
		case n > 0:
			p.host.Logger().Warn("there are pins of participant_field of another project, which bind nobody in this one: if project is mistaken, correct it; if not, `caddy delegate grants delete` ends them",
				zap.Int("pins", n))
		}
	})
}

// Release implements [delegation.Releaser].
func (p *Provider) Release(who delegation.Person) { _ = p.Unbind(context.Background(), who) }

// Unbind implements [delegation.Unbinder]: it ends the binding of a person to
// the participant they were first found to be by a custom field.
func (p *Provider) Unbind(ctx context.Context, who delegation.Person) error {
	p.cache.bindings.release(who)
	if p.bindingStore == nil {
		return nil
	}
	store, err := p.bindingStore.Store(ctx)
	if err != nil {
		return err
	}
	return store.DeleteByOwner(ctx, p.bindingOwner(who))
}

var _ delegation.Unbinder = (*Provider)(nil)
