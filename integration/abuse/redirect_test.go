// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"net/http"
	"strings"
	"testing"
)

// TestT47_Redirects protects against open redirects (CVE-2022-23527,
// GO-2022-0783, /\host): the module makes none, and passes none on that leads
// away from the platform, however a browser reads it.
func TestT47_Redirects(t *testing.T) {
	r := start(t, caddyfile("", site(""), passing))
	alice := r.cookie("alice")
	for _, target := range []string{"//evil.example", "//evil.example/%2e%2e", "/mdh", "/mdh//evil.example", "/mdh/\\evil.example", "/mdh-token//evil.example", "/mdh/%5cevil.example", "/mdh/?next=//evil.example", "/mdh-token?rd=https://evil.example"} {
		r.untouched(target, func() {
			if got := r.ask("GET", target, alice); got.status/100 == 3 || got.header.Get("Location") != "" {
				t.Errorf("%s: %d to %q", target, got.status, got.header.Get("Location"))
			}
		})
	}
	locations := []string{
		"//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "\t//evil.example", " https://evil.example", "https:evil.example", "https:/evil.example", "https:\\\\evil.example",
		"HTTPS://evil.example", "///evil.example", "/%09/evil.example/..//evil.example", "javascript:alert(1)", "data:text/html,x", "http://127.0.0.1@evil.example", "/./\\evil.example", "/..//evil.example",
	}
	location := ""
	r.Intercept(func(w http.ResponseWriter, req *http.Request, platform http.Handler) {
		if strings.HasSuffix(req.URL.Path, "Simulator.Moved") {
			w.Header()["Location"] = []string{location}
			w.WriteHeader(http.StatusFound)
			return
		}
		platform.ServeHTTP(w, req)
	})
	const moved = "/api/v1/delegated/custom/Simulator.Moved"
	for _, location = range locations {
		for _, prefix := range []string{"/mdh", "/fa"} {
			got := r.ask("GET", prefix+moved, alice)
			away := got.header.Get("Location")
			// What is kept within the proxy's own path leads nowhere else.
			if got.code() != "upstream_redirected" && !strings.HasPrefix(away, prefix+"/") || strings.HasPrefix(away, prefix+"//") || strings.ContainsAny(away, "\\\t") {
				t.Errorf("%q: %d to %q", location, got.status, away)
			}
		}
		if got := r.askHome("GET", moved, alice); got.header.Get("Location") != strings.TrimSpace(location) {
			t.Errorf("control: %q: %d to %q", location, got.status, got.header.Get("Location"))
		}
	}
	if location = "/api/v1/delegated/participant"; r.ask("GET", "/mdh"+moved, alice).header.Get("Location") != "/mdh"+location {
		t.Error("a redirect within the platform is not kept within our path")
	}
}
