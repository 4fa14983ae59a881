// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestT01_EverybodyTheirOwn protects against CVE-2024-51987: a refresh under
// load gave one user's token to another. Many requests of many users go on
// over several lives of their tokens; each reaches the platform with the token
// of the user who sent it, and comes back with their own record.
func TestT01_EverybodyTheirOwn(t *testing.T) {
	const people, each, lives = 12, 3, 3
	life := 2 * time.Second
	participants := simulator.SampleParticipants(people)
	s := start(t, stack.Caddyfile, participants...)
	unlimited(s)
	s.Platform.Set(func(set *simulator.Settings) { set.ParticipantTokenLifetime = int(life / time.Second) })

	var wg sync.WaitGroup
	end := time.Now().Add(lives * life)
	for _, p := range participants {
		u := signIn(t, s, p.Identifier)
		for range each {
			wg.Go(func() {
				// Not faster: the platform remembers so many requests only.
				pace := time.NewTicker(30 * time.Millisecond)
				defer pace.Stop()
				for ; time.Now().Before(end); <-pace.C {
					a, err := u.try(u.request(http.MethodGet, participantPath+"?who="+p.ID, nil))
					if err != nil || a.StatusCode != http.StatusOK || a.owner() != p.ID {
						t.Errorf("%s got %d, the record of %q: %v", p.ID, a.StatusCode, a.owner(), err)
						return
					}
				}
			})
		}
	}
	wg.Wait()

	calls := 0
	for _, r := range s.Platform.Records() {
		if r.Area != "delegated" {
			continue
		}
		calls++
		if _, who, _ := strings.Cut(r.URI, "who="); r.ParticipantID != who {
			t.Fatalf("a request of %s carried a token of %q", who, r.ParticipantID)
		}
	}
	counts := s.Platform.Counts()
	if calls != counts.Delegated || counts.ParticipantTokens < people*lives {
		t.Errorf("%d of %d calls were looked at, over %d tokens: nothing was tested", calls, counts.Delegated, counts.ParticipantTokens)
	}
}

// TestT02_ScopesDoNotShareAFlight protects against CVE-2025-26620: one user's
// first requests for two routes at once shared one mint, and the narrow route
// got the wide token, or the other way round.
func TestT02_ScopesDoNotShareAFlight(t *testing.T) {
	s := start(t, scoped())
	u := signIn(t, s, "alice")
	_, warm := u.token() // a third scope: now all that lacks are the two tokens
	warm.want(t, http.StatusOK, "")
	s.Platform.Reset()
	release := hold(t, s, "token")
	c := crowd{t: t}
	for range 5 {
		c.get(u, participantPath, http.StatusOK, "", nil)
		c.get(u, projectPath, http.StatusOK, "", nil)
	}
	arrived(t, s, 2)
	release()
	c.wait.Wait()
	if got := s.Platform.Counts().ParticipantTokens; got != 2 {
		t.Errorf("%d tokens for two routes with different scopes", got)
	}
	checkApart(t, s)
}

// checkApart wants the two routes of scoped to have been called with a token each.
func checkApart(t *testing.T, s *stack.Stack) {
	t.Helper()
	all := bearers(s)
	narrow, other := all["/api/v1/delegated/participant"], all["/api/v1/delegated/project"]
	if len(narrow) == 0 || len(other) == 0 {
		t.Fatalf("calls: %d and %d", len(narrow), len(other))
	}
	for _, token := range narrow {
		if token != narrow[0] || slices.Contains(other, token) {
			t.Error("the routes were called with one token, though their scopes differ")
		}
	}
}

// TestT03_TwoUsersInFlight protects against nextjs-auth0 #2382: two users with
// the same scopes were both waiting for the issuer, and one got the other's
// token.
func TestT03_TwoUsersInFlight(t *testing.T) {
	p := simulator.Participant{ID: "cccccccc-3333-4333-8333-333333333333", Identifier: "carol"}
	s := start(t, stack.Caddyfile, stack.Alice, stack.Bob, p)
	signIn(t, s, "carol").get(participantPath).want(t, http.StatusOK, "") // the service token is there
	s.Platform.Reset()
	release := hold(t, s, "token")
	c := crowd{t: t}
	for _, p := range []simulator.Participant{stack.Alice, stack.Bob} {
		u := signIn(t, s, p.Identifier)
		for range 10 {
			c.get(u, participantPath, http.StatusOK, "", func(a answer) {
				if a.owner() != p.ID {
					t.Errorf("%s sees the record of %q", p.Identifier, a.owner())
				}
			})
		}
	}
	arrived(t, s, 2)
	release()
	c.wait.Wait()
	if got := s.Platform.Counts(); got.ParticipantTokens != 2 || got.TokenRequests != 2 {
		t.Errorf("%+v; want one token each", got)
	}
}

// twoPlatforms is a Caddyfile with a second provider, at /other/, that differs
// in nothing but the platform and the key it has there.
func twoPlatforms(other *stack.Stack) string {
	second := strings.NewReplacer("provider mydatahelps", "provider other mydatahelps",
		"[[.PlatformURL]]", other.PlatformURL, "[[.KeyFile]]", other.KeyFile).Replace(stack.Provider)
	c := strings.Replace(stack.Caddyfile, stack.Provider, stack.Provider+second, 1)
	return strings.Replace(c, "handle {", "handle_path /other/* {"+stack.SignIn+`
		delegate_proxy other {
			subject {rp.header.Remote-User}
		}
	}
	handle {`, 1)
}

const otherPath = "/other/api/v1/delegated/participant"

// TestT04_TwoPlatforms protects against CVE-2026-33496: two upstreams with
// different token endpoints, but equal participants and scopes, shared a cache
// entry. Each platform sees its own tokens alone.
func TestT04_TwoPlatforms(t *testing.T) {
	s, other := newStack(t), newStack(t)
	load(t, s, twoPlatforms(other))
	u := signIn(t, s, "alice")
	c := crowd{t: t}
	for range 20 {
		c.get(u, participantPath, http.StatusOK, "", nil)
		c.get(u, otherPath, http.StatusOK, "", nil)
	}
	c.wait.Wait()
	const path = "/api/v1/delegated/participant"
	here, there := bearers(s)[path], bearers(other)[path]
	if len(here) != 20 || len(there) != 20 || slices.Contains(there, here[0]) {
		t.Errorf("%d and %d calls, which share a token: %t", len(here), len(there), slices.Contains(there, here[0]))
	}
	for _, platform := range []*stack.Stack{s, other} {
		for _, r := range platform.Platform.Records() {
			if r.TokenKind == "unknown" {
				t.Errorf("%s %s carried a token that the platform has not minted", r.Method, r.URI)
			}
		}
		if got := platform.Platform.Counts(); got.ParticipantTokens != 1 || got.ServiceTokens != 1 || got.Unauthorized != 0 {
			t.Errorf("%+v; want one token of each kind", got)
		}
	}
}

// TestT05_ScopeOfTheRoute protects against CVE-2021-32701: a cached token was
// taken for any route of the same user. One for route A does not serve route
// B, nor the browser, and the other way round, however warm they are.
func TestT05_ScopeOfTheRoute(t *testing.T) {
	s := start(t, scoped())
	u := signIn(t, s, "alice")
	for i := range 3 {
		for _, path := range []string{participantPath, projectPath} {
			a := u.get(path)
			a.want(t, http.StatusOK, "")
			if want := map[bool]string{true: "miss", false: "hit"}[i == 0]; a.Header.Get("X-Cache") != want {
				t.Errorf("%s, request %d: %q, want a %s", path, i, a.Header.Get("X-Cache"), want)
			}
		}
		handed, a := u.token()
		a.want(t, http.StatusOK, "")
		if handed.Scope != "SurveyAnswers:read" {
			t.Errorf("the browser got a token for %q", handed.Scope)
		}
		for path, used := range bearers(s) {
			if slices.Contains(used, "Bearer "+handed.AccessToken) {
				t.Errorf("the browser's token was used for %s", path)
			}
		}
	}
	checkApart(t, s)
	if got := s.Platform.Counts(); got.ParticipantTokens != 3 || got.Forbidden != 0 {
		t.Errorf("%+v; want one token for each of three scopes", got)
	}
}

// TestT06_NamesThatLookAlike protects against keys that are glued together
// (CVE-2023-35941, apisix #13699): users whose names differ in a separator, in
// case, in how a letter is composed or in where realm and name meet never
// share a token.
func TestT06_NamesThatLookAlike(t *testing.T) {
	names := []string{"a|b", "a:b", "a b", "a%7Cb", "a/b", "A|B", "ä", "a\u0308", "b", "ab", "a|b|", "|a|b", "default|ab", `"a"`, `\"a\"`}
	participants := make([]simulator.Participant, len(names))
	for i, name := range names {
		participants[i] = simulator.Participant{ID: fmt.Sprintf("%08x-1111-4111-8111-111111111111", i+1), Identifier: name}
	}
	realm := func(path, name string) string {
		return "handle_path /" + path + "/* {" + stack.SignIn + "\n\t\tdelegate_proxy mydatahelps {\n\t\t\tsubject {rp.header.Remote-User}\n\t\t\trealm \"" + name + "\"\n\t\t}\n\t}\n\t"
	}
	// The names of the realms end where those of the users begin.
	s := start(t, strings.Replace(stack.Caddyfile, "handle {", realm("r1", "default|a")+realm("r2", "defaulta")+"handle {", 1), participants...)
	for range 2 {
		for _, p := range participants {
			u := signIn(t, s, p.Identifier)
			for _, path := range []string{"/mdh", "/r1", "/r2"} {
				a := u.get(strings.Replace(participantPath, "/mdh", path, 1))
				a.want(t, http.StatusOK, "")
				if a.owner() != p.ID {
					t.Errorf("%q at %s sees the record of %s", p.Identifier, path, a.owner())
				}
			}
		}
	}
	if got, want := s.Platform.Counts().ParticipantTokens, 3*len(names); got != want {
		t.Errorf("%d tokens for %d users", got, want)
	}
}

// TestT08_TokensOfAnotherKind protects against FastMCP's CVE-2025-69196: a
// token that is wider than what was asked for, or not the kind that was, is
// not used, nor shown to anybody. One that is narrower is used as what it is.
func TestT08_TokensOfAnotherKind(t *testing.T) {
	for name, c := range map[string]struct {
		field string
		value any
		good  bool
	}{
		"as asked":     {"scope", "Participant:read", true},
		"silent":       {"scope", "", true},
		"wider":        {"scope", "Participant:read api", false},
		"another":      {"scope", "Project:read", false},
		"other letter": {"scope", "participant:read", false},
		"list":         {"scope", []string{"Participant:read"}, false},
		"mac":          {"token_type", "mac", false},
		"dpop":         {"token_type", "DPoP", false},
		"no type":      {"token_type", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, strings.Replace(stack.Caddyfile, "scopes          api Participant:read SurveyAnswers:read SurveyTasks:read Project:read", "scopes Participant:read", 1))
			s.Intercept(replacing(c.field, c.value))
			u := signIn(t, s, "alice")
			for _, a := range []answer{u.get(participantPath), u.do(u.request(http.MethodPost, "/mdh-token", nil))} {
				if c.good {
					a.want(t, http.StatusOK, "")
				} else {
					a.want(t, http.StatusServiceUnavailable, "issuer_unavailable")
				}
			}
			if got := s.Platform.Counts(); got.Delegated > 0 != c.good {
				t.Errorf("%d requests reached the API", got.Delegated)
			}
		})
	}
}
