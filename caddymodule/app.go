// SPDX-License-Identifier: Apache-2.0

// Package caddymodule lets a signed-in user of an app call MyDataHelps and
// other personal-data APIs as themselves, while the credentials that allow it
// stay in the server. It is the Caddy side: thin adapters over the packages
// below it, which know nothing of Caddy.
package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/fleet"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

func init() {
	caddy.RegisterModule(App{})
}

// App holds the platform accounts that the delegate handlers of a
// configuration use.
type App struct {
	// Providers are the platform accounts by name. The `kind` of each names
	// its module.
	ProvidersRaw map[string]json.RawMessage `json:"providers,omitempty" caddy:"namespace=delegate.providers inline_key=kind"`

	// TrustedOrigins are the other web origins, such as https://app.example.org,
	// whose pages may call through this server with the user's session; those of
	// app shells too, such as capacitor://localhost. Each is compared as a whole.
	// Default: none, only pages of the same origin may.
	TrustedOrigins []string `json:"trusted_origins,omitempty"`

	// ProxyStatusName is how this proxy calls itself in the Proxy-Status header of
	// refusals (RFC 9209). Default: `caddy-delegate`.
	ProxyStatusName string `json:"proxy_status_name,omitempty"`

	// Tokens says how each provider's tokens are kept and renewed.
	Tokens *TokenSettings `json:"tokens,omitempty"`

	// LogSubject is what the module's own log lines (`minted`, `refused`,
	// `consent` and `purged`) say of the user: `none`; `hmac`, a pseudonym by the keyset, the
	// same for the same user until the keyset is rotated; or `clear`, realm and
	// subject. Default: `none`.
	LogSubject string `json:"log_subject,omitempty"`

	// Cache is where tokens are kept besides this process's memory, for several
	// machines to share. Default: nowhere.
	Cache *Cache `json:"cache,omitempty"`

	// Keyset is the JSON text of the keys that seal what is kept outside of
	// this process. Give {file.*}; see `caddy delegate keyset`. Default: none.
	Keyset string `json:"keyset,omitempty"`

	// Grants is where it is kept what people have consented to.
	Grants *Grants `json:"grants,omitempty"`

	providers       map[string]*provider
	origins         *policy.Origins
	logoutLimiter   *personLimiter
	realmSources    map[string]string // that nobody has chosen, and how users are named there
	cleartextWarned []string          // addresses that were warned of because they are asked in clear
	fleet           *fleet.Fleet      // nil: this machine is alone
	cacheKey        string            // in the pool
	grantStore      *grants.LazyStore
	refs            poolRefs
	logger          *zap.Logger

	refusals      *refusalStats // of app_session
	revocations   *session.Revocations
	fleetSessions *fleet.Sessions // their way to the other machines
	stopFleetLog  func()          // has nobody told of Redis any longer
	realmNames    *realmNames

	logoutRealms *logoutRealms
	aliases      *aliasRegistry
	httpApp      *caddyhttp.App // in which sessions are used
}

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "delegate",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision loads the providers. It touches neither network nor database:
// it also runs when a configuration is only validated.
func (a *App) Provision(ctx caddy.Context) error {
	var err error
	if a.origins, err = policy.NewOrigins(a.TrustedOrigins); err != nil {
		return fmt.Errorf("trusted_origins: %w", err)
	}
	a.logger = ctx.Logger()
	a.refusals = newRefusalStats(a.logger)
	common, err := a.sharedServices()
	if err != nil {
		return err
	}
	a.joinRevocations()
	mods, err := ctx.LoadModule(a, "ProvidersRaw")
	if err != nil {
		return fmt.Errorf("loading providers: %w", err)
	}
	a.providers = make(map[string]*provider)
	for name, mod := range mods.(map[string]any) {
		guest, ok := mod.(delegation.Provider)
		if !ok {
			return fmt.Errorf("provider %s: module %T is no delegation.Provider", name, mod)
		}
		p, err := openProvider(name, guest, common, ctx.Logger().Named(name))
		if err != nil {
			return fmt.Errorf("provider %s: %w", name, err)
		}
		a.providers[name] = p
	}
	return registerMetrics(ctx.GetMetricsRegistry(), a.providers)
}

// sharedServices makes what all providers share.
func (a *App) sharedServices() (c appServices, err error) {
	if c.tokenOptions, err = a.Tokens.engineOptions(); err != nil {
		return c, fmt.Errorf("tokens: %w", err)
	}
	keys, err := openKeyset(a.Keyset)
	if err != nil {
		return c, fmt.Errorf("keyset: %w", err)
	}
	var pseudonym func(...string) string
	if keys != nil {
		pseudonym = keys.Name
	}
	if c.subjectFields, err = newSubjectFields(a.LogSubject, pseudonym); err != nil {
		return c, err
	}
	if a.fleet, a.cacheKey, err = openCache(a.Cache, keys); err != nil {
		return c, fmt.Errorf("cache: %w", err)
	}
	if err = a.loadGrants(keys); err != nil {
		return c, fmt.Errorf("grants: %w", err)
	}
	c.grantStore = a.grantStore
	c.fleet, c.cacheKey = a.fleet, a.cacheKey
	return c, nil
}

// Start connects to the other machines, in the background, and opens the grants
// if a provider needs them. Requests may have arrived already, and have done it
// then.
func (a *App) Start() error {
	if a.fleet != nil {
		a.stopFleetLog = logFleetChanges(a.fleet, a.logger)
		a.fleet.Start()
	}
	a.logoutRealms.logUnmatched(a.logger)
	return a.startGrants()
}

// Stop does nothing: requests may still be draining. See Cleanup.
func (*App) Stop() error { return nil }

// Cleanup lets go of the providers' shared state, also after a failed Provision.
func (a *App) Cleanup() error {
	var errs []error
	for _, p := range a.providers {
		errs = append(errs, p.close())
	}
	a.leaveRevocations()
	if a.stopFleetLog != nil {
		a.stopFleetLog()
	}
	errs = append(errs, a.refs.release())
	if a.cacheKey != "" {
		_, err := pool.Delete(a.cacheKey)
		errs = append(errs, err)
		a.cacheKey = ""
	}
	return errors.Join(errs...)
}

// appProvider finds a provider of the configuration that is being loaded.
func appProvider(ctx caddy.Context, name string) (*App, *provider, error) {
	app, err := configuredApp(ctx)
	if err != nil {
		return nil, nil, err
	}
	p, ok := app.providers[name]
	if !ok {
		return nil, nil, fmt.Errorf("unknown provider %q: name one of the `provider` blocks in the global option `delegate`", name)
	}
	return app, p, nil
}

func configuredApp(ctx caddy.Context) (*App, error) {
	// Not ctx.App, which would quietly make an empty one.
	mod, err := ctx.AppIfConfigured("delegate")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil, errors.New("there is no provider: add the global option `delegate` with one")
	}
	if err != nil {
		return nil, err
	}
	return mod.(*App), nil
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
