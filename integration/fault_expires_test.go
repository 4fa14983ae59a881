// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestRe_SessionExpires protects the end of a session from whoever sets a
// placeholder of the same name before: a token is handed out for no longer than
// app_session's own session lives.
func TestRe_SessionExpires(t *testing.T) {
	l := newLogin(t)
	s := newStack(t)
	load(t, s, strings.Replace(l.caddyfile(""), "handle /mdh-token {", `map {host} {http.auth.user.exp} {
		default 99999999999
	}
	handle /mdh-token {`, 1))
	u := signIn(t, s, "")
	session := l.session("alice", map[string]any{"exp": time.Now().Add(100 * time.Second).Unix()})
	got := u.do(u.with(http.MethodPost, "/mdh-token", "Authorization", "Bearer "+session))
	got.want(t, http.StatusOK, "")
	var token struct {
		ExpiresIn int `json:"expires_in"`
	}
	if err := json.Unmarshal([]byte(got.body), &token); err != nil || token.ExpiresIn > 100+60 || token.ExpiresIn < 60 {
		t.Errorf("a session of 100 s: %s", got.body)
	}
}
