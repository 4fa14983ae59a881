// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"fmt"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestDoubt protects the people of a database that was restored from a backup: a
// refresh token in it may be spent, and whoever sends it is told.
func TestDoubt(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s, i := opened(t, at), newIssuer(false)
		g, other := oauthGrant(t, s, i, "alice"), oauthGrant(t, s, i, "bob")
		if _, err := connect(s, "carol", "account-carol", "a key that is not spent"); err != nil {
			t.Fatal(err)
		}
		for _, no := range [][2]string{{"other", ""}, {"mydex", "lab"}} {
			if n, err := s.Doubt(t.Context(), no[0], no[1], "root"); n != 0 || err != nil {
				t.Errorf("%q: %d, %v", no, n, err)
			}
		}
		for range 2 {
			if n, err := s.Doubt(t.Context(), "", "", "root"); n != 2 || err != nil {
				t.Errorf("%d, %v; want those with tokens", n, err)
			}
		}
		for _, g := range []*Grant{g, other} {
			if intent, attempts, _ := columns(t, s, g.ID); intent != g.Version || attempts != 1 {
				t.Errorf("intent %d, attempts %d", intent, attempts)
			}
		}
		var uncertain []bool
		spend := func(ctx context.Context, g *delegation.Grant, unsure bool) (*delegation.GrantTokens, error) {
			uncertain = append(uncertain, unsure)
			return i.spend(ctx, g, unsure)
		}
		for n := range 2 { // the first answer ends the doubt
			if _, err := s.RefreshGrant(t.Context(), owner("alice"), i.tokens("alice", n).Access, callTimeout, spend); err != nil {
				t.Fatal(err)
			}
		}
		if fmt.Sprint(uncertain) != "[true false]" {
			t.Errorf("uncertain: %v", uncertain)
		}
	})
}
