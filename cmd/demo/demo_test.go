// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// running starts a demo that ends with the test.
func running(t *testing.T) *demo {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_DATA_HOME", dir)
	d, err := start(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// do sends a request through Caddy with the session of a user, if any.
func (d *demo) do(t *testing.T, user, method, path string, header ...string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, d.stack.URL()+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		req.Header.Set("Cookie", stack.CookieName+"="+user)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// lines hands on what run prints.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}

// A demo that leaves a key in the temporary folder, or a server running, after
// Ctrl-C would be a bad first impression and a worse second one.
func TestRunEndsWithoutATrace(t *testing.T) {
	scratch := t.TempDir()
	t.Setenv("TMPDIR", scratch)
	t.Setenv("XDG_DATA_HOME", scratch) // restored after run has set it
	ctx, cancel := context.WithCancel(t.Context())
	out, done := make(lines, 10), make(chan error, 1)
	go func() { done <- run(ctx, []string{"--port", "0"}, out, io.Discard) }()

	var address string
	select {
	case said := <-out:
		m := regexp.MustCompile(`(?m)^Open (http://127\.0\.0\.1:\d+)/ in a browser`).FindStringSubmatch(said)
		if m == nil || !strings.Contains(said, "delegate_proxy mydatahelps {") || strings.Contains(said, "[[") {
			t.Fatalf("neither an address nor a Caddyfile in %q", said)
		}
		address = m[1]
	case err := <-done:
		t.Fatalf("ended early: %v", err)
	}
	page := pageAt(address)
	if page == "" {
		t.Error("Caddy does not answer")
	}
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("still running a minute after it was told to stop")
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	// By now the port may be another program's.
	if pageAt(address) == page {
		t.Error("Caddy still answers")
	}
}

// pageAt is what an address answers with; empty if it does not.
func pageAt(address string) string {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	res, err := client.Get(address + "/")
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return string(body)
}

// Whoever mistypes a flag has to be told, not given some other demo.
func TestBadCommandLine(t *testing.T) {
	for _, args := range [][]string{{"--port", "x"}, {"--prot", "1"}, {"8400"}} {
		var stderr bytes.Buffer
		if err := run(t.Context(), args, io.Discard, &stderr); !errors.Is(err, errUsage) || stderr.Len() == 0 {
			t.Errorf("%v: error %v, said %q", args, err, stderr.String())
		}
	}
}

// A taken default port must not stop a newcomer; a port that was asked for
// must not silently become another.
func TestTakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	if port, err := choosePort(taken, false); port != 0 || err != nil {
		t.Errorf("by default: %d, %v; want any free port", port, err)
	}
	if _, err := choosePort(taken, true); err == nil || !strings.Contains(err.Error(), "--port") {
		t.Errorf("asked for: %v; want an error that names the flag", err)
	}
}

// The Caddyfile is shown as an example: it has to look as `caddy fmt` has it.
func TestCaddyfileIsFormatted(t *testing.T) {
	if got := string(caddyfile.Format([]byte(template))); got != template {
		t.Errorf("caddy fmt makes it:\n%s", got)
	}
}

// The page has no business with whole cookies and tokens: a picture of it may
// be passed around.
func TestExchangeHidesSecrets(t *testing.T) {
	d := running(t)
	session := d.stack.App.SignIn("alice", time.Time{})
	if status, body := d.do(t, session, "GET", "/mdh/api/v1/delegated/participant"); status != http.StatusOK {
		t.Fatalf("the call: %d %s", status, body)
	}
	_, body := d.do(t, session, "GET", "/demo/exchange")
	var x exchange
	if err := json.Unmarshal([]byte(body), &x); err != nil || x.Sent == nil || x.Received == nil || len(x.Steps) != 4 {
		t.Fatalf("want both sides and four steps: %v in %s", err, body)
	}
	if x.Sent.URI != "/mdh/api/v1/delegated/participant" || x.Received.URI != "/api/v1/delegated/participant" {
		t.Errorf("sent %s, received %s", x.Sent.URI, x.Received.URI)
	}
	records := d.stack.Platform.Records()
	_, token, _ := strings.Cut(records[len(records)-1].Header.Get("Authorization"), " ")
	if len(token) != 32 || strings.Contains(body, token) || strings.Contains(body, session) {
		t.Errorf("token (%d characters) or cookie is there in full", len(token))
	}
	if !strings.Contains(body, token[:6]+"…") || !strings.Contains(body, session[:6]+"…") {
		t.Error("token or cookie is not there in part")
	}
}

// Two people may use the demo at the same time, in two windows.
func TestExchangeIsOfOnePerson(t *testing.T) {
	d := running(t)
	alice, bob := d.stack.App.SignIn("alice", time.Time{}), d.stack.App.SignIn("bob", time.Time{})
	d.do(t, alice, "GET", "/mdh/api/v1/delegated/participant")
	d.do(t, bob, "GET", "/mdh/api/v1/delegated/surveyanswers")

	_, body := d.do(t, alice, "GET", "/demo/exchange")
	if !strings.Contains(body, "/api/v1/delegated/participant") || strings.Contains(body, "surveyanswers") || strings.Contains(body, "/bob") {
		t.Errorf("Alice is shown %s", body)
	}
	_, body = d.do(t, "", "GET", "/demo/exchange")
	if strings.Contains(body, "delegated") {
		t.Errorf("somebody else is shown %s", body)
	}
}

// A revocation without a person would hit everybody, as the platform reads an
// empty ID; one from another site would be somebody else's choice.
func TestRevokeNeedsItsUser(t *testing.T) {
	d := running(t)
	alice, nonParticipant := d.stack.App.SignIn("alice", time.Time{}), d.stack.App.SignIn("mallory", time.Time{})
	d.do(t, alice, "GET", "/mdh/api/v1/delegated/participant")
	for name, c := range map[string]struct {
		session string
		header  []string
		want    int
	}{
		"nobody":         {"", nil, http.StatusUnauthorized},
		"no participant": {nonParticipant, nil, http.StatusUnauthorized},
		"another site":   {alice, []string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
	} {
		if status, _ := d.do(t, c.session, "POST", "/demo/revoke", c.header...); status != c.want {
			t.Errorf("%s: %d, want %d", name, status, c.want)
		}
	}
	d.do(t, alice, "GET", "/mdh/api/v1/delegated/participant")
	if n := d.stack.Platform.Counts().Unauthorized; n != 0 {
		t.Fatalf("%d calls met a revoked token", n)
	}
	if status, _ := d.do(t, alice, "POST", "/demo/revoke"); status != http.StatusNoContent {
		t.Errorf("Alice herself: %d", status)
	}
	d.do(t, alice, "GET", "/mdh/api/v1/delegated/participant")
	if n := d.stack.Platform.Counts().Unauthorized; n != 1 {
		t.Errorf("%d calls met a revoked token, want 1", n)
	}
}

// Short secrets, and headers with several cookies, must not be shown whole.
func TestListShortens(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Cookie", "a=123456789; b=xy; c")
	r.Header.Set("Authorization", "Bearer abc")
	for _, h := range list(r.Header) {
		if want := map[string]string{"Cookie": "a=1234…; b=x…; c=…", "Authorization": "Bearer a…"}[h.Name]; h.Value != want {
			t.Errorf("%s: %q, want %q", h.Name, h.Value, want)
		}
	}
}

// Records of the platform's that are about somebody else are nobody's business.
func TestKind(t *testing.T) {
	for want, r := range map[string]simulator.Record{
		"Service token":      {Area: "token"},
		"Participant token":  {Area: "token", ParticipantID: stack.Alice.ID},
		"Participant lookup": {Area: "admin", URI: "/api/v1/administration/projects/x/participants/alice"},
		"API call":           {Area: "delegated", ParticipantID: stack.Alice.ID},
	} {
		if got := kind(r, "alice"); got != want {
			t.Errorf("%+v is %q, want %q", r, got, want)
		}
		if got := kind(r, "bob"); got != "" && want != "Service token" {
			t.Errorf("Bob is shown %+v", r)
		}
		if got := kind(r, ""); got != "" {
			t.Errorf("somebody else is shown %+v", r)
		}
	}
}
