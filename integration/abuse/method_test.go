// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestT24_Methods protects against methods that a policy does not know but a
// server behind serves, and against a method in a header, where frameworks
// take it from there.
func TestT24_Methods(t *testing.T) {
	const homemade = "route {\n\t\t@delete method DELETE\n\t\trespond @delete 403\n\t\treverse_proxy [[.PlatformURL]]\n\t}"
	r := start(t, caddyfile("", site(""), homemade))
	alice := r.cookie("alice")
	const device = "/api/v1/delegated/devicedata/1"
	for _, method := range []string{"DELETE", "delete", "Delete", "TRACE", "TRACK", "PROPFIND", "OPTIONS", "PATCH", "get", "GeT", "GETX", "DEBUG", "PURGE", "BIND", "QUERY", "M-SEARCH"} {
		for _, prefix := range []string{"/mdh", "/fa"} {
			r.malformed(method, func() reply { return r.ask(method, prefix+device, alice) })
		}
		if method != "DELETE" {
			r.malformed(method+", a token", func() reply { return r.ask(method, "/mdh-token", alice) })
		}
	}
	r.malformed("h2c", func() reply {
		return r.ask("POST", "/mdh/api/v1/administration/x", alice, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", "Content-Length: 0")
	})
	for _, method := range []string{"GET", "PUT", "OPTIONS", "DELETE", "TRACE"} {
		r.refused(method+", a token", http.StatusMethodNotAllowed, "method_not_allowed", func() reply { return r.ask(method, "/mdh-token", alice) })
	}

	override := []string{"X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE", "X-Method-Override: DELETE", "Content-Type: application/json"}
	record := r.served("an override", stack.Alice, func() reply { return r.post("/mdh"+apiEcho+"?_method=DELETE", "{}", append(override, alice)...) })
	if record.Method != http.MethodPost {
		t.Errorf("sent as %s", record.Method)
	}
	for name := range record.Header {
		if strings.Contains(name, "Method") {
			t.Errorf("%s crossed", name)
		}
	}
	record = r.served("HEAD", stack.Alice, func() reply { return r.ask("HEAD", "/mdh"+apiEcho, alice) })
	if record.Method != http.MethodHead {
		t.Errorf("HEAD was sent as %s", record.Method)
	}
	record = r.crossed("an override", func() reply { return r.askHome("POST", device, append(override, "Content-Length: 0")...) })
	if record.Header.Get("X-Http-Method-Override") != "DELETE" {
		t.Errorf("control: %v", record.Header)
	}
	r.crossed("a lower-case method", func() reply { return r.askHome("delete", device) })
}

// TestT24_Connect protects against tunnels: CONNECT names a host and a port,
// and a server that takes it as it comes opens a way into the private network.
func TestT24_Connect(t *testing.T) {
	r := start(t, caddyfile("", bare(""), passing))
	alice := r.cookie("alice")
	for _, target := range []string{r.authority(false), apiEcho} {
		r.malformed("CONNECT "+target, func() reply { return r.ask("CONNECT", target, alice) })
	}
	for _, target := range []string{"evil.example:443", r.URL() + apiEcho} {
		r.untouched("CONNECT "+target, func() {
			// Caddy answers for sites it does not know, with nothing.
			if got := r.send(http1("CONNECT", target, "evil.example:443", alice)); got.body != "" {
				t.Errorf("CONNECT %s: %d %s", target, got.status, got.body)
			}
		})
	}
	r.served("GET", stack.Alice, func() reply { return r.ask("GET", apiEcho, alice) })
	r.crossed("CONNECT "+apiEcho, func() reply { return r.askHome("CONNECT", apiEcho, alice) })
}
