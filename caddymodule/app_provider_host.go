// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"io"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// providerHost is this module as a provider's module sees it: the
// [delegation.GrantsHost] or [delegation.SourcesHost] that is handed to its Open, and
// a [grants.StoreHost].
// Nothing else of a provider can be reached through it.
type providerHost struct {
	name       string
	guestType  string
	record     *providerRecord
	client     func(source string) *engineClient
	grantStore *grants.LazyStore
	consents   *grants.Consents
	source     func(name string) *providerSource
	fault      error // of the module's Open; refuses the configuration
	usesGrants bool  // the module needs the database: Start opens it
	refs       *poolRefs
}

// Name implements [delegation.Host].
func (h *providerHost) Name() string { return h.name }

// Logger implements [delegation.Host].
func (h *providerHost) Logger() *zap.Logger { return h.record.logger }

// Tokens implements [delegation.Host].
func (h *providerHost) Tokens(mint delegation.Mint) delegation.Tokens {
	return h.SourceTokens("", mint)
}

// SourceTokens implements [delegation.Host].
func (h *providerHost) SourceTokens(source string, mint delegation.Mint) delegation.Tokens {
	return h.client(source).attach(mint)
}

// Retain implements [delegation.Host].
func (h *providerHost) Retain(key string, build func() io.Closer) io.Closer {
	return h.retain(stateKey(h.name, h.guestType, "state", key), build)
}

// RetainShared implements [delegation.Host].
func (h *providerHost) RetainShared(key string, build func() io.Closer) io.Closer {
	return h.retain(stateKey("", h.guestType, "common", key), build)
}

// retain returns the state of a key in the pool, made by build if there is none.
func (h *providerHost) retain(key string, build func() io.Closer) io.Closer {
	return h.refs.loadOrNew(key, func() caddy.Destructor { return guestState{build()} }).(guestState).Closer
}

// Grants implements [delegation.GrantsHost].
func (h *providerHost) Grants() delegation.Grants {
	h.usesGrants = true
	return h.consents
}

// SourceGrants implements [delegation.SourcesHost].
func (h *providerHost) SourceGrants(source string) delegation.Grants {
	if s := h.source(source); s != nil {
		return s.consents
	}
	h.fault = errors.Join(h.fault, fmt.Errorf("module %s asks for the grants of %q, which is not among its Sources", h.guestType, source))
	return h.consents // which nobody can have: it is not opened
}

// GrantStore implements [grants.StoreHost].
func (h *providerHost) GrantStore() *grants.LazyStore {
	h.usesGrants = true
	return h.grantStore
}

// guestState is state in the pool that a provider's module keeps over reloads.
type guestState struct{ io.Closer }

// Destruct closes the state once no configuration uses it.
func (s guestState) Destruct() error { return background.Do("closing state", s.Close) }

// GoString keeps the usage pool from printing the state when it panics.
func (guestState) GoString() string { return "delegate state" }

// Interface guards
var (
	_ delegation.GrantsHost  = (*providerHost)(nil)
	_ delegation.SourcesHost = (*providerHost)(nil)
	_ grants.StoreHost       = (*providerHost)(nil)
)
