// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestA7_MediaAreNamed protects sound and video that are opened by their address:
// the policy names the address by which the browser asked, and no other.
func TestA7_MediaAreNamed(t *testing.T) {
	s := start(t, proxied("", ""))
	s.Intercept(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "audio/wav")
	})
	const path = "/mdh/api/v1/public/projects/1/views/a%20sound"
	got := signIn(t, s, "alice").get(path + "?x=y").Header.Get("Content-Security-Policy")
	if want := "; media-src " + strings.TrimPrefix(s.URL(), "http://") + path + ";"; !strings.Contains(got, want) {
		t.Errorf("%q does not hold %q", got, want)
	}
}

// TestNoServiceWorkers protects the app from a script of the platform that a
// browser would keep as its service worker, answering for the app: it is not
// handed out as one, by no route, to nobody, however the session came.
func TestNoServiceWorkers(t *testing.T) {
	over(t, proxied("", ""), func(t *testing.T, s *stack.Stack, u *user) {
		s.Intercept(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = w.Write([]byte("onfetch = () => {}"))
		})
		for _, path := range []string{"/mdh/api/v1/public/projects/1/views/worker.js", "/mdh/api/v1/delegated/externalaccountproviders/1/logo"} {
			u.get(path).want(t, http.StatusOK, "")
			for _, header := range [][2]string{{"Service-Worker", "script"}, {"Sec-Fetch-Dest", "serviceworker"}, {"Service-Worker", ""}} {
				req := u.request(http.MethodGet, path, nil)
				req.Header.Set(header[0], header[1])
				req.Header.Set("Sec-Fetch-Site", "same-origin")
				u.do(req).want(t, http.StatusForbidden, "route_denied")
			}
			req := u.request(http.MethodGet, path, nil)
			req.Header.Set("Sec-Fetch-Dest", "script")
			u.do(req).want(t, http.StatusOK, "")
		}
	})
	s := start(t, proxied("", ""))
	u := signIn(t, s, "alice")
	u.get(echoPath).want(t, http.StatusOK, "")
	for _, header := range [][2]string{{"Service-Worker", "script"}, {"Sec-Fetch-Dest", "serviceworker"}} {
		req := u.request(http.MethodGet, echoPath, nil)
		req.Header.Set(header[0], header[1])
		u.do(req).want(t, http.StatusForbidden, "route_denied")
	}
}
