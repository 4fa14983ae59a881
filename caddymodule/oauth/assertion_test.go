// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

var uuid4 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// The platform's server compares aud with one string, wants an integer exp
// soon enough, and newer servers of its kind refuse a jti they have seen: a
// claim that is off makes every request of every user fail.
func TestT29_Assertion(t *testing.T) {
	const account, endpoint = "MyDataHelps.12345.proxy", "https://mydatahelps.org/identityserver/connect/token"
	seen := make(map[string]bool)
	for range 3 {
		before := time.Now().Unix()
		compact, err := Assertion(testKey(), account, endpoint, MaxAssertionLifetime)
		if err != nil {
			t.Fatal(err)
		}
		head, err := base64.RawURLEncoding.DecodeString(strings.Split(compact, ".")[0])
		if err != nil {
			t.Fatal(err)
		}
		var header map[string]any
		if err := json.Unmarshal(head, &header); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(header, map[string]any{"alg": "RS256", "typ": "JWT"}) {
			t.Errorf("header %v", header)
		}
		jws, err := jose.ParseSignedCompact(compact, []jose.SignatureAlgorithm{jose.RS256})
		if err != nil {
			t.Fatal(err)
		}
		payload, err := jws.Verify(&testKey().PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		var claims map[string]any
		if err := json.Unmarshal(payload, &claims); err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(claims)); !slices.Equal(got, []string{"aud", "exp", "iss", "jti", "sub"}) {
			t.Errorf("claims %v", got)
		}
		if claims["iss"] != account || claims["sub"] != account || claims["aud"] != endpoint {
			t.Errorf("claims %v", claims)
		}
		exp := claims["exp"].(float64)
		if exp != float64(int64(exp)) || int64(exp) < before+199 || int64(exp) > time.Now().Unix()+200 {
			t.Errorf("exp %v at %v", exp, before)
		}
		jti, _ := claims["jti"].(string)
		if !uuid4.MatchString(jti) || seen[jti] {
			t.Errorf("jti %q", jti)
		}
		seen[jti] = true
	}
}

// An assertion that lives long is a password that leaks.
func TestAssertionLifetime(t *testing.T) {
	for _, lifetime := range []time.Duration{-time.Second, 0, MaxAssertionLifetime + time.Second, time.Hour} {
		if _, err := Assertion(testKey(), "account", "https://example.org", lifetime); err == nil {
			t.Errorf("%v accepted", lifetime)
		}
	}
}
