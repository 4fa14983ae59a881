// SPDX-License-Identifier: Apache-2.0

package session

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/jwks"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/jwks/jwkstest"
)

// claimed verifies a token of the claims, which are changed as those of claims.
func claimed(t *testing.T, change map[string]any, set func(*JWT)) (*Session, error) {
	t.Helper()
	key := newKey(t)
	j := verifierOf(jwks.NewStaticKeySet(key.Public()))
	set(j)
	return j.Verify(t.Context(), bearer(sign(t, jose.ES256, key, nil, testClaims(change))))
}

// TestAudienceClaim protects from another client's token: that of the issuer's
// which names the client in another claim counts by that claim alone.
func TestAudienceClaim(t *testing.T) {
	for name, c := range map[string]struct {
		claim  string
		change map[string]any
		ok     bool
	}{
		"client_id":            {"client_id", map[string]any{"aud": nil, "client_id": testAudience}, true},
		"azp":                  {"azp", map[string]any{"aud": "account", "azp": testAudience}, true},
		"a list":               {"azp", map[string]any{"azp": []string{"x", testAudience}}, true},
		"in an object":         {"app.id", map[string]any{"app": map[string]any{"id": testAudience}}, true},
		"a URL":                {"https://app.example.org/client", map[string]any{"https://app.example.org/client": testAudience}, true},
		"missing":              {"client_id", map[string]any{"aud": testAudience}, false},
		"another client":       {"client_id", map[string]any{"client_id": "other"}, false},
		"another, our aud":     {"client_id", map[string]any{"client_id": "other", "aud": testAudience}, false},
		"a part of the name":   {"client_id", map[string]any{"client_id": testAudience[:2]}, false},
		"null":                 {"client_id", map[string]any{"client_id": nil}, false},
		"empty":                {"client_id", map[string]any{"client_id": ""}, false},
		"a number":             {"client_id", map[string]any{"client_id": 1}, false},
		"true":                 {"client_id", map[string]any{"client_id": true}, false},
		"an object":            {"client_id", map[string]any{"client_id": map[string]any{testAudience: 1}}, false},
		"a list of a number":   {"client_id", map[string]any{"client_id": []any{testAudience, 1}}, false},
		"aud in its stead":     {"", map[string]any{"aud": nil, "client_id": testAudience}, false},
		"the exact name first": {"app.id", map[string]any{"app.id": "other", "app": map[string]any{"id": testAudience}}, false},
	} {
		s, err := claimed(t, c.change, func(j *JWT) { j.AudienceClaim = c.claim })
		if code := codeOf(t, s, err); (code == "") != c.ok || !c.ok && code != delegation.SessionRequired {
			t.Errorf("%s: %q", name, code)
		}
	}
}

// TestSubjectClaim protects users from one another: each number has one text,
// exactly, and what is neither a name nor a number is nobody.
func TestSubjectClaim(t *testing.T) {
	key := newKey(t)
	for value, want := range map[string]string{
		`"alice"`: "alice", `"42"`: "42", `42`: "42", `9007199254740993`: "9007199254740993",
		`123456789012345678901234567890`: "123456789012345678901234567890",

		`0`: "", `-0`: "", `-42`: "", `42.0`: "", `4.2e1`: "", `42e0`: "", `1E400`: "", `4.5`: "", `true`: "", `false`: "",
		`null`: "", `""`: "", `[42]`: "", `{"id":42}`: "", `"a\nb"`: "", strings.Repeat("9", maxSubject+1): "",
	} {
		for claim, payload := range map[string]string{"user_id": `"user_id":` + value, "user.id": `"user":{"id":` + value + `}`, "": `"sub":` + value} {
			j := verifierOf(jwks.NewStaticKeySet(key.Public()))
			j.SubjectClaim = claim
			other := ""
			if claim != "" {
				other = `"sub":"mallory",`
			}
			s, err := j.Verify(t.Context(), bearer(signText(t, jose.ES256, key, nil, `{"iss":"`+testIssuer+`","aud":"app",`+other+payload+`,"iat":`+itoa(time.Now().Unix())+`,"exp":`+itoa(time.Now().Unix()+60)+`}`)))
			if code := codeOf(t, s, err); (code == "") != (want != "") || s != nil && s.Subject != want {
				t.Errorf("%s %s: %q %+v", claim, value, code, s)
			}
		}
	}
}

// TestOwnKey protects apps whose own key signs nothing but sessions: these need
// neither issuer nor audience, and are in the realm that is configured.
func TestOwnKey(t *testing.T) {
	own := func(j *JWT) { j.Issuer, j.Audiences, j.Realm = "", nil, "app" }
	for _, change := range []map[string]any{nil, {"iss": nil, "aud": nil}, {"iss": "other", "aud": 1}} {
		s, err := claimed(t, change, own)
		if code := codeOf(t, s, err); code != "" || s.Realm != "app" || s.Subject != "alice" {
			t.Errorf("%v: %q %+v", change, code, s)
		}
	}
	for name, change := range map[string]map[string]any{
		"expired": {"exp": time.Now().Add(-time.Minute).Unix()}, "a logout": {"events": map[string]any{}}, "bound": {"cnf": map[string]any{}}, "nobody's": {"sub": nil},
		"a refresh token": {"token_type": "refresh"}, "without an end": {"exp": nil}, "not valid yet": {"nbf": time.Now().Add(time.Hour).Unix()},
	} {
		s, err := claimed(t, change, own)
		if code := codeOf(t, s, err); code != delegation.SessionRequired {
			t.Errorf("%s: %q", name, code)
		}
	}
}

// TestRefreshTokens protects from tokens that live for months and are for the
// issuer alone, though the same key has signed them for the same user.
func TestRefreshTokens(t *testing.T) {
	for claim, values := range map[string]map[string]bool{
		"token_use":  {"access": true, "id": true, "refresh": false, "refresh_token": false},
		"token_type": {"access": true, "Bearer": true, "refresh": false},
		"typ":        {"Bearer": true, "ID": true, "Refresh": false, "Offline": false},
		"type":       {"access": true, "refresh": false},
	} {
		for value, ok := range values {
			s, err := claimed(t, map[string]any{claim: value}, func(*JWT) {})
			if code := codeOf(t, s, err); (code == "") != ok {
				t.Errorf("%s %s: %q", claim, value, code)
			}
		}
	}
}

// TestLifetime protects who has signed out, where sessions do not tell when they
// were issued: the moment that is reckoned is not after the true one.
func TestLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		at := func(d time.Duration) int64 { return now.Add(d).Unix() }
		for name, c := range map[string]struct {
			lifetime        time.Duration
			change          map[string]any
			issued, expires time.Time
			why             string
		}{
			"both":            {time.Hour, map[string]any{"iat": at(-time.Minute), "exp": at(time.Minute)}, now.Add(-time.Minute), now.Add(time.Minute), ""},
			"no iat":          {time.Hour, map[string]any{"iat": nil, "exp": at(30 * time.Minute)}, now.Add(-30 * time.Minute), now.Add(30 * time.Minute), ""},
			"no exp":          {time.Hour, map[string]any{"iat": at(-10 * time.Minute), "exp": nil}, now.Add(-10 * time.Minute), now.Add(50 * time.Minute), ""},
			"no exp, over":    {time.Hour, map[string]any{"iat": at(-2 * time.Hour), "exp": nil}, now, now, "it has expired"},
			"too short":       {time.Hour, map[string]any{"iat": nil, "exp": at(2 * time.Hour)}, now, now, "raise `lifetime`"},
			"no iat, expired": {time.Hour, map[string]any{"iat": nil, "exp": at(-time.Minute)}, now, now, "it has expired"},
			"long ago":        {366 * 24 * time.Hour, map[string]any{"iat": nil, "exp": at(time.Hour)}, now, now, "it is older than 30 days"},
			"neither":         {time.Hour, map[string]any{"iat": nil, "exp": nil}, now, now, "exp and iat are missing"},
			"no iat, unset":   {0, map[string]any{"iat": nil}, now, now, "iat is missing: no logout could tell sessions from before it; issue sessions with it, or set `lifetime`"},
			"no exp, unset":   {0, map[string]any{"exp": nil}, now, now, "exp is missing: issue sessions with it, or set `lifetime`"},
			"iat a string":    {time.Hour, map[string]any{"iat": "1"}, now, now, "iat is no number"},
		} {
			s, err := claimed(t, c.change, func(j *JWT) { j.Lifetime = c.lifetime })
			if c.why != "" {
				if code := codeOf(t, s, err); code != delegation.SessionRequired || !strings.Contains(delegation.AsRefusal(err).Unwrap().Error(), c.why) {
					t.Errorf("%s: %q, %v", name, code, delegation.AsRefusal(err).Unwrap())
				}
				continue
			}
			if code := codeOf(t, s, err); code != "" || !s.IssuedBefore.Equal(endOfSecond(c.issued)) || !s.Expires.Equal(c.expires.Truncate(time.Second).Add(leeway)) {
				t.Errorf("%s: %q %+v, want %s to %s", name, code, s, c.issued, c.expires)
			}
		}
	})
}

// TestHopelessTokensAreNotLookedFor protects the issuer from being asked for the
// key of what would be no session whoever had signed it.
func TestHopelessTokensAreNotLookedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, forged, s := newKey(t), newKey(t), new(jwkstest.Server)
		s.Publish(jwkstest.Public(key, "k"))
		j := verifierOf(jwks.NewRemoteKeySet(testIssuer+"/jwks", s.Client()))
		for _, change := range []map[string]any{
			{"exp": time.Now().Add(-time.Hour).Unix()}, {"aud": "other"}, {"iss": "other"}, {"sub": nil}, {"cnf": map[string]any{}}, {"token_use": "refresh"},
		} {
			got, err := j.Verify(t.Context(), bearer(sign(t, jose.ES256, forged, map[string]any{"kid": "new"}, testClaims(change))))
			if c := codeOf(t, got, err); c != delegation.SessionRequired {
				t.Errorf("%v: %q", change, c)
			}
		}
		if s.Calls() != 0 {
			t.Errorf("%d calls", s.Calls())
		}
	})
}
