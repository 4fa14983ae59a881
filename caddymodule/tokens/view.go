// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"slices"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Client is what a configuration lends to the engine while it is in use.
type Client interface {
	// Mint is the provider's.
	Mint(ctx context.Context, id delegation.Identity) (*delegation.Token, error)

	// Forget follows a purge, wherever it was asked for.
	Forget(s delegation.Selection)

	// Found is called for every request for a token, with how it was answered.
	Found(how Found)

	// Minting is called before a mint and returns the context for it, and what
	// to call with its outcome.
	Minting(ctx context.Context, id *delegation.Identity, why Reason) (context.Context, func(*delegation.Token, error))
}

// Found is how a request for a token was answered.
type Found string

// The ways.
const (
	Hit        Found = "hit"        // it was in memory
	Waited     Found = "wait"       // it was minted, or read from the shared level, while the request waited
	Remembered Found = "remembered" // refused by what was learnt before, the issuer was not asked
	Failed     Found = "failed"     // the mint failed
)

// Reason is why a token is minted.
type Reason string

// The reasons.
const (
	First Reason = "first" // there was none
	Ahead Reason = "ahead" // the one in use is about to expire; nobody waits
	Stale Reason = "stale" // the upstream does not accept the one there is, or too little of its life is left
)

// View is an engine as one configuration uses it. It implements
// [delegation.Tokens].
type View struct {
	engine *Engine
	client Client
}

// Attach lends a configuration's client to the engine. Renewals in the
// background use the latest one's.
func (e *Engine) Attach(c Client) *View {
	v := &View{e, c}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.views = append(e.views, v)
	e.active.Store(v)
	return v
}

// Detach ends what Attach began.
func (v *View) Detach() {
	e := v.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	e.views = slices.DeleteFunc(e.views, func(other *View) bool { return other == v })
	if n := len(e.views); n > 0 {
		e.active.Store(e.views[n-1])
	} else {
		e.active.Store(nil)
	}
}

// Get implements [delegation.Tokens].
func (v *View) Get(ctx context.Context, id delegation.Identity) (*delegation.Token, bool, error) {
	k, now := v.engine.keys.of(&id), time.Now()
	if en := v.engine.lookup(k, &id, now); en != nil {
		if at := en.renew.Load(); now.UnixNano() >= at {
			v.engine.renewAhead(en, at)
		}
		v.client.Found(Hit)
		return en.token, true, nil
	}
	t, err := v.obtain(ctx, &order{key: k, id: id, why: First})
	return t, false, err
}

// Renew implements [delegation.Tokens].
func (v *View) Renew(ctx context.Context, id delegation.Identity, stale *delegation.Token) (*delegation.Token, error) {
	k := v.engine.keys.of(&id)
	if en := v.engine.lookup(k, &id, time.Now()); en != nil && !en.token.Same(stale) {
		v.client.Found(Hit)
		return en.token, nil
	}
	return v.obtain(ctx, &order{key: k, id: id, why: Stale, not: stale})
}
