// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// optionProviders are the names of the providers in the global options.
func optionProviders(h httpcaddyfile.Helper) map[string]struct{} {
	names := make(map[string]struct{})
	for name := range optionApp(h).ProvidersRaw {
		names[name] = struct{}{}
	}
	return names
}

// optionOrigins are the trusted origins in the global options.
func optionOrigins(h httpcaddyfile.Helper) []string { return optionApp(h).TrustedOrigins }

// optionApp is the app as the global options have it; empty if they do not.
func optionApp(h httpcaddyfile.Helper) (app App) {
	if option, ok := h.Option("delegate").(httpcaddyfile.App); ok {
		if json.Unmarshal(option.Value, &app) != nil {
			return App{}
		}
	}
	return app
}
