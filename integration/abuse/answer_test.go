// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestA9_RedirectsLeaveTheMount protects the app from redirects that a platform
// makes to paths of the app itself, such as its logout.
func TestA9_RedirectsLeaveTheMount(t *testing.T) {
	r := start(t, caddyfile("", site(""), passing))
	alice := r.cookie("alice")
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
	for _, location = range []string{
		"/../logout", "/mdh/../logout", "/%2e%2e/logout", "/.%2E/logout", "/x/..;/../logout", "/..%2flogout", "/%2e%2e%2flogout", "/..%5clogout", "/..\\logout", "/a/./../../logout",
		"../../../../../logout", "../../../../../mdh/../logout", "a/%2e%2e/../../../../../logout", "./.././../../../../logout", "//logout", "/.//logout", "/..//logout",
		r.PlatformURL + "/../logout", r.PlatformURL + "/..%2flogout", strings.TrimPrefix(r.PlatformURL, "http:") + "/%2e%2e/logout",
	} {
		for _, prefix := range []string{"/mdh", "/fa"} {
			if got := r.ask("GET", prefix+moved, alice); got.code() != "upstream_redirected" || got.header.Get("Location") != "" {
				t.Errorf("%q: %d to %q", location, got.status, got.header.Get("Location"))
			}
		}
		if got := r.askHome("GET", moved, alice); got.header.Get("Location") != location {
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
}

// TestA11_TrailersOfRequests protects the platform from names that it would
// believe of a proxy, after the body, where nothing has looked: announced or
// not. Over HTTP/2: integration/fault_answer_test.go.
func TestA11_TrailersOfRequests(t *testing.T) {
	names := []string{"Remote-User", "X_Api_Key", "X-Participant-Id", "x.participant.id", "X-User", "Auth-Request-Email", "Content-Type", "If-None-Match", "X-Internal"}
	r := start(t, caddyfile("", site(""), passing))
	alice := r.cookie("alice")
	body := "3\r\nabc\r\n0\r\n"
	for _, name := range names {
		body += name + ": " + stack.Bob.ID + "\r\n"
	}
	for _, announced := range []string{strings.Join(names, ", "), "X-Checksum", "Remote-User"} {
		lines := []string{alice, "Content-Type: text/plain", "Transfer-Encoding: chunked", "Trailer: " + announced}
		record := r.served(announced, stack.Alice, func() reply {
			return r.send(http1("POST", "/mdh"+apiEcho, r.authority(false), lines...) + body + "\r\n")
		})
		if delete(record.Trailer, "X-Checksum"); len(record.Trailer) > 0 {
			t.Errorf("%s: trailers %v", announced, record.Trailer)
		}
		record = r.crossed(announced, func() reply { return r.send(http1("POST", apiEcho, r.authority(true), lines...) + body + "\r\n") })
		if _, ok := record.Trailer["Remote-User"]; ok != strings.Contains(announced, "Remote-User") {
			t.Errorf("control, %s: trailers %v", announced, record.Trailer)
		}
	}
}
