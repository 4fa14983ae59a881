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
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/fleet"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

// provider is one configured provider and what this module keeps for it. It
// implements [delegation.Host], and [tokens.Client] for the engine.
type provider struct {
	guest  delegation.Provider // called in guest.go alone
	name   string
	traits delegation.Traits
	shared shared
	logger *zap.Logger
	naming naming // of people in the log
	hot    hot

	mint    delegation.Mint // the guest's
	view    *tokens.View
	options tokens.Options

	ledger      *grants.Opener
	keepsGrants bool
	waits       waits
	departures  *pace
	connects    []*Connect // by which journeys may end on another device
	refusals    *refusalStats
	callbacks   callbackSilence

	taken taken
}

// shared is what a provider keeps over reloads. It holds nothing of any one
// configuration: no context, logger or metrics.
type shared struct {
	*engine
	unauthorized *unauthorizedHistory // of the settings: changed ones may have mended it
}

// Destruct implements [caddy.Destructor].
func (*unauthorizedHistory) Destruct() error { return nil }

// engine are a provider's tokens of one issuer.
type engine struct {
	provider string
	tokens   *tokens.Engine
	// handouts paces delegate_token: one entry while no other token may be
	// handed to the same person.
	handouts *cache.Cache
	member   *fleet.Member // nil: this machine is alone
}

func newEngine(name string, c common) *engine {
	s := &engine{provider: name, tokens: tokens.New(c.options), handouts: cache.New(cache.NoExpiration, 0)}
	if c.fleet != nil {
		s.member = c.fleet.Join(name, func(selection delegation.Selection, _ time.Time) { s.tokens.Drop(selection) })
		s.tokens.Share(s.member)
	}
	return s
}

// retired are engines that no configuration uses any more, but perhaps a
// request that a reload has left to drain.
var retired sync.Map

// siblings are the other engines for a provider of the same name: those that a
// reload is about to replace, or has replaced.
func (s *engine) siblings() []*engine {
	var all []*engine
	collect := func(_, value any) bool {
		if other, ok := value.(*engine); ok && other != s && other.provider == s.provider {
			all = append(all, other)
		}
		return true
	}
	pool.Range(collect)
	retired.Range(collect)
	return all
}

// Destruct ends what the engine does by itself.
func (s *engine) Destruct() error {
	retired.Store(s, s)
	background.After(maxTokenTimeout, "letting go of tokens", func() { retired.Delete(s) }) // its mints have ended by then
	if s.member != nil {
		s.member.Leave()
	}
	return s.tokens.Close()
}

// GoString keeps the usage pool from printing what it holds when it panics.
func (*engine) GoString() string { return "delegate tokens" }

// state is what a provider keeps of its own.
type state struct{ io.Closer }

// Destruct runs when no configuration uses the state any more.
func (s state) Destruct() error { return background.Do("closing state", s.Close) }

// GoString keeps the usage pool from printing what it holds when it panics.
func (state) GoString() string { return "delegate state" }

// common is what all providers of a configuration have in common.
type common struct {
	options tokens.Options
	fleet   *fleet.Fleet // nil: this machine is alone
	cache   string       // tells one fleet from another
	ledger  *grants.Opener
	naming  naming
}

func openProvider(name string, guest delegation.Provider, c common, logger *zap.Logger) (*provider, error) {
	p := &provider{guest: guest, name: name, logger: logger, naming: c.naming, ledger: c.ledger, departures: newPace(), hot: newHot(name), refusals: newRefusalStats(logger), callbacks: callbackSilence{logger: logger}}
	if err := p.describe(); err != nil {
		return nil, err
	}
	if p.traits.Fingerprint == "" {
		return nil, fmt.Errorf("module %s tells no fingerprint of its settings", p.module())
	}
	if claim := p.traits.Claim; claim != "" {
		if err := trustworthy(claim); err != nil {
			return nil, err
		}
	}
	issuer := p.traits.Issuer
	if issuer == "" {
		issuer = p.traits.Fingerprint
	}
	p.shared = shared{
		engine:       p.take("tokens", fmt.Sprintf("%q %s", issuer, c.cache), func() caddy.Destructor { return newEngine(name, c) }).(*engine),
		unauthorized: p.take("unauthorized", p.traits.Fingerprint, func() caddy.Destructor { return newUnauthorizedHistory() }).(*unauthorizedHistory),
	}
	p.options = c.options
	if err := p.open(); err != nil {
		return nil, errors.Join(err, p.close())
	}
	if p.view == nil { // a guest without tokens hears of purges all the same
		p.Tokens(nil)
	}
	return p, nil
}

// take finds or makes what the pool holds for this provider.
func (p *provider) take(what, key string, build func() caddy.Destructor) any {
	return p.taken.take(strings.Join([]string{p.name, p.module(), what, key}, "\x00"), build)
}

// close gives back what was taken.
func (p *provider) close() error {
	p.callbacks.close()
	if p.view != nil {
		p.view.Detach()
	}
	return p.taken.release()
}

// Name implements [delegation.Host].
func (p *provider) Name() string { return p.name }

// Tokens implements [delegation.Host].
func (p *provider) Tokens(mint delegation.Mint) delegation.Tokens {
	p.mint = mint
	p.view = p.shared.tokens.Attach(p)
	p.view.Configure(p.options, p.traits.Fingerprint)
	return p.view
}

// Grants implements [grants.Host].
func (p *provider) Grants() *grants.Opener {
	p.keepsGrants = true
	return p.ledger
}

// Common implements [delegation.Host].
func (p *provider) Common(key string, build func() io.Closer) io.Closer {
	key = strings.Join([]string{"", p.module(), "common", key}, "\x00")
	return p.taken.take(key, func() caddy.Destructor { return state{build()} }).(state).Closer
}

// Logger implements [delegation.Host].
func (p *provider) Logger() *zap.Logger { return p.logger }

// State implements [delegation.Host].
func (p *provider) State(key string, build func() io.Closer) io.Closer {
	return p.take("state", key, func() caddy.Destructor { return state{build()} }).(state).Closer
}
