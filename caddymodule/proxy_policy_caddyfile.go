// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/sources"
)

// checkAllow judges the `allow` lines of a provider of sources as the load of the
// configuration will, while there are still a file and a line to name.
func (h *Handler) checkAllow(helper httpcaddyfile.Helper) error {
	app := optionApp(helper)
	var p configuredProvider
	if json.Unmarshal(app.ProvidersRaw[h.Provider], &p) != nil || p.Kind != "sources" {
		return nil
	}
	catalogue := make(map[string]any)
	for name := range app.Sources {
		catalogue[name] = nil
	}
	var offered []policy.Source
	for _, name := range slices.Sorted(slices.Values(p.sourceNames(catalogue))) {
		s := app.Sources[name]
		if s == nil {
			return nil // an error of the load
		}
		all, err := s.complete()
		if err != nil {
			return nil //nolint:nilerr // likewise
		}
		offered = append(offered, all.policySource(name))
	}
	for i, a := range h.Allow {
		_, err := policy.NewOfSources([]delegation.Route{{Methods: a.Methods, Pattern: a.Path, Scopes: a.Scopes}}, offered)
		if inner := errors.Unwrap(err); inner != nil { // without the number of the line, which is that of the file
			err = inner
		}
		if err != nil {
			return h.allowLines[i].Errf("allow %s: %v", a.Path, err)
		}
	}
	return nil
}

// policySource is what `allow` lines need to know of a source that is complete. What its
// placeholders stand for is not known yet.
func (s *Source) policySource(name string) policy.Source {
	p := policy.Source{Name: name}
	isOAuth1 := s.FHIRBase == "" && s.RequestTokenURL != sources.NoRequestToken && s.RequestTokenURL != ""
	noScope := slices.Equal(s.Scopes, []string{"none"})
	p.NoScopes = isOAuth1 || noScope && len(s.Granted) == 0
	if !noScope && !slices.ContainsFunc(s.Scopes, func(scope string) bool { return strings.Contains(scope, "{") }) {
		p.Scopes = s.Scopes
	}
	c := sources.Config{Covers: sources.Covers(s.Covers), Protocol: sources.OAuth2}
	if s.FHIRBase != "" {
		c.Protocol = sources.SMART
	}
	c.SetDefaults()
	p.Covers = c.Covers.Covered
	return p
}
