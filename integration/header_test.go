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
