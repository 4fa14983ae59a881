// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"io"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/patrickmn/go-cache"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

// provider is one configured provider and what this module keeps for it. It
// implements [delegation.Host].
type provider struct {
	delegation.Provider
	name    string
	traits  delegation.Traits
	shared  *shared
	poolKey string
	logger  *zap.Logger
}

// engines holds what has to outlive a reload: tokens, lookups, quotas. Keyed
// by provider and the fingerprint of its settings, so that changed settings
// make the old entries unreachable and leave other providers' warm.
var engines = caddy.NewUsagePool()

// shared is a provider's state across reloads. It holds nothing of any one
// configuration: no context, logger or metrics.
type shared struct {
	tokens *tokens.Engine
	// handouts paces delegate_token: one entry while no other token may be
	// handed to the same person.
	handouts *cache.Cache

	mu    sync.Mutex
	state io.Closer
}

// Destruct runs when no configuration uses the state any more.
func (s *shared) Destruct() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == nil {
		return nil
	}
	return s.state.Close()
}

// GoString keeps the usage pool from printing what it holds when it panics.
func (*shared) GoString() string { return "delegate.shared" }

func openProvider(name string, guest delegation.Provider, logger *zap.Logger) (*provider, error) {
	p := &provider{Provider: guest, name: name, traits: guest.Traits(), logger: logger}
	if p.traits.Fingerprint == "" {
		return nil, fmt.Errorf("module %T tells no fingerprint of its settings", guest)
	}
	if claim := p.traits.Claim; claim != "" {
		if err := trustworthy(claim); err != nil {
			return nil, err
		}
	}
	poolKey := name + "\x00" + p.traits.Fingerprint
	pooled, _, err := engines.LoadOrNew(poolKey, func() (caddy.Destructor, error) {
		return &shared{tokens: tokens.New(0), handouts: cache.New(cache.NoExpiration, 0)}, nil
	})
	if err != nil {
		return nil, err
	}
	p.shared, p.poolKey = pooled.(*shared), poolKey
	if err := guest.Open(p); err != nil {
		_ = p.close()
		return nil, err
	}
	return p, nil
}

// close gives back the one reference that was taken.
func (p *provider) close() error {
	_, err := engines.Delete(p.poolKey)
	return err
}

// Name implements [delegation.Host].
func (p *provider) Name() string { return p.name }

// Tokens implements [delegation.Host].
func (p *provider) Tokens() delegation.Tokens { return p.shared.tokens }

// Logger implements [delegation.Host].
func (p *provider) Logger() *zap.Logger { return p.logger }

// State implements [delegation.Host].
func (p *provider) State(build func() io.Closer) io.Closer {
	p.shared.mu.Lock()
	defer p.shared.mu.Unlock()
	if p.shared.state == nil {
		p.shared.state = build()
	}
	return p.shared.state
}
