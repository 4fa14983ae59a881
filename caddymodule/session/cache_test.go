// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"math/big"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/jwks"
)

// counted counts what another verifier is asked.
type counted struct {
	Verifier
	calls int
}

func (c *counted) Verify(ctx context.Context, credential Credential) (*Session, error) {
	c.calls++
	return c.Verifier.Verify(ctx, credential)
}

func cached(t testing.TB, life time.Duration) (*Cache, *counted, func(change map[string]any) string) {
	key := newKey(t)
	v := &counted{Verifier: verifierOf(jwks.NewStaticKeySet(key.Public()))}
	return NewCache(v, NewRevocations(), life), v, func(change map[string]any) string { return sign(t, jose.ES256, key, nil, testClaims(change)) }
}

// TestCache protects from sessions that outlive their end in memory, and from
// a verification for each request.
func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, v, token := cached(t, time.Hour)
		short, long := token(map[string]any{"exp": time.Now().Add(10 * time.Minute).Unix()}), token(map[string]any{"exp": time.Now().Add(3 * time.Hour).Unix()})
		want := func(token string, code delegation.Code, calls int) {
			t.Helper()
			s, err := c.Verify(t.Context(), bearer(token))
			if got := codeOf(t, s, err); got != code || v.calls != calls {
				t.Errorf("%q after %d calls, want %q after %d", got, v.calls, code, calls)
			}
		}
		want(short, "", 1)
		want(short, "", 1)
		want(long, "", 2)
		time.Sleep(10*time.Minute + leeway)
		want(short, delegation.SessionRequired, 3)
		want(short, delegation.SessionRequired, 4) // forgeries are not remembered
		want(long, "", 4)
		time.Sleep(time.Hour)
		want(long, "", 5)
	})
}

// TestLogout protects who has signed out: nothing that was vouched for before
// lets anybody in, here or from a copy; and who signs in anew is not refused.
func TestLogout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, token := cached(t, time.Hour)
		want := func(what, token string, code delegation.Code) *Session {
			t.Helper()
			s, err := c.Verify(t.Context(), bearer(token))
			if got := codeOf(t, s, err); got != code {
				t.Errorf("%s: %q, want %q", what, got, code)
			}
			return s
		}
		other := token(map[string]any{"x": "another device"})
		bob := token(map[string]any{"sub": "bob"})
		time.Sleep(90 * time.Second)
		mine := token(nil)
		want("another device", other, "")
		want("bob", bob, "")
		signOut(c.revocations, want("mine", mine, ""))
		again := token(map[string]any{"x": "again"}) // in the same second
		want("mine after logout", mine, delegation.SessionRequired)
		want("mine, its signature written in another way", rewritten(t, mine), delegation.SessionRequired)
		for _, other := range respelled(mine) {
			want("mine, written in another way", other, delegation.SessionRequired)
		}
		want("another device after logout", other, delegation.SessionRequired)
		want("signed in anew", again, "")
		want("bob after alice's logout", bob, "")
		time.Sleep(2 * time.Hour) // what was in memory is forgotten
		want("mine later", token(map[string]any{"iat": time.Now().Add(-2*time.Hour - time.Second).Unix()}), delegation.SessionRequired)

		if _, err := c.revocations.RevokeSession(testIssuer, "", "s1", time.Now()); err != nil {
			t.Fatal(err)
		}
		want("its sid was ended", token(map[string]any{"sid": "s1"}), delegation.SessionRequired)
		want("another sid", token(map[string]any{"sid": "s2"}), "")
		time.Sleep(2 * time.Second)
		want("the same sid later", token(map[string]any{"sid": "s1"}), delegation.SessionRequired)
		if _, err := c.revocations.RevokeSession(testIssuer, "carol", "another", time.Now()); err != nil {
			t.Fatal(err)
		}
		carol := map[string]any{"sub": "carol", "iat": time.Now().Add(-time.Minute).Unix(), "sid": "s3"}
		want("of a name", token(carol), "")
		carol["sid"] = nil
		want("without a name", token(carol), delegation.SessionRequired)
		c.revocations.Revoke(delegation.Person{})
		want("everybody's were ended", token(map[string]any{"sub": "bob", "iat": time.Now().Add(-time.Second).Unix()}), delegation.SessionRequired)
	})
}

// signOut does what a logout with the session does.
func signOut(r *Revocations, s *Session) {
	for _, who := range s.People() {
		r.Revoke(who)
	}
}

// respelled is the same token with bits in its payload that a decoder drops.
func respelled(token string) (others []string) {
	parts := strings.Split(token, ".")
	for i := range parts {
		last := parts[i][len(parts[i])-1]
		for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
			if byte(c) != last {
				other := slices.Clone(parts)
				other[i] = parts[i][:len(parts[i])-1] + string(c)
				others = append(others, strings.Join(other, "."))
			}
		}
	}
	return others
}

// rewritten is the same token with the other one of the two signatures that
// ECDSA has for everything.
func rewritten(t *testing.T, token string) string {
	t.Helper()
	i := strings.LastIndexByte(token, '.') + 1
	signature, err := base64.RawURLEncoding.DecodeString(token[i:])
	if err != nil || len(signature) != 64 {
		t.Fatal(err)
	}
	n := elliptic.P256().Params().N
	new(big.Int).Sub(n, new(big.Int).SetBytes(signature[32:])).FillBytes(signature[32:])
	return token[:i] + base64.RawURLEncoding.EncodeToString(signature)
}

// TestRevocationsAreForgotten protects memory from logouts that no session can
// be from before any more.
func TestRevocationsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRevocations()
		r.Revoke(delegation.Person{Realm: "r", Subject: "alice"})
		time.Sleep(MaxAge)
		r.Revoke(delegation.Person{Realm: "r", Subject: "bob"})
		if len(r.records) != 2 {
			t.Fatalf("%d revocations", len(r.records))
		}
		time.Sleep(revocationSweepInterval)
		r.Revoke(delegation.Person{Realm: "r", Subject: "carol"})
		if len(r.records) != 2 || !r.Revoked(&Session{Realm: "r", Subject: "bob"}) {
			t.Errorf("%d revocations", len(r.records))
		}
	})
}

// BenchmarkVerify is what a session costs: verified anew with a key at hand,
// beside the bare signature, and remembered.
func BenchmarkVerify(b *testing.B) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	ecKey := newKey(b)
	for _, c := range []struct {
		algorithm       jose.SignatureAlgorithm
		private, public any
	}{{jose.RS256, rsaKey, rsaKey.Public()}, {jose.ES256, ecKey, ecKey.Public()}} {
		j := verifierOf(jwks.NewStaticKeySet(c.public))
		token := sign(b, c.algorithm, c.private, nil, testClaims(map[string]any{"name": "Alice Example", "email": "alice@example.org", "exp": time.Now().Add(time.Hour).Unix()}))
		cache := NewCache(j, NewRevocations(), time.Hour)
		cache.revocations.Revoke(delegation.Person{Realm: testIssuer, Subject: "bob"})
		run := func(name string, f func() error) {
			b.Run(string(c.algorithm)+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := f(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		run("signature", func() error {
			t, err := jose.ParseSignedCompact(token, j.Algorithms)
			if err == nil {
				_, err = t.Verify(c.public)
			}
			return err
		})
		run("session", func() error { _, err := j.Verify(b.Context(), bearer(token)); return err })
		run("remembered", func() error { _, err := cache.Verify(b.Context(), bearer(token)); return err })
	}
}
