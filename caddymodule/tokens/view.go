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

// Client is what one configuration lends to the engine while it is loaded: the
// way to the issuer, its metrics and its log.
type Client interface {
	// Mint obtains a token from the issuer, see [delegation.Mint].
	Mint(ctx context.Context, id delegation.Identity, refused *delegation.Token) (*delegation.Token, error)

	// Forget deletes what else is remembered of the selection. It is called for
	// every purge, also one of another machine.
	Forget(s delegation.Selection)

	// ObserveRequest is called once for every request for a token, with its
	// result.
	ObserveRequest(result RequestResult)

	// BeginMint is called before a mint. It returns the mint's context and a
	// function to be called with the outcome.
	BeginMint(ctx context.Context, id *delegation.Identity, reason MintReason) (context.Context, func(*delegation.Token, error))
}

// RequestResult is how a request for a token was answered, a label of the
// metrics.
type RequestResult string

// The results of a request for a token.
const (
	RequestHit        RequestResult = "hit"        // the token was in memory
	RequestWaited     RequestResult = "wait"       // the request waited for a mint, or for the shared level
	RequestRemembered RequestResult = "remembered" // a remembered refusal; the issuer was not asked
	RequestFailed     RequestResult = "failed"     // the mint failed
)

// MintReason is why a token is minted, a label of the metrics.
type MintReason string

// The reasons for a mint.
const (
	MintFirst MintReason = "first" // there is no token
	MintAhead MintReason = "ahead" // the token in use is to expire; nobody waits
	MintStale MintReason = "stale" // the upstream does not accept the token, or too little of its life is left
)

// View is an engine as one configuration uses it. It implements
// [delegation.Tokens].
type View struct {
	engine *Engine
	client Client

	options  *Options // nil: the engine's stay as they are
	settings string   // fingerprint of the configuration

	last     atomic.Pointer[account] // of the latest request
	accounts sync.Map                // of all requests: account → nil
}

// Attach lends a configuration's client to the engine, until [View.Detach].
func (e *Engine) Attach(c Client) *View {
	v := &View{engine: e, client: c}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.views = append(e.views, v)
	return v
}

// Configure makes the options the engine's, until a later view's are or this
// one is detached. settings is the configuration's fingerprint: when it
// changes, remembered failures are forgotten and the breaker is closed.
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

// Detach takes the client back. The options of the view before count again: a
// reload may have failed.
func (v *View) Detach() {
	e := v.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	e.views = slices.DeleteFunc(e.views, func(other *View) bool { return other == v })
	if n := len(e.views); n > 0 {
		e.applyOptions(e.views[n-1])
	}
}

// applyOptions makes a view's options the engine's. The caller holds mu.
func (e *Engine) applyOptions(v *View) {
	if v.options == nil {
		return
	}
	if old, now := e.options.Load(), v.options; *old != *now {
		e.options.Store(now)
		e.entries.Limit(now.MaxEntries)
		e.failures.store.Limit(now.maxFailures())
		e.flights.Limit(now.limits())
		if old.Concurrency != now.Concurrency {
			e.mintSlots.Store(newMintSlots(now.Concurrency))
		}
	}
	if e.settings != v.settings {
		e.settings = v.settings
		e.forgetFailures()
	}
}

// forgetFailures has everything that failed tried again: a key, a certificate
// authority or a proxy may have been corrected.
func (e *Engine) forgetFailures() {
	e.failures.store.DeleteFunc(func(failure) bool { return true })
	e.breaker.Reset()
}

// viewOf returns the latest view that has asked for tokens of an account, or
// nil: a renewal goes through a configuration that still wants the token.
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

// noteAccount records that the view asks for tokens of an account.
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
