// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// received is the last request that reached the platform's API.
func received(t *testing.T, s *stack.Stack) simulator.Record {
	t.Helper()
	for _, r := range slices.Backward(s.Platform.Records()) {
		if r.Area == "delegated" {
			return r
		}
	}
	t.Fatal("nothing reached the platform")
	return simulator.Record{}
}

// TestRequestHeaders protects the header contract: what identifies the user
// to the app, or could override the policy, never reaches the platform; the
// credential does, exactly once.
func TestRequestHeaders(t *testing.T) {
	over(t, proxied("forward_headers X-Request-Id\nheader_up X-Study 42", ""), func(t *testing.T, s *stack.Stack, u *user) {
		never := map[string]string{
			"Authorization":           "Bearer forged",
			"Origin":                  u.url(),
			"Referer":                 u.url() + "/page",
			"Sec-Fetch-Site":          "same-origin",
			"Sec-Ch-Ua":               "x",
			"X-Forwarded-For":         "192.0.2.1",
			"X-Forwarded-Host":        "evil.example",
			"X-Forwarded-Uri":         "/admin",
			"X-Forwarded-Prefix":      "/admin",
			"Forwarded":               "for=192.0.2.1",
			"X-Real-Ip":               "192.0.2.1",
			"Via":                     "1.1 evil",
			"X-Http-Method-Override":  "DELETE",
			"X-Original-Url":          "/admin",
			"X-Rewrite-Url":           "/admin",
			"X-Participant-Id":        stack.Bob.ID,
			"Remote-User":             "bob",
			"X-Middleware-Subrequest": "1",
			"Early-Data":              "1",
			"X-Study":                 "7",
		}
		req := u.request(http.MethodGet, echoPath+"?a=b", nil)
		for name, value := range never {
			req.Header.Set(name, value)
		}
		req.Header["X_Participant_Id"] = []string{stack.Bob.ID}
		req.Header["X.Participant.Id"] = []string{stack.Bob.ID}
		passed := map[string]string{
			"Accept":          "application/json",
			"Accept-Language": "de",
			"If-None-Match":   `"x"`,
			"User-Agent":      "test/1",
			"X-Request-Id":    "r-1",
		}
		for name, value := range passed {
			req.Header.Set(name, value)
		}
		u.do(req).want(t, http.StatusOK, "")

		r := received(t, s)
		for name, value := range passed {
			if got := r.Header[name]; len(got) != 1 || got[0] != value {
				t.Errorf("%s: %q, want %q", name, got, value)
			}
		}
		if got := r.Header["X-Study"]; len(got) != 1 || got[0] != "42" {
			t.Errorf("header_up X-Study: %q, want the operator's 42 alone", got)
		}
		if got := r.Header["Authorization"]; len(got) != 1 || !strings.HasPrefix(got[0], "Bearer ") || strings.Contains(got[0], "forged") {
			t.Errorf("Authorization: %d values", len(got))
		}
		if r.ParticipantID != stack.Alice.ID {
			t.Errorf("token of %s", r.ParticipantID)
		}
		for name := range r.Header {
			if _, ok := passed[name]; !ok && !slices.Contains([]string{"Authorization", "X-Study", "Accept-Encoding"}, name) {
				t.Errorf("%s: %q crossed", name, r.Header[name])
			}
		}
		if r.URI != strings.TrimPrefix(echoPath, "/mdh")+"?a=b" {
			t.Errorf("URI %q", r.URI)
		}
		if want := strings.TrimPrefix(s.PlatformURL, "http://"); r.Host != want {
			t.Errorf("Host %q, want %q", r.Host, want)
		}
	})
}

// TestConnectionHeader protects against T12 (CVE-2024-45410, CVE-2022-31813):
// a client names our headers in Connection, to have them stripped as hop by
// hop.
func TestConnectionHeader(t *testing.T) {
	s := start(t, proxied("header_up X-Study 42", ""))
	u := signIn(t, s, "alice")
	for _, connection := range []string{
		"Connection: close, Authorization, X-Study, Host",
		"Connection: close\r\nConnection: authorization\r\nCONNECTION: x-study",
		"Connection: Upgrade, Authorization\r\nUpgrade: h2c",
	} {
		s.Platform.Reset()
		got := rawRequest(t, s, "GET "+echoPath+" HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: session="+u.session+"\r\n"+connection+"\r\n\r\n", false)
		if got.StatusCode != http.StatusOK {
			t.Fatalf("%q: %d %s", connection, got.StatusCode, got.body)
		}
		r := received(t, s)
		if r.Header.Get("Authorization") == "" || r.Header.Get("X-Study") != "42" || r.Header.Get("Upgrade") != "" || r.Header.Get("Connection") != "" {
			t.Errorf("%q: the platform received %v", connection, r.Header)
		}
	}
}

// TestResponseHeaders protects the app's origin: the platform can set no
// cookie, policy or permission for it.
func TestResponseHeaders(t *testing.T) {
	over(t, proxied("", ""), func(t *testing.T, s *stack.Stack, u *user) {
		got := u.get("/mdh/api/v1/delegated/custom/Simulator.BadHeaders")
		got.want(t, http.StatusOK, "")
		for _, name := range []string{
			"Set-Cookie", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "WWW-Authenticate", "Clear-Site-Data",
			"Strict-Transport-Security", "Service-Worker-Allowed", "Refresh", "NEL", "Report-To",
		} {
			if values := got.Header.Values(name); len(values) > 0 {
				t.Errorf("%s: %q reached the browser", name, values)
			}
		}
		for name, want := range map[string]string{
			"Cache-Control":                "private, no-store",
			"X-Content-Type-Options":       "nosniff",
			"Cross-Origin-Resource-Policy": "same-origin",
		} {
			if values := got.Header.Values(name); len(values) != 1 || values[0] != want {
				t.Errorf("%s: %q, want %q", name, values, want)
			}
		}
		if got.Header.Get("RateLimit-Remaining") == "" {
			t.Error("RateLimit-Remaining did not reach the client, which iOS needs")
		}
	})
}

// TestInformationalHeaders protects against cookies in 1xx answers, which
// pass reverse_proxy on a way of their own.
func TestInformationalHeaders(t *testing.T) {
	over(t, proxied("", ""), func(t *testing.T, s *stack.Stack, u *user) {
		var hints []textproto.MIMEHeader
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			if code == http.StatusEarlyHints {
				hints = append(hints, h)
			}
			return nil
		}}
		req := u.request(http.MethodGet, "/mdh/api/v1/delegated/custom/Simulator.Hints", nil)
		u.do(req.WithContext(httptrace.WithClientTrace(req.Context(), trace))).want(t, http.StatusOK, "")
		if len(hints) != 1 || hints[0].Get("Link") == "" || hints[0].Get("Set-Cookie") != "" {
			t.Errorf("103 answers: %v; want one with Link and nothing else", hints)
		}
	})
}

// TestInformationalAnswersAreOnesOwn protects against one client's 1xx
// answers, or its writer, being reached by another's request.
func TestInformationalAnswersAreOnesOwn(t *testing.T) {
	s := start(t, proxied("", ""))
	s.Platform.Set(func(set *simulator.Settings) { set.DelegatedQuota = 0 })
	var wg sync.WaitGroup
	for _, name := range []string{"alice", "bob", "alice", "bob"} {
		u := signIn(t, s, name)
		wg.Go(func() {
			for range 50 {
				hints := 0
				trace := &httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error { hints++; return nil }}
				req := u.request(http.MethodGet, customPath+"Hints", nil)
				res, err := u.client.Do(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if hints != 1 {
					t.Errorf("%d informational answers, want 1", hints)
					return
				}
			}
		})
	}
	wg.Wait()
}
