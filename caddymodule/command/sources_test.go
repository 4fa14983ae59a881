// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sourcesFile writes a Caddyfile with sources and returns its path. The client's key
// is beside it.
func sourcesFile(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	keyFile := filepath.Join(folder, "key.pem")
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "Caddyfile")
	text := `{
	delegate {
		source withings {
			client_id     {env.NOT_SET}
			client_secret written-out-secret
			api_header    X-Key {env.NOT_SET_EITHER}
			ended         2020-01-31
		}
		source st_mary smart {
			name      "St Mary's"
			fhir_base https://fhir.stmary.example/R4
			client_id portal
		}
		provider study sources {
			use st_mary {
				client_id  own
				client_key {file.` + keyFile + `}
			}
		}
		provider all sources
	}
}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestSourcesCommand protects the operator, who sees what a source is without the
// environment and the secrets of the server, and never a secret.
func TestSourcesCommand(t *testing.T) {
	file := sourcesFile(t)
	for _, c := range []struct {
		args  []string
		wants []string
	}{
		{[]string{"list"}, []string{
			"withings              Withings                  oauth2    withings        all                   https://wbsapi.withings.net (ended 2020-01-31)",
			"st_mary               St Mary's                 smart     smart           all,study             https://fhir.stmary.example/R4",
			"Presets: dexcom, fatsecret",
		}},
		{[]string{"show", "withings"}, []string{
			"# developer.withings.com", "2026", `"client_id": "{env.NOT_SET}"`, `"client_secret": "set"`, `"action": "requesttoken"`, `"X-Key": "{env.NOT_SET_EITHER}"`, `"root": "body"`,
		}},
		{[]string{"show", "polar"}, []string{"source polar {", "after_connect POST /v3/users {"}},
		{[]string{"jwks", "st_mary", "--provider", "study"}, []string{`"kty": "EC"`, `"crv": "P-384"`}},
	} {
		out, err := delegateCommand(t, append(append([]string{"sources"}, c.args...), "--config", file)...)
		if err != nil {
			t.Errorf("%v: %v", c.args, err)
		}
		for _, want := range c.wants {
			if !strings.Contains(out, want) {
				t.Errorf("%v: no %q in\n%s", c.args, want, out)
			}
		}
		if strings.Contains(out, "written-out-secret") || strings.Contains(out, `"d":`) {
			t.Errorf("%v: a secret is in\n%s", c.args, out)
		}
	}
}

// TestSourcesCommandRefused protects who mistypes: the error says what there is.
func TestSourcesCommandRefused(t *testing.T) {
	file := sourcesFile(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"show", "witings"}, "see caddy delegate sources list"},
		{[]string{"show"}, "accepts 1 arg(s)"},
		{[]string{"jwks", "st_mary"}, "the client has no client_key"},
		{[]string{"jwks", "st_mary", "--provider", "nobody"}, `provider "nobody" does not offer it`},
		{[]string{"list", "more"}, "unknown command"},
	} {
		out, err := delegateCommand(t, append(append([]string{"sources"}, c.args...), "--config", file)...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v, want %q; printed %q", c.args, err, c.want, out)
		}
	}
}

// TestSourcesCommandWithout protects who has no Caddyfile yet: the presets can be read.
func TestSourcesCommandWithout(t *testing.T) {
	t.Chdir(t.TempDir())
	out, err := delegateCommand(t, "sources", "show", "garmin")
	if err != nil || !strings.Contains(out, "source garmin {") {
		t.Errorf("%v, %q", err, out)
	}
	if out, err = delegateCommand(t, "sources", "list"); err == nil || !strings.Contains(out, "Presets: dexcom") {
		t.Errorf("%v, %q", err, out)
	}
}
