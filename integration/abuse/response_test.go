// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestT17_ErrorPages protects against CVE-2026-41181: the server that made
// error pages was sent the request as the proxy had made it, credential and
// all. Here it gets what the client sent, with nothing of ours, whether the
// module refused or the platform hung up. (What the browser itself sent, its
// cookies included, goes to the operator's own handle_errors as Caddy does it.)
func TestT17_ErrorPages(t *testing.T) {
	var page atomic.Pointer[http.Request]
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page.Store(r)
	}))
	t.Cleanup(pages.Close)
	handle := "\n\thandle_errors {\n\t\treverse_proxy " + strings.TrimPrefix(pages.URL, "http://") + "\n\t}\n"
	// A homemade proxy that puts the credential on the request.
	const homemade = `
	request_header Authorization "Bearer operators-secret"
	reverse_proxy [[.PlatformURL]]`
	r := start(t, caddyfile("", site("")+handle, homemade+handle))
	alice := r.cookie("alice")
	r.served("warm", stack.Alice, func() reply { return r.ask("GET", "/mdh"+apiEcho, alice) })
	token := r.Platform.Records()[len(r.Platform.Records())-1].Header.Get("Authorization")
	r.Intercept(func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) })

	for path, what := range map[string]string{
		"/mdh" + apiEcho:                   "the platform hangs up",
		"/mdh/api/v1/administration/x":     "not allowed",
		"/mdh/api/v1/delegated/%2e%2e/x":   "ambiguous",
		"/fa/api/v1/administration/delete": "not allowed behind forward_auth",
	} {
		page.Store(nil)
		r.ask("GET", path, alice)
		got := page.Load()
		if got == nil {
			t.Fatalf("%s: no error page was asked for", what)
		}
		if a := got.Header["Authorization"]; len(a) > 0 {
			t.Errorf("%s: the error page was sent %d credentials", what, len(a))
		}
		for name, values := range got.Header {
			for _, value := range values {
				if strings.Contains(value, strings.TrimPrefix(token, "Bearer ")) || strings.Contains(value, stack.Alice.ID) {
					t.Errorf("%s: the error page was sent a secret in %s", what, name)
				}
			}
		}
	}
	page.Store(nil)
	r.askHome("GET", apiEcho, alice)
	if got := page.Load(); got == nil || got.Header.Get("Authorization") != "Bearer operators-secret" {
		t.Error("control: the error page was not sent the homemade credential")
	}
}

// kept are headers and cookies by which the app knows its own user.
var kept = []string{"X-Csrf-Token: alices", "X-Xsrf-Token: alices", "Referer: http://app.example/patient/7", "Cookie2: $Version=1", "Sec-Fetch-Site: same-origin", "DPoP: proof"}

// TestT18_CookiesStayHere protects the app's session, CSRF token and page
// addresses from the platform, in headers and trailers; and the app's origin
// from what the platform answers.
func TestT18_CookiesStayHere(t *testing.T) {
	r := start(t, caddyfile("", site(""), passing))
	alice := r.cookie("alice")
	lines := append([]string{alice, "Origin: " + r.URL()}, kept...)
	secrets := []string{"alices", "patient", "session", "app.example", "proof", r.authority(false)}
	leaks := func(h http.Header) (names []string) {
		for name, values := range h {
			for _, secret := range secrets {
				if strings.Contains(strings.Join(values, " "), secret) {
					names = append(names, name)
				}
			}
		}
		return names
	}
	// A body in chunks, whose trailers some servers merge into the headers.
	chunked := http1("POST", "/mdh"+apiEcho, r.authority(false),
		append(lines, "Content-Type: text/plain", "Transfer-Encoding: chunked", "Trailer: Cookie, X-Csrf-Token, Authorization, X-Session")...) +
		"3\r\nabc\r\n0\r\nCookie: session=alices\r\nX-Csrf-Token: alices\r\nAuthorization: alices\r\n\r\n"
	for name, ask := range map[string]func() reply{
		"a request": func() reply { return r.ask("GET", "/mdh"+apiEcho, lines...) },
		"trailers":  func() reply { return r.send(chunked) },
	} {
		record := r.served(name, stack.Alice, ask)
		if got := append(leaks(record.Header), leaks(record.Trailer)...); len(got) > 0 {
			t.Errorf("%s: the platform received the app's secrets in %v", name, got)
		}
	}
	if record := r.crossed("headers", func() reply { return r.askHome("GET", apiEcho, lines...) }); len(leaks(record.Header)) < 5 {
		t.Errorf("control: only %v leaked", leaks(record.Header))
	}

	answers := func(what string, got reply) (names []string) {
		if got.status != http.StatusOK {
			t.Fatalf("%s: %d %s", what, got.status, got.body)
		}
		for _, name := range []string{
			"Set-Cookie", "WWW-Authenticate", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Clear-Site-Data",
			"Strict-Transport-Security", "Service-Worker-Allowed", "Refresh", "Nel", "Report-To", "Alt-Svc",
		} {
			if len(got.header.Values(name)) > 0 {
				names = append(names, name)
			}
		}
		return names
	}
	const bad = "/api/v1/delegated/custom/Simulator.BadHeaders"
	for _, prefix := range []string{"/mdh", "/fa"} {
		if got := answers(prefix, r.ask("GET", prefix+bad, alice)); len(got) > 0 {
			t.Errorf("%s: the browser was sent %v", prefix, got)
		}
	}
	// The homemade site has no credential of its own: it passes this one on.
	token := r.Platform.Records()[len(r.Platform.Records())-1].Header.Get("Authorization")
	if got := answers("control", r.askHome("GET", bad, "Authorization: "+token)); len(got) < 10 {
		t.Errorf("control: the browser was sent %v alone", got)
	}
}
