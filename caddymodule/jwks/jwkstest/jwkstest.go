// SPDX-License-Identifier: Apache-2.0

// Package jwkstest has what tests need of an issuer: keys, tokens that are signed
// by them, and a server that publishes them.
package jwkstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// NewKey returns a new P-256 key.
func NewKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Public returns the public key of a P-256 key as a member of a key set.
func Public(key *ecdsa.PrivateKey, kid string) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key.Public(), KeyID: kid, Use: "sig", Algorithm: "ES256"}
}

// Sign returns a token, which may be wrong in any way.
func Sign(t testing.TB, alg jose.SignatureAlgorithm, key any, header, payload map[string]any) string {
	t.Helper()
	text, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	return SignText(t, alg, key, header, string(text))
}

// SignText returns a token with the payload as it is.
func SignText(t testing.TB, alg jose.SignatureAlgorithm, key any, header map[string]any, payload string) string {
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

// Server publishes keys. It implements [http.RoundTripper].
type Server struct {
	mu     sync.Mutex
	status int
	body   string
	delay  time.Duration
	calls  int
}

// Client returns a client whose requests the server answers.
func (s *Server) Client() *http.Client { return &http.Client{Transport: s, Timeout: 10 * time.Second} }

// Publish changes the keys.
func (s *Server) Publish(keys ...jose.JSONWebKey) {
	text, _ := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	s.PublishText(string(text))
}

// PublishText changes the answer.
func (s *Server) PublishText(body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body = body
}

// Fail has the server answer with a status; 0 is 200.
func (s *Server) Fail(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

// Delay has the server answer later.
func (s *Server) Delay(delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = delay
}

// Calls returns how many requests there were.
func (s *Server) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// RoundTrip implements [http.RoundTripper]. The answer is what was published when
// the request came.
func (s *Server) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.calls++
	status, body, delay := s.status, s.body, s.delay
	s.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	if status == 0 {
		status = http.StatusOK
	}
	header := http.Header{"Content-Type": {"application/json"}}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
}
