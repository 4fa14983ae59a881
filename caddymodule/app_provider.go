// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/fleet"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/ratelimit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/unauthorized"
)

// provider is one configured platform account as the handlers use it. Each of
// its sides has an owner of its own:
//
//   - [guestModule]: the provider's module, which is called by it alone
//   - [providerHost]: this module, as the provider's module sees it
//   - [engineClient]: the provider, as its token engine sees it
//   - [providerRecord]: logs, metrics and status, for operators
//
// It belongs to one configuration; what outlives that is in the pool.
type provider struct {
	guestModule
	*providerRecord

	name   string
	traits delegation.Traits
	state  providerState
	client *engineClient
	host   *providerHost

	consents        *grants.Consents
	waitLimiter     consent.WaitLimiter
	connectLimiter  *ratelimit.PerPerson // of flows that begin
	redeemLimiter   *redeemLimiter       // of what signed-in people hand over
	ticketLimiter   *ticketLimiter       // of what native apps hand over
	connectHandlers []*Connect           // those with cross_device, for the admin API

	refs poolRefs
}

// appServices are what all providers of a configuration share.
type appServices struct {
	tokenOptions  tokens.Options
	fleet         *fleet.Fleet // nil: this machine shares tokens with no other
	cacheKey      string       // names the fleet's settings; empty without one
	grantStore    *grants.LazyStore
	subjectFields subjectFields
}

// openProvider makes a provider of a module that is provisioned. It touches
// neither network nor database. Its errors are the module's, or say what is
// wrong with its traits; nothing is left in the pool then.
func openProvider(name string, guest delegation.Provider, services appServices, logger *zap.Logger) (*provider, error) {
	p := &provider{
		name:           name,
		guestModule:    newGuestModule(name, guest),
		providerRecord: newProviderRecord(name, services.subjectFields, logger),
		connectLimiter: ratelimit.New(),
		redeemLimiter:  newRedeemLimiter(),
		ticketLimiter:  newTicketLimiter(),
	}
	var err error
	if p.traits, err = p.readTraits(); err != nil {
		return nil, err
	}
	if p.traits.Fingerprint == "" {
		return nil, fmt.Errorf("the Traits of module %s have no Fingerprint", p.guestType())
	}
	if claim := p.traits.Claim; claim != "" {
		if err := checkPlaceholder(claim); err != nil {
			return nil, err
		}
	}
	p.loadState(services)
	p.client = &engineClient{
		module: &p.guestModule, consents: p.consents, record: p.providerRecord, engine: p.state.pooledEngine,
		options: services.tokenOptions, fingerprint: p.traits.Fingerprint,
	}
	p.host = &providerHost{
		name: name, guestType: p.guestType(), record: p.providerRecord, client: p.client, refs: &p.refs,
		grantStore: services.grantStore, consents: p.consents, usesGrants: p.needsConsent(),
	}
	if err := p.openGuest(p.host); err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.client.attachIfNone()
	return p, nil
}

// loadState takes from the pool what the provider keeps over reloads.
func (p *provider) loadState(services appServices) {
	issuer := p.traits.Issuer
	if issuer == "" {
		issuer = p.traits.Fingerprint
	}
	key := func(kind, settings string) string { return stateKey(p.name, p.guestType(), kind, settings) }
	p.state.pooledEngine = p.refs.loadOrNew(key("tokens", fmt.Sprintf("%q %s", issuer, services.cacheKey)), func() caddy.Destructor {
		return newPooledEngine(p.name, services)
	}).(*pooledEngine)
	p.state.unauthorized = p.refs.loadOrNew(key("unauthorized", p.traits.Fingerprint), func() caddy.Destructor {
		return unauthorized.New()
	}).(*unauthorized.History)
	// Of this account and database alone: a configuration with others, even one
	// that does not load, must neither find these grants nor drop them.
	account := fmt.Sprintf("%q %q %p", issuer, p.traits.BaseURL, services.grantStore)
	o := grants.ConsentsOptions{
		Provider: p.name, Store: services.grantStore, Note: p.RecordConsentEvent,
		Cache: p.refs.loadOrNew(key("grants", account), func() caddy.Destructor { return guestState{grants.NewCache()} }).(guestState).Closer.(*grants.Cache),
	}
	p.setHooks(&o)
	p.consents = grants.NewConsents(o)
}

// stateKey is the key in the pool of a kind of state, by the provider's name,
// the Go type of its module and the settings that the state depends on.
func stateKey(name, guestType, kind, settings string) string {
	return strings.Join([]string{name, guestType, kind, settings}, "\x00")
}

// close releases what the provider holds in the pool. Calling it again does
// nothing.
func (p *provider) close() error {
	p.callbacks.close()
	p.client.detach()
	return p.refs.release()
}
