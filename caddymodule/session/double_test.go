// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/jwks"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/jwks/jwkstest"
)

const (
	testIssuer   = "https://login.example.org"
	testAudience = "app"
)

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

// Tokens are made by hand, so that they can be wrong in any way.
var (
	newKey   = jwkstest.NewKey
	sign     = jwkstest.Sign
	signText = jwkstest.SignText
)

func verifierOf(keys jwks.KeySet) *JWT {
	return &JWT{Issuer: testIssuer, Audiences: []string{testAudience}, Algorithms: jwks.AsymmetricAlgorithms, Keys: keys}
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
