// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// sessionCommand runs `caddy delegate session` with a credential in a file.
func sessionCommand(t *testing.T, s *stack.Stack, caddyfile, credential string, flags ...string) (out string, takes bool) {
	t.Helper()
	text, err := s.Render(caddyfile)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{"Caddyfile": text, "credential": credential} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err = command(t, append([]string{"session", "--config", filepath.Join(dir, "Caddyfile"), "--adapter", "caddyfile", "--file", filepath.Join(dir, "credential")}, flags...)...)
	return out, err == nil
}

// TestSessionCommand protects an operator whose users are refused: the command
// says claim by claim why a credential is a session or none, what comes out and
// which setting would change it, and nothing of the credential.
func TestSessionCommand(t *testing.T) {
	l, s := newLogin(t), newStack(t)
	caddyfile := l.caddyfile("")
	good := l.session("alice", nil)
	for name, c := range map[string]struct {
		credential string
		takes      bool
		wants      []string
	}{
		"a token":          {good, true, []string{"✓ signature          by a key that is trusted", "✓ iss                " + l.URL, "✓ session            subject alice, realm " + l.URL + ", until 2", "– sign-out           not looked at"}},
		"a line":           {"Cookie: a=b; __Host-session=" + good + "\r\n", true, []string{"✓ credential         in the cookie __Host-session", "subject alice"}},
		"with its name":    {"a=b; __Host-session=" + good, true, []string{"✓ credential         in the cookie __Host-session", "subject alice"}},
		"in pieces":        {"__Host-session.1=" + good[100:] + "; __Host-session.0=" + good[:100], true, []string{"subject alice"}},
		"request headers":  {"GET /mdh/ HTTP/1.1\nHost: app.example.org\nCookie: __Host-session=" + good + "\nAccept: */*\n", true, []string{"subject alice"}},
		"another cookie":   {"Cookie: a=" + good, false, []string{"✗ credential         session_required: the request carries no session"}},
		"another issuer":   {l.session("alice", map[string]any{"iss": l.URL + "/"}), false, []string{"✗ iss                iss is another issuer", "they have to agree to the last slash", "✓ signature"}},
		"another audience": {l.session("alice", map[string]any{"aud": "account", "azp": "app"}), false, []string{"✗ aud", "azp names app: if that is your app write `audience_claim azp`"}},
		"another claim":    {l.sign(map[string]any{"iss": l.URL, "aud": "app", "user_id": 42, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}), false, []string{"✗ sub                sub is missing; others that could name the user: user_id: `subject_claim`"}},
		"expired":          {l.session("alice", map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}), false, []string{"✗ iat, exp           it has expired: iat 2", "and here it is 2"}},
		"forged":           {good[:len(good)-8] + "AAAAAAAA", false, []string{"✗ signature", "whoever has written it"}},
		"opaque":           {"8c1f", false, []string{"✗ form               it is opaque, no JWT", "`introspect`", "`session_endpoint`"}},
	} {
		t.Run(name, func(t *testing.T) {
			out, takes := sessionCommand(t, s, caddyfile, c.credential)
			if takes != c.takes {
				t.Errorf("taken: %t", takes)
			}
			for _, want := range c.wants {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			if i := strings.LastIndexByte(c.credential, '.'); i > 0 && len(c.credential) > i+20 && strings.Contains(out, c.credential[i+1:i+20]) {
				t.Errorf("the credential is printed:\n%s", out)
			}
			if !takes && strings.Contains(out, "alice") {
				t.Errorf("the person is named:\n%s", out)
			}
		})
	}
	var answer struct {
		OK       bool
		Sessions []struct {
			OK       bool
			Findings []struct{ Step, Detail string }
		}
	}
	if out, _ := sessionCommand(t, s, caddyfile, good, "--json"); json.Unmarshal([]byte(out), &answer) != nil || !answer.OK || len(answer.Sessions) == 0 || len(answer.Sessions[0].Findings) < 8 {
		t.Errorf("%+v of %s", answer, out)
	}
}

// TestSessionCommandAsks protects the same operator where the app is asked: what
// it answers is told by names and types, and where the user could be read.
func TestSessionCommandAsks(t *testing.T) {
	s := newStack(t)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if c, err := r.Cookie("session"); err != nil || c.Value != "alices" {
			_, _ = io.WriteString(w, `{"user":null}`)
			return
		}
		_, _ = io.WriteString(w, `{"user":{"id":42,"name":"canary name","email":"canary@example.org"}}`)
	}))
	defer app.Close()
	with := func(lines string) string {
		return `{` + stack.Options + `
	delegate {` + stack.Provider + `
	}
}
http://127.0.0.1:[[.Port]] {
	handle_path /mdh/* {
		app_session {
			cookie session
			session_endpoint ` + app.URL + `/api/me {
				` + lines + `
			}
		}
		delegate_proxy mydatahelps
	}
}
`
	}
	out, takes := sessionCommand(t, s, with(""), "alices")
	if takes || !strings.Contains(out, "✓ answer             user {email (string), id (number), name (string)}") || !strings.Contains(out, "the answer could name the user as user.id: `subject`") {
		t.Errorf("the default:\n%s", out)
	}
	out2, takes := sessionCommand(t, s, with("subject user.id"), "alices")
	if !takes || !strings.Contains(out2, "subject 42, realm http://") {
		t.Errorf("user.id:\n%s", out2)
	}
	out3, takes := sessionCommand(t, s, with("subject user.id"), "nobodys")
	if takes || !strings.Contains(out3, "the app says that nobody is signed in") {
		t.Errorf("nobody:\n%s", out3)
	}
	for status, want := range map[int]string{403: "`header_up Host`", 400: "`header_up Host`", 301: "`header_up X-Forwarded-Proto https`"} {
		judging := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		defer judging.Close()
		if out, takes := sessionCommand(t, s, strings.ReplaceAll(with(""), app.URL, judging.URL), "alices"); takes || !strings.Contains(out, want) {
			t.Errorf("status %d: no %s in\n%s", status, want, out)
		}
	}
	if strings.Contains(out+out2+out3, "canary") {
		t.Errorf("the person is told:\n%s", out+out2+out3)
	}
}

// TestSessionCommandRefuses protects from a command that judges nothing and says
// that all is well.
func TestSessionCommandRefuses(t *testing.T) {
	l, s := newLogin(t), newStack(t)
	for what, c := range map[string]struct{ caddyfile, credential, want string }{
		"nothing":        {l.caddyfile(""), " \n", "there is no credential"},
		"a whole file":   {l.caddyfile(""), strings.Repeat("x", 300<<10), "there is more than the headers of a request"},
		"no app_session": {proxied("", ""), "x", "the configuration has no app_session"},
	} {
		text, err := s.Render(c.caddyfile)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		file, credential := filepath.Join(dir, "Caddyfile"), filepath.Join(dir, "credential")
		for name, content := range map[string]string{file: text, credential: c.credential} {
			if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if out, err := command(t, "session", "--config", file, "--adapter", "caddyfile", "--file", credential); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v\n%s", what, err, out)
		}
	}
	if _, err := command(t, "session", "token"); err == nil {
		t.Error("a credential as an argument is taken")
	}
}
