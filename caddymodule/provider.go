// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/patrickmn/go-cache"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/fleet"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/unauthorized"
)

// provider is one configured provider and what this module keeps for it. It
// implements [delegation.Host], and [tokens.Client] for the engine.
type provider struct {
	guest         delegation.Provider // called in guest.go alone
	name          string
	traits        delegation.Traits
	state         providerState
	logger        *zap.Logger
	subjectFields subjectFields // of people in the log
	counters      hotCounters

	mint    delegation.Mint // the guest's
	view    *tokens.View
	options tokens.Options

	grantStore      *grants.LazyStore
	usesGrants      bool
	waitLimiter     consent.WaitLimiter
	connectLimiter  *personLimiter
	connectHandlers []*Connect // by which journeys may end on another device
	refusals        *refusalStats
	callbacks       callbackMonitor

	refs poolRefs
}

// providerState is what a provider keeps over reloads. It holds nothing of any one
// configuration: no context, logger or metrics.
type providerState struct {
	*pooledEngine
	unauthorized *unauthorized.History // of the settings: changed ones may have mended it
}

// pooledEngine are a provider's tokens of one issuer.
type pooledEngine struct {
	provider string
	tokens   *tokens.Engine
	// tokenPacing paces delegate_token: one entry while no other token may be
	// handed to the same person.
	tokenPacing *cache.Cache
	member      *fleet.Member // nil: this machine is alone
}

func newPooledEngine(name string, c appServices) *pooledEngine {
	s := &pooledEngine{provider: name, tokens: tokens.New(c.tokenOptions), tokenPacing: cache.New(cache.NoExpiration, 0)}
	if c.fleet != nil {
		s.member = c.fleet.Join(name, func(selection delegation.Selection, _ time.Time) { s.tokens.PurgeLocal(selection) })
		s.tokens.SetShared(s.member)
	}
	return s
}

// draining are engines that no configuration uses any more, but perhaps a
// request that a reload has left to drain.
var draining sync.Map

// otherVersions are the other engines for a provider of the same name: those that a
// reload is about to replace, or has replaced.
func (s *pooledEngine) otherVersions() []*pooledEngine {
	var all []*pooledEngine
	collect := func(_, value any) bool {
		if other, ok := value.(*pooledEngine); ok && other != s && other.provider == s.provider {
			all = append(all, other)
		}
		return true
	}
	pool.Range(collect)
	draining.Range(collect)
	return all
}

// Destruct ends what the engine does by itself.
func (s *pooledEngine) Destruct() error {
	draining.Store(s, s)
	background.After(maxTokenTimeout, "letting go of tokens", func() { draining.Delete(s) }) // its mints have ended by then
	if s.member != nil {
		s.member.Leave()
	}
	return s.tokens.Close()
}

// GoString keeps the usage pool from printing what it holds when it panics.
func (*pooledEngine) GoString() string { return "delegate tokens" }

// guestState is what a provider keeps of its own.
type guestState struct{ io.Closer }

// Destruct runs when no configuration uses the state any more.
func (s guestState) Destruct() error { return background.Do("closing state", s.Close) }

// GoString keeps the usage pool from printing what it holds when it panics.
func (guestState) GoString() string { return "delegate state" }

// appServices is what all providers of a configuration have in common.
type appServices struct {
	tokenOptions  tokens.Options
	fleet         *fleet.Fleet // nil: this machine is alone
	cacheKey      string       // tells one fleet from another
	grantStore    *grants.LazyStore
	subjectFields subjectFields
}

func openProvider(name string, guest delegation.Provider, c appServices, logger *zap.Logger) (*provider, error) {
	p := &provider{guest: guest, name: name, logger: logger, subjectFields: c.subjectFields, grantStore: c.grantStore, connectLimiter: newPersonLimiter(), counters: newHotCounters(name), refusals: newRefusalStats(logger), callbacks: callbackMonitor{logger: logger}}
	if err := p.readTraits(); err != nil {
		return nil, err
	}
	if p.traits.Fingerprint == "" {
		return nil, fmt.Errorf("module %s tells no fingerprint of its settings", p.guestType())
	}
	if claim := p.traits.Claim; claim != "" {
		if err := checkPlaceholder(claim); err != nil {
			return nil, err
		}
	}
	issuer := p.traits.Issuer
	if issuer == "" {
		issuer = p.traits.Fingerprint
	}
	p.state = providerState{
		pooledEngine: p.loadOrNew("tokens", fmt.Sprintf("%q %s", issuer, c.cacheKey), func() caddy.Destructor { return newPooledEngine(name, c) }).(*pooledEngine),
		unauthorized: p.loadOrNew("unauthorized", p.traits.Fingerprint, func() caddy.Destructor { return unauthorized.New() }).(*unauthorized.History),
	}
	p.options = c.tokenOptions
	if err := p.openGuest(); err != nil {
		return nil, errors.Join(err, p.close())
	}
	if p.view == nil { // a guest without tokens hears of purges all the same
		p.Tokens(nil)
	}
	return p, nil
}

// loadOrNew finds or makes what the pool holds for this provider.
func (p *provider) loadOrNew(what, key string, build func() caddy.Destructor) any {
	return p.refs.loadOrNew(strings.Join([]string{p.name, p.guestType(), what, key}, "\x00"), build)
}

// close gives back what was taken.
func (p *provider) close() error {
	p.callbacks.close()
	if p.view != nil {
		p.view.Detach()
	}
	return p.refs.release()
}

// Name implements [delegation.Host].
func (p *provider) Name() string { return p.name }

// Tokens implements [delegation.Host].
func (p *provider) Tokens(mint delegation.Mint) delegation.Tokens {
	p.mint = mint
	p.view = p.state.tokens.Attach(p)
	p.view.Configure(p.options, p.traits.Fingerprint)
	return p.view
}

// Grants implements [grants.Host].
func (p *provider) Grants() *grants.LazyStore {
	p.usesGrants = true
	return p.grantStore
}

// RetainShared implements [delegation.Host].
func (p *provider) RetainShared(key string, build func() io.Closer) io.Closer {
	key = strings.Join([]string{"", p.guestType(), "common", key}, "\x00")
	return p.refs.loadOrNew(key, func() caddy.Destructor { return guestState{build()} }).(guestState).Closer
}

// Logger implements [delegation.Host].
func (p *provider) Logger() *zap.Logger { return p.logger }

// Retain implements [delegation.Host].
func (p *provider) Retain(key string, build func() io.Closer) io.Closer {
	return p.loadOrNew("state", key, func() caddy.Destructor { return guestState{build()} }).(guestState).Closer
}
