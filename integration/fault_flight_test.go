// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestR6_IssuersHintsStayHere protects the app's origin from its issuer, which
// sends informational answers as well, with a cookie: at the first token, at
// one that replaces another after a 401, in the request and behind it, and
// where the participant is looked up. Not one of them reaches the browser.
func TestR6_IssuersHintsStayHere(t *testing.T) {
	over(t, proxied("", ""), func(t *testing.T, s *stack.Stack, u *user) {
		var hinted atomic.Int64
		s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
			if !strings.HasPrefix(r.URL.Path, "/api/v1/delegated/") {
				w.Header().Set("Set-Cookie", "session=the-issuers; Path=/")
				w.Header().Set("Link", "</evil.js>; rel=preload; as=script")
				w.WriteHeader(http.StatusEarlyHints)
				w.Header().Del("Set-Cookie")
				w.Header().Del("Link")
				hinted.Add(1)
			}
			platform.ServeHTTP(w, r)
		})
		send := func(name, method string, body io.Reader, status int, code string) {
			t.Helper()
			before := hinted.Load()
			trace := &httptrace.ClientTrace{Got1xxResponse: func(status int, h textproto.MIMEHeader) error {
				t.Errorf("%s: %d %v reached the browser", name, status, h)
				return nil
			}}
			req := u.request(method, echoPath, body)
			u.do(req.WithContext(httptrace.WithClientTrace(req.Context(), trace))).want(t, status, code)
			await(t, name+": a hint of the issuer", func() bool { return hinted.Load() > before })
		}
		send("first", http.MethodGet, nil, http.StatusOK, "")
		s.Platform.Revoke(stack.Alice.ID)
		send("renewal", http.MethodGet, nil, http.StatusOK, "")
		s.Platform.Revoke(stack.Alice.ID)
		send("renewal of a request with a body", http.MethodPost, strings.NewReader("{}"), http.StatusOK, "")
		s.Platform.Revoke(stack.Alice.ID)
		send("renewal behind a stream", http.MethodPost, io.MultiReader(strings.NewReader("unknown length")), http.StatusBadGateway, "upstream_unauthorized")
		u.get(echoPath).want(t, http.StatusOK, "")
	})
}
