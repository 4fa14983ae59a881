// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
)

// TestMydexDoesNotLeak protects members' keys, the connection's token and what
// is made of it, and the client's secret: with debug, credentials in logs and
// error pages that echo all they can, they are in no place that a person reads.
func TestMydexDoesNotLeak(t *testing.T) {
	logs := filepath.Join(t.TempDir(), "caddy.log")
	c := startMydex(t, "", "")
	text := administered(c.caddyfile("", ""))
	text = strings.Replace(text, "\tdelegate {", "\tdebug\n\tlog {\n\t\toutput file "+logs+"\n\t\tlevel DEBUG\n\t}\n\tservers {\n\t\tlog_credentials\n\t\ttrace\n\t}\n\tmetrics\n\tdelegate {", 1)
	text = strings.Replace(text, "http://127.0.0.1:[[.Port]] {", `http://127.0.0.1:[[.Port]] {
	log
	handle_errors {
		header X-Echo "{http.error.message} {http.error.trace} {http.request.uri} {http.request.header.Authorization} {http.reverse_proxy.header.Location}"
		respond "{err.message} {http.request.uri}" {err.status_code}
	}`, 1)
	load(t, c.Stack, text)
	c.mydex.SetCallbackURL(c.URL() + "/connect/mydex/callback/" + mydexSegment)
	a := newAdmin(t, c.Stack)
	sinks := make(map[string]string)
	note := func(name string, a answer) {
		var all bytes.Buffer
		fmt.Fprintf(&all, "%d\n", a.StatusCode)
		_ = a.Header.Write(&all)
		sinks["answer: "+name] = all.String() + a.body
	}

	alice, mallory := c.browser("alice"), c.browser("mallory")
	uid := c.mydex.Members()[0].UID
	c.mydex.Set(func(s *mydex.Settings) { s.KeepKey = true })
	alice.connect(uid)
	mallory.returnTo(mallory.agree(mallory.start("/start"), uid), "account_conflict")
	note("data", alice.do(http.MethodGet, dataset, ""))
	note("event", alice.do(http.MethodPost, "/pdx/calendar/add-event", `{"title":"t","start_timestamp":1,"end_timestamp":2,"status":"CONFIRMED"}`, "Content-Type", "application/json"))
	note("bad event", alice.do(http.MethodPost, "/pdx/calendar/add-event", `{}`, "Content-Type", "application/json"))
	note("form", alice.do(http.MethodPost, "/pdx/calendar/add-event", "a=b", "Content-Type", "application/x-www-form-urlencoded"))
	note("denied", alice.do(http.MethodGet, "/pdx/api/pds/pds/1.json", ""))
	note("scope", alice.do(http.MethodGet, "/pdx/forbidden", ""))
	note("status", alice.do(http.MethodGet, "/connect/mydex/status", ""))
	note("start", alice.do(http.MethodPost, "/connect/mydex/start", ""))
	c.mydex.Revoke()
	note("healed", alice.do(http.MethodGet, dataset, ""))
	c.mydex.Set(func(s *mydex.Settings) { s.CallbackConnectionID = "uid" })
	bob := c.browser("bob")
	bob.returnTo(bob.agree(bob.start("/start"), c.mydex.Members()[1].UID), "pending")
	connection, _ := c.mydex.Connection(uid)
	c.mydex.Withdraw(uid)
	note("withdrawn", alice.do(http.MethodGet, dataset, ""))
	for _, path := range []string{"/config/", "/metrics", "/delegate/status", "/debug/pprof/goroutine?debug=2"} {
		note("admin "+path, a.send(http.MethodGet, path, ""))
	}
	tokens := make(map[string]bool)
	for _, r := range c.mydex.Records() {
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			tokens[token] = true
		}
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{filepath.Dir(logs), c.Dir} {
		if err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || path == c.KeyFile {
				return err
			}
			content, err := os.ReadFile(path)
			sinks["file "+path] = string(content)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	log := sinks["file "+logs]
	for _, must := range []string{"upstream roundtrip", `"refused"`, "consent_required", "scope_rejected", "a callback was not taken", "http.log.access"} {
		if !strings.Contains(log, must) {
			t.Errorf("the log does not hold %s", must)
		}
	}
	if sinks["file "+filepath.Join(c.Dir, "grants", "grants.db")] == "" || len(tokens) < 3 || connection.Key == "" {
		t.Fatalf("no grants, or only %d tokens", len(tokens))
	}
	secrets := map[string]string{
		"member key": connection.Key, "connection token": mydexToken, "hash of the connection token": mydex.Hash(mydexToken), "client secret": mydexSecret,
	}
	for token := range tokens {
		secrets["token "+token[:10]] = token
	}
	// At DEBUG handle_path's rewrite, which runs before us, prints the callback's
	// headers, and does not know that one of them is a secret. The page on Mydex says so.
	var lines strings.Builder
	for line := range strings.Lines(log) {
		if !strings.Contains(line, `"logger":"http.handlers.rewrite"`) {
			lines.WriteString(line)
		}
	}
	sinks["file "+logs] = lines.String()
	for name, text := range sinks {
		for kind, secret := range secrets {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s holds the %s: %s", name, kind, text[max(0, i-300):i])
			}
		}
	}
}
