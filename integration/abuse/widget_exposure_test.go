// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/integration/widget"
)

// TestT43_WidgetSecretsStayInside protects special tokens, tickets, the browser's
// token, access tokens and the client's secret: on a Caddy that logs all requests,
// whatever goes wrong where a token is handed over, they are in no place that a
// person reads. What the homemade site is sent in the same way is in the log.
func TestT43_WidgetSecretsStayInside(t *testing.T) {
	before := caddy.ConfigAutosavePath
	t.Cleanup(func() { caddy.ConfigAutosavePath = before })
	caddy.ConfigAutosavePath = filepath.Join(t.TempDir(), "autosave.json")
	w := startWidget(t, func(text string) string {
		text = strings.Replace(text, "{\n", "{\n\tmetrics\n\tlog {\n\t\toutput file [[.Dir]]/caddy.log\n\t\tlevel INFO\n\t}\n", 1)
		// One directive has an authenticator before it that nobody has told of tickets.
		text += `
http://strict.localhost:[[.Port]] {
	log
	handle_errors {
		respond "page of {err.status_code}"
	}
	handle_path /strict/* {` + appSession + `
		delegate_connect widget {
			url  https://strict.example/strict
			then /profile
		}
	}
}
http://admin.localhost:[[.Port]] {
	reverse_proxy unix/[[.Admin]] {
		header_up Host localhost
		header_up -Origin
	}
}
`
		return strings.NewReplacer("admin off", "admin unix/[[.Admin]]", "\tpersist_config off\n", "", "127.0.0.1:[[.Port]] {", "127.0.0.1:[[.Port]] {\n\tlog", "homemade.localhost:[[.Port]] {", "homemade.localhost:[[.Port]] {\n\tlog").Replace(text)
	})
	seen, secrets := make(sinks), map[string]string{"client secret": widget.ClientSecret}
	note := func(what string, got reply) {
		seen["answer "+what] += fmt.Sprint(got.status, got.header, got.trailer, got.body)
	}
	for n, at := range widgetConnects {
		user := "alice of " + at
		alice := w.begin(at, user, "")
		native := w.begin(at, user, `{"client":"native"}`)
		token, other := w.platform.Consent(alice.user, "account of "+user), w.platform.Consent(alice.user, "account of "+user)
		_, browserToken, _ := strings.Cut(alice.cookie, "=")
		for kind, secret := range map[string]string{"special token": token, "other special token": other, "browser's token": browserToken, "ticket": native.ticket()} {
			secrets[fmt.Sprintf("%s %d", kind, n)] = secret
		}
		body := handover(token)
		length := fmt.Sprintf("Content-Length: %d", len(body))
		for what, f := range map[string]*widgetFlow{"page": alice, "ticket": native} {
			host, cookies := w.authority(false), alice.cookies()
			if f == native {
				cookies = "X-None: 1"
			}
			for how, request := range map[string]string{
				"another method":    http1("PUT", f.redeem, host, cookies, jsonType, length) + body,
				"an unknown method": http1("XPOST", f.redeem, host, cookies, jsonType, length) + body,
				"options":           http1("OPTIONS", f.redeem, host, "Origin: https://evil.example", "Access-Control-Request-Method: POST"),
				"another site":      http1("POST", f.redeem, host, cookies, jsonType, length, "Origin: https://evil.example") + body,
				"breaks off":        http1("POST", f.redeem, host, cookies, jsonType, "Content-Length: 5000") + body,
				"a bad chunk":       http1("POST", f.redeem, host, cookies, jsonType, "Transfer-Encoding: chunked") + chunk(body) + "zz\r\n",
				"1 MB":              http1("POST", f.redeem, host, cookies, jsonType, fmt.Sprintf("Content-Length: %d", 1<<20)) + body + strings.Repeat(" ", 100<<10),
				"no JSON":           http1("POST", f.redeem, host, cookies, jsonType, length) + "[" + body[1:],
				"twice":             http1("POST", f.redeem, host, cookies, jsonType, fmt.Sprintf("Content-Length: %d", 2*len(body))) + strings.TrimSuffix(body, "}") + "," + body[1:] + " ",
				"in the query":      http1("POST", f.redeem+"?x=1", host, cookies, jsonType, "Content-Length: 2") + "{}",
				"a slash more":      http1("POST", f.redeem+"/", host, jsonType, length) + body,
				"odd case":          http1("POST", strings.Replace(f.redeem, "redeem", "REDEEM", 1), host, jsonType, length) + body,
				"escaped":           http1("POST", strings.Replace(f.redeem, "redeem", "%72edeem", 1), host, cookies, jsonType, "Content-Length: 2") + "{}",
				"strict":            http1("POST", strings.Replace(f.redeem, at, "/strict", 1), strings.Replace(w.authority(true), "homemade", "strict", 1), jsonType, length) + body,
				"strict, no route":  http1("POST", strings.Replace(f.redeem, at, "/strict", 1)+"x/y", strings.Replace(w.authority(true), "homemade", "strict", 1), jsonType, length) + body,
			} {
				note(what+": "+how, w.sendAndEnd(request))
			}
		}
		w.platform.SetDown(true)
		note("page: down", alice.post(token))
		note("ticket: down", native.post(other))
		w.platform.SetDown(false)
		note("page: of another", alice.post(w.platform.Consent("somebody else", "account")))
		alice.wantAccepted("page", alice.post(token), "account of "+user)
		native.wantAccepted("ticket", native.post(other), "account of "+user)
		note("page: again", alice.post(token))
		note("ticket: again", native.post(other))
		note("data", w.do("GET", "/data/x", "", alice.cookies()))
		note("disconnect", w.do("POST", at+"/disconnect", "", alice.cookies()))
	}
	for i, r := range w.platform.Requests() {
		secrets[fmt.Sprintf("access token %d", i)] = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	for _, path := range []string{"/config/", "/metrics", "/delegate/status", "/debug/vars", "/debug/pprof/goroutine?debug=2", "/debug/pprof/heap?debug=1", "/debug/pprof/cmdline"} {
		got := w.send(http1("GET", path, strings.Replace(w.authority(true), "homemade", "admin", 1)))
		if got.status != http.StatusOK {
			t.Errorf("%s: %d", path, got.status)
		}
		note(path, got)
	}
	// The control: an address that nobody keeps out of the log.
	w.send(http1("POST", "/redeem/canary-ticket", w.authority(true), w.cookie("canary"), "Content-Length: 0"))

	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	seen.readFiles(t, w.Dir, filepath.Join(w.Dir, "session.key"), w.KeyFile, w.CertKeyFile)
	seen.readFiles(t, filepath.Dir(caddy.ConfigAutosavePath))
	log := seen["file caddy.log"]
	for _, must := range []string{"handled request", "canary-ticket", `"refused"`, `"event":"connected"`, `"event":"refused"`} {
		if !strings.Contains(log, must) {
			t.Errorf("the log does not hold %q", must)
		}
	}
	if !strings.Contains(seen["file autosave.json"], "delegate_connect") || seen["file grants.db"] == "" || len(secrets) < 11 {
		t.Errorf("the configuration or the grants are not saved, or nothing was connected: %d secrets", len(secrets))
	}
	for name, text := range seen {
		for kind, secret := range secrets {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s holds the %s: %s", name, kind, text[max(0, i-300):i])
			}
		}
	}
}
