// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestR2_UploadWhileTheIssuerIsDown protects somebody whose upload met a 401
// while the issuer was down for a moment: their route works again as soon as it
// is back, and not ten minutes later.
func TestR2_UploadWhileTheIssuerIsDown(t *testing.T) {
	s := start(t, proxied("", ""))
	u := signIn(t, s, "alice")
	u.get(echoPath).want(t, http.StatusOK, "")
	upload := func() answer {
		return u.do(u.request(http.MethodPost, echoPath, bytes.NewReader(make([]byte, 1<<20))))
	}
	s.Platform.Reset()
	s.Platform.Revoke(stack.Alice.ID)
	s.Platform.Set(func(set *simulator.Settings) {
		set.Outages = map[string]simulator.Outage{"token": {Status: http.StatusServiceUnavailable}}
	})
	upload().want(t, http.StatusBadGateway, "upstream_unauthorized")
	await(t, "the attempt at a new token", func() bool { return s.Platform.Counts().TokenRequests > 0 })
	s.Platform.Set(func(set *simulator.Settings) { set.Outages = nil })
	deadline := time.Now().Add(10 * time.Second)
	for {
		got := upload()
		if got.StatusCode == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the issuer has been back for 10 s: %d %s", got.StatusCode, got.body)
		}
		time.Sleep(50 * time.Millisecond) // as a client tries again
	}
}

// TestR2_UploadsThatNoTokenHelps protects the issuer from uploads to a route
// that the platform does not open to a person: they cost one new token, not one
// each, and those to ever new routes a few a minute.
func TestR2_UploadsThatNoTokenHelps(t *testing.T) {
	s := start(t, proxied("", ""))
	u := signIn(t, s, "alice")
	u.get(echoPath).want(t, http.StatusOK, "")
	s.Platform.Set(func(set *simulator.Settings) { set.Unauthorized = []string{stack.Alice.ID} })
	s.Platform.Reset()
	upload := func(path string) {
		t.Helper()
		u.do(u.request(http.MethodPost, path, bytes.NewReader(make([]byte, 1<<20)))).want(t, http.StatusBadGateway, "upstream_unauthorized")
	}
	upload(echoPath)
	await(t, "the new token", func() bool { return s.Platform.Counts().ParticipantTokens == 1 })
	for range 20 {
		upload(echoPath)
	}
	for n := range 20 {
		upload(echoPath + string(rune('a'+n)))
	}
	if n := s.Platform.Counts().ParticipantTokens; n > 3 {
		t.Errorf("%d new tokens", n)
	}
}
