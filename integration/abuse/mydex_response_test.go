// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// passingToMydex is the homemade proxy that hands on whatever the client sent.
const passingToMydex = "reverse_proxy [[.MydexURL]]"

// ruling are headers by which the app's origin would be Mydex's to rule.
var ruling = []string{
	"Set-Cookie", "WWW-Authenticate", "Authentication-Info", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Clear-Site-Data",
	"Strict-Transport-Security", "Service-Worker-Allowed", "Refresh", "Nel", "Report-To", "Alt-Svc",
}

// TestT18_MydexCookiesStayHere protects the app's session, CSRF token and page
// addresses from Mydex, in headers and trailers, on its API and on the host
// where a consent flow is begun.
func TestT18_MydexCookiesStayHere(t *testing.T) {
	m := startMydex(t, mydexCaddyfile("", passingToMydex))
	robin := m.member(0)
	alice := m.connect("alice", robin)
	var mu sync.Mutex
	var trailers []http.Header
	m.intercept(func(w http.ResponseWriter, r *http.Request, mydex http.Handler) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		trailers = append(trailers, r.Trailer.Clone())
		mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		mydex.ServeHTTP(w, r)
	})
	session := alice + "; delegate_mydex=alices"
	lines := append([]string{session, "Origin: " + m.URL(), "Connection-Token: alices"}, kept...)
	secrets := []string{"alices", "patient", "session", "app.example", "proof", m.authority(false)}
	leaks := func(h http.Header) (names []string) {
		for name, values := range h {
			if slices.ContainsFunc(secrets, func(secret string) bool { return strings.Contains(strings.Join(values, " "), secret) }) {
				names = append(names, name)
			}
		}
		return names
	}
	// A body in chunks, whose trailers some servers merge into the headers.
	const event = `{"title":"t","start_timestamp":1,"end_timestamp":2,"status":"CONFIRMED"}`
	chunked := func(target, host string, more ...string) string {
		return http1("POST", target, host, append(slices.Concat(lines, more), "Content-Type: application/json", "Transfer-Encoding: chunked", "Trailer: Cookie, X-Csrf-Token, Connection-Token, Authorization, X-Session")...) +
			"48\r\n" + event + "\r\n0\r\nCookie: session=alices\r\nX-Csrf-Token: alices\r\nConnection-Token: alices\r\nAuthorization: alices\r\nX-Session: alices\r\n\r\n"
	}
	for _, prefix := range proxies {
		for what, ask := range map[string]func() reply{
			"a dataset": func() reply { return m.ask("GET", prefix+datasetPath, lines...) },
			"a block":   func() reply { return m.ask("GET", prefix+eventsPath, lines...) },
			"trailers":  func() reply { return m.send(chunked(prefix+"/calendar/add-event", m.authority(false))) },
		} {
			r := m.served(prefix+", "+what, robin, ask)
			if got := append(leaks(r.Header), leaks(trailers[len(trailers)-1])...); len(got) > 0 {
				t.Errorf("%s, %s: Mydex received the app's secrets in %v", prefix, what, got)
			}
		}
	}
	for _, at := range connects {
		before := m.last()
		got := m.do("POST", at+"/start", "", lines...)
		asked := m.since(before, "setup")
		if got.status != http.StatusOK || len(asked) != 1 || len(leaks(asked[0].Header)) > 0 || strings.Contains(asked[0].Body, "alices") {
			t.Errorf("%s/start: %d %s: %v", at, got.status, got.body, asked)
		}
	}
	if r := m.reached("headers", func() reply { return m.askHome("GET", eventsPath, lines...) }); len(leaks(r.Header)) < 5 {
		t.Errorf("control: only %v leaked", leaks(r.Header))
	}
	m.reached("trailers", func() reply { return m.send(chunked("/calendar/add-event", m.authority(true))) })
	if got := leaks(trailers[len(trailers)-1]); len(got) == 0 {
		t.Error("control: no trailer leaked")
	}
}

// TestT18_MydexRulesNothing protects the app's origin from what Mydex answers,
// its API in headers and trailers, and the host where a consent flow is begun.
func TestT18_MydexRulesNothing(t *testing.T) {
	m := startMydex(t, mydexCaddyfile("", passingToMydex))
	robin := m.member(0)
	alice := m.connect("alice", robin)
	bearer, status := m.bearer(alice), http.StatusOK
	m.intercept(func(w http.ResponseWriter, r *http.Request, mydex http.Handler) {
		for _, name := range ruling {
			w.Header()[name] = []string{"evil=1", "evil=2"}
		}
		if r.URL.Path == "/ftc/setup" || r.URL.Path == "/oauth2/token" {
			mydex.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Trailer", strings.Join(ruling, ", ")+", X-Checksum")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "{}")
		w.(http.Flusher).Flush()
		for _, name := range append(ruling, "X-Checksum") {
			w.Header().Set(name, "evil=3")
		}
	})
	sent := func(h http.Header) (names []string) {
		for _, name := range ruling {
			if values := h[http.CanonicalHeaderKey(name)]; slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, "evil") }) {
				names = append(names, name)
			}
		}
		return names
	}
	const page = "Origin: https://evil.example"
	for _, status = range []int{http.StatusOK, http.StatusUnauthorized, http.StatusInternalServerError, http.StatusFound} {
		for _, prefix := range proxies {
			for _, path := range []string{datasetPath, eventsPath} {
				got := m.ask("GET", prefix+path, alice)
				if status == http.StatusOK && got.status != status || len(sent(got.header)) > 0 || len(sent(got.trailer)) > 0 || strings.Contains(got.header.Get("Trailer"), "Cookie") {
					t.Errorf("%d, %s: %d: the browser was sent %v, trailers %v", status, prefix+path, got.status, sent(got.header), sent(got.trailer))
				}
			}
		}
		got := m.askHome("GET", eventsPath, bearer)
		if got.status != status || len(sent(got.header)) < 10 || len(sent(got.trailer)) < 5 {
			t.Errorf("control, %d: %d: the browser was sent %v, trailers %v", status, got.status, sent(got.header), sent(got.trailer))
		}
	}
	for _, at := range connects {
		got := m.ask("POST", at+"/start", m.rig.cookie("bob"), "Content-Length: 0")
		if got.status != http.StatusOK || len(sent(got.header)) > 0 || len(got.header["Set-Cookie"]) != 1 {
			t.Errorf("%s/start: %d %s: %v", at, got.status, got.body, got.header)
		}
		if set := got.header.Get("Set-Cookie"); !strings.HasPrefix(set, "delegate_mydex=") || !strings.Contains(set, "; HttpOnly; SameSite=Lax") {
			t.Errorf("%s: the consent flow's cookie is %q", at, set)
		}
	}
	// Whoever calls back gets neither a cookie nor a word.
	m.intercept(nil)
	j := m.startConnect(connects[0], "carol")
	for what, got := range map[string]reply{
		"the word of Mydex": m.do("POST", callback, j.callbackForm(m.member(1)), authentic(), formType, page),
		"a forged one":      m.do("POST", callback, j.callbackForm(m.member(1)), formType, page),
		"malformed":         m.do("POST", callback, "{", authentic(), formType, page),
		"another address":   m.do("POST", callback+"0", j.callbackForm(m.member(1)), authentic(), formType, page),
		"another method":    m.do("GET", callback, "", authentic(), page),
		"a preflight":       m.do("OPTIONS", callback, "", authentic(), page, "Access-Control-Request-Method: POST"),
	} {
		if got.body != "" || len(got.header["Set-Cookie"]) > 0 || len(sent(got.header)) > 0 || got.header.Get("Access-Control-Allow-Origin") != "" || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s %v", what, got.status, got.body, got.header)
		}
	}
	j.wantReturn("carol", "connected")
}
