// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestC37_WebSocketsOfPrograms protects who writes a program from looking for a page
// that there is none of: what it is told is true, and tells nobody more of the
// policy than they may know.
func TestC37_WebSocketsOfPrograms(t *testing.T) {
	const (
		noOrigin  = "Origin"
		otherSite = "came from another site"
		noSocket  = "not open to WebSockets"
	)
	l := newLogin(t)
	s := start(t, `{`+stack.Options+`
	delegate {`+stack.Provider+`
	}
}
http://127.0.0.1:[[.Port]] {
	handle_path /mdh/* {
		app_session {
			cookie   __Host-session
			bearer
			jwks     `+l.URL+`/jwks
			issuer   `+l.URL+`
			audience app
			optional
		}
		delegate_proxy mydatahelps {
			allow WEBSOCKET /api/v1/delegated/custom/*
			allow GET /api/v1/delegated/**
		}
	}
}
`)
	u := signIn(t, s, "alice")
	alice := l.session("alice", nil)
	cookie, bearer := []string{"Cookie", "__Host-session=" + alice}, []string{"Authorization", "Bearer " + alice}
	own, foreign := []string{"Origin", s.URL()}, []string{"Origin", "https://evil.example"}
	const open, closed = customPath + "WebSocket", participantPath
	for name, c := range map[string]struct {
		path    string
		headers [][]string
		code    string
		message string
	}{
		"cookie and own origin": {open, [][]string{cookie, own}, "", ""},
		"bearer":                {open, [][]string{bearer}, "", ""},
		"cookie":                {open, [][]string{cookie}, "cross_origin", noOrigin},
		"cookie, other site":    {open, [][]string{cookie, foreign}, "cross_origin", otherSite},
		"cookie, browser":       {open, [][]string{cookie, {"Sec-Fetch-Site", "cross-site"}}, "cross_origin", noOrigin},
		"nobody":                {open, nil, "cross_origin", noOrigin},

		"no socket, cookie and own origin": {closed, [][]string{cookie, own}, "route_denied", noSocket},
		"no socket, bearer":                {closed, [][]string{bearer}, "route_denied", noSocket},
		"no socket, cookie":                {closed, [][]string{cookie}, "route_denied", noSocket},
		"no socket, cookie, other site":    {closed, [][]string{cookie, foreign}, "cross_origin", otherSite},
		"no socket, cookie, browser":       {closed, [][]string{cookie, {"Sec-Fetch-Site", "cross-site"}}, "cross_origin", noOrigin},
		"no socket, nobody":                {closed, nil, "cross_origin", noOrigin},
		"no line, cookie":                  {"/mdh/api/v1/administration", [][]string{cookie}, "route_denied", "not open to apps"},
	} {
		t.Run(name, func(t *testing.T) {
			headers := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}
			for _, more := range c.headers {
				headers = append(headers, more...)
			}
			req := u.with(http.MethodGet, c.path, headers...)
			if c.code == "" {
				res, err := u.client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				if res.Body.Close(); res.StatusCode != http.StatusSwitchingProtocols {
					t.Errorf("%d", res.StatusCode)
				}
				return
			}
			got := u.do(req)
			got.want(t, http.StatusForbidden, c.code)
			var problem struct{ Message string }
			if err := json.Unmarshal([]byte(got.body), &problem); err != nil || !strings.Contains(problem.Message, c.message) || c.message != otherSite && strings.Contains(problem.Message, otherSite) {
				t.Errorf("%q does not say %q: %v", problem.Message, c.message, err)
			}
		})
	}
}
