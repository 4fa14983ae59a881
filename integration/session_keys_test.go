// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// keyIssuer publishes keys in whatever form a test wants, over TLS.
type keyIssuer struct {
	*httptest.Server
	t      testing.TB
	calls  atomic.Int64
	answer atomic.Pointer[http.HandlerFunc]
	ca     string // the file of its certificate
}

func newKeyIssuer(t testing.TB) *keyIssuer {
	t.Helper()
	i := &keyIssuer{t: t, ca: filepath.Join(t.TempDir(), "ca.pem")}
	i.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.calls.Add(1)
		(*i.answer.Load())(w, r)
	}))
	t.Cleanup(i.Close)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Certificate().Raw})
	if err := os.WriteFile(i.ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	i.publish(`{"keys":[]}`)
	return i
}

func (i *keyIssuer) serve(h http.HandlerFunc) { i.answer.Store(&h) }

func (i *keyIssuer) publish(text string) {
	i.serve(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
}

// settings are those of an app_session with the issuer's sessions.
func (i *keyIssuer) settings() string {
	return "jwks " + i.URL + "/jwks\nissuer https://login.example.org\naudience app\nhttp {\nca_file " + i.ca + "\n}"
}

// loginClaims are what the issuer says of a user who has signed in just now.
func loginClaims(user string) map[string]any {
	return map[string]any{"iss": "https://login.example.org", "aud": "app", "sub": user, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
}

func newECKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// keySet is a JSON Web Key Set of keys by their names, with other members.
func keySet(t testing.TB, keys map[string]*ecdsa.PrivateKey, more map[string]any) string {
	t.Helper()
	var all []map[string]any
	for kid, key := range keys {
		text, err := json.Marshal(jose.JSONWebKey{Key: key.Public(), KeyID: kid, Use: "sig", Algorithm: "ES256"})
		if err != nil {
			t.Fatal(err)
		}
		var members map[string]any
		if err := json.Unmarshal(text, &members); err != nil {
			t.Fatal(err)
		}
		maps.Copy(members, more)
		all = append(all, members)
	}
	text, err := json.Marshal(map[string]any{"keys": all})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// certificate is one of the key, whose serial number may be negative, as
// crypto/x509 makes and reads none.
func certificate(t testing.TB, key *ecdsa.PrivateKey, negative bool) []byte {
	t.Helper()
	serial := new(big.Int).SetBytes([]byte{0x5a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "issuer"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if negative {
		der[strings.Index(string(der), string(serial.Bytes()))] |= 0x80
		if _, err := x509.ParseCertificate(der); err == nil {
			t.Fatal("the certificate is a usual one")
		}
	}
	return der
}

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

// TestC9_ANewKeyUnderTheOldName protects users from being sent to the login again
// and again, and for an hour, when their issuer has replaced a key and kept its
// name; and everybody meanwhile from strangers who send what no key has signed.
func TestC9_ANewKeyUnderTheOldName(t *testing.T) {
	old, young, stranger, i := newECKey(t), newECKey(t), newECKey(t), newKeyIssuer(t)
	i.publish(keySet(t, map[string]*ecdsa.PrivateKey{"k": old}, nil))
	s := start(t, sessionSite(i.settings()))
	u := signIn(t, s, "alice")
	began := time.Now()
	calls := func() {
		t.Helper()
		// Three at once, then one in 10 s.
		if n, most := i.calls.Load(), 3+int64(time.Since(began)/(10*time.Second)); n > most {
			t.Errorf("%d calls for the keys in %s", n, time.Since(began))
		}
	}
	u.as(http.MethodGet, "/who", signed(t, jose.ES256, old, "k", loginClaims("alice"))).want(t, http.StatusOK, "")
	// A flood: all of it is refused, and whoever is signed in is served, also who
	// was not seen yet.
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for m := range 25 {
				kid := []string{"k", strconv.Itoa(n*100 + m), ""}[m%3]
				token := signed(t, jose.ES256, stranger, kid, loginClaims(fmt.Sprint("stranger-", n, m)))
				a, err := u.try(u.with(http.MethodGet, "/who", "Authorization", "Bearer "+token))
				switch {
				case err != nil:
					t.Error(err)
				case a.StatusCode != http.StatusUnauthorized && a.StatusCode != http.StatusServiceUnavailable:
					t.Errorf("a stranger: %d %s", a.StatusCode, a.body)
				}
				honest := signed(t, jose.ES256, old, "k", loginClaims(fmt.Sprint("user-", n, m)))
				if a, err := u.try(u.with(http.MethodGet, "/who", "Authorization", "Bearer "+honest)); err != nil || a.StatusCode != http.StatusOK {
					t.Errorf("who is signed in: %d %v", a.StatusCode, err)
				}
			}
		})
	}
	all.Wait()
	calls()

	i.publish(keySet(t, map[string]*ecdsa.PrivateKey{"k": young}, nil))
	session := signed(t, jose.ES256, young, "k", loginClaims("alice"))
	told := 0
	eventually(t, "the new key", func() bool {
		a := u.as(http.MethodGet, "/who", session)
		if a.StatusCode == http.StatusOK {
			return true
		}
		a.want(t, http.StatusServiceUnavailable, "session_unavailable")
		if wait, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || wait < 1 || wait > 10 {
			t.Fatalf("Retry-After %q", a.Header.Get("Retry-After"))
		}
		told++
		u.as(http.MethodGet, "/who", signed(t, jose.ES256, stranger, "k", loginClaims(fmt.Sprint("stranger", told)))) // goes on
		return false
	})
	calls()
	// What the old key has signed for somebody who was not seen is worth nothing.
	late := signed(t, jose.ES256, old, "k", loginClaims("late"))
	eventually(t, "who is not signed in", func() bool {
		a := u.as(http.MethodGet, "/who", late)
		if a.StatusCode != http.StatusUnauthorized && a.StatusCode != http.StatusServiceUnavailable {
			t.Fatal(a.StatusCode, a.body)
		}
		return a.StatusCode == http.StatusUnauthorized
	})
	calls()
}

// TestC9_StrangersAreNoFault protects operators' nights from alarms that anybody
// can set off: that a stranger's token cannot be judged at once is no error.
func TestC9_StrangersAreNoFault(t *testing.T) {
	key, stranger, i := newECKey(t), newECKey(t), newKeyIssuer(t)
	i.publish(keySet(t, map[string]*ecdsa.PrivateKey{"k": key}, nil))
	c, file := logged(t, sessionSite(i.settings()))
	s := start(t, c)
	u := signIn(t, s, "alice")
	later := 0
	for n := range 10 {
		if u.as(http.MethodGet, "/who", signed(t, jose.ES256, stranger, "k", loginClaims(strconv.Itoa(n)))).StatusCode == http.StatusServiceUnavailable {
			later++
		}
	}
	found, _ := lines(t, file, "refused")
	if later == 0 || len(found) != 10 {
		t.Fatalf("%d lines, %d answered 503", len(found), later)
	}
	for _, line := range found {
		if line["level"] != "info" {
			t.Errorf("%v", line)
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

// TestC11_RedirectsOfKeys protects from keys of another host, and operators from
// having to guess where their issuer has moved.
func TestC11_RedirectsOfKeys(t *testing.T) {
	key, i, other := newECKey(t), newKeyIssuer(t), newKeyIssuer(t)
	set := keySet(t, map[string]*ecdsa.PrivateKey{"k": key}, nil)
	other.publish(set)
	plain := newLogin(t)
	c, file := logged(t, sessionSite(i.settings()))
	s := start(t, c)
	u := signIn(t, s, "alice")
	to := func(status int, location string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/keys" {
				_, _ = w.Write([]byte(set))
				return
			}
			w.Header().Set("Location", location)
			w.WriteHeader(status)
		}
	}
	for _, c := range []struct {
		answer http.HandlerFunc
		want   int
		why    string
	}{
		{to(301, "/keys"), http.StatusOK, ""},
		{to(308, i.URL+"/keys?canary-query=1"), http.StatusOK, ""},
		{to(302, other.URL+"/keys?canary-query=1"), http.StatusServiceUnavailable, "it redirects (status 302) to " + other.URL + ": if that is your issuer's too, write that address as jwks"},
		{to(307, plain.URL+"/keys"), http.StatusServiceUnavailable, "it redirects (status 307) to " + plain.URL},
		{to(302, strings.Replace(i.URL, "https", "http", 1)+"/keys"), http.StatusServiceUnavailable, "to " + strings.Replace(i.URL, "https", "http", 1)},
		{to(302, strings.Replace(i.URL, "https://", "https://user:canary-query@", 1)+"/keys"), http.StatusServiceUnavailable, "it redirects"},
		{to(302, "/jwks"), http.StatusServiceUnavailable, "it redirects more than 3 times"},
		{to(303, ""), http.StatusServiceUnavailable, "to an address that cannot be read"},
		{to(304, "/keys"), http.StatusServiceUnavailable, "status 304"},
	} {
		i.serve(c.answer)
		if err := s.Restart(strings.Replace(sessionSite(i.settings()), "default_bind", "log {\n\t\toutput file "+file+"\n\t}\n\tdefault_bind", 1)); err != nil {
			t.Fatal(err)
		}
		if a := u.as(http.MethodGet, "/who", signed(t, jose.ES256, key, "k", loginClaims("alice"))); a.StatusCode != c.want {
			t.Errorf("%s: %d %s", c.why, a.StatusCode, a.body)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), c.why) {
			t.Errorf("%q is not in the log", c.why)
		}
	}
	if n := other.calls.Load() + plain.calls.Load(); n != 0 {
		t.Errorf("%d calls to other hosts", n)
	}
	if _, text := lines(t, file, "refused"); strings.Contains(text, "canary-query") {
		t.Error("a query is in the log")
	}
}
