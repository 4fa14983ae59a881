// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestA9_LocationsStayInTheMount protects the app from redirects of the platform
// to its own paths outside of the proxy's, however they are spelled; a redirect
// within the API goes where the platform meant.
func TestA9_LocationsStayInTheMount(t *testing.T) {
	over(t, proxied("", ""), func(t *testing.T, s *stack.Stack, u *user) {
		u.get(echoPath).want(t, http.StatusOK, "")
		public := "/mdh/api/v1/public/projects/1/views/x"
		name, value, status := "Location", "", http.StatusFound
		s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
			w.Header()[name] = []string{value}
			w.WriteHeader(status)
		})
		for _, value = range []string{
			"/../logout", "/x/../../logout", "/%2e%2e/logout", "/%2E%2e/logout", "/.%2e/logout", "/..;/x", "/..%2flogout", "/..%5clogout", "/x/..", "/./x",
			"../../../../../../../logout", "../../../../../../../../mdh/../logout", "..%2f..%2f..%2f..%2f..%2flogout", "%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/logout", "x/%2e%2e/../../../../../../logout",
			"https://evil.example/x", "//evil.example", "///evil.example", "////evil.example/x", `\/evil.example/x`, "javascript:alert(1)", "http:x", `\\evil.example`, `/\evil.example`, `/x\..\..\logout`, "/\t/evil.example", "https:/logout", "https:logout",
			s.PlatformURL + "//evil.example/x", s.PlatformURL + "/../logout", s.PlatformURL + "/%2e%2e/logout", strings.Replace(s.PlatformURL, "http://", "http://app@", 1) + "/x", s.PlatformURL + "0/x", strings.Replace(s.PlatformURL, "http:", "ftp:", 1) + "/x", "http://127.0.0.1/x", "http://127.0.0.1:1/x",
		} {
			for _, path := range []string{echoPath, public} {
				for _, status = range []int{301, 302, 303, 307, 308, 300} {
					u.get(path).want(t, http.StatusBadGateway, "upstream_redirected")
				}
			}
			// What was done is not undone by an address that nobody goes to.
			status = http.StatusCreated
			if got := u.do(u.request(http.MethodPost, echoPath, nil)); got.StatusCode != status || len(got.Header["Location"]) > 0 {
				t.Errorf("%q: %d to %q", value, got.StatusCode, got.Header["Location"])
			}
			for _, name = range []string{"Content-Location", "Refresh", "Link"} {
				kept := value
				value = map[string]string{"Content-Location": value, "Refresh": "0;url=" + value, "Link": "<" + value + ">; rel=preload"}[name]
				if got := u.get(echoPath); got.StatusCode != status || len(got.Header[name]) > 0 {
					t.Errorf("%s: %q: %d %q", name, value, got.StatusCode, got.Header[name])
				}
				value = kept
			}
			name = "Location"
		}
		for _, status = range []int{201, 302, 307} {
			for reference, want := range map[string]string{
				"/api/v1/delegated/participant":                        "/mdh/api/v1/delegated/participant",
				s.PlatformURL + "/api/v1/delegated/x?a=%2F..%2F#b":     "/mdh/api/v1/delegated/x?a=%2F..%2F#b",
				strings.TrimPrefix(s.PlatformURL, "http:") + "/api//x": "/mdh/api/x",
				s.PlatformURL:    "/mdh/",
				"participant":    "/mdh/api/v1/delegated/custom/participant",
				"../participant": "/mdh/api/v1/delegated/participant",
				"x/../y":         "/mdh/api/v1/delegated/custom/y",
				"?page=2":        echoPath + "?page=2",
			} {
				value = reference
				got := u.get(echoPath)
				if got.StatusCode != status {
					t.Fatalf("%s: %d %s", reference, got.StatusCode, got.body)
				}
				to, err := got.Location()
				if err != nil || to.Host != got.Request.URL.Host || to.RequestURI()+strings.TrimSuffix("#"+to.Fragment, "#") != want {
					t.Errorf("%d to %s: %q, want %s", status, reference, got.Header["Location"], want)
				}
			}
		}
		name, status = "Link", http.StatusOK
		value = "<" + s.PlatformURL + `/api/v1/delegated/x?page=2>; rel="next", <https://evil.example>; rel=preconnect`
		if got := u.get(echoPath); got.Header.Get("Link") != `</mdh/api/v1/delegated/x?page=2>; rel="next"` {
			t.Errorf("Link: %q", got.Header["Link"])
		}
	})
	// What is stripped may be spelled in a way that leads elsewhere.
	t.Run("spelling of the mount", func(t *testing.T) {
		s := start(t, proxied("", ""))
		u := signIn(t, s, "alice")
		s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
			if !strings.HasSuffix(r.URL.Path, "Echo") {
				platform.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Location", "/api/v1/delegated/participant")
			w.WriteHeader(http.StatusFound)
		})
		for _, path := range []string{"/" + echoPath, "//" + echoPath, "/%6ddh" + strings.TrimPrefix(echoPath, "/mdh"), "http://127.0.0.1/" + echoPath} {
			got := rawRequest(t, s, "GET "+path+" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nCookie: session="+u.session+"\r\n\r\n", false)
			if to := got.Header.Get("Location"); to != "" && to != "/mdh/api/v1/delegated/participant" && to != "/%6ddh/api/v1/delegated/participant" {
				t.Errorf("%s: %d to %q", path, got.StatusCode, to)
			}
		}
	})
}
