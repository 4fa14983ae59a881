// SPDX-License-Identifier: Apache-2.0

package session

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestBackchannel protects users from being signed out by whoever has some
// token: each rule that a logout token may break, beside the one that keeps all.
func TestBackchannel(t *testing.T) {
	key := newKey(t)
	b := NewBackchannel(&JWT{Issuer: testIssuer, Audiences: []string{testAudience}, Algorithms: []jose.SignatureAlgorithm{jose.ES256}, Type: "at+jwt", Keys: &Fixed{[]any{key.Public()}}})
	jti := 0
	token := func(header, change map[string]any) string {
		jti++
		all := claims(map[string]any{"jti": itoa(int64(jti)), "events": map[string]any{logoutEvent: map[string]any{}}, "sid": "s1", "nbf": nil})
		for name, v := range change {
			if all[name] = v; v == nil {
				delete(all, name)
			}
		}
		return sign(t, jose.ES256, key, header, all)
	}
	typ := func(typ string) map[string]any { return map[string]any{"typ": typ} }
	once := token(nil, nil)
	for _, c := range []struct {
		name  string
		token string
		want  Name // zero: refused
	}{
		{"sub and sid", token(typ("logout+jwt"), nil), Name{Realm: testIssuer, Subject: "alice"}},
		{"sub alone", token(nil, map[string]any{"sid": nil}), Name{Realm: testIssuer, Subject: "alice"}},
		{"sid alone", token(nil, map[string]any{"sub": nil}), Name{Realm: testIssuer, SessionID: "s1"}},
		{"no exp", token(nil, map[string]any{"exp": nil}), Name{Realm: testIssuer, Subject: "alice"}},
		{"once", once, Name{Realm: testIssuer, Subject: "alice"}},
		{"again", once, Name{}},
		{"a session", sign(t, jose.ES256, key, nil, claims(nil)), Name{}},
		{"an access token", token(typ("at+jwt"), nil), Name{}},
		{"an ID token", token(nil, map[string]any{"nonce": "n"}), Name{}},
		{"another event", token(nil, map[string]any{"events": map[string]any{"http://other": map[string]any{}}}), Name{}},
		{"an event that is none", token(nil, map[string]any{"events": map[string]any{logoutEvent: true}}), Name{}},
		{"events a list", token(nil, map[string]any{"events": []string{logoutEvent}}), Name{}},
		{"nobody", token(nil, map[string]any{"sub": nil, "sid": nil}), Name{}},
		{"sid a number", token(nil, map[string]any{"sid": 1}), Name{}},
		{"no jti", token(nil, map[string]any{"jti": nil}), Name{}},
		{"another issuer", token(nil, map[string]any{"iss": "https://evil.example"}), Name{}},
		{"another audience", token(nil, map[string]any{"aud": "other"}), Name{}},
		{"no iat", token(nil, map[string]any{"iat": nil}), Name{}},
		{"old", token(nil, map[string]any{"iat": time.Now().Add(-logoutAge - time.Minute).Unix()}), Name{}},
		{"expired", token(nil, map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}), Name{}},
		{"another key", sign(t, jose.ES256, newKey(t), nil, claims(map[string]any{"jti": "x", "events": map[string]any{logoutEvent: map[string]any{}}})), Name{}},
		{"garbage", "garbage", Name{}},
	} {
		l, err := b.Read(t.Context(), c.token)
		switch {
		case c.want == (Name{}):
			if err == nil || delegation.AsRefusal(err).Code != delegation.SessionRequired {
				t.Errorf("%s: %+v, %v", c.name, l, err)
			}
		case err != nil:
			t.Errorf("%s: %v", c.name, delegation.AsRefusal(err).Unwrap())
		default:
			b.Taken(l)
			if names, err := l.Revoke(NewRevocations(), l.Issuer); err != nil || len(names) != 1 || names[0] != c.want {
				t.Errorf("%s: %+v, %v", c.name, names, err)
			}
		}
	}
}

// TestLogoutTokensAreForgotten protects memory; by then they are too old.
func TestLogoutTokensAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newKey(t)
		b := NewBackchannel(verifierOf(&Fixed{[]any{key.Public()}}))
		token := sign(t, jose.ES256, key, nil, claims(map[string]any{"jti": "1", "nbf": nil, "iat": time.Now().Add(leeway / 2).Unix(), "events": map[string]any{logoutEvent: map[string]any{}}}))
		l, err := b.Read(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		b.Taken(l)
		for range 100 {
			if _, err := b.Read(t.Context(), token); err == nil {
				t.Fatal("it counts twice")
			}
			time.Sleep(logoutAge / 50)
		}
	})
}

// TestH15_LogoutTokenIsTriedAgain protects a logout for which there was no room:
// the issuer was told so, and tries again. What was taken does not count twice.
func TestH15_LogoutTokenIsTriedAgain(t *testing.T) {
	key := newKey(t)
	b := NewBackchannel(verifierOf(&Fixed{[]any{key.Public()}}))
	token := sign(t, jose.ES256, key, nil, claims(map[string]any{"sub": nil, "sid": "last", "jti": "1", "nbf": nil, "iat": time.Now().Unix(), "events": map[string]any{logoutEvent: map[string]any{}}}))
	full := NewRevocations()
	for i := range maxSingle {
		if _, err := full.RevokeSession("https://login.example.org", "", "sid"+strconv.Itoa(i), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, revocations := range []*Revocations{full, full, NewRevocations()} {
		l, err := b.Read(t.Context(), token)
		if err != nil {
			t.Fatalf("tried again: %v", err)
		}
		_, err = l.Revoke(revocations, l.Issuer)
		if took := err == nil; took != (revocations != full) {
			t.Fatal(err)
		} else if took {
			b.Taken(l)
		}
	}
	if _, err := b.Read(t.Context(), token); err == nil {
		t.Error("it counts twice")
	}
}
