// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestCrossSite protects against requests that another site makes with the
// user's cookie (T49), and lets a trusted origin through.
func TestCrossSite(t *testing.T) {
	const trusted = "https://app.example.org"
	caddyfile := strings.Replace(stack.Caddyfile, "delegate {", "delegate {\n\t\ttrusted_origins "+trusted, 1)
	over(t, caddyfile, func(t *testing.T, s *stack.Stack, u *user) { testCrossSite(t, s, u, trusted) })
}

func testCrossSite(t *testing.T, s *stack.Stack, u *user, trusted string) {
	for name, headers := range map[string]map[string]string{
		"simple post":     {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
		"null origin":     {"Origin": "null"},
		"cross-site":      {"Sec-Fetch-Site": "cross-site"},
		"sub-domain":      {"Sec-Fetch-Site": "same-site"},
		"origin only":     {"Origin": "https://evil.example"},
		"trusted, almost": {"Origin": trusted + ".evil.example", "Sec-Fetch-Site": "cross-site"},
	} {
		for _, path := range []string{"/mdh-token", "/mdh/api/v1/delegated/customevents"} {
			t.Run(name+path, func(t *testing.T) {
				s.Platform.Reset()
				req := u.request(http.MethodPost, path, nil)
				for k, v := range headers {
					req.Header.Set(k, v)
				}
				got := u.do(req)
				got.want(t, http.StatusForbidden, "cross_origin")
				if got.Header.Get("Access-Control-Allow-Origin") != "" {
					t.Error("the other site may read the answer")
				}
				if r := s.Platform.Records(); len(r) != 0 {
					t.Errorf("the platform was asked: %+v", r)
				}
			})
		}
	}

	t.Run("cross-site get", func(t *testing.T) {
		req := u.request(http.MethodGet, participantPath, nil)
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		u.do(req).want(t, http.StatusForbidden, "cross_origin")
	})
	t.Run("trusted", func(t *testing.T) {
		req := u.request(http.MethodPost, "/mdh-token", nil)
		req.Header.Set("Origin", trusted)
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		got := u.do(req)
		got.want(t, http.StatusOK, "")
		if got.Header.Get("Access-Control-Allow-Origin") != trusted || got.Header.Get("Access-Control-Allow-Credentials") != "true" || !strings.Contains(strings.Join(got.Header.Values("Vary"), ","), "Origin") {
			t.Errorf("headers %v", got.Header)
		}
	})
	t.Run("preflight", func(t *testing.T) {
		s.Platform.Reset()
		for origin, status := range map[string]int{trusted: http.StatusNoContent, "https://evil.example": http.StatusForbidden} {
			req := u.request(http.MethodOptions, participantPath, nil)
			req.Header.Del("Cookie")
			req.Header.Set("Origin", origin)
			req.Header.Set("Access-Control-Request-Method", "PUT")
			req.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
			got := u.do(req)
			got.want(t, status, map[int]string{http.StatusForbidden: "cross_origin"}[status])
			if status == http.StatusNoContent && (got.Header.Get("Access-Control-Allow-Methods") == "" || got.Header.Get("Access-Control-Allow-Headers") == "") {
				t.Errorf("headers %v", got.Header)
			}
		}
		if r := s.Platform.Records(); len(r) != 0 {
			t.Errorf("a preflight reached the platform: %+v", r)
		}
	})
	t.Run("refusal is readable by a trusted page", func(t *testing.T) {
		req := u.request(http.MethodGet, "/mdh/api/v1/administration/x", nil)
		req.Header.Set("Origin", trusted)
		got := u.do(req)
		got.want(t, http.StatusForbidden, "route_denied")
		if got.Header.Get("Access-Control-Allow-Origin") != trusted {
			t.Errorf("headers %v", got.Header)
		}
	})
}
