// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// longForm is the site with delegate and reverse_proxy by hand, something
// between them, and something in the proxy.
func longForm(between, inside string) string {
	return `
	handle_path /mdh/* {
		route {` + appSession + `
			delegate mydatahelps
			` + between + `
			reverse_proxy {
				dynamic delegate
				transport delegate
				` + inside + `
			}
		}
	}`
}

// TestT53_RewriteAfterPolicy protects against a rewrite that stands behind the
// policy, here one that takes the address from the client: what was judged is
// what is sent, or nothing is. (TestChangesAfterThePolicy has more of them.)
func TestT53_RewriteAfterPolicy(t *testing.T) {
	const homemade = `
	route {
		@closed not path /api/v1/delegated/*
		respond @closed 403
		rewrite * {query.to}
		reverse_proxy [[.PlatformURL]]
	}`
	const closed = "/api/v1/" + administration
	for what, between := range map[string]string{
		"rewrite":       "rewrite * {query.to}",
		"path_regexp":   "uri path_regexp ^.*$ " + closed,
		"strip_prefix":  "uri strip_prefix /api/v1/delegated",
		"two dots":      "rewrite * {path}/../../../../.." + closed,
		"another query": "rewrite * {path}?participantID=" + stack.Bob.ID,
		"a method":      "method {query.method}",
	} {
		r := start(t, caddyfile("", longForm(between, ""), homemade))
		alice := r.cookie("alice")
		attack := apiEcho + "?method=DELETE&to=" + closed
		calls := r.Platform.Counts()
		got := r.ask("GET", "/mdh"+attack, alice)
		// The token may have been minted by then; no request is sent with it.
		after := r.Platform.Counts()
		if got.status != http.StatusInternalServerError || got.code() != "not_delegated" || after.Delegated != calls.Delegated || after.Admin > calls.Admin+1 {
			t.Errorf("%s: %d %s, %+v", what, got.status, got.body, after)
		}
		if record := r.crossed(what, func() reply { return r.askHome("GET", attack) }); !strings.HasPrefix(record.URI, closed) {
			t.Errorf("control: %s arrived", record.URI)
		}
	}
	r := start(t, caddyfile("", longForm("", ""), homemade))
	r.served("no rewrite", stack.Alice, func() reply { return r.ask("GET", "/mdh"+apiEcho, r.cookie("alice")) })
}

// TestT53_HeadersAfterPolicy protects the credential from what an operator's
// lines put there behind the policy, and from a second proxy that is handed
// the request when the platform has answered.
func TestT53_HeadersAfterPolicy(t *testing.T) {
	const copied = "request_header Authorization {header.X-Authorization}\n\t\t\trequest_header Cookie {header.X-Cookie}\n\t\t\trequest_header X-Forwarded-User bob\n\t\t\trequest_header X-Copied {header.X-Authorization}"
	homemade := "route {\n\t\t" + copied + "\n\t\treverse_proxy [[.PlatformURL]]\n\t}"
	evil, calls, secrets := elsewhere(t)
	second := "@ok status 2xx\n\t\t\t\thandle_response @ok {\n\t\t\t\t\treverse_proxy " + strings.TrimPrefix(evil.URL, "http://") + "\n\t\t\t\t}"
	attack := []string{"X-Authorization: Bearer forged", "X-Cookie: a=b", "X-Host: evil.example"}
	for what, site := range map[string]string{
		"before the policy": strings.Replace(longForm("", ""), "delegate mydatahelps", copied+"\n\t\t\tdelegate mydatahelps", 1),
		"between":           longForm(copied, ""),
		"inside":            longForm("", "header_up Authorization \"Bearer forged\"\n\t\t\t\theader_up Host evil.example\n\t\t\t\theader_up Cookie a=b\n\t\t\t\theader_up +Authorization forged\n\t\t\t\theader_up X-Forwarded-User bob"),
		"a second proxy":    longForm("", second),
	} {
		r := start(t, caddyfile("", site, homemade))
		lines := append(attack, r.cookie("alice"))
		record := r.served(what, stack.Alice, func() reply { return r.ask("GET", "/mdh"+apiEcho, lines...) })
		if record.Header.Get("Cookie") != "" || record.Header.Get("X-Forwarded-User") != "" || "http://"+record.Host != r.PlatformURL {
			t.Errorf("%s: %v at %s", what, record.Header, record.Host)
		}
		control := r.crossed(what, func() reply { return r.askHome("GET", apiEcho, lines...) })
		if control.Header.Get("Authorization") != "Bearer forged" || control.Header.Get("Cookie") != "a=b" {
			t.Errorf("control, %s: %v", what, control.Header)
		}
	}
	if calls.Load() != 1 || secrets.Load() != 0 {
		t.Errorf("the second proxy was asked %d times, with %d credentials", calls.Load(), secrets.Load())
	}
}
