// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// ruling are headers by which a platform would rule the app's origin, the page,
// or a cache in front of Caddy; and some that nobody knows yet.
var ruling = []string{
	"Set-Cookie", "Clear-Site-Data", "Strict-Transport-Security", "NEL", "Report-To", "Reporting-Endpoints", "Alt-Svc", "Accept-CH", "Critical-CH", "Set-Login", "Service-Worker-Allowed",
	"Sec-Session-Registration", "Secure-Session-Registration", "Secure-Session-Challenge", "Speculation-Rules", "Use-As-Dictionary", "No-Vary-Search", "Supports-Loading-Mode", "Origin-Agent-Cluster", "Origin-Trial",
	"Activate-Storage-Access", "Observe-Browsing-Topics", "Attribution-Reporting-Register-Source", "Permissions-Policy", "Document-Policy", "Content-Security-Policy-Report-Only", "Cross-Origin-Opener-Policy", "Cross-Origin-Embedder-Policy", "Referrer-Policy",
	"X-Frame-Options", "SourceMap", "X-SourceMap", "Refresh", "X-DNS-Prefetch-Control", "Access-Control-Allow-Origin", "Timing-Allow-Origin", "WWW-Authenticate", "Proxy-Status",
	"CDN-Cache-Control", "Surrogate-Control", "Surrogate-Key", "Cloudflare-CDN-Cache-Control", "Vercel-CDN-Cache-Control", "Netlify-CDN-Cache-Control", "Akamai-Cache-Control", "Edge-Control", "Cache-Tag", "Expires", "Pragma", "Age",
	"X-Accel-Redirect", "X-Accel-Expires", "X-Accel-Buffering", "X-Sendfile", "X-LiteSpeed-Cache-Control", "X-LiteSpeed-Location", "X-Lighttpd-Send-File", "X-Varnish-Ttl",
	"Server-Timing", "X-Powered-By", "X-Invented-Tomorrow", "Access-Control-Allow-Credentials",
}

// TestA12_AnswersHeadersAreAnAllowList protects the app's origin and the caches
// in front of it from what a platform sends, in headers, informational answers
// and trailers, whatever the status; what a client needs arrives.
func TestA12_AnswersHeadersAreAnAllowList(t *testing.T) {
	needed := map[string]string{
		"Content-Type": "text/plain", "Content-Language": "de", "Content-Disposition": "attachment", "Etag": `"x"`, "Last-Modified": "Fri, 27 Nov 2026 08:00:00 GMT", "Accept-Ranges": "bytes",
		"Retry-After": "7", "Ratelimit-Limit": "1000", "Ratelimit-Remaining": "9", "Ratelimit-Reset": "60", "X-Ratelimit-Remaining": "8", "X-Request-Id": "r-1", "X-Total-Count": "12", "Allow": "GET",
	}
	over(t, proxied("forward_response_headers X-Total-Count", "header /mdh/* X-Operators own"), func(t *testing.T, s *stack.Stack, u *user) {
		u.get(echoPath).want(t, http.StatusOK, "")
		status := http.StatusOK
		s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
			h := w.Header()
			for _, name := range ruling {
				h[http.CanonicalHeaderKey(name)] = []string{"evil", "evil"}
			}
			w.WriteHeader(http.StatusEarlyHints)
			h.Set("Cache-Control", "public, max-age=600")
			h.Set("Content-Security-Policy", "default-src *; evil")
			h["X_accel_redirect"] = []string{"evil"}
			for name, value := range needed {
				h.Set(name, value)
			}
			h.Set("Trailer", strings.Join(ruling[:20], ", ")+", Content-Digest")
			w.WriteHeader(status)
			if status == http.StatusNotModified {
				return
			}
			_, _ = io.WriteString(w, "body")
			_ = http.NewResponseController(w).Flush()
			for _, name := range append(slices.Clone(ruling[:50]), "Cache-Control", "Content-Type") {
				h.Set(http.TrailerPrefix+name, "evil")
			}
			h.Set("Content-Digest", "13")
		})
		for _, status = range []int{200, 206, 304, 404, 429, 500} {
			req := u.request(http.MethodGet, echoPath, nil)
			trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				if strings.Contains(fmt.Sprint(h), "evil") {
					t.Errorf("%d: %d with %v", status, code, h)
				}
				return nil
			}}
			got := u.do(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
			got.want(t, status, "")
			for _, h := range []http.Header{got.Header, got.Trailer} {
				for name, values := range h {
					if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, "evil") || strings.Contains(v, "public") }) {
						t.Errorf("%d: %s: %q reached the client", status, name, values)
					}
				}
			}
			for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"} {
				if values := got.Header[name]; len(values) != 1 || values[0] != want {
					t.Errorf("%d: %s: %q, want %q", status, name, values, want)
				}
			}
			for name, want := range needed {
				if status == http.StatusNotModified && name == "Content-Type" {
					continue
				}
				if values := got.Header[name]; len(values) != 1 || values[0] != want {
					t.Errorf("%d: %s: %q, want %q", status, name, values, want)
				}
			}
			rules := got.Header["Content-Security-Policy"]
			if len(rules) != 1 || !strings.HasPrefix(rules[0], "sandbox; default-src 'none';") || !slices.Equal(got.Header["Cache-Control"], []string{"private, no-store"}) || got.Header.Get("X-Operators") != "own" {
				t.Errorf("%d: %v", status, got.Header)
			}
			if status != http.StatusNotModified && (len(got.Trailer) != 1 || got.Trailer.Get("Content-Digest") != "13") {
				t.Errorf("%d: trailers %v", status, got.Trailer)
			}
		}
	})
}

// TestA11_RequestTrailersAreAnAllowList protects the platform from trailers that
// a server merges into the headers, announced or not.
func TestA11_RequestTrailersAreAnAllowList(t *testing.T) {
	over(t, proxied("forward_headers Idempotency-Key", ""), func(t *testing.T, s *stack.Stack, u *user) {
		if _, ok := u.client.Transport.(*http.Transport); !ok {
			t.Skip("this HTTP/3 client sends no trailers")
		}
		req := u.request(http.MethodPost, echoPath, io.MultiReader(strings.NewReader("body")))
		req.Trailer = http.Header{"Content-Digest": {"sha-256=:x:"}, "Idempotency-Key": {"1"}}
		for _, name := range []string{"Remote-User", "X_Api_Key", "X-Api-Key", "X-Participant-Id", "X.User", "Sec-Fetch-Site", "X-Forwarded-User", "X-Http-Method-Override", "Anything"} {
			req.Trailer[name] = []string{stack.Bob.ID}
		}
		u.do(req).want(t, http.StatusOK, "")
		if r := received(t, s); len(r.Trailer) != 2 || r.Trailer.Get("Content-Digest") == "" || r.Trailer.Get("Idempotency-Key") != "1" {
			t.Errorf("trailers %v", r.Trailer)
		}
	})
	t.Run("not announced", func(t *testing.T) {
		s := start(t, proxied("", ""))
		u := signIn(t, s, "alice")
		for _, announced := range []string{"", "Trailer: Remote-User, X_Api_Key, X-Checksum\r\n", "Trailer: X-Checksum\r\n"} {
			s.Platform.Reset()
			got := rawRequest(t, s, "POST "+echoPath+" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nCookie: session="+u.session+"\r\n"+announced+
				"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nRemote-User: bob\r\nX_Api_Key: stolen\r\nX-Checksum: 1\r\nContent-Type: text/html\r\n\r\n", false)
			if got.StatusCode != http.StatusOK {
				t.Fatalf("%q: %d %s", announced, got.StatusCode, got.body)
			}
			if r := received(t, s); len(r.Trailer) > 1 || announced != "" && r.Trailer.Get("X-Checksum") != "1" {
				t.Errorf("%q: trailers %v", announced, r.Trailer)
			}
		}
	})
}

// TestR1_PublicRoutesForTrustedOrigins protects pages of a trusted origin: they
// read public routes, whatever the answer is, and show what is there. In a real
// browser: browser/fault_answers_test.go.
func TestR1_PublicRoutesForTrustedOrigins(t *testing.T) {
	const trusted, logo = "https://app.example.org", "/mdh/api/v1/delegated/externalaccountproviders/1/logo"
	over(t, strings.Replace(stack.Caddyfile, "delegate {", "delegate {\n\t\ttrusted_origins "+trusted, 1), func(t *testing.T, s *stack.Stack, u *user) {
		ask := func(method, path string, lines ...string) answer {
			req := u.request(method, path, nil)
			for i := 0; i < len(lines); i += 2 {
				req.Header.Set(lines[i], lines[i+1])
			}
			return u.do(req)
		}
		status := http.StatusOK
		s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
			w.Header().Set("Vary", "Accept-Encoding")
			w.WriteHeader(status)
		})
		for _, status = range []int{200, 304, 404, 401, 302, 500} {
			for _, origin := range []string{trusted, "https://stranger.example", "null", ""} {
				var lines []string
				if origin != "" {
					lines = []string{"Origin", origin, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"}
				}
				got := ask(http.MethodGet, logo, lines...)
				want := ""
				if origin == trusted {
					want = trusted
				}
				if got.Header.Get("Access-Control-Allow-Origin") != want || !strings.Contains(strings.Join(got.Header.Values("Vary"), ","), "Origin") {
					t.Errorf("%d, %q: %d %v", status, origin, got.StatusCode, got.Header)
				}
				want = "cross-origin"
				if got.StatusCode == http.StatusBadGateway {
					want = "same-origin" // a refusal
				}
				if got.Header.Get("Cross-Origin-Resource-Policy") != want {
					t.Errorf("%d, %q: %d %v", status, origin, got.StatusCode, got.Header)
				}
			}
		}
		preflight := []string{"Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "x-anything"}
		ask(http.MethodOptions, logo, append(preflight, "Origin", trusted)...).want(t, http.StatusNoContent, "")
		ask(http.MethodOptions, logo, append(preflight, "Origin", "https://stranger.example")...).want(t, http.StatusForbidden, "cross_origin")
		// Opened or framed by a page of another origin, it would be a page of this one.
		for site, want := range map[string]int{"cross-site": 403, "same-site": 403, "same-origin": 200, "none": 200} {
			status = http.StatusOK
			if got := ask(http.MethodGet, logo, "Sec-Fetch-Site", site, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"); got.StatusCode != want {
				t.Errorf("%s: %d", site, got.StatusCode)
			}
		}
	})
}
