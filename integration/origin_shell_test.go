// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestC14_AppShells protects apps in a shell (Capacitor, Ionic, Tauri), whose
// pages have an origin of the shell's own scheme: their calls are answered, with
// CORS headers, and those of every other origin refused as before.
func TestC14_AppShells(t *testing.T) {
	shells := []string{"capacitor://localhost", "ionic://localhost", "tauri://localhost", "http://tauri.localhost"}
	s := start(t, strings.Replace(stack.Caddyfile, "delegate {", "delegate {\n\t\ttrusted_origins "+strings.Join(shells, " "), 1))
	u := signIn(t, s, "alice")
	from := func(method, origin string, header ...string) answer {
		t.Helper()
		req := u.request(method, participantPath, nil)
		req.Header.Set("Origin", origin)
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		return u.do(req)
	}
	for _, origin := range shells {
		a := from(http.MethodGet, origin)
		a.want(t, http.StatusOK, "")
		if a.Header.Get("Access-Control-Allow-Origin") != origin || a.Header.Get("Access-Control-Allow-Credentials") != "true" || !strings.Contains(a.Header.Get("Vary"), "Origin") {
			t.Errorf("%s: %v", origin, a.Header)
		}
		a = from(http.MethodOptions, origin, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization")
		if a.StatusCode != http.StatusNoContent || a.Header.Get("Access-Control-Allow-Origin") != origin || a.Header.Get("Access-Control-Allow-Headers") != "authorization" {
			t.Errorf("preflight of %s: %d %v", origin, a.StatusCode, a.Header)
		}
	}
	for _, origin := range []string{
		"capacitor://evil", "capacitor://localhost:1", "capacitor://localhost.evil.example", "CAPACITOR://localhost", "capacitor://", "capacitor:",
		"electron://localhost", "https://localhost", "http://localhost", "https://tauri.localhost", "http://evil.tauri.localhost", "null", "file://",
	} {
		a := from(http.MethodGet, origin)
		a.want(t, http.StatusForbidden, "cross_origin")
		if got := a.Header.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("%s: %q may read the refusal", origin, got)
		}
	}
}
