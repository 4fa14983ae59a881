// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestR3_PoolIsEmptied protects the memory of a server whose settings change
// again and again: each state is given back by every configuration that took
// it, also by one that does not load, and nothing is left after the last.
func TestR3_PoolIsEmptied(t *testing.T) {
	const sessions = `
		app_session {
			cookie __Host-a
			session_endpoint http://[[.AppAddr]]/me
		}
		app_session {
			bearer
			jwks     https://login.example.org/keys
			issuer   https://login.example.org
			audience app
		}
		app_session {
			bearer
			introspect https://login.example.org/introspect {
				client_id     a
				client_secret b
				any_audience
			}
		}`
	s, err := stack.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	before := caddymodule.PoolSize()
	caddyfile := strings.Replace(stack.Caddyfile, "handle {", "handle /sessions {\n\t\troute {"+sessions+"\n\t\t}\n\t}\n\thandle {", 1)
	for _, change := range [][2]string{
		{},
		{"scopes          api ", "scopes          "},
		{"audience app", "audience other"},
		{"[[.PlatformURL]]", "http://127.0.0.1:9"},
		{"delegate {", "delegate {\n\t\ttokens {\n\t\t\tconcurrency 3\n\t\t}"},
	} {
		changed := strings.Replace(caddyfile, change[0], change[1], 1)
		if err := s.Load(changed); err != nil {
			t.Fatal(err)
		}
		if err := s.Load(strings.Replace(changed, "delegate_proxy mydatahelps {", "delegate_proxy mydatahelps {\n\t\t\tallow GET /x Unknown:scope", 1)); err == nil {
			t.Fatal("a scope that the provider does not have was loaded")
		}
	}
	if caddymodule.PoolSize() == before {
		t.Error("nothing is pooled")
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if n := caddymodule.PoolSize(); n != before {
		t.Errorf("%d states are left in the pool", n-before)
	}
}
