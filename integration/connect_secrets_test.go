// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/connect"
)

// sinks are all places that a person may read, by their names.
type sinks map[string]string

// note adds an answer.
func (s sinks) note(name string, a answer) {
	var all bytes.Buffer
	fmt.Fprintf(&all, "%d\n", a.StatusCode)
	_ = a.Header.Write(&all)
	s["answer: "+name] = all.String() + a.body
}

// files adds all files below a folder but one.
func (s sinks) files(t *testing.T, root, but string) {
	t.Helper()
	if err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || path == but {
			return err
		}
		content, err := os.ReadFile(path)
		s["file "+path] = string(content)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// talkative has Caddy say all that it can, and repeat in its error pages all that it
// knows.
func talkative(caddyfile string) string {
	caddyfile = strings.Replace(caddyfile, "\tdelegate {", "\tdebug\n\tservers {\n\t\tlog_credentials\n\t\ttrace\n\t}\n\tmetrics\n\tdelegate {", 1)
	caddyfile = strings.NewReplacer("\t\tdelegate_proxy", "\t\ttracing\n\t\tdelegate_proxy", "\t\tdelegate_connect", "\t\ttracing\n\t\tdelegate_connect").Replace(caddyfile)
	return strings.Replace(caddyfile, "http://127.0.0.1:[[.Port]] {", `http://127.0.0.1:[[.Port]] {
	handle_errors {
		header X-Echo "{http.error.message} {http.error.trace} {http.request.uri} {http.request.header.Authorization} {http.reverse_proxy.header.Location}"
		respond "{err.message} {http.request.uri}" {err.status_code}
	}`, 1)
}

// TestConnectDoesNotLeak protects the client secret, special tokens, access tokens and
// public tokens: whatever the platform answers, they are in no answer, log, metric,
// trace, file or answer of the admin API, but for the public token in those two
// answers that it is for.
func TestConnectDoesNotLeak(t *testing.T) {
	for name, lines := range map[string]string{
		"bearer": "binding verify\nverify_url {platform}/v1/me\npublic_token_url {platform}/v1/connect/publictokens",
		"query":  "token_in query tok\nprobe_path /v1/human/profile",
	} {
		t.Run(name, func(t *testing.T) { testConnectDoesNotLeak(t, name, lines) })
	}
}

func testConnectDoesNotLeak(t *testing.T, name, lines string) {
	var mu sync.Mutex
	var traces strings.Builder
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		traces.Write(body)
	}))
	t.Cleanup(collector.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)

	c := startConsole(t, connect.DeveloperConsole, lines)
	load(t, c.Stack, talkative(c.caddyfile(lines)))
	if name == "query" {
		c.platform.Set(func(s *connect.Settings) { s.TokenIn = []string{"query tok"} })
	}
	admin, seen, secrets := newAdmin(t, c.Stack), make(sinks), map[string]string{"client secret": healthSecret}
	finishes := func(o opened, account string) string {
		handed := c.finishes(o, account)
		secrets[fmt.Sprint("special token ", len(secrets))] = strings.Split(handed, `"`)[3]
		return handed
	}
	remember := func() {
		for _, n := range c.platform.Connections() {
			if n.AccessToken != "" {
				secrets["access token "+n.AccessToken[:8]] = n.AccessToken
			}
			if n.PublicToken != "" {
				secrets["public token "+n.PublicToken[:8]] = n.PublicToken
			}
		}
	}
	data := func(b *browser) answer { return b.do(http.MethodGet, "/data/v1/human/profile?tok=x", "") }

	alice, mallory := c.browser("alice"), c.browser("mallory")
	o := c.opensWidget(alice, "")
	seen.note("denied", data(alice))
	c.handsOver(alice, finishes(o, accounts()[0])) // not noted: it holds the public token, and may
	remember()
	seen.note("data", data(alice))
	seen.note("no such route", alice.do(http.MethodGet, "/data/v1/connect/tokens", ""))
	seen.note("status", alice.do(http.MethodGet, "/connect/health/status", ""))
	c.opensWidget(mallory, "")
	seen.note("another's token", c.handsOver(mallory, finishes(c.opensWidget(alice, ""), accounts()[0])))
	library := c.opensWidget(c.browser("nora"), `{"client":"native"}`)
	handed := finishes(library, accounts()[1])
	c.browser("").do(http.MethodPost, library.RedeemURL, handed, "Content-Type", "application/json")
	remember()
	seen.note("the ticket again", c.browser("").do(http.MethodPost, library.RedeemURL, finishes(library, accounts()[1]), "Content-Type", "application/json"))
	for _, mode := range []string{"echo_secret", "echo_secret_500", "html", "error_body", "huge", "truncated", "drop", "user_code_huge", "echo_another", "verify_another", "429"} {
		b := c.browser("user: " + mode)
		o := c.opensWidget(b, "")
		handed := finishes(o, accounts()[2])
		c.mode(mode)
		a := c.handsOver(b, handed)
		if a.StatusCode == http.StatusCreated { // echo and verify are one or the other
			if mode != "verify_another" && mode != "echo_another" {
				t.Errorf("%s: %s", mode, a.body)
			}
			b.do(http.MethodDelete, "/connect/health/", "")
		} else {
			seen.note(mode, a)
		}
		seen.note("data after "+mode, data(b))
		c.mode()
		remember()
	}
	if name == "query" { // an API that repeats its address; who puts secrets there has them taken out
		c.platform.Set(func(s *connect.Settings) { s.EchoRequest = map[string]int{"data": 500} })
		seen.note("echo", data(alice))
		c.mode()
	}
	c.mode("slow")
	held := c.browser("held")
	o = c.opensWidget(held, "")
	handed = finishes(o, accounts()[3])
	answers := c.atOnce(1, func(int) answer { return c.handsOver(held, handed) })
	eventually(t, "an exchange is under way", func() bool { return c.platform.Counts().InFlight > 0 })
	for _, path := range []string{"/config/", "/metrics", "/delegate/status", "/debug/vars", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2"} {
		seen.note("admin "+path, admin.send(http.MethodGet, path, ""))
	}
	c.mode()
	<-answers
	remember()
	c.platform.Revoke("health", accounts()[0])
	seen.note("withdrawn", data(alice))
	seen.note("disconnected", alice.do(http.MethodDelete, "/connect/health/", ""))
	if err := caddy.Stop(); err != nil { // which sends the last traces
		t.Fatal(err)
	}
	mu.Lock()
	seen["traces"] = traces.String()
	mu.Unlock()
	seen.files(t, filepath.Dir(c.log), "")
	seen.files(t, c.Dir, c.KeyFile)
	seen.check(t, c.log, secrets)
}

// check wants all secrets in none of the sinks, and the sinks to be those.
func (s sinks) check(t *testing.T, log string, secrets map[string]string) {
	t.Helper()
	for _, must := range []string{"upstream roundtrip", `"refused"`, "http.log.access", "account_conflict", "issuer_unavailable"} {
		if !strings.Contains(s["file "+log], must) {
			t.Errorf("the log does not hold %s: is it written?", must)
		}
	}
	if !strings.Contains(s["traces"], "handler") || !strings.Contains(s["answer: admin /config/"], "client_secret") || !json.Valid([]byte(s["answer: status"][strings.Index(s["answer: status"], "{"):])) {
		t.Errorf("no traces, or no configuration: %d bytes of traces", len(s["traces"]))
	}
	kinds := make(map[string]int)
	for kind, secret := range secrets {
		kinds[strings.Join(strings.Fields(kind)[:2], " ")]++
		for name, text := range s {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s holds the %s: %.400s", name, kind, text[max(0, i-300):i])
			}
		}
	}
	if len(kinds) != 4 || kinds["special token"] < 10 || kinds["access token"] < 2 || kinds["public token"] < 2 {
		t.Errorf("the secrets were %v", kinds)
	}
}
