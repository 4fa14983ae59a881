// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/jwks"
)

// FuzzFind looks for Cookie and Authorization headers that this package reads
// in another way than net/http does: what it finds is what net/http finds, and
// nothing if that finds more than one. That goes for pieces as well, and nothing
// else goes along with them.
func FuzzFind(f *testing.F) {
	const name = "__Host-session"
	for _, seed := range []string{
		"__Host-session=abc", "a=b; __Host-session=\"abc\"", "__Host-session=a; __Host-session=b", "__Host-session =a", "=;__Host-session=a=b",
		"__Host-session.0=a; __Host-session.1=\"b\"", "__Host-session.1=b\n__Host-session.0=a", "__Host-session.0=a; __Host-session.2=c", "__Host-session.0=a; __Host-session.0=a",
		"__Host-session=Bearer abc", "__Host-session=\"bearer  abc\"", "__Host-session=%22Bearer%20a%2Fb%22", "__Host-session=Bearer+a%2Bb", "__Host-session.0=\"Bearer a\"; __Host-session.1=b",
	} {
		f.Add(seed, "Bearer abc")
	}
	carrier := Extractor{Cookie: name, Bearer: true}
	f.Fuzz(func(t *testing.T, cookie, authorization string) {
		h := http.Header{"Cookie": strings.Split(cookie, "\n"), "Authorization": {authorization}}
		for _, value := range append(h["Cookie"], authorization) {
			if !httpguts.ValidHeaderFieldValue(value) {
				return // no server takes it
			}
		}
		got, err := carrier.Extract(h)
		if err != nil {
			return
		}
		if got.Text == "" || len(got.Text) > maxCredential || strings.ContainsAny(got.Text, "\"\\,; \t\r\n\x00\x7f") {
			t.Fatalf("%q", got.Text)
		}
		request := &http.Request{Header: h}
		all := request.CookiesNamed(name)
		if got.Source == InBearer {
			if len(all) > 0 || got.CookieHeader != "" || len(request.CookiesNamed(name+".0")) > 0 {
				t.Errorf("the cookies %v were passed over", request.Cookies())
			}
			return
		}
		var joined string
		switch len(all) {
		case 1:
			joined = all[0].Value
		case 0:
			for n := 0; ; n++ {
				pieces := request.CookiesNamed(name + "." + strconv.Itoa(n))
				if len(pieces) == 0 {
					break
				}
				if joined += pieces[0].Value; len(pieces) > 1 {
					t.Errorf("the piece %d is there twice", n)
				}
			}
		default:
			t.Fatalf("found %q, net/http %v", got.Text, all)
		}
		if joined != got.Text && !isBearer(joined, got.Text) {
			t.Errorf("found %q, net/http %q", got.Text, joined)
		}
		for _, sent := range (&http.Request{Header: http.Header{"Cookie": {got.cookieHeader(name)}}}).Cookies() {
			if same := request.CookiesNamed(sent.Name); !strings.HasPrefix(sent.Name, name) || len(same) != 1 || same[0].Value != sent.Value {
				t.Errorf("%v is sent on, and came as %v", sent, same)
			}
		}
	})
}

// isBearer tells whether a cookie's value stands for `Bearer` and a token.
func isBearer(value, token string) bool {
	for _, decode := range []func(string) (string, error){
		func(s string) (string, error) { return s, nil }, url.PathUnescape, url.QueryUnescape,
	} {
		plain, err := decode(value)
		scheme, rest, ok := strings.Cut(strings.Trim(plain, `"`), " ")
		if err == nil && ok && strings.EqualFold(scheme, "Bearer") && strings.TrimLeft(rest, " ") == token {
			return true
		}
	}
	return false
}

// FuzzJWT looks for tokens that are taken though nobody has signed them, however
// the verifier is set.
func FuzzJWT(f *testing.F) {
	key := newKey(f)
	good := sign(f, jose.ES256, key, map[string]any{"typ": "JWT"}, testClaims(map[string]any{"exp": time.Now().Add(1000 * time.Hour).Unix()}))
	f.Add(good)
	f.Add(raw(`{"alg":"none"}`, `{"sub":"alice"}`, ""))
	f.Add(raw(`{"alg":"ES256","jwk":{}}`, `{}`, "x"))
	f.Add(raw(`{"alg":"ES256","kid":"k"}`, `{"user":{"id":42},"client_id":"app","exp":99999999999}`, "x"))
	f.Add(strings.Replace(good, ".", "..", 1))
	fixed := jwks.NewStaticKeySet(key.Public())
	j := verifierOf(fixed)
	verifiers := []*JWT{
		j,
		{Issuer: testIssuer, Audiences: []string{testAudience}, AudienceClaim: "client_id", SubjectClaim: "user.id", Algorithms: jwks.AsymmetricAlgorithms, Keys: fixed},
		{Realm: "own", Lifetime: 1000 * time.Hour, Algorithms: jwks.AsymmetricAlgorithms, Keys: fixed},
	}
	b := NewLogoutVerifier(j)
	body := good[:strings.LastIndexByte(good, '.')]
	f.Fuzz(func(t *testing.T, text string) {
		for _, j := range verifiers {
			s, err := j.Verify(t.Context(), bearer(text))
			if err == nil && (!strings.HasPrefix(text, body+".") || s.Subject != "alice") {
				t.Errorf("taken: %q", text)
			}
			if findings := j.Explain(t.Context(), bearer(text)); explained(findings) != (err == nil) {
				t.Errorf("%v, explained as %+v", err, findings)
			}
		}
		if l, err := b.Verify(t.Context(), text); err == nil {
			t.Errorf("a logout: %+v", l)
		}
	})
}

// FuzzClaims looks for signed claims that make a session of nobody, of more than
// one name, or without an end.
func FuzzClaims(f *testing.F) {
	for _, seed := range []string{
		`{"iss":"https://login.example.org","aud":"app","sub":"alice","iat":1795000000,"exp":1795003600}`,
		`{"user":{"id":9007199254740993},"exp":1e10}`, `{"user.id":-0,"iat":1.5}`, `{"sub":1E400,"exp":1,"iat":null}`, `{"client_id":["app"],"sub":"x","type":"Refresh"}`,
	} {
		f.Add(seed, "client_id", "user.id", int64(time.Hour))
	}
	f.Fuzz(func(t *testing.T, text, audience, subject string, lifetime int64) {
		d, err := decodeClaims([]byte(text))
		if err != nil {
			return
		}
		for _, j := range []*JWT{
			{Issuer: testIssuer, Audiences: []string{testAudience}, AudienceClaim: audience, SubjectClaim: subject, Lifetime: time.Duration(lifetime % int64(MaxAge))},
			{Realm: "own", SubjectClaim: subject},
		} {
			s, err := j.checkClaims(d)
			if err != nil {
				if s != nil || strings.Contains(err.Error(), "alice") && !strings.Contains(audience+subject, "alice") {
					t.Errorf("%v %+v", err, s)
				}
				continue
			}
			switch issued := s.IssuedBefore; {
			case s.Subject == "" || len(s.Subject) > maxSubject || strings.ContainsAny(s.Subject, "\x00\r\n"):
				t.Errorf("the subject %q", s.Subject)
			case s.Realm != testIssuer && s.Realm != "own":
				t.Errorf("the realm %q", s.Realm)
			case issued.IsZero(), s.Expires.IsZero(), s.Expires.After(issued.Add(MaxAge)), s.Expires.Before(time.Now().Add(-time.Second)), issued.After(time.Now().Add(leeway + time.Second)):
				t.Errorf("from %s to %s", issued, s.Expires)
			case d["cnf"] != nil || d["events"] != nil || d.isRefreshToken():
				t.Errorf("taken: %s", text)
			}
		}
	})
}

// FuzzDocument looks for answers about sessions that make the reader fall over,
// say more than single values, or name a user or a time in two ways.
func FuzzDocument(f *testing.F) {
	f.Add(`{"active":true,"sub":"alice","exp":1.5e9,"user":{"id":"x"}}`, "user.id")
	f.Add(`{"a":{"a":{"a":[1]}}}`, "a.a.a")
	f.Add(`{"sub":"a","sub":"b"}`, "sub")
	f.Add(`{"sub":9007199254740993,"token_use":"refresh_token"}`, "sub")
	f.Add(`{"expires":"2099-01-01 00:00:00","typ":"ID"}`, "expires")
	f.Add(`{"expires":"4070908800000"}`, "expires")
	f.Add(`{"a":[[[[{"a":"\\\""}]]]],"b":{"c":"]]}"}}`, "b.c")
	f.Add(`{"user":{"id":9007199254740993},"user.id":0}`, "user.id")
	f.Fuzz(func(t *testing.T, text, path string) {
		d, err := decodeClaims([]byte(text))
		if err != nil {
			return
		}
		s := &Session{claims: d.trimmed(maxStoredClaims + 1)}
		if n := weight(s.claims); n > maxStoredClaims {
			t.Errorf("%d bytes are kept", n)
		}
		before, _ := (&Session{claims: d}).Claim(path)
		if after, ok := s.Claim(path); ok && after != before {
			t.Errorf("%q, and %q when kept", before, after)
		}
		_, _ = d.strings(path)
		_ = checkTokenUse(d)
		if at, err := d.time(path); err == nil && at.Year() > 40000 {
			t.Errorf("%s", at)
		}
		if at, err := d.date(path); err == nil && !at.IsZero() && (at.Unix() < 0 || at.Year() > 10000) {
			t.Errorf("%s", at)
		}
		name, err := d.subject(path)
		if err == nil && (name == "" || len(name) > maxSubject || strings.ContainsAny(name, "\x00\r\n")) {
			t.Errorf("%q", name)
		}
		if err == nil && isNobody(d.value(path)) {
			t.Errorf("%q is nobody", name)
		}
		if number, ok := d.value(path).(json.Number); ok && err == nil {
			if n, ok := new(big.Int).SetString(string(number), 10); !ok || n.Sign() <= 0 || n.String() != name {
				t.Errorf("%s is %q", number, name)
			}
		}
		if err == nil && before != name {
			t.Errorf("%q is %q", before, name)
		}
	})
}
