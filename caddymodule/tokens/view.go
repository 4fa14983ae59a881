// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Client is what a configuration lends to the engine while it is in use.
type Client interface {
	// Mint is the provider's.
	Mint(ctx context.Context, id delegation.Identity) (*delegation.Token, error)

	// Forget follows a purge, wherever it was asked for.
	Forget(s delegation.Selection)

	// ObserveRequest is called for every request for a token, with how it was answered.
	ObserveRequest(how RequestResult)

	// BeginMint is called before a mint and returns the context for it, and what
	// to call with its outcome.
	BeginMint(ctx context.Context, id *delegation.Identity, why MintReason) (context.Context, func(*delegation.Token, error))
}

// RequestResult is how a request for a token was answered.
type RequestResult string

// The ways.
const (
	RequestHit        RequestResult = "hit"        // it was in memory
	RequestWaited     RequestResult = "wait"       // it was minted, or read from the shared level, while the request waited
	RequestRemembered RequestResult = "remembered" // refused by what was learnt before, the issuer was not asked
	RequestFailed     RequestResult = "failed"     // the mint failed
)

// MintReason is why a token is minted.
type MintReason string

// The reasons.
const (
	MintFirst MintReason = "first" // there was none
	MintAhead MintReason = "ahead" // the one in use is about to expire; nobody waits
	MintStale MintReason = "stale" // the upstream does not accept the one there is, or too little of its life is left
)

// View is an engine as one configuration uses it. It implements
// [delegation.Tokens].
type View struct {
	engine *Engine
	client Client

	options  *Options // nil: it leaves the engine's as they are
	settings string

	last     atomic.Pointer[account] // asked for
	accounts sync.Map                // all that were
}

// Attach lends a configuration's client to the engine.
func (e *Engine) Attach(c Client) *View {
	v := &View{engine: e, client: c}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.views = append(e.views, v)
	return v
}

// Configure has the engine work by the options of the view's configuration,
// until another one comes or the view is detached. settings are its
// fingerprint: where they are other ones, what has failed is tried anew.
func (v *View) Configure(o Options, settings string) {
	o.setDefaults()
	e := v.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, other := range e.views {
		if other != v && other.settings == settings { // the same configuration, loaded again
			other.accounts.Range(func(a, _ any) bool { v.accounts.Store(a, nil); return true })
		}
	}
	v.options, v.settings = &o, settings
	e.applyOptions(v)
}

// Detach ends what Attach began.
func (v *View) Detach() {
	e := v.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	e.views = slices.DeleteFunc(e.views, func(other *View) bool { return other == v })
	if n := len(e.views); n > 0 {
		e.applyOptions(e.views[n-1]) // a reload has failed, perhaps
	}
}

// applyOptions makes a view's options the engine's. Its caller holds mu.
func (e *Engine) applyOptions(v *View) {
	if v.options == nil {
		return
	}
	if old, now := e.options.Load(), v.options; *old != *now {
		e.options.Store(now)
		e.entries.Limit(now.MaxEntries)
		e.failures.store.Limit(now.maxFailures())
		e.flights.Limit(now.limits())
		e.schedule.setLimit(now.maxScheduled())
		if old.Concurrency != now.Concurrency {
			e.mintSlots.Store(newMintSlots(now.Concurrency))
		}
	}
	if e.settings != v.settings {
		e.settings = v.settings
		e.forgetFailures()
	}
}

// forgetFailures forgets what has failed: a key, an authority or a proxy may have been
// mended.
func (e *Engine) forgetFailures() {
	e.failures.store.DeleteFunc(func(failure) bool { return true })
	e.breaker.Reset()
}

// viewOf returns the latest view that asks for tokens of an account, or nil.
func (e *Engine) viewOf(a *account) *View {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, v := range slices.Backward(e.views) {
		if _, ok := v.accounts.Load(*a); ok {
			return v
		}
	}
	return nil
}

// noteAccount notes that tokens of an account are asked for.
func (v *View) noteAccount(a *account) {
	if last := v.last.Load(); last == a || last != nil && *last == *a {
		return
	}
	v.accounts.Store(*a, nil)
	v.last.Store(a)
}

// Get implements [delegation.Tokens].
func (v *View) Get(ctx context.Context, id delegation.Identity) (*delegation.Token, bool, error) {
	k, now := v.engine.keys.identityKey(&id), time.Now()
	v.noteAccount(v.engine.keys.account(&id))
	if en := v.engine.lookup(k, &id, now); en != nil {
		if at := en.renewAt.Load(); now.UnixNano() >= at {
			v.engine.renewAhead(en, at)
		}
		v.client.ObserveRequest(RequestHit)
		return en.token, true, nil
	}
	t, err := v.obtain(ctx, &request{key: k, id: id, reason: MintFirst})
	return t, false, err
}

// Renew implements [delegation.Tokens].
func (v *View) Renew(ctx context.Context, id delegation.Identity, stale *delegation.Token) (*delegation.Token, error) {
	k := v.engine.keys.identityKey(&id)
	v.noteAccount(v.engine.keys.account(&id))
	if en := v.engine.lookup(k, &id, time.Now()); en != nil && !en.token.Same(stale) {
		v.client.ObserveRequest(RequestHit)
		return en.token, nil
	}
	return v.obtain(ctx, &request{key: k, id: id, reason: MintStale, rejected: stale})
}
