// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestLongRequestsDoNotStrikeTheUpstream protects everybody from one client,
// signed in or not: what an HTTP/2 upstream takes as too long fails on the wire,
// where it counts against the upstream.
func TestLongRequestsDoNotStrikeTheUpstream(t *testing.T) {
	s, platform := newTLSStack(t)
	platform.Config.MaxHeaderBytes = 8<<10 - 320 // what is advertised is 320 more
	s.PlatformURL = platform.URL
	load(t, s, strings.Replace(proxied("max_fails 1\nfail_duration 1h", ""), "participant_identifier",
		"participant_identifier\n\t\t\thttp {\n\t\t\t\tca_file [[.CertFile]]\n\t\t\t}", 1))
	u := signIn(t, s, "alice")
	u.get(echoPath).want(t, http.StatusOK, "")

	long := u.request(http.MethodGet, echoPath, nil)
	long.Header.Set("Accept-Language", strings.Repeat("a", 7<<10))
	u.do(long).want(t, http.StatusRequestHeaderFieldsTooLarge, "headers_too_large")
	u.get(echoPath+"?q="+strings.Repeat("a", 7<<10)).want(t, http.StatusRequestHeaderFieldsTooLarge, "headers_too_large")
	u.get("/mdh/api/v1/public/projects/p/views/v?q="+strings.Repeat("a", 7<<10)).want(t, http.StatusRequestHeaderFieldsTooLarge, "headers_too_large")
	signIn(t, s, "bob").get(echoPath+"?q="+strings.Repeat("a", 4<<10)).want(t, http.StatusOK, "")
}

// TestRetryKeepsTheBody protects requests with a body in an outage: an attempt
// that reached nobody must not consume it, or the client is blamed.
func TestRetryKeepsTheBody(t *testing.T) {
	s, platform := newTLSStack(t)
	s.PlatformURL = platform.URL
	load(t, s, strings.Replace(proxied("lb_retries 2", ""), "participant_identifier",
		"participant_identifier\n\t\t\thttp {\n\t\t\t\tca_file [[.CertFile]]\n\t\t\t}", 1))
	u := signIn(t, s, "alice")
	u.get(echoPath).want(t, http.StatusOK, "")
	platform.CloseClientConnections()
	platform.Close()
	for method, body := range map[string]string{http.MethodGet: "", http.MethodPost: `{"a": "b"}`} {
		if got := u.do(u.request(method, echoPath, strings.NewReader(body))); got.StatusCode != http.StatusBadGateway {
			t.Errorf("%s while the platform is down: %d, want 502", method, got.StatusCode)
		}
	}
}

// TestUnauthorizedWithoutEnd protects clients from a 401 whose body never
// ends: it is not waited for.
func TestUnauthorizedWithoutEnd(t *testing.T) {
	s := start(t, proxied("", ""))
	u := signIn(t, s, "alice")
	u.get(echoPath).want(t, http.StatusOK, "")
	first := make(chan struct{}, 1)
	first <- struct{}{}
	s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
		select {
		case <-first:
			w.WriteHeader(http.StatusUnauthorized)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		default:
			platform.ServeHTTP(w, r)
		}
	})
	u.get(echoPath).want(t, http.StatusOK, "")
}

// TestRetryUsesTheRenewedToken protects the platform from a second 401 when
// the operator has reverse_proxy retry a request that was healed.
func TestRetryUsesTheRenewedToken(t *testing.T) {
	s := start(t, proxied("lb_retries 1\nlb_retry_match {\n expression `{rp.status_code} == 503`\n}", ""))
	u := signIn(t, s, "alice")
	u.get(echoPath).want(t, http.StatusOK, "")
	s.Platform.Revoke(stack.Alice.ID)
	s.Platform.Reset()
	var calls atomic.Int32
	s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
		if strings.HasSuffix(r.URL.Path, "Simulator.Echo") && calls.Add(1) == 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		platform.ServeHTTP(w, r)
	})
	u.get(echoPath).want(t, http.StatusOK, "")
	if c := s.Platform.Counts(); calls.Load() != 3 || c.Unauthorized != 1 || c.ParticipantTokens != 1 {
		t.Errorf("%d calls, %+v; want three: the stale one, the healed one, the retry", calls.Load(), c)
	}
}

// TestPublicUnauthorized protects the app's session: a 401 on a public route
// is no more the browser's business than any other.
func TestPublicUnauthorized(t *testing.T) {
	s := start(t, proxied("", ""))
	s.Intercept(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(http.StatusUnauthorized) })
	signIn(t, s, "alice").get("/mdh/api/v1/delegated/externalaccountproviders/17/logo").want(t, http.StatusBadGateway, "upstream_unauthorized")
}

// TestBindingsOutliveSettings protects T55 across reloads: whoever moves the custom
// field to another record does not become, or get, somebody else when the
// operator changes an unrelated setting. That does not look anybody up anew (R3).
func TestBindingsOutliveSettings(t *testing.T) {
	alice, mallory := stack.Alice, stack.Bob
	alice.CustomFields = map[string]string{"user": "u-1"}
	caddyfile := administered(strings.Replace(stack.Caddyfile, "participant_identifier", "participant_field user\n\t\t\tparticipant_query user", 1))
	s := start(t, caddyfile, alice, mallory)
	s.Platform.Set(func(set *simulator.Settings) { set.ListFilterParam, set.ListFilterField = "user", "user" })
	u := signIn(t, s, "u-1")
	u.get(participantPath).want(t, http.StatusOK, "")

	s.Platform.UpdateParticipant(alice.ID, func(p *simulator.Participant) { p.CustomFields = nil })
	s.Platform.UpdateParticipant(mallory.ID, func(p *simulator.Participant) { p.CustomFields = map[string]string{"user": "u-1"} })
	load(t, s, strings.Replace(caddyfile, "scopes          api ", "scopes          ", 1))
	if a := u.get(participantPath); a.owner() != alice.ID {
		t.Errorf("status %d, the record of %q", a.StatusCode, a.owner())
	}
	newAdmin(t, s).purge(`{"realm":"default","subject":"u-1"}`, `"mydatahelps"`)
	u.get(participantPath).want(t, http.StatusConflict, "account_conflict")
}

// TestClaimNamesTheParticipant protects apps whose users are called one thing
// and their participants another: the session's claim decides, and two people
// with one claim never share a token.
func TestClaimNamesTheParticipant(t *testing.T) {
	auth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user := r.URL.Query().Get("as") // this app believes anything
		w.Header().Set("Remote-User", user)
		w.Header().Set("Participant-Id", map[string]string{"1": stack.Alice.ID, "2": stack.Bob.ID}[user])
	}))
	t.Cleanup(auth.Close)
	s := newStack(t)
	caddyfile := strings.ReplaceAll(stack.Caddyfile, "[[.AppAddr]]", strings.TrimPrefix(auth.URL, "http://"))
	caddyfile = strings.ReplaceAll(caddyfile, "uri /auth", "uri /auth?{query}")
	load(t, s, strings.Replace(caddyfile, "participant_identifier", "participant_id {rp.header.Participant-Id}", 1))
	u := signIn(t, s, "")
	for user, want := range map[string]string{"1": stack.Alice.ID, "2": stack.Bob.ID} {
		got := u.get(participantPath + "?as=" + user)
		got.want(t, http.StatusOK, "")
		if !strings.Contains(got.body, want) {
			t.Errorf("user %s sees %s", user, got.body)
		}
	}
	u.get(participantPath+"?as=3").want(t, http.StatusForbidden, "participant_unknown")
}

// TestPoolThatCannotBeMadeRefusesToLoad protects the running configuration
// from one whose provider has HTTP settings that its transport cannot serve.
func TestPoolThatCannotBeMadeRefusesToLoad(t *testing.T) {
	s := start(t, stack.Caddyfile)
	u := signIn(t, s, "alice")
	for _, lines := range []string{"versions 3", "tls_trust_pool file [[.Dir]]/absent.pem"} {
		caddyfile := strings.Replace(stack.Caddyfile, "participant_identifier", "participant_identifier\n\t\t\thttp {\n\t\t\t\tca_file [[.CertFile]]\n\t\t\t}", 1)
		caddyfile = strings.Replace(caddyfile, "delegate_proxy mydatahelps {", "delegate_proxy mydatahelps {\n\t\t\ttransport http {\n\t\t\t\t"+lines+"\n\t\t\t}", 1)
		if err := s.Load(caddyfile); err == nil {
			t.Errorf("%s: loaded", lines)
		}
		u.get(participantPath).want(t, http.StatusOK, "")
	}
}
