// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	testIssuer   = "https://login.example.org"
	testAudience = "app"
)

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// testClaims are what a good token says; change replaces some, nil removes them.
func testClaims(change map[string]any) map[string]any {
	now := time.Now().Unix()
	all := map[string]any{"iss": testIssuer, "aud": testAudience, "sub": "alice", "iat": now, "nbf": now, "exp": now + 600}
	for name, v := range change {
		if all[name] = v; v == nil {
			delete(all, name)
		}
	}
	return all
}

// sign makes a token by hand, so that it can be wrong in any way.
func sign(t testing.TB, alg jose.SignatureAlgorithm, key any, header, payload map[string]any) string {
	t.Helper()
	text, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	return signText(t, alg, key, header, string(text))
}

func signText(t testing.TB, alg jose.SignatureAlgorithm, key any, header map[string]any, payload string) string {
	t.Helper()
	options := new(jose.SignerOptions)
	for name, v := range header {
		options.WithHeader(jose.HeaderKey(name), v)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signer.Sign([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	text, err := token.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func bearer(text string) Credential { return Credential{Text: text, Source: InBearer} }

// raw makes a token of header and payload as they are, with any signature.
func raw(header, payload, signature string) string {
	e := base64.RawURLEncoding
	return e.EncodeToString([]byte(header)) + "." + e.EncodeToString([]byte(payload)) + "." + e.EncodeToString([]byte(signature))
}

// codeOf tells how a verification ended.
func codeOf(t testing.TB, s *Session, err error) delegation.Code {
	t.Helper()
	if err == nil {
		if s == nil || s.Subject == "" {
			t.Error("neither session nor error")
		}
		return ""
	}
	if s != nil {
		t.Error("a session with an error")
	}
	var r *delegation.Refusal
	if !errors.As(err, &r) {
		t.Errorf("the error is no refusal: %v", err)
		return "?"
	}
	return r.Code
}

// keyServer publishes keys.
type keyServer struct{ judge }

func (s *keyServer) set(keys ...jose.JSONWebKey) {
	text, _ := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	s.say(http.StatusOK, string(text))
}

func (s *keyServer) fail(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

func published(key *ecdsa.PrivateKey, kid string) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key.Public(), KeyID: kid, Use: "sig", Algorithm: "ES256"}
}

func remote(s *keyServer) *RemoteKeySet {
	return NewRemoteKeySet("https://login.example.org/jwks", &http.Client{Transport: s, Timeout: 10 * time.Second})
}
