// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"bytes"
	"encoding/base64"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// canaryResult is a result with a value in every field.
func canaryResult(account string) PendingResult {
	end := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	return PendingResult{
		Account: account, Label: "CANARY-label", Scopes: []string{"CANARY-scope"}, Secret: delegation.NewSecret("CANARY-secret"),
		Tokens: delegation.GrantTokens{
			Access: delegation.NewSecret("CANARY-access"), AccessExpires: end, Refresh: delegation.NewSecret("CANARY-refresh\xff"), RefreshExpires: end.Add(time.Hour),
		},
		Reply: map[string]string{"CANARY-reply": "CANARY-public"},
	}
}

// sees wants a grant to have the values of a canaryResult.
func sees(t *testing.T, what string, g *Grant, r PendingResult) {
	t.Helper()
	same := g.Label == r.Label && len(g.Scopes) == 1 && g.Scopes[0] == r.Scopes[0] && g.Secret.Reveal() == r.Secret.Reveal() &&
		g.Tokens.Access.Reveal() == r.Tokens.Access.Reveal() && g.Tokens.Refresh.Reveal() == r.Tokens.Refresh.Reveal() &&
		g.Tokens.AccessExpires.Equal(r.Tokens.AccessExpires) && g.Tokens.RefreshExpires.Equal(r.Tokens.RefreshExpires)
	if !same {
		t.Errorf("%s: %+v", what, g)
	}
}

// TestEraseTokens protects whose grant has tokens, and who is on the way to one,
// from whoever reads the files: nothing of it is there in clear, and when it is
// deleted nothing opens any more.
func TestEraseTokens(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		j := newFlow("alice")
		j.Mode, j.Scopes, j.Secret, j.ReturnURL = FlowPage, []string{"CANARY-asked"}, delegation.NewSecret("CANARY-page"), "https://CANARY-return"
		begun(t, s, j)
		result := canaryResult("CANARY-account")
		g, _, err := s.FinishClaim(t.Context(), claimed(t, s, j.post("CANARY-token")), result, nil)
		want(t, "finishing", err, nil)
		sees(t, "as it was finished", g, result)
		found, err := s.Find(t.Context(), owner("alice"))
		want(t, "finding", err, nil)
		sees(t, "as it is found", found, result)
		for _, listed := range all(t, s) {
			if listed.Label != result.Label || listed.Tokens != (delegation.GrantTokens{}) || listed.Secret.Reveal() != "" {
				t.Errorf("as it is listed: %+v", listed)
			}
		}
		open := newFlow("alice")
		open.Mode, open.Scopes, open.Secret, open.ReturnURL = j.Mode, j.Scopes, j.Secret, j.ReturnURL
		begun(t, s, open)
		redirect := newFlow("alice")
		redirect.Mode = FlowRedirect
		begun(t, s, redirect)
		nobody := redirect.code("CANARY-code")
		nobody.Person = delegation.Person{}
		want(t, "staging", s.StageClaim(t.Context(), claimed(t, s, nobody), result), nil)
		id := pairwiseID(t, s, owner("alice"))

		erased(t, s)
		before := sealedKeys(t, s)
		clear := func() {
			t.Helper()
			dump := files(t, at)
			for _, text := range []string{"CANARY", id, open.Verifier.Reveal(), open.CorrelationID.Reveal()} {
				for _, form := range []string{text, base64.StdEncoding.EncodeToString([]byte(text))[:len(text)/3*4]} {
					if bytes.Contains(dump, []byte(form)) {
						t.Errorf("%q is in the files", form)
					}
				}
			}
		}
		clear()
		want(t, "deleting", s.DeleteByOwner(t.Context(), owner("alice")), nil)
		erased(t, s)
		gone(t, s, at, before)
		clear()
		if left := sealedKeys(t, s); len(before) != 5 || len(left) != 0 { // a grant, three flows and an identifier
			t.Errorf("there were %d keys of rows, and %d are left", len(before), len(left))
		}
		for _, table := range []string{"grants", "journeys", "people"} {
			var left int
			if err := s.db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&left); err != nil || left != 0 {
				t.Errorf("%d rows of %s are left, %v", left, table, err)
			}
		}
	})
}

// TestTokensExchanged protects people from whoever can write to the database: the
// tokens of one grant and the secret of one flow do not open in another.
func TestTokensExchanged(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		for _, who := range []string{"alice", "mallory"} {
			_, _, err := s.FinishClaim(t.Context(), claimed(t, s, pageFlow(t, s, who).post(who)), canaryResult(who), nil)
			want(t, who, err, nil)
		}
		alter(t, s, "UPDATE grants SET tokens = (SELECT tokens FROM grants WHERE account = $1)", s.accountPseudonym("mydex", "", "alice"))
		_, err := s.Find(t.Context(), owner("mallory"))
		want(t, "another's tokens", err, ErrDamaged)
		_, err = s.Find(t.Context(), owner("alice"))
		want(t, "her own", err, nil)

		hers, his := pageFlow(t, s, "alice"), pageFlow(t, s, "mallory")
		alter(t, s, "UPDATE journeys SET secret = (SELECT secret FROM journeys WHERE back = $1) WHERE state = 'open'", s.tokenPseudonym("back", hers.StateToken.Reveal()))
		_, err = s.Claim(t.Context(), his.post("new"))
		want(t, "another's secret", err, ErrDamaged)
		_, err = s.Claim(t.Context(), hers.post("newer"))
		want(t, "her own", err, nil)
		redirect := newFlow("carol")
		redirect.Mode = FlowRedirect
		begun(t, s, redirect)
		alter(t, s, "UPDATE journeys SET mode = 'page' WHERE mode = 'redirect'")
		_, err = s.Claim(t.Context(), redirect.post("token"))
		want(t, "another mode", err, ErrDamaged)
	})
}
