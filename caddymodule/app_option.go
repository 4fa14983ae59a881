// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("delegate", parseGlobalOption)
}

// parseGlobalOption reads the global option `delegate` into the app:
//
//	delegate {
//	    provider <name> [<kind>] {
//	        ...
//	    }
//	    source <name> [<preset>] {
//	        ...
//	    }
//	    trusted_origins <origin...>
//	    tokens {
//	        ...
//	    }
//	    cache       memory | redis <url> { ca_file <file> }
//	    keyset      <keys>
//	    grants      sqlite <file> | postgres <address>
//	    log_subject none|hmac|clear
//	    proxy_status_name <name>
//	}
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		return nil, d.Err("the global option delegate is there already: write one block")
	}
	app, cached := App{ProvidersRaw: make(map[string]json.RawMessage)}, false
	d.Next() // option name
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	for d.NextBlock(0) {
		switch word := d.Val(); word {
		case "provider":
			if err := app.parseProvider(d); err != nil {
				return nil, err
			}
		case "source":
			if err := app.parseSource(d); err != nil {
				return nil, err
			}
		case "trusted_origins":
			args := d.RemainingArgs()
			if len(args) == 0 {
				return nil, d.ArgErr()
			}
			app.TrustedOrigins = append(app.TrustedOrigins, args...)
		case "tokens":
			if app.Tokens != nil {
				return nil, d.Err("tokens is there already: write one block")
			}
			app.Tokens = new(TokenSettings)
			if err := app.Tokens.UnmarshalCaddyfile(d); err != nil {
				return nil, err
			}
		case "cache":
			if cached {
				return nil, d.Err("cache is set already")
			}
			cached = true
			var err error
			if app.Cache, err = parseCache(d); err != nil {
				return nil, err
			}
		case "grants":
			if app.Grants != nil {
				return nil, d.Err("grants is set already")
			}
			var err error
			if app.Grants, err = parseGrants(d); err != nil {
				return nil, err
			}
		case "keyset":
			if err := parseOnce(d, &app.Keyset); err != nil {
				return nil, err
			}
		case "proxy_status_name":
			if err := parseOnce(d, &app.ProxyStatusName); err != nil {
				return nil, err
			}
		case "log_subject":
			if err := parseOnce(d, &app.LogSubject); err != nil {
				return nil, err
			}
			if !slices.Contains([]string{logSubjectNone, logSubjectHMAC, logSubjectClear}, app.LogSubject) {
				return nil, d.Errf("log_subject is none, hmac or clear, not %q", app.LogSubject)
			}
		default:
			return nil, d.Errf("unrecognized subdirective %q of delegate: expected provider, source, trusted_origins, tokens, cache, keyset, grants, log_subject or proxy_status_name", word)
		}
	}
	if len(app.ProvidersRaw) == 0 {
		return nil, d.Err("delegate has no provider: add `provider <name> { … }`")
	}
	for _, name := range slices.Sorted(maps.Keys(app.sourceProviders)) {
		if err := app.sourceProviders[name].checkSources(name, app.Sources); err != nil {
			return nil, err
		}
	}
	if _, err := policy.NewOrigins(app.TrustedOrigins); err != nil {
		return nil, d.Errf("trusted_origins: %v", err)
	}
	return httpcaddyfile.App{Name: "delegate", Value: caddyconfig.JSON(app, nil)}, nil
}

// parseProvider reads `provider <name> [<kind>] { … }`; the kind's module reads
// the block.
func (a *App) parseProvider(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	name := d.Val()
	kind := name
	if d.NextArg() {
		kind = d.Val()
	}
	if _, ok := a.ProvidersRaw[name]; ok {
		return d.Errf("provider %s is there already: give each a name of its own, `provider <name> %s`", name, kind)
	}
	mod, err := caddy.GetModule("delegate.providers." + kind)
	if err != nil {
		return d.Errf("unknown kind of provider %q: this build has %v; with another name write the kind behind it, such as `provider %s sources`", kind, providerKinds(), name)
	}
	if d.CountRemainingArgs() > 0 {
		return d.Errf("provider takes a name and a kind, not %q as well", d.RemainingArgs())
	}
	guest, err := caddyfile.UnmarshalModule(d, string(mod.ID))
	if err != nil {
		return err
	}
	if guest, ok := guest.(*Sources); ok {
		if a.sourceProviders == nil {
			a.sourceProviders = make(map[string]*Sources)
		}
		a.sourceProviders[name] = guest
	}
	a.ProvidersRaw[name] = caddyconfig.JSONModuleObject(guest, "kind", kind, nil)
	return nil
}

// providerKinds returns the names of the providers' modules in this build,
// sorted.
func providerKinds() []string {
	var kinds []string
	for _, mod := range caddy.GetModules("delegate.providers") {
		kinds = append(kinds, mod.ID.Name())
	}
	slices.Sort(kinds)
	return kinds
}
