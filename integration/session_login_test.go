// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// login is an app's own login, whose sessions are JSON Web Tokens.
type login struct {
	*httptest.Server
	t     testing.TB
	key   *ecdsa.PrivateKey
	calls atomic.Int64
	down  atomic.Bool
}

func newLogin(t testing.TB) *login {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	l := &login{t: t, key: key}
	l.Server = httptest.NewServer(l)
	t.Cleanup(l.Close)
	return l
}

// ServeHTTP publishes the key.
func (l *login) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	l.calls.Add(1)
	if l.down.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: l.key.Public(), KeyID: "1", Use: "sig", Algorithm: "ES256"}}})
}

// session is what a user's cookie or bearer holds.
func (l *login) session(user string, change map[string]any) string {
	l.t.Helper()
	claims := map[string]any{
		"iss": l.URL, "aud": "app", "sub": user, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		"email": user + "@example.org", "org": map[string]any{"unit": 12345678901234567},
	}
	maps.Copy(claims, change)
	return l.sign(claims)
}

func (l *login) sign(claims map[string]any) string {
	l.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: l.key, KeyID: "1"}}, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		l.t.Fatal(err)
	}
	return text
}

// caddyfile has app_session before every directive, and a page that tells who
// is signed in.
func (l *login) caddyfile(options string) string {
	session := `
		app_session {
			cookie   __Host-session
			bearer
			jwks     ` + l.URL + `/jwks
			issuer   ` + l.URL + `
			audience app
		}`
	optional := strings.Replace(session, "bearer", "bearer\n\t\t\toptional", 1)
	return `{` + stack.Options + `
	delegate {` + stack.Provider + options + `
	}
}
http://127.0.0.1:[[.Port]] {
	handle_path /mdh/* {` + session + `
		delegate_proxy mydatahelps
	}
	handle /mdh-token {` + session + `
		delegate_token mydatahelps
	}
	handle /logout {` + session + `
		delegate_logout
		respond "signed out"
	}
	handle /backchannel {
		delegate_logout {
			backchannel {
				jwks     ` + l.URL + `/jwks
				issuer   ` + l.URL + `
				audience app
			}
		}
	}
	handle /bye {` + optional + `
		delegate_logout
		respond "nobody is in: {http.auth.user.id}"
	}
	handle_path /maybe/* {` + optional + `
		delegate_proxy mydatahelps
	}
	handle /who {` + session + `
		respond "{http.auth.user.id} {http.auth.user.email} {http.auth.user.org.unit} {http.auth.user.none}"
	}
}
`
}

// with is a request with the headers, of nobody who is signed in by the stack's
// own app.
func (u *user) with(method, path string, headers ...string) *http.Request {
	u.t.Helper()
	req := u.request(method, path, nil)
	req.Header.Del("Cookie")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	return req
}
