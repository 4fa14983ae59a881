// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"context"
	"errors"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// bindingSource marks the grants that are bindings, by what makes them mean
// what they mean.
func (c *Config) bindingSource() string { return "participant_field " + c.pinKey()[:16] }

func (p *Provider) bindingOf(who delegation.Person) grants.Owner {
	return grants.Owner{Provider: p.host.Name(), Source: p.config.bindingSource(), Person: who}
}

// bindParticipant binds the person to the participant whose custom field names them, for
// good and on all machines that share the grants: in this process alone an
// attacker would wait for a restart. Whom this process has bound goes on while
// the database is away; nobody else does, because an answer that nothing is
// known to contradict is what the attacker waits for.
func (p *Provider) bindParticipant(ctx context.Context, who delegation.Person, id string) error {
	id = strings.ToLower(id)
	if p.bindings == nil || p.checking && !p.bindings.Made() {
		if !p.directory.pins.bind(who, id) {
			return grants.ErrConflict
		}
		return nil
	}
	store, err := p.bindings.Store(ctx)
	if err == nil {
		err = p.pin(ctx, store, who, id)
	}
	switch {
	case err == nil:
		p.directory.pins.set(who, id)
		return nil
	case errors.Is(err, grants.ErrConflict):
		// What this process believed is not so any more, and must not let the
		// person in again once the database is away.
		p.directory.pins.release(who)
		return err
	case p.directory.pins.bound(who, id):
		return nil
	default:
		return delegation.Refuse(delegation.GrantsUnavailable, err)
	}
}

func (p *Provider) pin(ctx context.Context, store *grants.Store, who delegation.Person, id string) error {
	if !p.checking {
		return store.Pin(ctx, p.bindingOf(who), id)
	}
	err := store.Pinned(ctx, p.bindingOf(who), id)
	if errors.Is(err, grants.ErrNone) {
		err = nil
	}
	return err
}

// Release implements [delegation.Releaser].
func (p *Provider) Release(who delegation.Person) { _ = p.Unbind(context.Background(), who) }

// Unbind implements [delegation.Unbinder]: it ends the binding of a person to
// the participant they were first found to be by a custom field.
func (p *Provider) Unbind(ctx context.Context, who delegation.Person) error {
	p.directory.pins.release(who)
	if p.bindings == nil {
		return nil
	}
	store, err := p.bindings.Store(ctx)
	if err != nil {
		return err
	}
	return store.Forget(ctx, p.bindingOf(who))
}

var _ delegation.Unbinder = (*Provider)(nil)
