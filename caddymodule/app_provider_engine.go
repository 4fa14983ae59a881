// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"sync"
	"time"

	"github.com/patrickmn/go-cache"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/fleet"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/unauthorized"
)

// engineClient is a provider as one of its token engines sees it, its own or a
// source's: it implements [tokens.Client] for one configuration. The engine
// outlives that, and has the client of the next one attached before this one is
// detached.
type engineClient struct {
	module      *guestModule
	consents    []*grants.Consents // all of the provider
	record      *providerRecord
	source      string // "": the provider's own
	hits        prometheus.Counter
	engine      *pooledEngine
	options     tokens.Options
	fingerprint string // of the provider's settings

	mint delegation.Mint // the module's; nil if it has no tokens
	view *tokens.View    // nil until attached
}

// attach makes this configuration a client of the engine, with the module's
// function for minting tokens.
func (c *engineClient) attach(mint delegation.Mint) delegation.Tokens {
	c.detach()
	c.mint = mint
	c.view = c.engine.tokens.Attach(c)
	c.view.Configure(c.options, c.fingerprint)
	return sourceTokens{c.view, c.source}
}

// sourceTokens is a token engine as a provider's module has it. It says whose
// source an identity is of, so that no mistake of the module's finds the token of
// one vendor for another.
type sourceTokens struct {
	view   *tokens.View
	source string
}

// Get implements [delegation.Tokens].
func (t sourceTokens) Get(ctx context.Context, id delegation.Identity) (*delegation.Token, bool, error) {
	id.Source = t.source
	return t.view.Get(ctx, id)
}

// Renew implements [delegation.Tokens].
func (t sourceTokens) Renew(ctx context.Context, id delegation.Identity, stale *delegation.Token) (*delegation.Token, error) {
	id.Source = t.source
	return t.view.Renew(ctx, id, stale)
}

// attachIfNone attaches a provider whose module asked for no tokens: purges
// reach the module through the engine.
func (c *engineClient) attachIfNone() {
	if c.view == nil {
		c.attach(nil)
	}
}

// detach ends what [engineClient.attach] began, if it did.
func (c *engineClient) detach() {
	if c.view != nil {
		c.view.Detach()
	}
}

// Mint implements [tokens.Client]. The engine recovers its panics.
func (c *engineClient) Mint(ctx context.Context, id delegation.Identity, refused *delegation.Token) (*delegation.Token, error) {
	return c.mint(ctx, id, refused)
}

// Forget implements [tokens.Client]. A purge reaches all engines of a provider, and
// grants and module by the first.
func (c *engineClient) Forget(s delegation.Selection) {
	if c.source == "" {
		for _, consents := range c.consents {
			consents.Forget(s)
		}
		c.module.Forget(s)
	}
}

// ObserveRequest implements [tokens.Client].
func (c *engineClient) ObserveRequest(result tokens.RequestResult) {
	if result == tokens.RequestHit {
		c.hits.Inc()
		return
	}
	tokensTotal.WithLabelValues(c.record.name, c.source, string(result)).Inc()
}

// BeginMint implements [tokens.Client].
func (c *engineClient) BeginMint(ctx context.Context, id *delegation.Identity, why tokens.MintReason) (context.Context, func(*delegation.Token, error)) {
	return c.record.beginMint(ctx, c.source, id, why)
}

// providerState is what a provider keeps over reloads. It holds nothing of any
// one configuration: no context, logger or metrics.
type providerState struct {
	*pooledEngine
	unauthorized *unauthorized.RenewalLimiter // by the fingerprint: changed settings may have mended the cause
}

// pooledEngine is a token engine in the pool, of one provider or one of its
// sources.
type pooledEngine struct {
	provider string // its name
	tokens   *tokens.Engine

	// tokenPacing paces delegate_token: an entry stands while no other token
	// may be handed to the same person.
	tokenPacing *cache.Cache

	member *fleet.SharedTokens // nil: this machine shares tokens with no other
}

// newPooledEngine makes an engine of the named provider, and joins it to the
// fleet if there is one. All engines of a provider are in one namespace there: one
// purge reaches them, and an identity names its source.
func newPooledEngine(name string, services appServices) *pooledEngine {
	e := &pooledEngine{provider: name, tokens: tokens.New(services.tokenOptions), tokenPacing: cache.New(cache.NoExpiration, 0)}
	if services.fleet != nil {
		e.member = services.fleet.Join(name, func(selection delegation.Selection, _ time.Time) { e.tokens.PurgeLocal(selection) })
		e.tokens.SetShared(e.member)
	}
	return e
}

// draining are the engines that no configuration uses any more and that a
// request of an earlier configuration may still use. Key and value are the
// *pooledEngine.
var draining sync.Map

// otherEngines returns the other engines of the provider of the same name: those
// of its sources, and those that a reload is about to replace, or has replaced. A
// purge has to reach their tokens too.
func (e *pooledEngine) otherEngines() []*pooledEngine {
	var others []*pooledEngine
	collect := func(_, value any) bool {
		if other, ok := value.(*pooledEngine); ok && other != e && other.provider == e.provider {
			others = append(others, other)
		}
		return true
	}
	pool.Range(collect)
	draining.Range(collect)
	return others
}

// Destruct closes the engine: it renews and shares no more. Purges reach it for
// as long as the last mint can take.
func (e *pooledEngine) Destruct() error {
	draining.Store(e, e)
	background.After(maxTokenTimeout, "letting go of tokens", func() { draining.Delete(e) })
	if e.member != nil {
		e.member.Leave()
	}
	return nil
}

// GoString keeps the usage pool from printing tokens when it panics.
func (*pooledEngine) GoString() string { return "delegate tokens" }

// Interface guards
var (
	_ tokens.Client     = (*engineClient)(nil)
	_ delegation.Tokens = sourceTokens{}
)
