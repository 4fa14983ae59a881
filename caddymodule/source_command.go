// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/command"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/sources"
)

// configuredSources reads the sources of a configuration, sorted by name. It expands no
// placeholder, so that it needs neither the environment nor the secrets.
func configuredSources(c command.Config) ([]command.Source, error) {
	_, settings, err := readConfig(c)
	if err != nil {
		return nil, err
	}
	var catalogue map[string]*Source
	var providers map[string]struct {
		Kind string                   `json:"kind"`
		Use  map[string]*SourceClient `json:"use"`
	}
	for name, to := range map[string]any{"sources": &catalogue, "providers": &providers} {
		if err := json.Unmarshal(settings[name], to); len(settings[name]) > 0 && err != nil {
			return nil, fmt.Errorf("the configuration's delegate: %s is not as it should be: see `caddy validate`", name)
		}
	}
	var all []command.Source
	for _, name := range slices.Sorted(maps.Keys(catalogue)) {
		s := catalogue[name]
		if s == nil {
			s = new(Source)
		}
		shown, err := s.describe(name)
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", name, err)
		}
		clients := make(map[string]*SourceClient)
		for _, provider := range slices.Sorted(maps.Keys(providers)) {
			p := providers[provider]
			client, used := p.Use[name]
			if p.Kind == "sources" && (used || len(p.Use) == 0) {
				shown.Providers = append(shown.Providers, provider)
				clients[provider] = client
			}
		}
		shown.KeySet = func(provider string) (string, error) {
			client, ok := clients[provider]
			if provider != "" && !ok {
				return "", fmt.Errorf("provider %q does not offer it", provider)
			}
			return s.keySet(client)
		}
		all = append(all, *shown)
	}
	return all, nil
}

// describe returns the source with its preset, without secrets.
func (s *Source) describe(name string) (*command.Source, error) {
	all, err := s.complete()
	if err != nil {
		return nil, err
	}
	preset := new(Source)
	if all.Preset != "" {
		if preset, err = presetSource(all.Preset); err != nil {
			return nil, err
		}
	}
	all.hideSecrets(preset)
	shown := &command.Source{Name: name, Title: all.Name, Preset: all.Preset, API: all.APIHostURL, Protocol: sources.OAuth2, NoAccount: len(all.Account) == 0 && all.FHIRBase == ""}
	switch {
	case all.FHIRBase != "":
		shown.Protocol, shown.API = sources.SMART, all.FHIRBase
	case all.RequestTokenURL != sources.NoRequestToken:
		shown.Protocol = sources.OAuth1
	}
	if shown.Title == "" {
		shown.Title = name
	}
	shown.Ended, _ = sources.ParseEnd(all.Ended) // zero for none
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "\t")
	if err := encoder.Encode(all); err != nil {
		return nil, err
	}
	shown.Settings = strings.TrimSpace(text.String())
	return shown, nil
}

// keySet returns the public half of a client's key as a JWK Set; client may be nil.
func (s *Source) keySet(client *SourceClient) (string, error) {
	all, err := s.complete()
	if err != nil {
		return "", err
	}
	if err := all.useClient(client); err != nil {
		return "", err
	}
	if all.ClientKey == "" {
		return "", errors.New("the client has no client_key: make a key, such as by openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384, and add `client_key {file.…}`")
	}
	secret, err := loadSecret("client_key", all.ClientKey)
	if err != nil {
		return "", err
	}
	key, err := oauth.ParseClientKey(secret.Reveal())
	if err != nil {
		return "", fmt.Errorf("client_key: %w", err)
	}
	return key.PublicJWKS()
}
