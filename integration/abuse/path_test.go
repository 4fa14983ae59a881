// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// byPrefix is the commonest homemade policy: the beginning of the address, as
// it came, decides.
const byPrefix = "route {\n\t\t@open expression {uri}.startsWith('/api/v1/delegated/')\n\t\treverse_proxy @open [[.PlatformURL]]\n\t\trespond 403\n\t}"

// mounted runs a test under handle_path, which strips a prefix, and under a
// bare route, which strips nothing.
func mounted(t *testing.T, lines, homemade string, test func(t *testing.T, r *rig, prefix string)) {
	t.Helper()
	for name, c := range map[string]struct{ site, prefix string }{
		"handle_path": {site(lines), "/mdh"},
		"route":       {bare(lines), ""},
	} {
		t.Run(name, func(t *testing.T) {
			test(t, start(t, caddyfile("", c.site, homemade)), c.prefix)
		})
	}
}

// administration is where service accounts read everybody's data.
const administration = "administration/projects/" + stack.Project + "/participants"

// TestT20_WaysOut protects against CVE-2026-33494 (/public/../admin),
// CVE-2025-54576 (the open path stood in the query), GHSA-pxq7-h93f-9jrg and
// GHSA-fvhj-4qfh-q2hm (a # cut the path off): the proxy judged one path, the
// server behind served another.
func TestT20_WaysOut(t *testing.T) {
	byRegexp := strings.Replace(byPrefix, ".startsWith('/api/v1/delegated/')", ".contains('/api/v1/delegated/')", 1)
	mounted(t, "", byRegexp, func(t *testing.T, r *rig, prefix string) {
		alice := r.cookie("alice")
		for path, code := range map[string]string{
			"/api/v1/delegated/../" + administration:                           "path_ambiguous",
			"/api/v1/delegated/./../" + administration:                         "path_ambiguous",
			"/api/v1/delegated/participant/../../" + administration:            "path_ambiguous",
			"/api/v1/" + administration + "?x=/api/v1/delegated/participant":   "route_denied",
			"/api/v1/" + administration + "?/api/v1/delegated/":                "route_denied",
			"/api/v1/" + administration + "%3f/api/v1/delegated/":              "path_ambiguous",
			"/api/v1/" + administration + "%23/api/v1/delegated/":              "path_ambiguous",
			"/api/v1/delegated/participant%23/../../" + administration:         "path_ambiguous",
			"/api/v1/delegated/participant%3f/../../" + administration:         "path_ambiguous",
			"/api/v1/" + administration + "/%2e%2e/%2e%2e/api/v1/delegated/":   "path_ambiguous",
			"/identityserver/connect/token?next=/api/v1/delegated/participant": "route_denied",
		} {
			status := map[string]int{"path_ambiguous": http.StatusBadRequest, "route_denied": http.StatusForbidden}[code]
			r.refused(path, status, code, func() reply { return r.ask("GET", prefix+path, alice) })
			if record := r.crossed(path, func() reply { return r.askHome("GET", path) }); record.URI != path {
				t.Errorf("control: %s arrived as %s", path, record.URI)
			}
		}
		// A # in the target is read in as many ways as there are servers.
		for _, path := range []string{"/api/v1/" + administration + "#/api/v1/delegated/", apiParticipant + "#/../../" + administration} {
			r.malformed(path, func() reply { return r.ask("GET", prefix+path, alice) })
		}
		record := r.served("a query", stack.Alice, func() reply { return r.ask("GET", prefix+apiEcho+"?x=/../%2e%2e/;a", alice) })
		if record.URI != apiEcho+"?x=/../%2e%2e/;a" {
			t.Errorf("the query arrived as %s", record.URI)
		}
	})
}

// secondReadings are spellings between the open part of the API and the
// closed one that some servers read as "up".
var secondReadings = []string{
	"../", "%2e%2e/", "%2E%2E/", ".%2e/", "%2e./", "..%2f", "..%2F", "%2e%2e%2f", "..%5c", "..\\", "..%c0%af", "..%e0%80%af", "%c0%ae%c0%ae/",
	"%252e%252e/", "..%252f", "%25%32%65%25%32%65/", "..;/", "..;a=b/", ";/../", "..%3b/", "..%00/", "..%0d%0a/", "..%09/", "..%20/", ".. /", "../\x01",
	"%ef%bc%8e%ef%bc%8e/", "..%ef%bc%8f", "...%2f", "%u002e%u002e/", "%2/", "%zz/", "..%", "%uff0e%uff0e/", "x./../", "(S(x))/../", "%2f..%2f", "%5c..%5c", "\\..\\", "..%01/",
}

// TestT21_SecondReadings protects against caddy #7941: encoded dots, slashes
// and percent signs, parameters, backslashes, overlong UTF-8. Of seven
// well-known proxies one refused %2e%2e, ..%2f and ..;/; the others forwarded
// them as they came, as the homemade one does.
func TestT21_SecondReadings(t *testing.T) {
	mounted(t, "", byPrefix, func(t *testing.T, r *rig, prefix string) {
		alice := r.cookie("alice")
		crossed := 0
		for _, up := range secondReadings {
			path := "/api/v1/delegated/" + up + administration
			what := fmt.Sprintf("%q", path)
			r.malformed(what, func() reply {
				got := r.ask("GET", prefix+path, alice)
				// What is no HTTP is the server's to refuse, the rest is ours.
				if got.status != 0 && got.code() != "path_ambiguous" && got.header.Get("Content-Type") != "text/plain; charset=utf-8" {
					t.Errorf("%s: %d %s", what, got.status, got.body)
				}
				return got
			})
			before := len(r.Platform.Records())
			r.askHome("GET", path)
			for _, record := range r.Platform.Records()[before:] {
				if record.URI == path {
					crossed++
				}
			}
		}
		if crossed < 20 {
			t.Errorf("control: only %d of %d crossed the homemade proxy as they were", crossed, len(secondReadings))
		}
	})
}

// TestT21_JudgedIsSent protects what is left: whatever spelling a path comes
// in, the one that was judged is the one that is sent.
func TestT21_JudgedIsSent(t *testing.T) {
	mounted(t, "", passing, func(t *testing.T, r *rig, prefix string) {
		alice := r.cookie("alice")
		for path, sent := range map[string]string{
			apiEcho: apiEcho,
			"/api/v1/delegated/custom/Simulator%2DEcho":    "/api/v1/delegated/custom/Simulator-Echo",
			"/api/v1/%64elegated/custom/Simulator-Echo":    "/api/v1/delegated/custom/Simulator-Echo",
			"//api///v1//delegated/custom//Simulator-Echo": "/api/v1/delegated/custom/Simulator-Echo",
			"/api/v1/delegated/custom/%c3%a4%20%7c":        "/api/v1/delegated/custom/%C3%A4%20%7C",
			"/api/v1/delegated/custom/a+b%2bc":             "/api/v1/delegated/custom/a%2Bb%2Bc",
			"/api/v1/delegated/custom/...a":                "/api/v1/delegated/custom/...a",
		} {
			record := r.served(path, stack.Alice, func() reply { return r.ask("GET", prefix+path, alice) })
			if record.URI != sent {
				t.Errorf("%s: sent %s, want %s", path, record.URI, sent)
			}
		}
		// The target as a whole address (RFC 9112 section 3.2.2) has one reading
		// of the path as well, and says nothing of the platform.
		record := r.served("absolute", stack.Alice, func() reply { return r.ask("GET", r.URL()+prefix+apiEcho, alice) })
		if record.URI != apiEcho || "http://"+record.Host != r.PlatformURL {
			t.Errorf("absolute: %s at %s", record.URI, record.Host)
		}
		for _, target := range []string{r.URL() + prefix + "/api/v1/delegated/../" + administration, "http:" + prefix + apiEcho, "*", "localhost:443", "ftp://x" + prefix + apiEcho} {
			r.malformed(target, func() reply {
				got := r.ask("GET", target, alice)
				if got.status == http.StatusOK && got.body == "" { // Caddy's answer where there is no site
					got.status = http.StatusNotFound
				}
				return got
			})
		}
		record = r.crossed("double slashes", func() reply { return r.askHome("GET", "/api//v1/%64elegated/x") })
		if record.URI != "/api//v1/%64elegated/x" {
			t.Errorf("control: it arrived as %s", record.URI)
		}
	})
}
