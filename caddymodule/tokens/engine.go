// SPDX-License-Identifier: Apache-2.0

// Package tokens keeps tokens and has them minted: one mint per exact
// identity at a time, ahead of their expiry while they are in use, and never
// more than an issuer that is sick or busy can take.
package tokens

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/blame"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/fair"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/flight"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/memory"
)

// maxSkew is how long before its expiry a token is no longer used, so that it
// does not expire on its way. Shorter for tokens that live less than five
// minutes.
const maxSkew = 30 * time.Second

// Options of an engine. Zero values mean the defaults.
type Options struct {
	// RenewAt is the part of its life after which a token in use is renewed,
	// at the latest; up to a tenth of the life earlier, so that tokens of the
	// same age do not come due together. Default: 0.75.
	RenewAt float64
	// Timeout is what a mint may take, waiting for its turn included. Default: 10 s.
	Timeout time.Duration
	// Concurrency is how many mints may be at the issuer at once. Default: 16.
	Concurrency int
	// MaxEntries is how many tokens are kept. Default: 100 000.
	MaxEntries int
	// MaxWaiting is how many requests may wait for mints. Default: 10 000.
	MaxWaiting int
	// MaxWaitingPerPerson is how many of them may be one person's. Default: 500.
	MaxWaitingPerPerson int
}

func (o *Options) complete() {
	if o.RenewAt <= 0 {
		o.RenewAt = 0.75
	}
	if o.Timeout <= 0 {
		o.Timeout = delegation.DefaultTimeout
	}
	for _, d := range []struct {
		to    *int
		value int
	}{
		{&o.Concurrency, 16},
		{&o.MaxEntries, 100_000},
		{&o.MaxWaiting, 10_000},
		{&o.MaxWaitingPerPerson, 500},
	} {
		if *d.to <= 0 {
			*d.to = d.value
		}
	}
}

func (o *Options) limits() flight.Limits {
	return flight.Limits{Timeout: o.Timeout, Waiting: o.MaxWaiting, PerOwner: o.MaxWaitingPerPerson}
}

func (o *Options) maxFailures() int { return max(o.MaxEntries/10, 1000) }

// maxAppointments are more than there are tokens: those of evicted and purged
// ones stay until they are due.
func (o *Options) maxAppointments() int { return 2*o.MaxEntries + 1000 }

// Engine is one provider's tokens at one issuer. It outlives configurations
// and holds nothing of any one of them but what is attached, see
// [Engine.Attach]. Settings of which a token depends are in its identity: those
// of a configuration that has changed them are not found by others.
type Engine struct {
	options  atomic.Pointer[Options] // of the view that came last
	shared   Shared                  // nil: this process is alone
	entries  *memory.Store[delegation.Person, *entry]
	failures failures
	flights  *flight.Group[delegation.Person, landing]
	breaker  *blame.Breaker
	purges   *Purges
	agenda   *agenda
	keys     keys

	places atomic.Pointer[places]

	mu       sync.Mutex
	views    []*View
	settings string // the fingerprint of the view that came last
}

// places bound what is at the issuer at once. When the bound changes there are
// others; what has a place already gives that one back.
type places struct {
	slots *fair.Queue[delegation.Person] // mints at the issuer
	ahead *fair.Queue[delegation.Person] // the part of them that nobody waits for
}

func newPlaces(n int) *places {
	return &places{slots: turns(n), ahead: turns(n / 2)}
}

// entry is a token that is kept. The tuple is kept with it and compared on
// every hit; what a million of them have in common, only once.
type entry struct {
	account     *account
	who         delegation.Person
	participant string
	scopes      []string
	token       *delegation.Token
	since       uint64       // purges after that one concern it
	renew       atomic.Int64 // when it may be renewed, in Unix nanoseconds
}

// usable is until when a token is used.
func usable(t *delegation.Token) time.Time { return t.Expires.Add(-min(maxSkew, t.Lifetime()/10)) }

func (en *entry) usable() time.Time { return usable(en.token) }

// is tells whether the entry is of an identity.
func (en *entry) is(id *delegation.Identity) bool {
	return *en.account == accountOf(id) && en.who == id.Person && en.participant == id.Participant && slices.Equal(en.scopes, id.Scopes)
}

func (en *entry) identity() delegation.Identity {
	a := en.account
	return delegation.Identity{
		Provider: a.provider, Issuer: a.issuer, Client: a.client, Key: a.key, Audience: a.audience, Config: a.config,
		Person: en.who, Participant: en.participant, Scopes: en.scopes,
	}
}

// New returns an engine without tokens.
func New(o Options) *Engine {
	o.complete()
	e := &Engine{
		entries:  memory.New[delegation.Person, *entry](o.MaxEntries),
		failures: failures{memory.New[delegation.Person, failure](o.maxFailures())},
		flights:  flight.New[delegation.Person, landing](o.limits()),
		breaker:  blame.NewBreaker(),
		purges:   NewPurges(),
	}
	e.options.Store(&o)
	e.places.Store(newPlaces(o.Concurrency))
	e.agenda = newAgenda(o.maxAppointments(), e.visit)
	return e
}

// turns are n, of which one person gets a quarter: their mints may all be slow,
// and their tokens as many as there are sets of scopes.
func turns(n int) *fair.Queue[delegation.Person] {
	n = max(n, 1)
	return fair.New[delegation.Person](fair.Limits{Slots: n, PerOwner: max(n/4, 1)})
}

// Share puts a level behind the engine that other machines use as well. To be
// called before the first token is asked for.
func (e *Engine) Share(s Shared) { e.shared = s }

// Close ends what the engine does by itself. Mints in flight end by their deadline.
func (e *Engine) Close() error {
	e.agenda.close()
	return nil
}

// lookup returns a token that may be used now.
func (e *Engine) lookup(k string, id *delegation.Identity, now time.Time) *entry {
	en, ok := e.entries.Get(id.Person, k, now)
	if !ok || !now.Before(en.usable()) || !en.is(id) {
		return nil
	}
	return en
}

// store keeps a token and arranges for its renewal, unless the identity was
// purged since the operation began.
func (e *Engine) store(k string, id *delegation.Identity, t *delegation.Token, op *Operation) error {
	at := e.options.Load().RenewAt - 0.1*rand.Float64() //nolint:gosec // it spreads, it protects nothing
	renew := t.Minted.Add(time.Duration(at * float64(t.Lifetime())))
	return op.Unless(func() {
		if keep := time.Until(usable(t)); keep > 0 {
			en := &entry{account: e.keys.account(id), who: id.Person, participant: id.Participant, scopes: id.Scopes, token: t, since: op.since}
			en.renew.Store(renew.UnixNano())
			e.entries.Set(id.Person, k, en, keep, id.IsService())
			e.agenda.add(renew, e.entries.Place(id.Person, k))
		}
	})
}

// Purge drops the tokens and failures of whoever is selected, here and on the
// machines that share them. A mint in flight is neither stored nor used. A
// purge of everybody closes the breaker. The error is [ErrIncomplete] if other
// machines do not know yet.
func (e *Engine) Purge(ctx context.Context, s delegation.Selection) error {
	// Here last: what is dropped could otherwise be read back from there.
	defer e.Drop(s)
	if e.shared == nil {
		return nil
	}
	return e.shared.Purge(ctx, s)
}

// Count is how many tokens a purge would drop here.
func (e *Engine) Count(s delegation.Selection) int {
	return e.entries.CountFunc(func(en *entry) bool { return s.Covers(en.who, en.participant) })
}

// Drop is Purge for this machine alone.
func (e *Engine) Drop(s delegation.Selection) {
	defer e.purges.Add(s)()
	covered := func(en *entry) bool { return s.Covers(en.who, en.participant) }
	failed := func(f failure) bool { return s.Covers(f.who, s.Participant) }
	if s.Realm != "" && s.Subject != "" {
		who := delegation.Person{Realm: s.Realm, Subject: s.Subject}
		e.entries.DeleteOf(who, covered)
		e.failures.store.DeleteOf(who, failed)
	} else {
		e.entries.DeleteFunc(covered)
		e.failures.store.DeleteFunc(failed)
	}
	if s == (delegation.Selection{}) {
		e.breaker.Reset()
	}
	e.mu.Lock()
	views := append([]*View(nil), e.views...)
	e.mu.Unlock()
	for _, v := range views {
		v.client.Forget(s)
	}
}
