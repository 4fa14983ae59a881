// SPDX-License-Identifier: Apache-2.0

// Package tokens is the token engine: it keeps delegated tokens and service
// tokens in memory and has them minted, one mint per identity at a time. A
// token in use is renewed before it expires, and an issuer that is down or
// throttling is left alone for a while.
package tokens

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/singleflight"
)

// maxSkew is how long before its expiry a token is no longer used, so that it
// does not expire on its way. Of tokens that live less than five minutes it is
// a tenth of their life.
const maxSkew = 30 * time.Second

// Engine holds the tokens of one provider, or of one of its sources, at one
// issuer. It outlives configurations and holds nothing of any one of them but
// what is attached, see [Engine.Attach]. Every setting that a token depends on is
// part of the token's identity: a configuration with another value does not find
// it. There is nothing to close: an engine has no goroutine of its own, and mints
// under way end by their deadline.
type Engine struct {
	options  atomic.Pointer[Options] // of the latest view
	shared   Shared                  // nil: no other machine shares the tokens
	entries  *lru.Cache[delegation.Person, *entry]
	failures failures
	flights  *singleflight.Group[delegation.Person, mintResult]
	breaker  *circuit.Breaker
	purges   *Purges
	keys     keys

	mintSlots atomic.Pointer[mintSlots]

	mu       sync.Mutex
	views    []*View
	settings string // fingerprint of the latest view
}

// entry is a cached token with its identity, which is compared on every hit.
// The account is shared between the entries that have it in common.
type entry struct {
	account     *account
	person      delegation.Person
	participant string
	scopes      []string
	token       *delegation.Token
	generation  uint64       // of the purges when its mint began; later ones concern it
	renewAt     atomic.Int64 // from when on a use renews it, in Unix nanoseconds
}

// usableUntil is when a token is used last: its expiry minus the skew.
func usableUntil(t *delegation.Token) time.Time { return t.Expires.Add(-min(maxSkew, t.Lifetime()/10)) }

func (en *entry) usableUntil() time.Time { return usableUntil(en.token) }

// matches reports whether the entry is of exactly this identity.
func (en *entry) matches(id *delegation.Identity) bool {
	return *en.account == accountOf(id) && en.person == id.Person && en.participant == id.Participant && slices.Equal(en.scopes, id.Scopes)
}

func (en *entry) identity() delegation.Identity {
	a := en.account
	return delegation.Identity{
		Provider: a.provider, Source: a.source, Issuer: a.issuer, Client: a.client, Key: a.key, Audience: a.audience, Config: a.config,
		Person: en.person, Participant: en.participant, Scopes: en.scopes,
	}
}

// New returns an engine without tokens.
func New(o Options) *Engine {
	o.setDefaults()
	e := &Engine{
		entries:  lru.New[delegation.Person, *entry](o.MaxEntries),
		failures: failures{lru.New[delegation.Person, failure](o.maxFailures())},
		flights:  singleflight.New[delegation.Person, mintResult](o.limits()),
		breaker:  circuit.NewBreaker(),
		purges:   NewPurges(),
	}
	e.options.Store(&o)
	e.mintSlots.Store(newMintSlots(o.Concurrency))
	return e
}

// SetShared puts a level behind the engine that other machines use as well. It
// has to be called before the first token is asked for.
func (e *Engine) SetShared(s Shared) { e.shared = s }

// lookup returns the entry of an identity whose token may be used now, or nil.
func (e *Engine) lookup(k string, id *delegation.Identity, now time.Time) *entry {
	en, ok := e.entries.Get(id.Person, k, now)
	if !ok || !now.Before(en.usableUntil()) || !en.matches(id) {
		return nil
	}
	return en
}

// store keeps the token that answers a request. The error is [ErrPurged] if the
// identity was purged since the operation began.
func (e *Engine) store(req *request, t *delegation.Token, op *Operation) error {
	return op.UnlessPurged(func() {
		if keep := time.Until(usableUntil(t)); keep > 0 {
			id := &req.id
			en := &entry{account: e.keys.account(id), person: id.Person, participant: id.Participant, scopes: id.Scopes, token: t, generation: op.generation}
			renewAt := renewalTime(t).UnixNano()
			if t.Same(req.rejected) { // there is no other one yet
				renewAt = max(renewAt, en.afterPause(circuit.Backoff(1)))
			}
			en.renewAt.Store(renewAt)
			e.entries.Set(id.Person, req.key, en, keep, id.IsService())
		}
	})
}

// Purge deletes the tokens and remembered failures of the selection, here and
// on the machines that share them. A mint under way is neither stored nor used.
// A purge of everybody also closes the breaker. The error is [ErrIncomplete] if
// other machines have not been told yet.
func (e *Engine) Purge(ctx context.Context, s delegation.Selection) error {
	// Here last: a deleted token could otherwise be read back from there.
	defer e.PurgeLocal(s)
	if e.shared == nil {
		return nil
	}
	return e.shared.Purge(ctx, s)
}

// Count returns how many tokens [Engine.PurgeLocal] would delete.
func (e *Engine) Count(s delegation.Selection) int {
	return e.entries.CountFunc(func(en *entry) bool { return s.Covers(en.person, en.participant) })
}

// PurgeLocal is [Engine.Purge] for this machine alone.
func (e *Engine) PurgeLocal(s delegation.Selection) {
	defer e.purges.Add(s)()
	selected := func(en *entry) bool { return s.Covers(en.person, en.participant) }
	failed := func(f failure) bool { return s.Covers(f.person, s.Participant) }
	if s.Realm != "" && s.Subject != "" {
		person := delegation.Person{Realm: s.Realm, Subject: s.Subject}
		e.entries.DeleteOwned(person, selected)
		e.failures.store.DeleteOwned(person, failed)
	} else {
		e.entries.DeleteFunc(selected)
		e.failures.store.DeleteFunc(failed)
	}
	if s == (delegation.Selection{}) {
		e.breaker.Reset()
	}
	e.mu.Lock()
	views := slices.Clone(e.views)
	e.mu.Unlock()
	for _, v := range views {
		v.client.Forget(s)
	}
}
