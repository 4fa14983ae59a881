// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestUnsafeConfigurationRefusesToLoad protects operators from a setting that
// only shows at the first request, or as a hole: the error names the setting
// and how to mend it, and never holds the key.
func TestUnsafeConfigurationRefusesToLoad(t *testing.T) {
	s := newStack(t)
	key := func(name string, content []byte) string {
		file := filepath.Join(s.Dir, name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return "{file." + file + "}"
	}
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ecDER, _ := x509.MarshalPKCS8PrivateKey(ec)
	short, _ := rsa.GenerateKey(rand.Reader, 1024)
	good, _ := os.ReadFile(s.KeyFile)
	block, _ := pem.Decode(good)
	parsed, _ := x509.ParsePKCS1PrivateKey(block.Bytes)
	public, _ := x509.MarshalPKIXPublicKey(&parsed.PublicKey)
	const garbage = "hunter2-not-a-key"

	for name, c := range map[string]struct{ from, to, want string }{
		"key file is absent":      {"{file.[[.KeyFile]]}", "{file.[[.Dir]]/absent.pem}", "private_key"},
		"key variable is unset":   {"{file.[[.KeyFile]]}", "{env.NO_SUCH_VARIABLE}", "private_key"},
		"key is garbage":          {"{file.[[.KeyFile]]}", key("garbage.pem", []byte(garbage)), "private_key"},
		"key is elliptic":         {"{file.[[.KeyFile]]}", key("ec.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: ecDER})), "private_key"},
		"key is public":           {"{file.[[.KeyFile]]}", key("pub.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})), "private_key"},
		"key is short":            {"{file.[[.KeyFile]]}", key("short.pem", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(short)})), "private_key"},
		"key is cut off":          {"{file.[[.KeyFile]]}", key("cut.pem", good[:len(good)/2]), "private_key"},
		"key twice":               {"{file.[[.KeyFile]]}", "{file.[[.KeyFile]]}\n\t\t\tprivate_key {file.[[.KeyFile]]}", "private_key"},
		"project is unset":        {stack.Project, "{env.NO_SUCH_VARIABLE}", "project"},
		"project is a path":       {stack.Project, "x/../y", "project"},
		"account is unset":        {stack.Account, "{env.NO_SUCH_VARIABLE}", "service_account"},
		"http base_url":           {"[[.PlatformURL]]", "http://mydatahelps.example", "base_url"},
		"base_url with password":  {"[[.PlatformURL]]", "https://a:hunter2-not-a-key@mydatahelps.example", "base_url"},
		"base_url is no URL":      {"[[.PlatformURL]]", "mydatahelps.org", "base_url"},
		"scope with a quote":      {"scopes          api", `scopes "a\"b" api`, "scopes"},
		"scope twice":             {"scopes          api", "scopes api api", "scopes"},
		"ca_file is absent":       {"participant_identifier", "participant_identifier\n\t\t\thttp {\n\t\t\t\tca_file [[.Dir]]/absent.pem\n\t\t\t}", "ca_file"},
		"ca_file holds no CA":     {"participant_identifier", "participant_identifier\n\t\t\thttp {\n\t\t\t\tca_file [[.KeyFile]]\n\t\t\t}", "ca_file"},
		"proxy is no URL":         {"participant_identifier", "participant_identifier\n\t\t\thttp {\n\t\t\t\tproxy hunter2-not-a-key\n\t\t\t}", "proxy"},
		"scope above the ceiling": {"delegate_proxy mydatahelps {", "delegate_proxy mydatahelps {\n\t\t\tallow GET /x File:read", "File:read"},
		"token scope above it":    {"delegate_token mydatahelps {", "delegate_token mydatahelps {\n\t\t\tscopes File:read", "File:read"},
		"pattern with two dots":   {"delegate_proxy mydatahelps {", "delegate_proxy mydatahelps {\n\t\t\tallow GET /x/../y", "dot segment"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(stack.Caddyfile, c.from, c.to, 1)
			if text == stack.Caddyfile {
				t.Fatalf("%q is not in the Caddyfile", c.from)
			}
			err := s.Load(text)
			if err == nil {
				_ = caddy.Stop()
				t.Fatal("it was loaded")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q does not name %s", err, c.want)
			}
			for _, secret := range []string{garbage, strings.Split(string(good), "\n")[1]} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error holds the key: %q", err)
				}
			}
		})
	}
	if r := s.Platform.Records(); len(r) != 0 {
		t.Errorf("loading asked the platform: %+v", r)
	}
}

// TestUnsafeJSONRefusesToLoad protects those who write JSON, where no
// Caddyfile parser has looked before.
func TestUnsafeJSONRefusesToLoad(t *testing.T) {
	s := newStack(t)
	config := adapted(t, s, stack.Caddyfile)
	for name, c := range map[string]struct{ from, to, want string }{
		"subject from a header":  {`{http.reverse_proxy.header.Remote-User}`, `{http.request.header.X-User}`, "subject"},
		"unknown provider":       {`"handler":"delegate","provider":"mydatahelps"`, `"handler":"delegate","provider":"mydex"`, `"mydex"`},
		"no participant":         {`"participant":{"by":"identifier"},`, ``, "participant"},
		"participant from query": {`"by":"identifier"`, `"by":"identifier","value":"{http.request.uri.query.id}"`, "http.request.uri.query.id"},
		"participant by name":    {`"by":"identifier"`, `"by":"name"`, "participant"},
		"unknown field":          {`"kind":"mydatahelps"`, `"kind":"mydatahelps","secret":"x"`, "secret"},
		"realm from a header":    {`"handler":"delegate"`, `"handler":"delegate","realm":"{http.request.header.X}"`, "realm"},
		"insecure transport":     {`"protocol":"delegate"`, `"protocol":"delegate","tls":{"insecure_skip_verify":true}`, "tls_insecure_skip_verify"},
		"no app":                 {`"delegate":{"providers"`, `"delegatex":{"providers"`, "delegate"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(string(config), c.from, c.to, 1)
			if text == string(config) {
				t.Fatalf("%s is not in %s", c.from, config)
			}
			err := caddy.Load([]byte(text), true)
			if err == nil {
				_ = caddy.Stop()
				t.Fatal("it was loaded")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q does not name %s", err, c.want)
			}
		})
	}
}

// TestValidateIsOffline protects CI pipelines: validating a configuration
// asks nobody.
func TestValidateIsOffline(t *testing.T) {
	s := newStack(t)
	config := adapted(t, s, stack.Caddyfile)
	parsed := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON(config, parsed); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(parsed); err != nil {
		t.Fatal(err)
	}
	if r := s.Platform.Records(); len(r) != 0 {
		t.Errorf("validating asked the platform: %+v", r)
	}
}
