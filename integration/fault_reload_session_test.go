// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// askedSessions is a Caddyfile whose sessions the app is asked about, and whose
// one route has a scope of its own.
func askedSessions(participant string) string {
	return `{` + stack.Options + `
	delegate {` + strings.Replace(stack.Provider, "participant_identifier", participant, 1) + `
	}
}
http://127.0.0.1:[[.Port]] {
	handle_path /mdh/* {
		app_session {
			cookie ` + stack.CookieName + `
			session_endpoint http://[[.AppAddr]]/api/me {
				cache 5m
			}
		}
		forward_auth [[.AppAddr]] {
			uri /seen
			transport http {
				keepalive off
			}
		}
		delegate_proxy mydatahelps {
			allow GET /api/v1/delegated/participant Participant:read
		}
	}
}
`
}

// countSessions has the app answer who is signed in, and counts; also how many
// requests have come as far as the delegate directive.
func countSessions(s *stack.Stack) (asked, seen *atomic.Int64) {
	asked, seen = new(atomic.Int64), new(atomic.Int64)
	s.App.Handle("/seen", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen.Add(1) }))
	s.App.Handle("/api/me", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, name := s.App.Session(r)
		if name == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"sub": name})
	}))
	return asked, seen
}

// TestR8_AnswersSurviveAReload protects the app, and those who are signed in,
// from a burst of questions after each reload: what it has answered counts on,
// until a setting on which the answer depends has changed. A failure to answer
// counts on as well.
func TestR8_AnswersSurviveAReload(t *testing.T) {
	s := newStack(t)
	asked, _ := countSessions(s)
	caddyfile := askedSessions("participant_identifier")
	load(t, s, caddyfile)
	u := signIn(t, s, "alice")
	get := func(want int64) {
		t.Helper()
		u.get(participantPath).want(t, http.StatusOK, "")
		if n := asked.Load(); n != want {
			t.Errorf("the app was asked %d times, want %d", n, want)
		}
	}
	get(1)
	load(t, s, caddyfile)
	get(1)
	load(t, s, strings.Replace(caddyfile, "scopes          api ", "scopes          ", 1))
	get(1)
	for i, change := range [][2]string{
		{"cache 5m", "cache 4m"},
		{"cache 5m", "cache 5m\n\t\t\t\texpires ends"},
		{"/api/me", "/api/me?again"},
		{"app_session {", "app_session {\n\t\t\thttp {\n\t\t\t\ttimeout 3s\n\t\t\t}"},
		{"app_session {", "app_session {\n\t\t\trealm app"},
	} {
		load(t, s, strings.Replace(caddyfile, change[0], change[1], 1))
		u.get(participantPath).want(t, http.StatusOK, "")
		if n := asked.Load(); n != int64(2+i) {
			t.Errorf("%s: the app was asked %d times, want %d: an answer has outlived what it depends on", change[1], n, 2+i)
		}
	}
}

// TestSuspected_CacheZero protects an app that keeps its cookie's value when
// another user signs in: with cache 0 the next request is the new user's.
func TestSuspected_CacheZero(t *testing.T) {
	s := newStack(t)
	var name atomic.Value
	name.Store("alice")
	s.App.Handle("/api/me", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"sub": name.Load()})
	}))
	s.App.Handle("/seen", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	load(t, s, strings.Replace(askedSessions("participant_identifier"), "cache 5m", "cache 0", 1))
	u := signIn(t, s, "alice")
	for _, p := range []simulator.Participant{stack.Alice, stack.Bob, stack.Alice} {
		name.Store(p.Identifier)
		if a := u.get(participantPath); a.owner() != p.ID {
			t.Errorf("%s: %d, the record of %q", p.Identifier, a.StatusCode, a.owner())
		}
	}
}

// TestSuspected_SharedRealm protects two people of one name: where two session
// endpoints of one origin name users in different ways, the operator has to say
// whether a name means the same user in both.
func TestSuspected_SharedRealm(t *testing.T) {
	two := func(first, second, realm string) string {
		c := askedSessions("participant_identifier")
		i := strings.Index(c, "handle_path")
		block := c[i:strings.LastIndex(c, "}")]
		other := strings.Replace(strings.Replace(block, "/mdh/", "/second/", 1), "/api/me", second, 1)
		block = strings.Replace(block, "/api/me", first, 1)
		if realm != "" {
			block = strings.Replace(block, "app_session {", "app_session {\n\t\t\trealm "+realm, 1)
			other = strings.Replace(other, "app_session {", "app_session {\n\t\t\trealm "+realm, 1)
		}
		return c[:i] + block + other + "}\n"
	}
	s := newStack(t)
	for name, c := range map[string]struct {
		first, second, realm string
		refused              bool
	}{
		"one address":   {"/api/me", "/api/me", "", false},
		"two addresses": {"/api/me", "/admin/me", "", true},
		"one realm":     {"/api/me", "/admin/me", "app", false},
	} {
		t.Run(name, func(t *testing.T) {
			err := s.Load(two(c.first, c.second, c.realm))
			if (err != nil) != c.refused {
				t.Fatalf("%v; want a refusal: %t", err, c.refused)
			}
			if err != nil && !strings.Contains(err.Error(), "write `realm http://") {
				t.Errorf("%v: the mend is not told", err)
			}
		})
	}
}
