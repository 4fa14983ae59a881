// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"net/http"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestT51_EarlyData protects from requests that somebody recorded in TLS early
// data (0-RTT) and sends again (RFC 8470): what changes something, or hands a
// token out, is sent back with 425, as whoever ends TLS in front of Caddy
// marks it. A proxy that ignores the mark does it twice.
func TestT51_EarlyData(t *testing.T) {
	r := start(t, caddyfile("", site("allow /api/v1/delegated/**\n\t\t\tallow WEBSOCKET /api/v1/delegated/**"), passing))
	alice := r.cookie("alice")
	for _, early := range [][]string{{"Early-Data: 1"}, {"early-data:1"}, {"Early-Data: 0", "Early-Data: 1"}, {"Early-Data: 1", "Early-Data: 1"}} {
		lines := append(early, alice, "Content-Length: 0")
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
			for _, prefix := range []string{"/mdh", "/fa"} {
				r.refused(method+" "+prefix, http.StatusTooEarly, "too_early", func() reply { return r.ask(method, prefix+apiEcho, lines...) })
			}
		}
		for _, path := range []string{"/mdh-token", "/fa-token"} {
			r.refused(path, http.StatusTooEarly, "too_early", func() reply { return r.ask("POST", path, lines...) })
		}
		r.refused("a WebSocket", http.StatusTooEarly, "too_early", func() reply {
			return r.ask("GET", "/mdh/api/v1/delegated/custom/Simulator.WebSocket", append(early, append(handshake, alice, "Origin: "+r.URL())...)...)
		})
		record := r.served("GET", stack.Alice, func() reply { return r.ask("GET", "/mdh"+apiEcho, append(early, alice)...) })
		if got := record.Header["Early-Data"]; len(got) > 0 {
			t.Errorf("Early-Data: %q crossed, though it is settled here", got)
		}
		r.crossed("POST", func() reply { return r.askHome("POST", apiEcho, lines...) })
	}
	// Connection does not strip the mark before it is read.
	r.refused("named in Connection", http.StatusTooEarly, "too_early", func() reply {
		return r.ask("POST", "/mdh"+apiEcho, "Early-Data: 1", "Connection: Early-Data", alice, "Content-Length: 0")
	})
	r.served("POST, later", stack.Alice, func() reply { return r.post("/mdh"+apiEcho, "{}", alice, "Content-Type: application/json") })
	if got := r.ask("POST", "/mdh-token", alice, "Content-Length: 0"); got.status != http.StatusOK {
		t.Errorf("a token, later: %d %s", got.status, got.body)
	}
}
