// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestAlerts protects the operator's night: each fault of a platform raises its alert
// within two minutes, and no other; and what concerns one person raises none. The
// rules are fed with the metrics of a Caddy in which it happens.
func TestAlerts(t *testing.T) {
	tokenFault := func(code string, status int, grant string) func(*simulator.Settings) {
		return func(set *simulator.Settings) {
			set.TokenError, set.TokenErrorStatus, set.TokenAnswerGrant = code, status, grant
		}
	}
	for name, c := range map[string]struct {
		fault   func(*simulator.Settings)
		api     http.HandlerFunc // answers what is sent to the delegated API
		lookups http.HandlerFunc // answers what is sent to the administration API
		want    []string
	}{
		"nothing":                   {},
		"one person is refused":     {fault: func(set *simulator.Settings) { set.RefusedParticipants = []string{stack.Bob.ID} }},
		"one person's 401":          {fault: func(set *simulator.Settings) { set.Unauthorized = []string{stack.Bob.ID} }},
		"the issuer fails":          {fault: tokenFault("server_error", 500, ""), want: []string{"DelegateIssuerDown"}},
		"the issuer says 429":       {fault: tokenFault("slow_down", 429, ""), want: []string{"DelegateIssuerThrottled"}},
		"the account is rejected":   {fault: tokenFault("invalid_client", 401, ""), want: []string{"DelegateCredentialsRejected"}},
		"a scope is rejected":       {fault: tokenFault("invalid_scope", 400, "delegated"), want: []string{"DelegateScopeRejected"}},
		"the look-up fails":         {lookups: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, want: []string{"DelegateRequestsFail"}},
		"the API breaks off":        {api: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, want: []string{"DelegateUpstreamDown"}},
		"the API says 401 to all":   {api: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, want: []string{"DelegateUpstreamUnauthorized"}},
		"the API says 500, its own": {api: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, administered(stack.Caddyfile))
			a, alice, bob := newAdmin(t, s), signIn(t, s, "alice"), signIn(t, s, "bob")
			drive := func() {
				for range 4 {
					alice.get(participantPath)
				}
				bob.get(participantPath)
			}
			r := record(t, s, drive, func() {
				if c.fault != nil {
					s.Platform.Set(c.fault)
				}
				s.Intercept(func(w http.ResponseWriter, req *http.Request, platform http.Handler) {
					switch {
					case c.api != nil && strings.HasPrefix(req.URL.Path, "/api/v1/delegated/"):
						c.api(w, req)
					case c.lookups != nil && strings.HasPrefix(req.URL.Path, "/api/v1/administration/"):
						c.lookups(w, req)
					default:
						platform.ServeHTTP(w, req)
					}
				})
				if len(c.want) > 0 {
					a.purge("", `"mydatahelps"`) // nobody has a token at hand
				}
			})
			testRules(t, r.ruleTest(c.want...))
		})
	}
}

// TestAlertOfEverybody is the same of a setting that refuses all people.
func TestAlertOfEverybody(t *testing.T) {
	s := start(t, administered(stack.Caddyfile))
	alice := signIn(t, s, "alice")
	healthy := true
	drive := func() {
		if healthy {
			alice.get(participantPath)
			return
		}
		for i := range 5 {
			signIn(t, s, fmt.Sprintf("stranger-%p-%d", new(int), i)).get(participantPath)
		}
	}
	testRules(t, record(t, s, drive, func() { healthy = false }).ruleTest("DelegateEverybodyRefused"))
}

// TestAlertOfSessions is the same of a login whose keys cannot be had.
func TestAlertOfSessions(t *testing.T) {
	l := newLogin(t)
	s := newStack(t)
	l.down.Store(true)
	load(t, s, administered(l.caddyfile("")))
	u, broken := signIn(t, s, "alice"), false
	drive := func() {
		if broken {
			u.do(u.with(http.MethodGet, participantPath, "Authorization", "Bearer "+l.session("alice", nil)))
		}
	}
	testRules(t, record(t, s, drive, func() { broken = true }).ruleTest("DelegateSessionsUnavailable"))
}

// TestAlertOfTheDatabase is the same of the grants' PostgreSQL.
func TestAlertOfTheDatabase(t *testing.T) {
	server, lines := postgresGrants(t)
	c := startMydex(t, lines, "")
	alice := c.browser("alice")
	alice.connect(c.mydex.Members()[0].UID)
	r := record(t, c.Stack, func() { alice.do(http.MethodGet, dataset, "") }, server.Kill)
	testRules(t, r.ruleTest("DelegateGrantsDown"))
}

// TestAlertOfRedis is the same of Redis, without a purge that waits for it, and with
// one.
func TestAlertOfRedis(t *testing.T) {
	for _, want := range [][]string{{"DelegateSharedDown"}, {"DelegatePurgesPending", "DelegateSharedDown"}} {
		s, r := newStack(t), newRedis(t)
		_, caddyfile := sharing(t, s, r)
		if err := s.Restart(caddyfile); err != nil {
			t.Fatal(err)
		}
		a, alice := newAdmin(t, s), signIn(t, s, "alice")
		eventually(t, "Redis is in use", func() bool { up, _ := a.shared(); return up })
		recorded := record(t, s, func() { alice.get(participantPath) }, func() {
			r.kill()
			eventually(t, "Redis is away", func() bool { up, _ := a.shared(); return !up })
			if len(want) > 1 {
				a.send(http.MethodPost, "/delegate/purge", `{"subject":"bob"}`)
			}
		})
		testRules(t, recorded.ruleTest(want...))
	}
}

// TestAlertsThatAreCounted is the same of what no platform here can be made to do:
// counts as the module would have them.
func TestAlertsThatAreCounted(t *testing.T) {
	series := func(name, values, want string) string {
		return fmt.Sprintf("  - interval: %ds\n    input_series:\n      - series: 'caddy_delegate_%s'\n        values: '%s'\n", scrapeSeconds, name, values) + expectations(strings.Fields(want)...)
	}
	const suspended = `consents_total{job="caddy",instance="here",provider="study",source="lab",event="suspended"}`
	testRules(t, series(`everybody_refused{job="caddy",instance="here",code="session_required"}`, "_x11 1", "")+ // a moment between two users
		series(`panics_total{job="caddy",instance="here"}`, "0x3 1x8", "DelegatePanics")+
		series(suspended, "1x3 9+9x8", "DelegateGrantsSuspended")+
		series(suspended, "_x4 9x7", "DelegateGrantsSuspended")+ // the first that this process has counted
		series(suspended, "1x3 2x8", ""))
}
