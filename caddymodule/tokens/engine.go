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

func (o *Options) setDefaults() {
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

// maxScheduled are more than there are tokens: those of evicted and purged
// ones stay until they are due.
func (o *Options) maxScheduled() int { return 2*o.MaxEntries + 1000 }

// Engine is one provider's tokens at one issuer. It outlives configurations
// and holds nothing of any one of them but what is attached, see
// [Engine.Attach]. Settings of which a token depends are in its identity: those
// of a configuration that has changed them are not found by others.
type Engine struct {
	options  atomic.Pointer[Options] // of the view that came last
	shared   Shared                  // nil: this process is alone
	entries  *memory.Cache[delegation.Person, *entry]
	failures failures
	flights  *flight.Group[delegation.Person, mintResult]
	breaker  *blame.Breaker
	purges   *Purges
	schedule *renewalSchedule
	keys     keys

	mintSlots atomic.Pointer[mintSlots]

	mu       sync.Mutex
	views    []*View
	settings string // the fingerprint of the view that came last
}

// mintSlots bound what is at the issuer at once. When the bound changes there are
// others; what has a place already gives that one back.
type mintSlots struct {
	all      *fair.Queue[delegation.Person] // mints at the issuer
	renewals *fair.Queue[delegation.Person] // the part of them that nobody waits for
}

func newMintSlots(n int) *mintSlots {
	return &mintSlots{all: newSlotQueue(n), renewals: newSlotQueue(n / 2)}
}

// entry is a token that is kept. The tuple is kept with it and compared on
// every hit; what a million of them have in common, only once.
type entry struct {
	account     *account
	person      delegation.Person
	participant string
	scopes      []string
	token       *delegation.Token
	generation  uint64       // purges after that one concern it
	renewAt     atomic.Int64 // when it may be renewed, in Unix nanoseconds
}

// usableUntil is until when a token is used.
func usableUntil(t *delegation.Token) time.Time { return t.Expires.Add(-min(maxSkew, t.Lifetime()/10)) }

func (en *entry) usableUntil() time.Time { return usableUntil(en.token) }

// matches tells whether the entry is of an identity.
func (en *entry) matches(id *delegation.Identity) bool {
	return *en.account == accountOf(id) && en.person == id.Person && en.participant == id.Participant && slices.Equal(en.scopes, id.Scopes)
}

func (en *entry) identity() delegation.Identity {
	a := en.account
	return delegation.Identity{
		Provider: a.provider, Issuer: a.issuer, Client: a.client, Key: a.key, Audience: a.audience, Config: a.config,
		Person: en.person, Participant: en.participant, Scopes: en.scopes,
	}
}

// New returns an engine without tokens.
func New(o Options) *Engine {
	o.setDefaults()
	e := &Engine{
		entries:  memory.New[delegation.Person, *entry](o.MaxEntries),
		failures: failures{memory.New[delegation.Person, failure](o.maxFailures())},
		flights:  flight.New[delegation.Person, mintResult](o.limits()),
		breaker:  blame.NewBreaker(),
		purges:   NewPurges(),
	}
	e.options.Store(&o)
	e.mintSlots.Store(newMintSlots(o.Concurrency))
	e.schedule = newRenewalSchedule(o.maxScheduled(), e.onDue)
	return e
}

// newSlotQueue are n, of which one person gets a quarter: their mints may all be slow,
// and their tokens as many as there are sets of scopes.
func newSlotQueue(n int) *fair.Queue[delegation.Person] {
	n = max(n, 1)
	return fair.New[delegation.Person](fair.Limits{Slots: n, PerOwner: max(n/4, 1)})
}

// SetShared puts a level behind the engine that other machines use as well. To be
// called before the first token is asked for.
func (e *Engine) SetShared(s Shared) { e.shared = s }

// Close ends what the engine does by itself. Mints in flight end by their deadline.
func (e *Engine) Close() error {
	e.schedule.close()
	return nil
}

// lookup returns a token that may be used now.
func (e *Engine) lookup(k string, id *delegation.Identity, now time.Time) *entry {
	en, ok := e.entries.Get(id.Person, k, now)
	if !ok || !now.Before(en.usableUntil()) || !en.matches(id) {
		return nil
	}
	return en
}

// store keeps a token and arranges for its renewal, unless the identity was
// purged since the operation began.
func (e *Engine) store(k string, id *delegation.Identity, t *delegation.Token, op *Operation) error {
	at := e.options.Load().RenewAt - 0.1*rand.Float64() //nolint:gosec // it spreads, it protects nothing
	renew := t.Minted.Add(time.Duration(at * float64(t.Lifetime())))
	return op.UnlessPurged(func() {
		if keep := time.Until(usableUntil(t)); keep > 0 {
			en := &entry{account: e.keys.account(id), person: id.Person, participant: id.Participant, scopes: id.Scopes, token: t, generation: op.generation}
			en.renewAt.Store(renew.UnixNano())
			e.entries.Set(id.Person, k, en, keep, id.IsService())
			e.schedule.add(renew, e.entries.Ref(id.Person, k))
		}
	})
}

// Purge drops the tokens and failures of whoever is selected, here and on the
// machines that share them. A mint in flight is neither stored nor used. A
// purge of everybody closes the breaker. The error is [ErrIncomplete] if other
// machines do not know yet.
func (e *Engine) Purge(ctx context.Context, s delegation.Selection) error {
	// Here last: what is dropped could otherwise be read back from there.
	defer e.PurgeLocal(s)
	if e.shared == nil {
		return nil
	}
	return e.shared.Purge(ctx, s)
}

// Count is how many tokens a purge would drop here.
func (e *Engine) Count(s delegation.Selection) int {
	return e.entries.CountFunc(func(en *entry) bool { return s.Covers(en.person, en.participant) })
}

// PurgeLocal is Purge for this machine alone.
func (e *Engine) PurgeLocal(s delegation.Selection) {
	defer e.purges.Add(s)()
	covered := func(en *entry) bool { return s.Covers(en.person, en.participant) }
	failed := func(f failure) bool { return s.Covers(f.person, s.Participant) }
	if s.Realm != "" && s.Subject != "" {
		who := delegation.Person{Realm: s.Realm, Subject: s.Subject}
		e.entries.DeleteOwned(who, covered)
		e.failures.store.DeleteOwned(who, failed)
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
