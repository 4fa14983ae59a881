// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestRedirects protects the browser from being led to another host, and the
// app from a redirect that loses the proxy's path.
func TestRedirects(t *testing.T) {
	over(t, proxied("", ""), testRedirects)
}

func testRedirects(t *testing.T, s *stack.Stack, u *user) {
	const path = "/mdh/api/v1/delegated/custom/Simulator.Redirect?to="
	for _, to := range []string{
		"https://evil.example/x", "//evil.example/x", "javascript:alert(1)", `\\evil.example/x`, `\/evil.example/x`, `/\evil.example/x`,
		"///evil.example/x", "////evil.example/x", s.PlatformURL + "//evil.example/x", "http://user@" + strings.TrimPrefix(s.PlatformURL, "http://") + "/x", "http:x",
	} {
		u.get(path+to).want(t, http.StatusBadGateway, "upstream_redirected")
	}
	for to, want := range map[string]string{
		"/api/v1/delegated/participant":                 "/mdh/api/v1/delegated/participant",
		s.PlatformURL + "/api/v1/delegated/participant": "/mdh/api/v1/delegated/participant",
		s.PlatformURL: "/mdh/",
		"?page=2":     "?page=2",
		"participant": "participant",
	} {
		got := u.get(path + to)
		if got.StatusCode != http.StatusFound || got.Header.Get("Location") != want {
			t.Errorf("redirect to %s: %d %q, want %q", to, got.StatusCode, got.Header.Get("Location"), want)
		}
	}
}
