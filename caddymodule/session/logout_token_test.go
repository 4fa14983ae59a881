// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/jwks"
)

// TestBackchannel protects users from being signed out by whoever has some
// token: each rule that a logout token may break, beside the one that keeps all.
func TestBackchannel(t *testing.T) {
	key := newKey(t)
	b := NewLogoutVerifier(&JWT{Issuer: testIssuer, Audiences: []string{testAudience}, Algorithms: []jose.SignatureAlgorithm{jose.ES256}, Type: "at+jwt", Keys: jwks.NewStaticKeySet(key.Public())})
	jti := 0
	token := func(header, change map[string]any) string {
		jti++
		all := testClaims(map[string]any{"jti": itoa(int64(jti)), "events": map[string]any{logoutEvent: map[string]any{}}, "sid": "s1", "nbf": nil})
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
		want  RevocationTarget // zero: refused
	}{
		{"sub and sid", token(typ("logout+jwt"), nil), RevocationTarget{Realm: testIssuer, Subject: "alice"}},
		{"sub alone", token(nil, map[string]any{"sid": nil}), RevocationTarget{Realm: testIssuer, Subject: "alice"}},
		{"sid alone", token(nil, map[string]any{"sub": nil}), RevocationTarget{Realm: testIssuer, SessionID: "s1"}},
		{"no exp", token(nil, map[string]any{"exp": nil}), RevocationTarget{Realm: testIssuer, Subject: "alice"}},
		{"once", once, RevocationTarget{Realm: testIssuer, Subject: "alice"}},
		{"again", once, RevocationTarget{}},
		{"a session", sign(t, jose.ES256, key, nil, testClaims(nil)), RevocationTarget{}},
		{"an access token", token(typ("at+jwt"), nil), RevocationTarget{}},
		{"an ID token", token(nil, map[string]any{"nonce": "n"}), RevocationTarget{}},
		{"another event", token(nil, map[string]any{"events": map[string]any{"http://other": map[string]any{}}}), RevocationTarget{}},
		{"an event that is none", token(nil, map[string]any{"events": map[string]any{logoutEvent: true}}), RevocationTarget{}},
		{"events a list", token(nil, map[string]any{"events": []string{logoutEvent}}), RevocationTarget{}},
		{"nobody", token(nil, map[string]any{"sub": nil, "sid": nil}), RevocationTarget{}},
		{"sid a number", token(nil, map[string]any{"sid": 1}), RevocationTarget{}},
		{"no jti", token(nil, map[string]any{"jti": nil}), RevocationTarget{}},
		{"another issuer", token(nil, map[string]any{"iss": "https://evil.example"}), RevocationTarget{}},
		{"another audience", token(nil, map[string]any{"aud": "other"}), RevocationTarget{}},
		{"no iat", token(nil, map[string]any{"iat": nil}), RevocationTarget{}},
		{"old", token(nil, map[string]any{"iat": time.Now().Add(-maxLogoutTokenAge - time.Minute).Unix()}), RevocationTarget{}},
		{"expired", token(nil, map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}), RevocationTarget{}},
		{"another key", sign(t, jose.ES256, newKey(t), nil, testClaims(map[string]any{"jti": "x", "events": map[string]any{logoutEvent: map[string]any{}}})), RevocationTarget{}},
		{"garbage", "garbage", RevocationTarget{}},
	} {
		l, err := b.Verify(t.Context(), c.token)
		switch {
		case c.want == (RevocationTarget{}):
			if err == nil || delegation.AsRefusal(err).Code != delegation.SessionRequired {
				t.Errorf("%s: %+v, %v", c.name, l, err)
			}
		case err != nil:
			t.Errorf("%s: %v", c.name, delegation.AsRefusal(err).Unwrap())
		default:
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
		b := NewLogoutVerifier(verifierOf(jwks.NewStaticKeySet(key.Public())))
		token := sign(t, jose.ES256, key, nil, testClaims(map[string]any{"jti": "1", "nbf": nil, "iat": time.Now().Add(leeway / 2).Unix(), "events": map[string]any{logoutEvent: map[string]any{}}}))
		if _, err := b.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if _, err := b.Verify(t.Context(), token); err == nil {
				t.Fatal("it counts twice")
			}
			time.Sleep(maxLogoutTokenAge / 50)
		}
	})
}

// TestLogoutAgain protects a logout for which there was no room: the issuer, who
// is told to try again, may do so with the same token.
func TestLogoutAgain(t *testing.T) {
	r, b := NewRevocations(), NewLogoutVerifier(&JWT{Issuer: testIssuer, Audiences: []string{testAudience}})
	for i := range maxUnownedSessions {
		if _, err := r.RevokeSession(testIssuer, "", itoa(int64(i)), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	d := claims(testClaims(map[string]any{
		"jti": "1", "sid": "last", "iat": json.Number(itoa(time.Now().Unix())), "exp": nil, "events": map[string]any{logoutEvent: map[string]any{}},
	}))
	delete(d, "sub")
	for range 2 {
		l, err := b.validate(d)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Revoke(r, testIssuer); err == nil || delegation.AsRefusal(err).Code != delegation.SessionUnavailable {
			t.Fatal(err)
		}
	}
}

// TestLogoutAhead protects a logout from an issuer whose clock is ahead: it
// revokes what was issued before it by that clock, and no more than that.
func TestLogoutAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, sid := range map[string]string{"sub alone": "", "sub and sid": "other"} {
			r := NewRevocations()
			issued := time.Now().Add(20 * time.Second)
			l := &LogoutToken{Subject: "alice", ID: sid, IssuedAt: issued}
			if _, err := l.Revoke(r, "iss"); err != nil {
				t.Fatal(err)
			}
			for ago, want := range map[time.Duration]bool{10 * time.Second: true, time.Second: true, -time.Second: false} {
				s := &Session{Realm: "iss", Subject: "alice", IssuedBefore: endOfSecond(issued.Add(-ago)), digest: "d"}
				if got := r.Revoked(s); got != want {
					t.Errorf("%s: issued %s before: revoked %t", name, ago, got)
				}
			}
		}
		r := NewRevocations()
		r.RevokeAt(delegation.Person{Realm: "iss", Subject: "alice"}, time.Now().Add(time.Hour))
		if r.Revoked(&Session{Realm: "iss", Subject: "alice", IssuedBefore: time.Now().Add(leeway + time.Second)}) {
			t.Error("a clock that nobody should go by is believed")
		}
	})
}
