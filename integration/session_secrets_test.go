// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/base64"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestSessionsDoNotLeak protects sessions, and the secrets that they are
// verified by, from whoever reads logs, the configuration, error pages or the
// disk: with debug logs, while all goes well and while an issuer that repeats
// what it was sent fails.
func TestSessionsDoNotLeak(t *testing.T) {
	const (
		clientSecret = "canary-client-secret-5d1f"
		shared       = "canary-hmac-secret-0123456789-0123456789"
		opaque       = "canary-opaque-session-77aa"
		claim        = "canary-claim-90ff"
	)
	secrets, dir := t.TempDir(), t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir) // autosave goes here
	t.Setenv("HOME", dir)
	for name, text := range map[string]string{"client": clientSecret, "hmac": shared} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	status := http.StatusOK
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if status == http.StatusOK {
			_, _ = io.WriteString(w, `{"active":true,"sub":"alice","note":"`+claim+`"}`)
			return
		}
		_, _ = io.WriteString(w, `{"error":"`+r.Header.Get("Authorization")+" "+string(sent)+" "+clientSecret+`"}`)
	}))
	t.Cleanup(issuer.Close)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(shared)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := jwt.Signed(signer).Claims(map[string]any{
		"iss": "app", "aud": "app", "sub": "alice", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(), "note": claim,
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}

	options := strings.NewReplacer("admin off", "admin unix/[[.Admin]]", "persist_config off", "").Replace(stack.Options)
	s := start(t, `{`+options+`
	debug
	log {
		output file `+filepath.Join(dir, "caddy.log")+`
		level DEBUG
	}
	servers {
		trace
	}
	delegate {`+stack.Provider+`
	}
}
http://127.0.0.1:[[.Port]] {
	log
	handle_path /asked/* {
		app_session {
			bearer
			introspect `+issuer.URL+`/introspect {
				client_id     proxy
				client_secret {file.`+filepath.Join(secrets, "client")+`}
				cache         1ms
				any_audience
			}
			realm r
		}
		delegate_proxy mydatahelps
	}
	handle_path /signed/* {
		app_session {
			cookie      session
			hmac_secret {file.`+filepath.Join(secrets, "hmac")+`}
			issuer      app
			audience    app
		}
		delegate_proxy mydatahelps
	}
	handle_errors {
		respond "{err.message} {http.error.trace} {http.auth.user.note}" {err.status_code}
	}
}
`)
	u := signIn(t, s, "alice")
	sinks := map[string]string{}
	ask := func(name, prefix string, headers ...string) {
		a := u.do(u.with(http.MethodGet, prefix+"/api/v1/delegated/participant", headers...))
		var all strings.Builder
		_ = a.Header.Write(&all)
		sinks["answer: "+name] = a.Status + "\n" + all.String() + a.body
	}
	ask("signed", "/signed", "Cookie", "session="+signed)
	ask("forged", "/signed", "Cookie", "session="+signed[:len(signed)-8]+"AAAAAAAA")
	ask("asked", "/asked", "Authorization", "Bearer "+opaque)
	for _, s := range []int{http.StatusUnauthorized, http.StatusBadRequest, http.StatusInternalServerError} {
		status = s
		ask("asked in vain", "/asked", "Authorization", "Bearer "+opaque+http.StatusText(s)[:3])
	}
	for name, want := range map[string]string{"signed": "200 OK", "asked": "200 OK", "forged": "401", "asked in vain": "503"} {
		if !strings.HasPrefix(sinks["answer: "+name], want) {
			t.Errorf("%s: %s", name, sinks["answer: "+name])
		}
	}
	a := newAdmin(t, s)
	for _, path := range []string{"/config/", "/delegate/status", "/metrics"} {
		sinks[path] = a.send(http.MethodGet, path, "").body
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{dir, s.Dir} {
		if err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			sinks[path] = string(text)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if log := sinks[filepath.Join(dir, "caddy.log")]; !strings.Contains(log, "session_unavailable") {
		t.Fatalf("the log is not looked at: %s", log)
	}
	basic := base64.StdEncoding.EncodeToString([]byte("proxy:" + clientSecret))
	for _, secret := range []string{clientSecret, basic, shared, opaque, signed, signed[:40], claim} {
		for name, text := range sinks {
			if strings.Contains(text, secret) {
				t.Errorf("%.30s… is in %s", secret, name)
			}
		}
	}
}
