// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestK5_ThePlatformsLimitSaysWhenToAskAgain protects pages from waiting for
// ever, and the platform from being asked at once: its 429 has RateLimit-Reset
// and no Retry-After, which is what clients look at.
func TestK5_ThePlatformsLimitSaysWhenToAskAgain(t *testing.T) {
	over(t, stack.Caddyfile, func(t *testing.T, s *stack.Stack, u *user) {
		s.Platform.Set(func(set *simulator.Settings) { set.DelegatedQuota = 1 })
		u.get(participantPath) // spends it, unless another protocol's test has
		first := u.get(participantPath)
		first.want(t, http.StatusTooManyRequests, "")
		reset, err := strconv.Atoi(first.Header.Get("RateLimit-Reset"))
		after, err2 := strconv.Atoi(first.Header.Get("Retry-After"))
		if err != nil || err2 != nil || after != reset || after < 1 || after > 3600 {
			t.Errorf("Retry-After %q, RateLimit-Reset %q", first.Header.Get("Retry-After"), first.Header.Get("RateLimit-Reset"))
		}
	})
}

// TestK5_OnlyWhatThePlatformDoesNotSay protects what it does say, and answers
// that refuse nobody.
func TestK5_OnlyWhatThePlatformDoesNotSay(t *testing.T) {
	s := start(t, stack.Caddyfile)
	u := signIn(t, s, "alice")
	for name, tt := range map[string]struct {
		status       int
		retry, reset string
		want         string
	}{
		"its own":         {http.StatusTooManyRequests, "5", "1740", "5"},
		"too long":        {http.StatusTooManyRequests, "", "1795779150", "3600"},
		"now":             {http.StatusTooManyRequests, "", "0", "1"},
		"no number":       {http.StatusTooManyRequests, "", "later", ""},
		"neither":         {http.StatusTooManyRequests, "", "", ""},
		"another failure": {http.StatusServiceUnavailable, "", "1740", ""},
		"success":         {http.StatusOK, "", "1740", ""},
	} {
		s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
			if r.URL.Path != "/api/v1/delegated/participant" {
				platform.ServeHTTP(w, r)
				return
			}
			for header, value := range map[string]string{"Retry-After": tt.retry, "RateLimit-Reset": tt.reset} {
				if value != "" {
					w.Header().Set(header, value)
				}
			}
			w.WriteHeader(tt.status)
		})
		got := u.get(participantPath)
		if got.StatusCode != tt.status || got.Header.Get("Retry-After") != tt.want {
			t.Errorf("%s: status %d, Retry-After %q, want %d and %q", name, got.StatusCode, got.Header.Get("Retry-After"), tt.status, tt.want)
		}
	}
}
