// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/sources"
)

// sourcesOf returns the settings of a provider's sources by their JSON.
func sourcesOf(t *testing.T, catalogue, provider string) ([]sources.Config, error) {
	t.Helper()
	var all map[string]*Source
	var s Sources
	for text, to := range map[string]any{catalogue: &all, provider: &s} {
		if err := json.Unmarshal([]byte(text), to); err != nil {
			t.Fatal(err)
		}
	}
	before, _ := json.Marshal(all)
	configs, err := s.configs(all)
	if after, _ := json.Marshal(all); string(after) != string(before) {
		t.Errorf("the settings themselves were changed, where the config API and the log show them: %s", after)
	}
	return configs, err
}

const labJSON = `{"name": "City lab", "auth_host_url": "https://login.lab.example", "api_host_url": "https://{env.LAB_HOST}", "auth_url": "/authorize",
	"request_token_url": "none", "access_token_url": "/token", "full_auth_url": "auto", "client_id": "{env.LAB_ID}", "client_secret": "{env.LAB_SECRET}",
	"token_params": {"key": "{env.LAB_KEY}", "redirect_uri": "{redirect_uri}"}, "api_headers": {"X-Key": "{env.LAB_KEY}"}, "logo": "{env.LAB_LOGO}"}`

// labEnvironment sets what labJSON reads.
func labEnvironment(t *testing.T) {
	t.Helper()
	logo := filepath.Join(t.TempDir(), "logo.svg")
	if err := os.WriteFile(logo, []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"LAB_HOST": "api.lab.example", "LAB_ID": "lab-id", "LAB_SECRET": "lab-secret", "LAB_KEY": "lab-key", "LAB_LOGO": logo} {
		t.Setenv(name, value)
	}
}

// TestSourceConfigs protects the merge of the administrator's source and the
// application's client: placeholders are expanded, and nowhere but in the result.
func TestSourceConfigs(t *testing.T) {
	labEnvironment(t)
	configs, err := sourcesOf(t, `{"city_lab": `+labJSON+`, "withings": {"preset": "withings"}}`,
		`{"use": {"withings": {"client_id": "own", "client_secret": "own-secret"}, "city_lab": null}}`)
	if err != nil || len(configs) != 2 {
		t.Fatalf("%v, %d sources", err, len(configs))
	}
	lab, withings := configs[0], configs[1]
	if lab.Name != "city_lab" || lab.Title != "City lab" || lab.API.Host != "api.lab.example" || lab.ClientID != "lab-id" || lab.ClientSecret.Reveal() != "lab-secret" ||
		lab.TokenParams["key"] != "lab-key" || lab.TokenParams["redirect_uri"] != sources.RedirectURI || lab.APIHeaders["X-Key"].Reveal() != "lab-key" ||
		lab.LogoType != "image/svg+xml" || len(lab.Logo) == 0 {
		t.Errorf("%+v", lab)
	}
	if withings.ClientID != "own" || withings.ClientSecret.Reveal() != "own-secret" {
		t.Errorf("%+v", withings)
	}
	t.Setenv("LAB_SECRET", "newer")
	if secret, err := lab.LoadSecret(); err != nil || secret.Reveal() != "newer" {
		t.Errorf("the secret read again: %v", err)
	}
	if configs, err = sourcesOf(t, `{"city_lab": `+labJSON+`}`, `{}`); err != nil || len(configs) != 1 {
		t.Errorf("without use: %v, %d sources", err, len(configs))
	}
}

// TestSourceConfigsRefused protects who writes JSON, which no Caddyfile has checked.
func TestSourceConfigsRefused(t *testing.T) {
	labEnvironment(t)
	for _, c := range []struct{ catalogue, provider, want string }{
		{`{}`, `{}`, "there is no source"},
		{`{"a": null}`, `{}`, "source a: the source has no address, and its name is that of no preset: correct it to one of dexcom"},
		{`{"a": {"preset": "witings"}}`, `{}`, `source a: there is no preset "witings"`},
		{`{"withings": {"preset": "withings"}}`, `{}`, "source withings: client_id is missing"},
		{`{"withings": {"preset": "withings"}}`, `{"use": {"other": {}}}`, "use other: there is no such source"},
		{`{"A": ` + labJSON + `}`, `{}`, `source "A": a name is`},
		{`{"a": ` + strings.Replace(labJSON, "{env.LAB_LOGO}", "no/such.svg", 1) + `}`, `{}`, "source a: logo: open no/such.svg"},
		{`{"a": ` + strings.Replace(labJSON, "{env.LAB_LOGO}", "provider_sources_test.go", 1) + `}`, `{}`, "source a: logo: the file is no SVG"},
		{`{"a": ` + strings.Replace(labJSON, "LAB_SECRET", "NOT_SET", 1) + `}`, `{}`, "source a: client_secret: "},
		{`{"a": ` + strings.Replace(labJSON, "LAB_HOST", "NOT_SET", 1) + `}`, `{}`, "source a: api_host_url: "},
		{`{"a": ` + strings.Replace(labJSON, `"logo"`, `"client_auth": "post", "logo"`, 1) + `}`, `{}`, `source a: client_auth "post"`},
		{`{"a": ` + strings.Replace(labJSON, `"logo"`, `"pkce": "of", "logo"`, 1) + `}`, `{}`, `source a: pkce "of"`},
		{`{"a": ` + strings.Replace(labJSON, `"logo"`, `"revoke": {"method": "GO"}, "logo"`, 1) + `}`, `{}`, `source a: revoke "GO"`},
	} {
		if _, err := sourcesOf(t, c.catalogue, c.provider); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "lab-secret") {
			t.Errorf("%.40s %s: error %v, want %s", c.catalogue, c.provider, err, c.want)
		}
	}
}

// TestSourcesWarned protects the operator, whose Caddy loads when a vendor has ended a
// source: a date never stops it.
func TestSourcesWarned(t *testing.T) {
	labEnvironment(t)
	ended := strings.Replace(labJSON, `"logo"`, `"ended": "2020-01-01", "logo"`, 1)
	proxied := strings.Replace(labJSON, `"logo"`, `"http": {"proxy": "http://10.0.0.1:3128"}, "ended": "2999-01-01", "logo"`, 1)
	configs, err := sourcesOf(t, `{"ended": `+ended+`, "proxied": `+proxied+`}`, `{}`)
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.WarnLevel)
	warnSources(zap.New(core), configs)
	var lines []string
	for _, line := range logs.All() {
		lines = append(lines, line.Message)
	}
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "the vendor has ended a source") || logs.All()[0].ContextMap()["source"] != "ended" ||
		!strings.HasPrefix(lines[1], "sources are reached through a proxy") {
		t.Errorf("lines %q", lines)
	}
}

// TestSourcesProvision protects the way of the catalogue to the provider, which is
// loaded before the app is there to be asked.
func TestSourcesProvision(t *testing.T) {
	labEnvironment(t)
	var lab Source
	if err := json.Unmarshal([]byte(labJSON), &lab); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	s := new(Sources)
	if err := s.Provision(ctx); err == nil || !strings.Contains(err.Error(), "there is no source") {
		t.Errorf("without a catalogue: %v", err)
	}
	if err := s.Provision(withCatalogue(ctx, map[string]*Source{"city_lab": &lab})); err != nil {
		t.Fatal(err)
	}
	if list := s.Sources(); len(list) != 1 || list[0].Title != "City lab" {
		t.Errorf("%+v", list)
	}
	if err := s.Cleanup(); err != nil {
		t.Error(err)
	}
}
