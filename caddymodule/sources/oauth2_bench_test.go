// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"net/http"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// BenchmarkAuthorize is what a source adds to a data call whose token is in memory.
func BenchmarkAuthorize(b *testing.B) {
	c := codeConfig()
	p, err := New([]Config{c})
	if err != nil {
		b.Fatal(err)
	}
	grants := &codeGrants{current: &delegation.Grant{ID: "g", Person: ada, Account: "u-1", Scopes: c.Scopes, Tokens: delegation.GrantTokens{Access: delegation.NewSecret(canaryAccess)}}}
	if err := p.Open(&codeHost{grants: grants}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		d := &delegation.Delegation{Person: ada, Method: http.MethodGet, Path: "/lab/users/17/measurements", Scopes: []string{"sleep"}}
		if _, err := p.Authorize(b.Context(), d); err != nil {
			b.Fatal(err)
		}
	}
}
