// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/sources"
)

func init() {
	caddy.RegisterModule(Sources{})
}

// Sources is an application whose users connect integration sources, those that the
// app `delegate` defines. Their grants are kept by source; people connect at
// delegate_connect.
type Sources struct {
	// Use names the sources that the application offers, each with the client that it
	// has there. Default: every source, with the client that the source states.
	Use map[string]*SourceClient `json:"use,omitempty"`

	// Ends is a placeholder whose value says when a user's consents end by themselves, as
	// if they had left: a time of RFC 3339, or seconds since 1970, such as
	// {http.auth.user.study_end}. It is read at each request of a signed-in user to
	// delegate_connect; nobody whose session does not say it can begin to connect. Like
	// Subject it must be one that only an authenticator sets. Default: they do not end.
	Ends string `json:"ends,omitempty"`

	*sources.Provider `json:"-"`

	lines sourceLines // where a Caddyfile has the provider
}

// SourceClient is what one application has of its own at a source: the client, and what
// people are asked for.
type SourceClient struct {
	// ClientID is the application's. Accepts {env.*} and {file.*}. Default: the
	// source's, with its secret and key.
	ClientID string `json:"client_id,omitempty"`

	// ClientSecret is the application's. Give {file.*} or {env.*}: a secret written
	// here in clear shows in the config API.
	ClientSecret string `json:"client_secret,omitempty"`

	// ClientKey is the PEM text of the private key for `private_key_jwt`. Give
	// {file.*}.
	ClientKey string `json:"client_key,omitempty"`

	// Scopes are those of the source's that this application asks people for, and the
	// most that an `allow` line of it may name. Default: all of them.
	Scopes []string `json:"scopes,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (Sources) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "delegate.providers.sources",
		New: func() caddy.Module { return new(Sources) },
	}
}

// catalogueKey is the key of the sources in the context by which the app loads its
// providers, which cannot ask for the app: it is not there yet.
type catalogueKey struct{}

// withCatalogue returns a context that has the sources.
func withCatalogue(ctx caddy.Context, catalogue map[string]*Source) caddy.Context {
	ctx.Context = context.WithValue(ctx.Context, catalogueKey{}, catalogue)
	return ctx
}

// Provision merges the sources, their presets and the application's clients, and has
// package sources check them. It touches no network; of files it reads secrets,
// certificates and logos.
func (s *Sources) Provision(ctx caddy.Context) error {
	catalogue, _ := ctx.Value(catalogueKey{}).(map[string]*Source)
	configs, err := s.configs(catalogue)
	if err != nil {
		return err
	}
	if s.Provider, err = sources.New(configs); err != nil {
		return err
	}
	warnSources(ctx.Logger(), configs)
	return nil
}

// Traits implements [delegation.Provider].
func (s *Sources) Traits() delegation.Traits {
	traits := s.Provider.Traits()
	traits.Ends = s.Ends
	return traits
}

// warnSources logs what an operator should know of the sources, which load all the
// same.
func warnSources(logger *zap.Logger, configs []sources.Config) {
	var proxied []string
	for _, c := range configs {
		if !c.Ended.IsZero() && !c.Ended.After(time.Now()) {
			logger.Warn("the vendor has ended a source: nobody can begin to connect it", zap.String("source", c.Name), zap.Time("ended", c.Ended))
		}
		if !c.AllowPrivate && c.HTTP.UsesProxy(c.API) {
			proxied = append(proxied, c.Name)
		}
	}
	if len(proxied) > 0 {
		logger.Warn("sources are reached through a proxy: that they are no private addresses is the proxy's to see to", zap.Strings("sources", proxied))
	}
}

// configs returns the settings of the sources that the application offers, by title.
func (s *Sources) configs(catalogue map[string]*Source) ([]sources.Config, error) {
	if len(catalogue) == 0 {
		return nil, errors.New("there is no source: add `source <name> { … }` to the global option `delegate`")
	}
	var configs []sources.Config
	for _, name := range s.offered(catalogue) {
		source, ok := catalogue[name]
		if !ok {
			return nil, unknownSourceError(name, catalogue)
		}
		if source == nil {
			source = new(Source)
		}
		config, err := source.config(name, s.Use[name])
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", name, err)
		}
		configs = append(configs, *config)
	}
	slices.SortStableFunc(configs, func(a, b sources.Config) int {
		return cmp.Compare(strings.ToLower(a.Title), strings.ToLower(b.Title))
	})
	return configs, nil
}

// offered returns the names of the sources that the application offers, sorted.
func (s *Sources) offered(catalogue map[string]*Source) []string {
	if len(s.Use) > 0 {
		return slices.Sorted(maps.Keys(s.Use))
	}
	return slices.Sorted(maps.Keys(catalogue))
}

func unknownSourceError(name string, catalogue map[string]*Source) error {
	return fmt.Errorf("use %s: there is no such source: define it with `source %s { … }`, or name one of %s", name, name, strings.Join(slices.Sorted(maps.Keys(catalogue)), ", "))
}

// Cleanup closes idle connections to the vendors.
func (s *Sources) Cleanup() error {
	if s.Provider == nil {
		return nil
	}
	return s.Provider.Close()
}

// Interface guards
var (
	_ caddy.Provisioner                = (*Sources)(nil)
	_ caddy.CleanerUpper               = (*Sources)(nil)
	_ delegation.SourceProvider        = (*Sources)(nil)
	_ delegation.UnauthorizedDiagnoser = (*Sources)(nil)
)
