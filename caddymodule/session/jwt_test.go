// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/jwks"
)

// TestJWT protects the way in: every rule of RFC 8725 that a token may break,
// one at a time, beside the token that keeps all of them.
func TestJWT(t *testing.T) {
	key, other := newKey(t), newKey(t)
	j := &JWT{Issuer: testIssuer, Audiences: []string{testAudience, "app2"}, Algorithms: []jose.SignatureAlgorithm{jose.ES256}, Keys: jwks.NewStaticKeySet(key.Public())}
	now := time.Now()
	good := func(change map[string]any) string { return sign(t, jose.ES256, key, nil, testClaims(change)) }
	headed := func(h map[string]any) string { return sign(t, jose.ES256, key, h, testClaims(nil)) }
	parts := strings.Split(good(nil), ".")
	for name, c := range map[string]struct {
		token string
		ok    bool
	}{
		"good":                      {good(nil), true},
		"typ JWT":                   {headed(map[string]any{"typ": "JWT"}), true},
		"typ at+jwt":                {headed(map[string]any{"typ": "application/AT+JWT"}), true},
		"one of two audiences":      {good(map[string]any{"aud": []string{"x", "app2"}}), true},
		"expired within the leeway": {good(map[string]any{"exp": now.Add(-leeway / 2).Unix()}), true},
		"ahead within the leeway":   {good(map[string]any{"iat": now.Add(leeway / 2).Unix(), "nbf": now.Add(leeway / 2).Unix()}), true},
		"no nbf":                    {good(map[string]any{"nbf": nil}), true},

		"typ logout+jwt":       {headed(map[string]any{"typ": "logout+jwt"}), false},
		"typ dpop+jwt":         {headed(map[string]any{"typ": "dpop+jwt"}), false},
		"typ number":           {headed(map[string]any{"typ": 1}), false},
		"jku":                  {headed(map[string]any{"jku": "https://evil.example/jwks"}), false},
		"x5u":                  {headed(map[string]any{"x5u": "https://evil.example/x5u"}), false},
		"crit":                 {raw(`{"alg":"ES256","crit":["exp"]}`, `{}`, "x"), false},
		"jwk":                  {sign(t, jose.ES256, jose.JSONWebKey{Key: other}, map[string]any{"jwk": jose.JSONWebKey{Key: other.Public()}}, testClaims(nil)), false},
		"other key":            {sign(t, jose.ES256, other, nil, testClaims(nil)), false},
		"alg none":             {raw(`{"alg":"none"}`, `{"iss":"`+testIssuer+`","aud":"app","sub":"alice","exp":99999999999}`, ""), false},
		"alg NONE":             {raw(`{"alg":"NONE"}`, `{"sub":"alice"}`, ""), false},
		"alg twice":            {raw(`{"alg":"none","alg":"ES256"}`, `{"sub":"alice"}`, "x"), false},
		"no signature":         {parts[0] + "." + parts[1] + ".", false},
		"payload of another":   {parts[0] + "." + strings.Split(good(map[string]any{"sub": "bob"}), ".")[1] + "." + parts[2], false},
		"two parts":            {parts[0] + "." + parts[1], false},
		"four parts":           {good(nil) + ".x", false},
		"JSON serialization":   {`{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, false},
		"blanks":               {parts[0] + "\n." + parts[1] + "." + parts[2], false},
		"thousands of dots":    {strings.Repeat(".", 10_000), false},
		"too long":             {good(map[string]any{"x": strings.Repeat("x", maxCredential)}), false},
		"iss missing":          {good(map[string]any{"iss": nil}), false},
		"iss another":          {good(map[string]any{"iss": "https://login.example.org/"}), false},
		"iss a list":           {good(map[string]any{"iss": []string{testIssuer}}), false},
		"aud missing":          {good(map[string]any{"aud": nil}), false},
		"aud another":          {good(map[string]any{"aud": "app3"}), false},
		"aud prefix":           {good(map[string]any{"aud": "ap"}), false},
		"aud list of a number": {good(map[string]any{"aud": []any{"app", 1}}), false},
		"aud an object":        {good(map[string]any{"aud": map[string]any{"app": true}}), false},
		"sub missing":          {good(map[string]any{"sub": nil}), false},
		"sub empty":            {good(map[string]any{"sub": ""}), false},
		"sub true":             {good(map[string]any{"sub": true}), false},
		"sub a fraction":       {good(map[string]any{"sub": 1.5}), false},
		"sub a list":           {good(map[string]any{"sub": []string{"alice"}}), false},
		"sub with a line":      {good(map[string]any{"sub": "alice\nbob"}), false},
		"sub with NUL":         {good(map[string]any{"sub": "alice\x00"}), false},
		"sub very long":        {good(map[string]any{"sub": strings.Repeat("a", maxSubject+1)}), false},
		"sub twice":            {signText(t, jose.ES256, key, nil, `{"iss":"`+testIssuer+`","aud":"app","sub":"alice","sub":"bob","iat":1,"exp":99999999999}`), false},
		"Sub for sub":          {signText(t, jose.ES256, key, nil, `{"iss":"`+testIssuer+`","aud":"app","Sub":"alice","iat":`+itoa(now.Unix())+`,"exp":`+itoa(now.Unix()+60)+`}`), false},
		"sid a number":         {good(map[string]any{"sid": 1}), false},
		"exp missing":          {good(map[string]any{"exp": nil}), false},
		"exp a string":         {good(map[string]any{"exp": itoa(now.Unix() + 600)}), false},
		"exp negative":         {good(map[string]any{"exp": -1}), false},
		"exp enormous":         {good(map[string]any{"exp": 1e300}), false},
		"expired":              {good(map[string]any{"exp": now.Add(-leeway - time.Second).Unix()}), false},
		"nbf in the future":    {good(map[string]any{"nbf": now.Add(2 * leeway).Unix()}), false},
		"iat in the future":    {good(map[string]any{"iat": now.Add(2 * leeway).Unix()}), false},
		"iat too old":          {good(map[string]any{"iat": now.Add(-MaxAge - time.Hour).Unix()}), false},
		"no iat":               {good(map[string]any{"iat": nil}), false},
		"a logout token":       {good(map[string]any{"events": map[string]any{logoutEvent: map[string]any{}}}), false},
		"a long header":        {headed(map[string]any{"x": strings.Repeat("x", maxJWTHeader)}), false},
		"bound to a key":       {good(map[string]any{"cnf": map[string]string{"jkt": "x"}}), false},
		"payload a list":       {signText(t, jose.ES256, key, nil, `["alice"]`), false},
		"payload null":         {signText(t, jose.ES256, key, nil, `null`), false},
		"payload two objects":  {signText(t, jose.ES256, key, nil, `{}{}`), false},
		"empty":                {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := j.Verify(t.Context(), bearer(c.token))
			want := delegation.SessionRequired
			if c.ok {
				want = ""
			}
			if code := codeOf(t, s, err); code != want {
				t.Fatalf("%q, want %q", code, want)
			}
			if findings := j.Explain(t.Context(), bearer(c.token)); explained(findings) != c.ok {
				t.Errorf("explained as %+v", findings)
			}
			if c.ok && (s.Subject != "alice" || s.Realm != testIssuer || s.Expires.IsZero()) {
				t.Errorf("%+v", s)
			}
		})
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// TestLongLivedSession protects who has signed out from a session that outlives
// what is remembered of it.
func TestLongLivedSession(t *testing.T) {
	key := newKey(t)
	j := verifierOf(jwks.NewStaticKeySet(key.Public()))
	issued := time.Now().Add(-MaxAge + time.Hour)
	s, err := j.Verify(t.Context(), bearer(sign(t, jose.ES256, key, nil, testClaims(map[string]any{"iat": issued.Unix(), "exp": issued.Add(3 * MaxAge).Unix()}))))
	if err != nil || s.Expires.After(issued.Add(MaxAge)) {
		t.Errorf("%+v %v", s, err)
	}
}

// TestJWTType protects a verifier that is for access tokens alone from ID
// tokens of the same issuer.
func TestJWTType(t *testing.T) {
	key := newKey(t)
	j := &JWT{Issuer: testIssuer, Audiences: []string{testAudience}, Algorithms: []jose.SignatureAlgorithm{jose.ES256}, Type: "at+jwt", Keys: jwks.NewStaticKeySet(key.Public())}
	for typ, want := range map[string]delegation.Code{"at+jwt": "", "JWT": delegation.SessionRequired} {
		s, err := j.Verify(t.Context(), bearer(sign(t, jose.ES256, key, map[string]any{"typ": typ}, testClaims(nil))))
		if code := codeOf(t, s, err); code != want {
			t.Errorf("%s: %q, want %q", typ, code, want)
		}
	}
}

// TestAlgorithmConfusion protects from tokens that are signed with the public
// key as if it were a shared secret (CVE-2015-9235).
func TestAlgorithmConfusion(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, _ := x509.MarshalPKIXPublicKey(private.Public())
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	keys, algorithms, err := jwks.ParsePublicKeys(string(text))
	if err != nil {
		t.Fatal(err)
	}
	j := &JWT{Issuer: testIssuer, Audiences: []string{testAudience}, Algorithms: algorithms, Keys: keys}
	s, err := j.Verify(t.Context(), bearer(sign(t, jose.RS256, private, nil, testClaims(nil))))
	if code := codeOf(t, s, err); code != "" {
		t.Fatal(code)
	}
	for _, secret := range [][]byte{text, der, []byte(strings.TrimSpace(string(text)))} {
		s, err := j.Verify(t.Context(), bearer(sign(t, jose.HS256, secret, nil, testClaims(nil))))
		if code := codeOf(t, s, err); code != delegation.SessionRequired {
			t.Errorf("signed with the public key: %q", code)
		}
	}
	if _, err := jwks.NewSharedSecrets(string(text)); err == nil {
		t.Error("a public key passes for a secret")
	}
}

// TestClaims protects who reads {http.auth.user.*}: numbers are as they were
// written, and what is no single value is not there.
func TestClaims(t *testing.T) {
	key := newKey(t)
	j := &JWT{Issuer: "i", Audiences: []string{"a"}, Algorithms: []jose.SignatureAlgorithm{jose.ES256}, Keys: jwks.NewStaticKeySet(key.Public())}
	exp, iat := itoa(time.Now().Unix()+60), itoa(time.Now().Unix())
	s, err := j.Verify(t.Context(), bearer(signText(t, jose.ES256, key, nil,
		`{"iss":"i","aud":"a","sub":"alice","exp":`+exp+`,"iat":`+iat+`,"https://app/x":"n","id":12345678901234567890,"ok":true,"none":null,"list":["x"],"user":{"mail":"a@example.org","deep":{"n":1.50}}}`)))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"iss": "i", "aud": "a", "sub": "alice", "exp": exp, "id": "12345678901234567890", "ok": "true",
		"https://app/x": "n", "user.mail": "a@example.org", "user.deep.n": "1.50",
		"none": "", "list": "", "user": "", "user.deep": "", "user.mail.x": "", "missing": "", "": "",
	} {
		if got, ok := s.Claim(name); got != want || ok != (want != "") {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got, ok := new(Session).Claim("sub"); ok {
		t.Errorf("%q of a session without claims", got)
	}
}
