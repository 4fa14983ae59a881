// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/command"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

func init() {
	command.Register(command.Backend{Check: checkConfiguration, Judge: judgeCredential, Grants: grantsOptions, Import: openImportTarget, Sources: configuredSources})
}

// readConfig reads a configuration file, without running it, and in it the
// settings of the delegate app.
func readConfig(c command.Config) (text []byte, settings map[string]json.RawMessage, err error) {
	if text, _, _, err = caddycmd.LoadConfig(c.File, c.Adapter); err != nil {
		return nil, nil, err
	}
	if len(text) == 0 {
		return nil, nil, errors.New("there is no Caddyfile in this folder: name the configuration with --config")
	}
	var config caddy.Config
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, nil, fmt.Errorf("reading the configuration: %w", err)
	}
	if err := json.Unmarshal(config.AppsRaw["delegate"], &settings); err != nil || settings == nil {
		return nil, nil, errors.New("the configuration has no global option delegate")
	}
	return text, settings, nil
}

// grantsOptions reads where the grants are. It makes neither a database nor a keyset:
// a command that is run as another user would begin new ones, and find nobody.
func grantsOptions(c command.Config) (o grants.Options, providers command.ProviderNames, err error) {
	_, settings, err := readConfig(c)
	if err != nil {
		return o, nil, err
	}
	var app App
	var configured map[string]configuredProvider
	var catalogue map[string]any
	for name, to := range map[string]any{"keyset": &app.Keyset, "grants": &app.Grants, "providers": &configured, "sources": &catalogue} {
		if len(settings[name]) == 0 {
			continue
		}
		if err := json.Unmarshal(settings[name], to); err != nil {
			return o, nil, fmt.Errorf("the configuration's delegate: %s is not as it should be: see `caddy validate`", name)
		}
	}
	keys, err := openKeyset(app.Keyset)
	if err != nil {
		return o, nil, fmt.Errorf("keyset: %w", err)
	}
	if o, err = app.Grants.sealedOptions(keys); err != nil {
		return o, nil, fmt.Errorf("grants: %w", err)
	}
	providers = make(command.ProviderNames)
	for name, p := range configured {
		providers[name] = p.sourceNames(catalogue)
	}
	if o.Postgres != "" {
		return o, providers, nil
	}
	switch _, err := os.Stat(o.File); {
	case errors.Is(err, fs.ErrNotExist):
		return o, nil, fmt.Errorf("there is no %s: run this as the user Caddy runs as, with the same environment; if you have, no Caddy of this configuration has kept a grant yet", o.File)
	case err != nil:
		return o, nil, fmt.Errorf("looking for the grants: %w: run this as the user Caddy runs as", err)
	case o.Keyset != nil:
		return o, providers, nil
	}
	beside, err := loadOrCreateKeyset(o.File)
	if err != nil {
		return o, nil, err
	}
	o.Keyset = beside
	return o, providers, nil
}

// configuredProvider is as much of a provider's settings as tells its sources.
type configuredProvider struct {
	Kind string         `json:"kind"`
	Use  map[string]any `json:"use"`
}

// sourceNames returns the names of the sources of a provider of the kind sources: those
// that it uses, or else all of the catalogue; nil for another kind.
func (p configuredProvider) sourceNames(catalogue map[string]any) []string {
	switch {
	case p.Kind != "sources":
		return nil
	case len(p.Use) > 0:
		return slices.Sorted(maps.Keys(p.Use))
	default:
		return slices.AppendSeq([]string{}, maps.Keys(catalogue))
	}
}
