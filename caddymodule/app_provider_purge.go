// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// errNotReleased is the error of a purge that could not end the binding of a
// person to their participant.
var errNotReleased = errors.New("not_released: this machine has purged, but the grants cannot be used, where the user is bound to their participant; purge with release again when they can")

// purge drops the tokens and look-ups of the selected people, on this machine
// and on those that share tokens with it. With release it also ends the binding
// of the one selected person to their participant. by is who asks for it, for
// the log. The error is [tokens.ErrIncomplete] or [errNotReleased], or both.
func (p *provider) purge(ctx context.Context, s delegation.Selection, release bool, by string) error {
	var notReleased error
	if release {
		// Before the purge: a look-up between the two would meet the old binding
		// and remember its failure.
		if err := p.releaseParticipant(ctx, delegation.Person{Realm: s.Realm, Subject: s.Subject}); err != nil {
			p.logger.Error("releasing the participant of a user", zap.String("provider", p.name), zap.Error(err))
			notReleased = errNotReleased
		}
	}
	err := errors.Join(p.state.tokens.Purge(ctx, s), notReleased)
	// Only now, when the module has forgotten the selection: a mint at a source's
	// engine could otherwise still begin with what it remembers.
	for _, other := range p.state.otherEngines() {
		other.tokens.PurgeLocal(s)
	}
	p.recordPurge(s, by, release && notReleased == nil, err == nil)
	return err
}

// purgeCounts are the numbers of what a purge drops of one provider, on this
// machine.
type purgeCounts struct {
	Tokens  int `json:"tokens"`
	Lookups int `json:"lookups"`
}

// countSelected counts the tokens and look-ups that a purge would drop.
func (p *provider) countSelected(s delegation.Selection) (n purgeCounts) {
	n.Tokens = p.state.tokens.Count(s)
	for _, other := range p.state.otherEngines() {
		n.Tokens += other.tokens.Count(s)
	}
	n.Lookups = p.countLookups(s)
	for _, consents := range p.allConsents {
		n.Lookups += consents.Lookups(s)
	}
	return n
}
