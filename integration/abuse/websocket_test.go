// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// handshake is a WebSocket's (RFC 6455 section 4.1), without its Origin.
var handshake = []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}

// TestT52_OtherSitesWebSockets protects against pages of other sites that open
// a WebSocket with the user's cookie: no same-origin policy keeps them from
// reading it, so without a page of ours there is none.
func TestT52_OtherSitesWebSockets(t *testing.T) {
	const path = "/api/v1/delegated/custom/Simulator.WebSocket"
	r := start(t, caddyfile("", site("allow WEBSOCKET /api/v1/delegated/custom/*"), passing))
	alice := r.cookie("alice")
	lines := func(origin string) []string {
		all := append([]string{alice}, handshake...)
		if origin != "" {
			all = append(all, "Origin: "+origin)
		}
		return all
	}
	for _, origin := range foreignOrigins(r.authority(false)) {
		for _, prefix := range []string{"/mdh", "/fa"} {
			r.refused(prefix+", "+origin, http.StatusForbidden, "cross_origin", func() reply { return r.ask("GET", prefix+path, lines(origin)...) })
		}
		r.crossed(origin, func() reply { return r.askHome("GET", path, lines(origin)...) })
	}
	// Several protocols in one, or none of ours, are no WebSocket either.
	for _, upgrade := range []string{"Upgrade: websocket, h2c", "Upgrade: WebSocket", "Upgrade: h2c\r\nUpgrade: websocket"} {
		r.refused(upgrade, http.StatusForbidden, "cross_origin", func() reply {
			return r.ask("GET", "/mdh"+path, "Connection: Upgrade", upgrade, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Origin: https://evil.example", alice)
		})
	}
	// It needs a line of the policy that says so, too.
	r.refused("not allowed", http.StatusForbidden, "route_denied", func() reply { return r.ask("GET", "/mdh"+apiParticipant, lines(r.URL())...) })
	for _, prefix := range []string{"/mdh", "/fa"} {
		if got := r.ask("GET", prefix+path, lines(r.URL())...); got.status != http.StatusSwitchingProtocols {
			t.Errorf("%s, our own page: %d %s", prefix, got.status, got.body)
		}
	}
}

// TestT52_OverHTTP2 protects against the same by an extended CONNECT (RFC
// 8441), which no rule for GET or for Upgrade sees. Go's servers take it only
// when the process was started with http2xconnect=1, so the test starts one.
func TestT52_OverHTTP2(t *testing.T) {
	const setting = "http2xconnect=1"
	on := strings.Contains(os.Getenv("GODEBUG"), setting)
	if !on {
		again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestT52_OverHTTP2$")
		again.Env = append(os.Environ(), "GODEBUG="+setting)
		if out, err := again.CombinedOutput(); err != nil {
			t.Errorf("with %s: %v\n%s", setting, err, out)
		}
	}
	r := start(t, encrypted(caddyfile("", site("allow WEBSOCKET /api/v1/delegated/custom/*\n\t\t\tallow GET /api/v1/delegated/**"), passing)))
	cookie := field{"cookie", "__Host-session=" + r.jwt("alice", nil)}
	connect := func(path, protocol string, more ...field) []field {
		fields := append(r.http2Request("CONNECT", path), field{":protocol", protocol}, cookie, field{"sec-websocket-version", "13"})
		return append(fields, more...)
	}
	const path = "/mdh/api/v1/delegated/custom/Simulator.WebSocket"
	for _, origin := range []string{"https://evil.example", "null", "http://localhost:" + strconv.Itoa(r.Port), "https://localhost"} {
		r.malformed(origin, func() reply { return r.send2(connect(path, "websocket", field{"origin", origin}), "") })
	}
	ours := field{"origin", "https://localhost:" + strconv.Itoa(r.Port)}
	r.malformed("no origin", func() reply { return r.send2(connect(path, "websocket"), "") })
	r.malformed("another protocol", func() reply { return r.send2(connect(path, "connect-udp", ours), "") })
	r.malformed("not allowed", func() reply { return r.send2(connect("/mdh"+apiParticipant, "websocket", ours), "") })
	if got := r.send2(connect(path, "websocket", ours), ""); (got.status == http.StatusOK) != on {
		t.Errorf("our own page: %d %s", got.status, got.body)
	}
	r.served("a request", stack.Alice, func() reply { return r.send2(r.http2Request("GET", "/mdh"+apiEcho, cookie, ours), "") })
}
