// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// foreignOrigins are the Origins of other pages, some of which look like ours.
func foreignOrigins(authority string) []string {
	host, port, _ := strings.Cut(authority, ":")
	return []string{
		"https://evil.example", "null", "http://" + host, "http://" + host + ":1", "http://evil." + host + ":" + port, "http://" + authority + ".evil.example",
		"http://" + authority + "@evil.example", "http://evil.example#" + authority, "http://evil.example/" + authority, "file://", "",
		"http://" + authority + ", https://evil.example", "https://evil.example http://" + authority, "chrome-extension://abc", "http://[" + host + "]:" + port, authority, "javascript:alert(1)",
	}
}

// crossSiteHeaders are the headers by which a browser tells of a request that it came
// from a page of another site, or that leave it in doubt.
func crossSiteHeaders(r *rig) [][]string {
	cases := [][]string{
		{"Sec-Fetch-Site: cross-site"},
		{"Sec-Fetch-Site: same-site"},
		{"Sec-Fetch-Site: CROSS-SITE"},
		{"Sec-Fetch-Site: Same-Origin"},
		{"Sec-Fetch-Site: unknown"},
		{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-User: ?1"},
		{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"},
		{"Sec-Fetch-Site: none", "Origin: null"},
		{"Sec-Fetch-Site: same-origin, cross-site"},
		{"Origin: " + r.URL(), "Origin: https://evil.example"},
		{"Origin: " + r.URL(), "Sec-Fetch-Site: cross-site"},
		// A header that frees bearers counts for nothing beside the cookie.
		{"Sec-Fetch-Site: cross-site", "Authorization: Bearer x"},
	}
	for _, origin := range foreignOrigins(r.authority(false)) {
		if origin != "" {
			cases = append(cases, []string{"Origin: " + origin})
		}
	}
	return cases
}

// TestT49_OtherSitesPages protects against pages of other sites that use the
// user's cookie: by a form, an image, a script, from a sandbox or a subdomain.
// Nothing is asked of the platform, no token is minted, for reads neither: they
// answer with health data.
func TestT49_OtherSitesPages(t *testing.T) {
	r := start(t, caddyfile("", site(""), passing))
	alice := r.cookie("alice")
	form := []string{"Content-Type: text/plain", "Content-Length: 0"}
	for _, lines := range crossSiteHeaders(r) {
		what := strings.Join(lines, ", ")
		lines = append(lines, alice)
		for _, path := range []string{"/mdh-token", "/fa-token", "/mdh" + apiEcho, "/fa" + apiEcho} {
			r.refused("POST "+path+", "+what, http.StatusForbidden, "cross_origin", func() reply {
				got := r.ask("POST", path, append(form, lines...)...)
				if got.header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("%s: the page may read the answer", what)
				}
				return got
			})
		}
		for _, prefix := range []string{"/mdh", "/fa"} {
			r.refused("GET "+prefix+", "+what, http.StatusForbidden, "cross_origin", func() reply { return r.ask("GET", prefix+apiEcho, lines...) })
		}
		r.crossed(what, func() reply { return r.askHome("GET", apiEcho, lines...) })
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "GET"} {
		r.refused("a preflight for "+method, http.StatusForbidden, "cross_origin", func() reply {
			return r.ask("OPTIONS", "/mdh"+apiEcho, "Origin: https://evil.example", "Access-Control-Request-Method: "+method, "Access-Control-Request-Headers: authorization", alice)
		})
	}
	for _, line := range []string{"Sec-Fetch-Site: same-origin", "Origin: " + r.URL()} {
		r.served(line, stack.Alice, func() reply { return r.ask("GET", "/mdh"+apiEcho, line, alice) })
	}
}
