// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/integration/port"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// rotating is an OpenID provider that signs everybody in as Alice, and whose
// refresh tokens can be used once: a second use ends the session.
type rotating struct {
	*httptest.Server
	login *login // signs

	mu        sync.Mutex
	code      string
	refresh   string // the one that counts
	renewals  int
	misused   int
	lastNonce string
}

func newRotating(t *testing.T) *rotating {
	t.Helper()
	p := &rotating{login: newLogin(t)}
	mux := http.NewServeMux()
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answerWith(w, map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/jwks",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"ES256"},
		})
	})
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		answerWith(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.login.key.Public(), KeyID: "1", Use: "sig", Algorithm: "ES256"}}})
	})
	mux.HandleFunc("/authorize", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		p.mu.Lock()
		p.code, p.lastNonce = rand.Text(), q.Get("nonce")
		back := q.Get("redirect_uri") + "?" + url.Values{"code": {p.code}, "state": {q.Get("state")}}.Encode()
		p.mu.Unlock()
		http.Redirect(w, r, back, http.StatusFound)
	})
	mux.HandleFunc("POST /token", p.token)
	return p
}

func answerWith(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (p *rotating) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch r.FormValue("grant_type") {
	case "authorization_code":
		if p.code == "" || r.FormValue("code") != p.code {
			http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
			return
		}
		p.code = ""
	case "refresh_token":
		if p.refresh == "" || r.FormValue("refresh_token") != p.refresh {
			p.refresh = ""
			p.misused++
			http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
			return
		}
		p.renewals++
	}
	p.refresh = rand.Text()
	now := time.Now()
	claims := map[string]any{
		"iss": p.URL, "aud": "proxy", "sub": "alice", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"email": "alice@example.org", "email_verified": true, "nonce": p.lastNonce,
	}
	answerWith(w, map[string]any{
		"access_token": rand.Text(), "token_type": "Bearer", "expires_in": 3600,
		"refresh_token": p.refresh, "id_token": p.login.sign(claims),
	})
}

func (p *rotating) counts() (renewals, misused int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.renewals, p.misused
}

// oauth2Proxy builds and runs oauth2-proxy, and returns where it listens. It is
// another module's, so that what it depends on stays out of this one.
func oauth2Proxy(t *testing.T, issuer, site string) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "oauth2-proxy")
	build := exec.Command("go", "build", "-o", program, "github.com/oauth2-proxy/oauth2-proxy/v7")
	build.Dir, build.Env = "oauth2proxy", append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building oauth2-proxy: %v\n%s", err, out)
	}
	var addr string
	for range 5 { // somebody else may take the port between our asking and its listening
		n, err := port.Free()
		if err != nil {
			t.Fatal(err)
		}
		addr = fmt.Sprintf("127.0.0.1:%d", n)
		var log bytes.Buffer
		cmd := exec.Command(program,
			"--provider=oidc", "--oidc-issuer-url="+issuer, "--client-id=proxy", "--client-secret=secret",
			"--cookie-secret="+rand.Text()[:16], "--cookie-secure=false", "--cookie-refresh=1s", "--email-domain=*",
			"--http-address="+addr, "--redirect-url="+site+"/oauth2/callback", "--upstream=static://202", "--skip-provider-button=true",
			"--reverse-proxy=true", "--set-xauthrequest=true")
		cmd.Stdout, cmd.Stderr = &log, &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		exited := make(chan struct{})
		go func() { _ = cmd.Wait(); close(exited) }()
		t.Cleanup(func() { _ = cmd.Process.Kill(); <-exited })
		if answers(t, "http://"+addr+"/ping", exited) {
			return addr
		}
		t.Logf("oauth2-proxy ended: %s", log.String())
	}
	t.Fatal("oauth2-proxy does not start")
	return ""
}

// answers waits until an address answers; false if the program ends before.
func answers(t *testing.T, address string, exited <-chan struct{}) bool {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if res, err := http.Get(address); err == nil {
			res.Body.Close()
			return true
		}
		select {
		case <-exited:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatalf("%s does not answer", address)
	return false
}

// TestC35_OAuth2Proxy protects users behind oauth2-proxy with a provider whose
// refresh tokens can be used once: the pasted block has each renewal's cookie
// reach the browser, and nobody is signed out by it.
func TestC35_OAuth2Proxy(t *testing.T) {
	provider := newRotating(t)
	s := newStack(t)
	addr := oauth2Proxy(t, provider.URL, s.URL())
	load(t, s, site(strings.ReplaceAll(pastedBlock(t, "oauth2-proxy"), "oauth2-proxy:4180", addr), "handle {\n\trespond home\n}"))

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	u := signIn(t, s, "nobody")
	u.session = ""
	u.client.Jar = jar
	u.get(participantPath).want(t, http.StatusUnauthorized, "session_required")

	u.client.CheckRedirect = nil // as a browser goes through a sign-in
	if a := u.get("/oauth2/start?rd=/"); a.StatusCode != http.StatusOK || a.body != "home" {
		t.Fatalf("signing in: %d %s", a.StatusCode, a.body)
	}
	u.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	const enough = 4
	for deadline := time.Now().Add(2 * time.Minute); ; {
		a := u.get(participantPath)
		a.want(t, http.StatusOK, "")
		if !strings.Contains(a.body, stack.Alice.ID) {
			t.Fatalf("it is not Alice: %s", a.body)
		}
		renewals, misused := provider.counts()
		if misused > 0 {
			t.Fatalf("a refresh token was used again, after %d renewals", renewals)
		}
		if renewals >= enough {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d renewals", renewals)
		}
		<-time.After(50 * time.Millisecond)
	}
	// Without the session nobody is anybody.
	u.client.Jar = nil
	u.get(participantPath).want(t, http.StatusUnauthorized, "session_required")
}
