// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestT47_Redirects protects against open redirects (CVE-2022-23527,
// GO-2022-0783, /\host): the module makes none, and passes none on that leads
// away from the platform, nor from below the mount to a path of the app (A9),
// however a browser reads it.
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
	// To paths of the app itself, such as its logout.
	leaving := []string{
		"/../logout", "/mdh/../logout", "/%2e%2e/logout", "/.%2E/logout", "/x/..;/../logout", "/..%2flogout", "/%2e%2e%2flogout", "/..%5clogout", "/..\\logout", "/a/./../../logout",
		"../../../../../logout", "../../../../../mdh/../logout", "a/%2e%2e/../../../../../logout", "./.././../../../../logout", "//logout", "/.//logout", "/..//logout",
		r.PlatformURL + "/../logout", r.PlatformURL + "/..%2flogout", strings.TrimPrefix(r.PlatformURL, "http:") + "/%2e%2e/logout",
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
	for _, location = range append(locations, leaving...) {
		for _, prefix := range []string{"/mdh", "/fa"} {
			got := r.ask("GET", prefix+moved, alice)
			away := got.header.Get("Location")
			// What is kept within the proxy's own path leads nowhere else.
			if got.code() != "upstream_redirected" && !strings.HasPrefix(away, prefix+"/") || strings.HasPrefix(away, prefix+"//") || strings.ContainsAny(away, "\\\t") {
				t.Errorf("%q: %d to %q", location, got.status, away)
			}
			if slices.Contains(leaving, location) && (got.code() != "upstream_redirected" || away != "") {
				t.Errorf("%q: %d to %q", location, got.status, away)
			}
		}
		if got := r.askHome("GET", moved, alice); got.header.Get("Location") != strings.TrimSpace(location) {
			t.Errorf("control: %q: %d to %q", location, got.status, got.header.Get("Location"))
		}
	}
	// Nor does what the client writes before the mount lead elsewhere.
	location = "/api/v1/delegated/participant"
	for _, before := range []string{"/", "//", "/\\evil.example/..", "/.", "/%2f"} {
		if to := r.ask("GET", before+"/mdh"+moved, alice).header.Get("Location"); to != "" && !strings.HasPrefix(to, "/mdh/") {
			t.Errorf("%s: to %q", before, to)
		}
	}
	if r.ask("GET", "/mdh"+moved, alice).header.Get("Location") != "/mdh"+location {
		t.Error("a redirect within the platform is not kept within our path")
	}
}
