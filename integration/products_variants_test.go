// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"slices"
	"strings"
	"testing"
)

// TestProductsVariants protects whoever changes a block as the lines below it
// say: it still lets in whom it should, and nobody else.
func TestProductsVariants(t *testing.T) {
	text := sections(t)
	for _, v := range []struct {
		name, product string
		lines         []string // of the block, and what stands there instead, in turn
		good          func(claims map[string]any)
		others        []any
	}{
		{
			name: "simplejwt without iat", product: "simplejwt",
			lines: []string{"subject_claim user_id", "subject_claim user_id\n\t\tlifetime 5m"},
			good:  func(claims map[string]any) { delete(claims, "iat") },
			others: []any{
				func(claims map[string]any) { delete(claims, "iat"); claims["token_type"] = "refresh" },
				func(claims map[string]any) { delete(claims, "iat"); claims["exp"] = claims["exp"].(int64) + 24*3600 },
			},
		},
		{
			name: "Okta by client", product: "Okta",
			lines:  []string{"audience      api://default", "audience 0oaosna3ilNxgPTmk0h7\n\t\taudience_claim cid"},
			good:   func(map[string]any) {},
			others: []any{func(claims map[string]any) { claims["cid"] = "0oaanother" }, func(claims map[string]any) { delete(claims, "cid") }},
		},
		{
			name: "Hydra by client", product: "Ory Hydra",
			lines:  []string{"audience      https://api.example.org", "audience app\n\t\t\taudience_claim client_id"},
			good:   func(answer map[string]any) { answer["aud"] = []string{} },
			others: []any{func(answer map[string]any) { answer["client_id"] = "another" }, func(answer map[string]any) { delete(answer, "client_id") }},
		},
	} {
		t.Run(v.name, func(t *testing.T) {
			p := loginProducts()[slices.IndexFunc(loginProducts(), func(p *loginProduct) bool { return p.name == v.product })]
			b := fenced(productsPage, text[p.name], "caddyfile")[0]
			for i := 0; i < len(v.lines); i += 2 {
				if !strings.Contains(b.text, v.lines[i]) {
					t.Fatalf("the block has no line %q", v.lines[i])
				}
				b.text = strings.Replace(b.text, v.lines[i], v.lines[i+1], 1)
			}
			r := runProduct(t, p, b)
			r.served(t, r.user(firstUser), r.headers(r.server.session(r.user(firstUser), v.good))...)
			for _, what := range v.others {
				r.refused(t, r.server.other(r.user(caseUser), what))
			}
		})
	}
}
