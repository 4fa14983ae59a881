// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
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
//   - [engineClient]: the provider, as its token engines see it
//   - [providerRecord]: logs, metrics and status, for operators
//
// It belongs to one configuration; what outlives that is in the pool.
type provider struct {
	guestModule
	*providerRecord

	name    string
	traits  delegation.Traits
	state   providerState
	client  *engineClient            // of its own engine
	clients map[string]*engineClient // of all its engines by source; its own is ""
	host    *providerHost

	consents        *grants.Consents   // of a provider without sources
	sources         []*providerSource  // of a [delegation.SourceProvider], in its order
	allConsents     []*grants.Consents // its own, and those of its sources
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
		clients:        make(map[string]*engineClient),
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
	if ends := p.traits.Ends; ends != "" {
		if err := checkPlaceholder(ends); err != nil {
			return nil, fmt.Errorf("ends: %w", err)
		}
	}
	if err := p.loadState(services); err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.host = &providerHost{
		name: name, guestType: p.guestType(), record: p.providerRecord, refs: &p.refs,
		client:     func(source string) *engineClient { return p.clientOf(source, services) },
		grantStore: services.grantStore, consents: p.consents, source: p.sourceNamed,
		usesGrants: p.needsConsent() || p.hasSources(),
	}
	if err := errors.Join(p.openGuest(p.host), p.host.fault); err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.client.attachIfNone()
	return p, nil
}

// loadState takes from the pool what the provider keeps over reloads. The error is
// of its sources.
func (p *provider) loadState(services appServices) error {
	p.consents = p.newConsents(delegation.Source{}, &p.guestConsent, services)
	p.allConsents = append(p.allConsents, p.consents)
	if err := p.loadSources(services); err != nil {
		return err
	}
	// The provider's own engine first: it is the first in the fleet as well, so
	// that a purge reaches the module before the engines of sources.
	p.client = p.clientOf("", services)
	p.state.pooledEngine = p.client.engine
	p.state.unauthorized = p.refs.loadOrNew(p.stateKey("unauthorized", p.traits.Fingerprint), func() caddy.Destructor {
		return unauthorized.New()
	}).(*unauthorized.RenewalLimiter)
	return nil
}

// issuerOf is what the engine and the grants of a source belong to over reloads, or
// those of the provider itself for the empty name.
func (p *provider) issuerOf(source string) string {
	if s := p.sourceNamed(source); s != nil && s.Issuer != "" {
		return s.Issuer
	}
	if p.traits.Issuer != "" {
		return p.traits.Issuer
	}
	return p.traits.Fingerprint
}

// newConsents returns the consents to a source, or to the provider itself for the
// empty name, with the grants in memory from the pool. These are of this account and
// database alone: a configuration with others, even one that does not load, must
// neither find these grants nor drop them.
func (p *provider) newConsents(of delegation.Source, hooks *guestConsent, services appServices) *grants.Consents {
	source := of.Name
	account := fmt.Sprintf("%q %q %q %q %p", source, of.Vendor, p.issuerOf(source), p.traits.BaseURL, services.grantStore)
	o := grants.ConsentsOptions{
		Provider: p.name, Source: source, Vendor: of.Vendor, Client: of.Client, Store: services.grantStore,
		Note: func(what delegation.ConsentEvent, who delegation.Person) {
			p.recordConsent(what, actorPlatform, source, who)
		},
		Revoked: func(what grants.RevocationOutcome, cause error) { p.recordRevocation(what, source, cause) },
		Ended: func(ctx context.Context, who delegation.Person) {
			p.recordConsent(consentEnded, actorSchedule, source, who)
			_ = p.purge(ctx, delegation.Selection{Realm: who.Realm, Subject: who.Subject}, false, "ends") // other machines read the grant again within 30 s
		},
		Cache: p.refs.loadOrNew(p.stateKey("grants", account), func() caddy.Destructor { return guestState{grants.NewCache()} }).(guestState).Closer.(*grants.Cache),
	}
	if source != "" {
		o.RedeemTimeout = sourceRedeemTimeout
	}
	hooks.setHooks(&o)
	return grants.NewConsents(o)
}

// newClient returns a client of the engine of a source, which it takes from the
// pool.
func (p *provider) newClient(source string, services appServices) *engineClient {
	engine := p.refs.loadOrNew(p.stateKey("tokens", fmt.Sprintf("%q %q %s", source, p.issuerOf(source), services.cacheKey)), func() caddy.Destructor {
		return newPooledEngine(p.name, services)
	}).(*pooledEngine)
	return &engineClient{
		module: &p.guestModule, consents: p.allConsents, record: p.providerRecord, source: source, engine: engine,
		hits:    tokensTotal.WithLabelValues(p.name, source, string(tokens.RequestHit)),
		options: services.tokenOptions, fingerprint: p.traits.Fingerprint,
	}
}

// clientOf returns the client of the engine of a source, a new one for a source
// that has none yet.
func (p *provider) clientOf(source string, services appServices) *engineClient {
	c := p.clients[source]
	if c == nil {
		c = p.newClient(source, services)
		p.clients[source] = c
	}
	return c
}

func (p *provider) stateKey(kind, settings string) string {
	return stateKey(p.name, p.guestType(), kind, settings)
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
	for _, c := range p.clients {
		c.detach()
	}
	return p.refs.release()
}
