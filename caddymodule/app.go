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
	"github.com/caddy-delegate/caddy-delegate/caddymodule/ratelimit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

func init() {
	caddy.RegisterModule(App{})
}

// App is the Caddy app `delegate`: the providers of a configuration, with the
// settings that they and the handlers share.
type App struct {
	// Providers are the configured platform accounts by name. The `kind` of each
	// names its module, delegate.providers.<kind>.
	ProvidersRaw map[string]json.RawMessage `json:"providers,omitempty" caddy:"namespace=delegate.providers inline_key=kind"`

	// Sources are the integration sources by name: what providers of the kind
	// `sources` offer to their people.
	Sources map[string]*Source `json:"sources,omitempty"`

	// TrustedOrigins are the web origins besides this server's own, such as
	// https://app.example.org, whose pages may call through this server with the
	// user's session; those of app shells too, such as capacitor://localhost. Each
	// is compared as a whole. Default: none.
	TrustedOrigins []string `json:"trusted_origins,omitempty"`

	// ProxyStatusName is how this proxy calls itself in the Proxy-Status header of
	// refusals (RFC 9209). Default: `caddy-delegate`.
	ProxyStatusName string `json:"proxy_status_name,omitempty"`

	// Tokens are the settings of each provider's token engine.
	Tokens *TokenSettings `json:"tokens,omitempty"`

	// LogSubject names the user in this module's log lines `minted`, `refused`,
	// `consent` and `purged`: `none`, not at all; `hmac`, by a pseudonym of the
	// keyset, the same for the same user until the keyset is rotated; `clear`, by
	// realm and subject. Default: `none`.
	LogSubject string `json:"log_subject,omitempty"`

	// Cache is the Redis in which several machines share tokens. Default: none,
	// tokens are in this process's memory only.
	Cache *Cache `json:"cache,omitempty"`

	// Keyset is the JSON text of the keys that seal tokens in Redis and grants in
	// a database. Give {file.*}; see `caddy delegate keyset`. Default: none; SQLite
	// has a file of its own beside the database.
	Keyset string `json:"keyset,omitempty"`

	// Grants is the database of people's consents. Default: SQLite in Caddy's data
	// directory, if a provider uses grants.
	Grants *Grants `json:"grants,omitempty"`

	providers       map[string]*provider
	sourceProviders map[string]*Sources // that a Caddyfile has, until all of it was read
	origins         *policy.Origins
	logoutLimiter   *ratelimit.PerPerson
	realmSources    map[string]string // default realm → what names users in it
	cleartextWarned []string          // http addresses that a warning was logged of
	fleet           *fleet.Fleet      // nil: this machine shares tokens with no other
	grantStore      *grants.LazyStore
	grantCounts     *grantCounts
	files           settingFiles
	refs            poolRefs
	logger          *zap.Logger

	refusals          *refusalStats            // of directives without a provider
	revocations       *session.Revocations     // the process's
	sharedRevocations *fleet.SharedRevocations // shares revocations with other machines; nil without a fleet
	housekeeper       housekeeper
	stopFleetLog      func() // ends logFleetChanges; nil before Start
	realmNames        *realmNames

	logoutRealms *logoutRealms
	aliases      *aliasRegistry
	httpApp      *caddyhttp.App // whose routes name the aliases; nil without one
}

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "delegate",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision loads the providers. It touches neither network nor database: it
// also runs when a configuration is only validated.
func (a *App) Provision(ctx caddy.Context) error {
	var err error
	if a.origins, err = policy.NewOrigins(a.TrustedOrigins); err != nil {
		return fmt.Errorf("trusted_origins: %w", err)
	}
	a.logger = ctx.Logger()
	a.refusals = newRefusalStats(a.logger)
	a.grantCounts = new(grantCounts)
	a.findFiles()
	services, err := a.sharedServices()
	if err != nil {
		return err
	}
	a.joinRevocations()
	mods, err := withCatalogue(ctx, a.Sources).LoadModule(a, "ProvidersRaw")
	if err != nil {
		return fmt.Errorf("loading providers: %w", err)
	}
	a.providers = make(map[string]*provider)
	for name, mod := range mods.(map[string]any) {
		guest, ok := mod.(delegation.Provider)
		if !ok {
			return fmt.Errorf("provider %s: module %T is no delegation.Provider", name, mod)
		}
		p, err := openProvider(name, guest, services, ctx.Logger().Named(name))
		if err != nil {
			return fmt.Errorf("provider %s: %w", name, err)
		}
		a.providers[name] = p
	}
	return registerMetrics(ctx.GetMetricsRegistry(), a)
}

// sharedServices makes what all providers share of the app's settings. Its
// errors begin with the setting's name.
func (a *App) sharedServices() (services appServices, err error) {
	if services.tokenOptions, err = a.Tokens.engineOptions(); err != nil {
		return services, fmt.Errorf("tokens: %w", err)
	}
	keys, err := openKeyset(a.Keyset)
	if err != nil {
		return services, fmt.Errorf("keyset: %w", err)
	}
	var pseudonym func(...string) string
	if keys != nil {
		pseudonym = keys.Name
	}
	if services.subjectFields, err = newSubjectFields(a.LogSubject, pseudonym); err != nil {
		return services, err
	}
	if a.fleet, services.cacheKey, err = a.refs.openCache(a.Cache, keys); err != nil {
		return services, fmt.Errorf("cache: %w", err)
	}
	if err = a.loadGrants(keys); err != nil {
		return services, fmt.Errorf("grants: %w", err)
	}
	services.fleet, services.grantStore = a.fleet, a.grantStore
	return services, nil
}

// Start connects to Redis, in the background, and opens the grants if a
// provider uses them; a request may have done so before. Its error refuses the
// configuration.
func (a *App) Start() error {
	if a.fleet != nil {
		a.stopFleetLog = logFleetChanges(a.fleet, a.logger)
		a.fleet.Start()
	}
	a.logoutRealms.logUnmatched(a.logger)
	a.warnConnectPlaces()
	if err := a.startGrants(); err != nil {
		return err
	}
	a.housekeeper.start(a.providers)
	return nil
}

// Stop ends the housekeeping, and nothing else: requests may still be draining. See
// Cleanup.
func (a *App) Stop() error {
	a.housekeeper.close()
	return nil
}

// Cleanup releases what this configuration holds in the pool, also after a
// failed Provision.
func (a *App) Cleanup() error {
	var errs []error
	for _, p := range a.providers {
		errs = append(errs, p.close())
	}
	a.housekeeper.close()
	a.housekeeper.wait()
	a.leaveRevocations()
	if a.stopFleetLog != nil {
		a.stopFleetLog()
	}
	errs = append(errs, a.refs.release())
	return errors.Join(errs...)
}

// appProvider returns the app of the configuration that is being loaded and its
// named provider, or an error that says which names there are to configure.
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

// configuredApp returns the app of a configuration, which has no error but that
// there is none.
func configuredApp(ctx caddy.Context) (*App, error) {
	// Not ctx.App, which would make an empty app without an error.
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
