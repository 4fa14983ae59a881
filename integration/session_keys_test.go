// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// TestC7_KeySetsOfRealIssuers protects users of issuers whose key sets hold what
// no verifier needs, in forms that some refuse.
func TestC7_KeySetsOfRealIssuers(t *testing.T) {
	key := newECKey(t)
	der := certificate(t, key, true)
	sum := sha256.Sum256(der)
	x5c := base64.StdEncoding.EncodeToString(der)
	one := map[string]*ecdsa.PrivateKey{"k": key}
	many := map[string]*ecdsa.PrivateKey{"k": key}
	for n := range 150 {
		many[strconv.Itoa(n)] = newECKey(t)
	}
	chain := []string{x5c, strings.Repeat("A", 2000), strings.Repeat("A", 2000)}
	large := keySet(t, many, map[string]any{"x5c": chain})
	if len(large) < 600<<10 {
		t.Fatalf("%d bytes", len(large))
	}
	i := newKeyIssuer(t)
	s := start(t, sessionSite(i.settings()))
	u := signIn(t, s, "alice")
	for _, c := range []struct{ name, set string }{
		{"a negative serial number", keySet(t, one, map[string]any{"x5c": []string{x5c}})},
		{"a digest in the other alphabet", keySet(t, one, map[string]any{"x5t#S256": base64.StdEncoding.EncodeToString(sum[:]), "x5t": "++//=="})},
		{"x5c of no certificate", keySet(t, one, map[string]any{"x5c": "none", "x5u": 7})},
		{"unknown members", keySet(t, one, map[string]any{"exp": 1, "nbf": "x", "issuer": map[string]any{}})},
		{"150 keys with chains", large},
	} {
		i.publish(c.set)
		if err := s.Restart(sessionSite(i.settings())); err != nil {
			t.Fatal(err)
		}
		if a := u.as(http.MethodGet, "/who", signed(t, jose.ES256, key, "k", loginClaims("alice"))); a.StatusCode != http.StatusOK || a.body != "alice" {
			t.Errorf("%s: %d %s", c.name, a.StatusCode, a.body)
		}
		forged := signed(t, jose.ES256, newECKey(t), "k", loginClaims("alice"))
		u.as(http.MethodGet, "/who", forged).want(t, http.StatusUnauthorized, "session_required")
	}
	for n, other := range many { // of the last set, each
		u.as(http.MethodGet, "/who", signed(t, jose.ES256, other, n, loginClaims("bob"))).want(t, http.StatusOK, "")
	}
}

// TestC7_SetsThatAreTooLarge protects operators from a set that is used in part:
// it would be left to chance who is signed in.
func TestC7_SetsThatAreTooLarge(t *testing.T) {
	key, i := newECKey(t), newKeyIssuer(t)
	c, file := logged(t, sessionSite(i.settings()))
	one := keySet(t, map[string]*ecdsa.PrivateKey{"k": key}, nil)
	s := start(t, c)
	u := signIn(t, s, "alice")
	for _, set := range []string{
		`{"keys":[` + strings.Repeat(`{"kty":"EC"},`, 1000) + one[len(`{"keys":[`):],
		`{"pad":"` + strings.Repeat("x", 5<<20) + `",` + one[1:],
	} {
		i.publish(set)
		if err := s.Restart(c); err != nil {
			t.Fatal(err)
		}
		u.as(http.MethodGet, "/who", signed(t, jose.ES256, key, "k", loginClaims("alice"))).want(t, http.StatusServiceUnavailable, "session_unavailable")
	}
	_, text := lines(t, file, "refused")
	for _, want := range []string{"the set holds 1001 keys: more than 1000 are not read", "the answer is too large"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the log", want)
		}
	}
}

// TestC7_KeysThatArePassedOver protects operators who wonder why sessions of one
// key are refused: one line names it and the reason, and nothing of the key.
func TestC7_KeysThatArePassedOver(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024) // it has to be weak
	if err != nil {
		t.Fatal(err)
	}
	private, key, i := newECKey(t), newECKey(t), newKeyIssuer(t)
	member := func(v jose.JSONWebKey) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	weakText, privateText := member(jose.JSONWebKey{Key: weak.Public(), KeyID: "weak"}), member(jose.JSONWebKey{Key: private, KeyID: "leaked"})
	i.publish(`{"keys":[` + strings.Join([]string{
		member(jose.JSONWebKey{Key: key.Public(), KeyID: "good"}), weakText, privateText,
		`{"kty":"EC","crv":"secp256k1","kid":"coin","x":"AA","y":"AA"}`, `{"kty":"AKP","alg":"ML-DSA-44","kid":"new"}`,
		`{"kty":"RSA","kid":"line\nbreak","n":"canary-n","e":"AQAB"}`, `7`,
		member(jose.JSONWebKey{Key: newECKey(t).Public(), KeyID: "for-encryption", Use: "enc"}),
	}, ",") + `]}`)
	c, file := logged(t, sessionSite(i.settings()))
	s := start(t, c)
	u := signIn(t, s, "alice")
	u.as(http.MethodGet, "/who", signed(t, jose.ES256, key, "good", loginClaims("alice"))).want(t, http.StatusOK, "")
	u.as(http.MethodGet, "/who", signed(t, jose.ES256, private, "leaked", loginClaims("alice"))).want(t, http.StatusUnauthorized, "session_required")
	u.as(http.MethodGet, "/who", signed(t, jose.ES256, private, "leaked", loginClaims("bob"))).want(t, http.StatusUnauthorized, "session_required")
	if n := i.calls.Load(); n < 2 {
		t.Fatalf("%d calls: the same set was to come more than once", n)
	}
	found, text := lines(t, file, "some keys of the issuer cannot be used: sessions that they sign are refused")
	if len(found) != 1 || found[0]["level"] != "warn" || found[0]["jwks"] != i.URL+"/jwks" {
		t.Fatalf("%d lines: %v", len(found), found)
	}
	told := fmt.Sprint(found[0]["keys"])
	for kid, reason := range map[string]string{
		"weak": "fewer than 2048 bits", "leaked": "a private key or a secret", "coin": "not known here", "new": "its type", "line?break": "fewer than 2048 bits", "": "no JSON object", "for-encryption": "another use",
	} {
		if _, rest, ok := strings.Cut(told, fmt.Sprintf("%q: ", kid)); !ok || !strings.Contains(strings.SplitN(rest, `"`, 2)[0], reason) {
			t.Errorf("%s: %q is not in %s", kid, reason, told)
		}
	}
	if strings.Contains(told, "good") {
		t.Error("a key that is used is named")
	}
	for _, set := range []string{weakText, privateText, `"n":"canary-n"`} {
		var members map[string]string
		_ = json.Unmarshal([]byte("{"+strings.Trim(set, "{}")+"}"), &members)
		for _, name := range []string{"n", "x", "y", "d"} {
			if v := members[name]; v != "" && strings.Contains(text, v) {
				t.Errorf("%s of a key is in the log", name)
			}
		}
	}
}

// TestC10_CertificatesByName protects users of Firebase's session cookies, whose
// keys come as certificates by their names.
func TestC10_CertificatesByName(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "session.firebase.google.com"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, rsaKey.Public(), rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	armour := func(der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	ec, i := newECKey(t), newKeyIssuer(t)
	text, err := json.Marshal(map[string]string{"3a1f": armour(der), "77bc": armour(certificate(t, ec, true))})
	if err != nil {
		t.Fatal(err)
	}
	i.publish(string(text))
	s := start(t, sessionSite(i.settings()))
	u := signIn(t, s, "alice")
	u.as(http.MethodGet, "/who", signed(t, jose.RS256, rsaKey, "3a1f", loginClaims("alice"))).want(t, http.StatusOK, "")
	u.as(http.MethodGet, "/who", signed(t, jose.ES256, ec, "77bc", loginClaims("alice"))).want(t, http.StatusOK, "")
	u.as(http.MethodGet, "/who", signed(t, jose.RS256, rsaKey, "77bc", loginClaims("alice"))).want(t, http.StatusUnauthorized, "session_required")
	u.as(http.MethodGet, "/who", signed(t, jose.ES256, newECKey(t), "77bc", loginClaims("alice"))).want(t, http.StatusUnauthorized, "session_required")
	// The certificate is known to everybody: it is no secret to sign by.
	u.as(http.MethodGet, "/who", signed(t, jose.HS256, []byte(armour(der)), "3a1f", loginClaims("alice"))).want(t, http.StatusUnauthorized, "session_required")

	for _, none := range []string{`{"error":"not found"}`, `{"a":"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"}`, `{"a":1}`, `{}`, `["x"]`} {
		i.publish(none)
		if err := s.Restart(sessionSite(i.settings())); err != nil {
			t.Fatal(err)
		}
		u.as(http.MethodGet, "/who", signed(t, jose.RS256, rsaKey, "3a1f", loginClaims("alice"))).want(t, http.StatusServiceUnavailable, "session_unavailable")
	}
}
