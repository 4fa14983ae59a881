// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/jwks/jwkstest"
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

var newECKey = jwkstest.NewKey

// keySet is a JSON Web Key Set of keys by their names, with other members.
func keySet(t testing.TB, keys map[string]*ecdsa.PrivateKey, more map[string]any) string {
	t.Helper()
	var all []map[string]any
	for kid, key := range keys {
		text, err := json.Marshal(jwkstest.Public(key, kid))
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
