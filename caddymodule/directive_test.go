// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"testing"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

// testDirective is a directive for a provider, as after Provision.
func testDirective(t testing.TB, p *provider, settings SubjectSettings, logger *zap.Logger) ProviderDirective {
	t.Helper()
	origins, err := policy.NewOrigins(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := ProviderDirective{Provider: p.name, Directive: Directive{SubjectSettings: settings}}
	if err := d.attach(&App{origins: origins, realmNames: new(realmNames)}, p, logger); err != nil {
		t.Fatal(err)
	}
	return d
}

// testProxiedRequest is a request of somebody at a directive with a policy.
func testProxiedRequest(t testing.TB, d *ProviderDirective, who delegation.Person) *proxiedRequest {
	t.Helper()
	table, err := policy.New([]delegation.Route{{Methods: []string{"GET"}, Pattern: "/**"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	filter, err := headers.NewRequestFilter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &proxiedRequest{
		directive: d, provider: d.provider, policy: table, headerRules: &ForwardedHeaders{requestHeaders: filter},
		delegation: delegation.Delegation{Person: who},
	}
}
