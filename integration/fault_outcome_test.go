// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// outcomes reads requests_total of the provider, by outcome.
func outcomes(t *testing.T, a *admin) map[string]float64 {
	t.Helper()
	counts := make(map[string]float64)
	for name, value := range scrape(t, a.send(http.MethodGet, "/metrics", "").body) {
		if rest, ok := strings.CutPrefix(name, `requests_total{outcome="`); ok && strings.HasSuffix(rest, `",provider="mydatahelps",source=""}`) {
			outcome, _, _ := strings.Cut(rest, `"`)
			counts[outcome] = value
		}
	}
	return counts
}

// counted wants one request to be counted, with one of the outcomes, while f runs.
func counted(t *testing.T, a *admin, f func(), want string) {
	t.Helper()
	before := outcomes(t, a)
	f()
	var got map[string]float64
	for deadline := time.Now().Add(10 * time.Second); len(got) == 0 && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		got = make(map[string]float64)
		for outcome, n := range outcomes(t, a) {
			if n != before[outcome] {
				got[outcome] = n - before[outcome]
			}
		}
	}
	if len(got) != 1 || got[want] != 1 {
		t.Errorf("counted as %v, want %s", got, want)
	}
}

// TestR10_EveryOutcomeIsCounted protects an operator's graphs and alerts: a
// body that breaks off, a user who leaves, a platform that cannot be reached or
// breaks off are none of them "forwarded", and the client is told which it was.
func TestR10_EveryOutcomeIsCounted(t *testing.T) {
	s := start(t, administered(proxied("allow GET,POST,WEBSOCKET /api/v1/delegated/**", "")))
	a, u := newAdmin(t, s), signIn(t, s, "alice")
	counted(t, a, func() { u.get(echoPath).want(t, http.StatusOK, "") }, "forwarded")

	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nCookie: session=%s\r\nContent-Type: text/plain\r\n", echoPath, s.Port, u.session)
	for what, request := range map[string]string{
		"a bad chunk at once":   head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
		"a bad chunk":           head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
		"a bad chunk of a GET":  strings.Replace(head, "POST", "GET", 1) + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
		"a chunk without end":   head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef",
		"a chunk beyond length": head + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
	} {
		t.Run(what, func(t *testing.T) {
			counted(t, a, func() { rawRequest(t, s, request, false).want(t, http.StatusBadRequest, "body_incomplete") }, "body_incomplete")
		})
	}
	for what, request := range map[string]string{
		"kept":     head + "Content-Length: 100\r\n\r\nabc",
		"streamed": head + "Content-Length: 100000\r\n\r\nabc",
		"chunked":  head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
	} {
		t.Run("hangs up, "+what, func(t *testing.T) {
			counted(t, a, func() { rawRequest(t, s, request, true).want(t, 499, "") }, "client_left")
		})
	}

	t.Run("left", func(t *testing.T) {
		arrived := make(chan struct{})
		s.Intercept(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { close(arrived); <-r.Context().Done() })
		counted(t, a, func() {
			ctx, leave := context.WithCancel(t.Context())
			go func() { <-arrived; leave() }()
			if _, err := u.try(u.request(http.MethodGet, echoPath, nil).WithContext(ctx)); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}, "client_left")
	})
	t.Run("hangs up", func(t *testing.T) {
		s.Intercept(func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) })
		counted(t, a, func() { u.get(echoPath).want(t, http.StatusBadGateway, "upstream_unavailable") }, "upstream_unavailable")
	})
	for what, length := range map[string]string{"of a known length": "100", "in chunks": ""} {
		t.Run("breaks off "+what, func(t *testing.T) {
			s.Intercept(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				_, _ = io.WriteString(w, "abc")
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			})
			counted(t, a, func() {
				if got, err := u.try(u.request(http.MethodGet, echoPath, nil)); err == nil {
					t.Errorf("%d %q", got.StatusCode, got.body)
				}
			}, "broken_off")
		})
	}
	s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) { platform.ServeHTTP(w, r) })
	t.Run("websocket", func(t *testing.T) {
		counted(t, a, func() {
			got := rawRequest(t, s, fmt.Sprintf("GET %sWebSocket HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nCookie: session=%s\r\nOrigin: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", customPath, s.Port, u.session, s.URL()), false)
			got.want(t, http.StatusSwitchingProtocols, "")
		}, "websocket")
	})
	t.Run("platform's own refusal", func(t *testing.T) {
		s.Intercept(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(http.StatusForbidden) })
		counted(t, a, func() { u.get(echoPath).want(t, http.StatusForbidden, "") }, "forwarded")
	})
}

// TestR10_Unreachable protects the same for a platform that takes no connection,
// one that does not answer in time, and one that max_fails leaves alone.
func TestR10_Unreachable(t *testing.T) {
	s, platform := newTLSStack(t)
	s.PlatformURL = platform.URL
	load(t, s, administered(strings.Replace(proxied("max_fails 2\nfail_duration 1h\ntransport http {\nresponse_header_timeout 100ms\n}", ""), "participant_identifier",
		"participant_identifier\n\t\t\thttp {\n\t\t\t\tca_file [[.CertFile]]\n\t\t\t}", 1)))
	a, u := newAdmin(t, s), signIn(t, s, "alice")
	u.get(echoPath).want(t, http.StatusOK, "")
	inner := platform.Config.Handler
	platform.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Last-Event-ID") == "" {
			inner.ServeHTTP(w, r)
			return
		}
		<-r.Context().Done()
	})
	slow := u.request(http.MethodGet, echoPath, nil)
	slow.Header.Set("Last-Event-ID", "1")
	counted(t, a, func() { u.do(slow).want(t, http.StatusGatewayTimeout, "upstream_timeout") }, "upstream_timeout")
	platform.CloseClientConnections()
	platform.Close()
	counted(t, a, func() { u.get(echoPath).want(t, http.StatusBadGateway, "upstream_unavailable") }, "upstream_unavailable")
	counted(t, a, func() {
		got := u.get(echoPath)
		got.want(t, http.StatusServiceUnavailable, "upstream_down")
		if got.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}, "upstream_down")
}

// TestR10_ErrorPages protects sites with handle_errors: they get what is the
// client's body's fault, and the platform's, with a code, as any other refusal.
func TestR10_ErrorPages(t *testing.T) {
	s := start(t, proxied("request_buffers 0", `handle_errors {
		header X-Page yes
		respond "{err.status_code} {err.message}"
	}`))
	u := signIn(t, s, "alice")
	want := func(got answer, status int, code string) {
		t.Helper()
		if got.StatusCode != status || got.body != fmt.Sprintf("%d %s", status, code) || got.Header.Get("X-Page") != "yes" || !strings.Contains(got.Header.Get("Proxy-Status"), `details="`+code+`"`) {
			t.Errorf("%d %v %q, want %d %s", got.StatusCode, got.Header, got.body, status, code)
		}
	}
	u.get(echoPath).want(t, http.StatusOK, "")
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nCookie: session=%s\r\n", echoPath, s.Port, u.session)
	want(rawRequest(t, s, head+"Transfer-Encoding: chunked\r\n\r\nzz\r\n", false), http.StatusBadRequest, "body_incomplete")
	s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
		if strings.HasSuffix(r.URL.Path, "Simulator.Echo") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		platform.ServeHTTP(w, r)
	})
	want(u.get(echoPath), http.StatusBadGateway, "upstream_unauthorized")
	s.Intercept(func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) })
	want(u.get(echoPath), http.StatusBadGateway, "upstream_unavailable")
}

// TestR10_TooLarge protects request_body's 413: it stays one, with a code, and is no
// strike against the platform.
func TestR10_TooLarge(t *testing.T) {
	s := start(t, administered(strings.Replace(proxied("max_fails 1\nfail_duration 1h", ""), "delegate_proxy", "request_body {\n\t\t\tmax_size 10\n\t\t}\n\t\tdelegate_proxy", 1)))
	a, u := newAdmin(t, s), signIn(t, s, "alice")
	counted(t, a, func() {
		// One of known length is refused by Caddy, before it comes to us.
		body := io.MultiReader(strings.NewReader(strings.Repeat("a", 1<<20)))
		u.do(u.request(http.MethodPost, echoPath, body)).want(t, http.StatusRequestEntityTooLarge, "body_too_large")
	}, "body_too_large")
	counted(t, a, func() {
		u.do(u.request(http.MethodPost, echoPath, strings.NewReader("abc"))).want(t, http.StatusOK, "")
	}, "forwarded")
}

// TestR10_CodesAreDocumented protects frontend developers: what they meet is in
// the table of codes, with its status.
func TestR10_CodesAreDocumented(t *testing.T) {
	text := readme(t)
	for code, status := range map[string]int{"body_incomplete": 400, "body_too_large": 413, "upstream_unavailable": 502, "upstream_timeout": 504, "upstream_down": 503} {
		if !strings.Contains(text, fmt.Sprintf("\n| `%s` | %d |", code, status)) {
			t.Errorf("%s with %d is not in the table", code, status)
		}
	}
}

// TestOutcomeOfNestedDirectives protects the same graphs where one of these
// directives stands behind another: a request that the inner one refuses is one
// request, with that one's outcome.
func TestOutcomeOfNestedDirectives(t *testing.T) {
	s := start(t, administered(caddyfileOf("", `
	handle_path /mdh/* {`+stack.SignIn+`
		route {
			delegate mydatahelps {
				subject {rp.header.Remote-User}
				allow GET /token Participant:read
			}
			delegate_token mydatahelps {
				subject {rp.header.Remote-User}
			}
		}
	}`)))
	a, u := newAdmin(t, s), signIn(t, s, "alice")
	counted(t, a, func() { u.get("/mdh/token").want(t, http.StatusMethodNotAllowed, "method_not_allowed") }, "method_not_allowed")
}
