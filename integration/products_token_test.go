// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// guid names the nth user as many issuers do.
func guid(n int) any { return fmt.Sprintf("5f660ce3-69ec-4aeb-9fda-%012x", n) }

// tokenClaims are those that nearly every token has, with others.
func tokenClaims(now time.Time, life time.Duration, others map[string]any) map[string]any {
	others["iat"], others["exp"] = now.Unix(), now.Add(life).Unix()
	return others
}

// idToken changes an access token's claims to those of the ID token that comes
// with it: it is for the client, and has none of the names.
func idToken(client any, without ...string) func(map[string]any) {
	return func(claims map[string]any) {
		for _, name := range without {
			delete(claims, name)
		}
		claims["aud"], claims["nonce"], claims["at_hash"] = client, "n-0S6_WzA2Mj", "77QmUPtjPfzWtF2AnpK9RQ"
	}
}

func firebaseClaims(issuer string, life time.Duration) func(user any, now time.Time) map[string]any {
	return func(user any, now time.Time) map[string]any {
		return tokenClaims(now, life, map[string]any{
			"iss": issuer, "aud": "my-project", "auth_time": now.Unix(), "user_id": user, "sub": user, "email": "alice@example.org", "email_verified": true,
			"firebase": map[string]any{"identities": map[string]any{"email": []string{"alice@example.org"}}, "sign_in_provider": "password"},
		})
	}
}

// supabaseCookie is what @supabase/ssr keeps of a session.
func supabaseCookie(session string) string {
	text, err := json.Marshal(map[string]any{
		"access_token": session, "token_type": "bearer", "expires_in": 3600, "refresh_token": "3kx7m2pqz5ab",
		"user": map[string]any{"id": "somebody", "user_metadata": map[string]any{"bio": strings.Repeat("käthe ", 500)}},
	})
	if err != nil {
		panic(err)
	}
	return "base64-" + base64.RawURLEncoding.EncodeToString(text)
}

func expireClaim(answer map[string]any, ended time.Time) { answer["exp"] = ended.Unix() }

// inactiveToken is what RFC 7662 section 2.2 has for a token that is worth nothing.
func inactiveToken(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"active":false}`))
}

// introspection tells whether a question is one of RFC 7662 by the client, if one
// is given.
func introspection(id string) func(r *http.Request) bool {
	return func(r *http.Request) bool {
		user, password, ok := r.BasicAuth()
		return r.Method == http.MethodPost && r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" &&
			(id == "" || ok && user == id && password != "")
	}
}
