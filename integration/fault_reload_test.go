// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// holdback keeps requests to the platform that it is about until it is opened.
type holdback struct {
	matches  func(r *http.Request) bool
	arrived  atomic.Int64
	released chan struct{}
	release  func()
}

func newHoldback(t testing.TB, s *stack.Stack, about func(r *http.Request) bool) *holdback {
	g := &holdback{matches: about, released: make(chan struct{})}
	g.release = sync.OnceFunc(func() { close(g.released) })
	t.Cleanup(g.release)
	s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
		if about(r) {
			g.arrived.Add(1)
			<-g.released
		}
		platform.ServeHTTP(w, r)
	})
	return g
}

// addKey makes a second private key, which the platform takes as well, and
// leaves the first one where it was.
func addKey(t testing.TB, s *stack.Stack) {
	t.Helper()
	text, err := os.ReadFile(s.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	first, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	second, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s.Platform.SetKeys(&first.PublicKey, &second.PublicKey)
	block.Bytes = x509.MarshalPKCS1PrivateKey(second)
	if err := os.WriteFile(filepath.Join(s.Dir, "new.pem"), pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestR3_ReloadsUnderColdLoad protects an operator's afternoon: five hundred
// people come to a server that knows none of them, while the issuer, or the
// platform that knows who they are, takes its time. Meanwhile a scope is added,
// a key, other bounds, and something about sessions, each by a reload, and some
// of the people ask again. Nobody is refused, and about nobody is anything
// asked twice.
func TestR3_ReloadsUnderColdLoad(t *testing.T) {
	const crowdSize, again = 500 / slowdown, 50 / slowdown
	participants := simulator.SampleParticipants(crowdSize)
	for i := range participants {
		participants[i].CustomFields = map[string]string{"user": participants[i].Identifier}
	}
	form := func(kind string) func(r *http.Request) bool {
		return func(r *http.Request) bool {
			return strings.HasSuffix(r.URL.Path, "/connect/token") && (form(r).Get("grant_type") == "delegated_participant") == (kind == "participant")
		}
	}
	below := func(path string) func(r *http.Request) bool {
		return func(r *http.Request) bool { return strings.Contains(r.URL.Path, path) }
	}
	for name, c := range map[string]struct {
		participant string
		slow        func(r *http.Request) bool
		arrive      int64
	}{
		"look-ups":           {"participant_identifier", below("/participants/"), 100 / slowdown},
		"list":               {"participant_field user", below("/participants"), 1},
		"service token":      {"participant_identifier", form("service"), 1},
		"participant tokens": {"participant_identifier", form("participant"), 16},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, participants...)
			unlimited(s)
			asked, seen := countSessions(s)
			slow := newHoldback(t, s, c.slow)
			caddyfile := askedSessions(c.participant)
			load(t, s, caddyfile)
			u := signIn(t, s, "nobody")
			sessions := make([]string, len(participants))
			for i, p := range participants {
				sessions[i] = s.App.SignIn(p.Identifier, time.Time{})
			}
			crowd := crowd{t: t}
			come := func(n int) {
				all := seen.Load() + int64(n)
				defer await(t, "the crowd", func() bool { return seen.Load() == all })
				for i := range n {
					u.session = sessions[i]
					crowd.get(u, participantPath, http.StatusOK, "", func(a answer) {
						if a.owner() != participants[i].ID {
							t.Errorf("%s sees the record of %q", participants[i].Identifier, a.owner())
						}
					})
				}
			}
			come(crowdSize)
			await(t, "the platform", func() bool { return slow.arrived.Load() >= c.arrive && asked.Load() == crowdSize })

			addKey(t, s)
			for _, change := range [][2]string{
				{"scopes          api ", "scopes          api DeviceData:read "},
				{"private_key     {file.[[.KeyFile]]}", "private_key     {file.[[.KeyFile]]}\n\t\t\tprivate_key {file.[[.Dir]]/new.pem}"},
				{"delegate {", "delegate {\n\t\ttokens {\n\t\t\tconcurrency 12\n\t\t\tmax_entries 5000\n\t\t}"},
				{"delegate {", "delegate {\n\t\tproxy_status_name edge"},
				{"app_session {", "app_session {\n\t\t\toptional"},
			} {
				changed := strings.Replace(caddyfile, change[0], change[1], 1)
				if changed == caddyfile {
					t.Fatalf("the Caddyfile has no %q", change[0])
				}
				caddyfile = changed
				load(t, s, caddyfile)
				come(again)
			}
			slow.release()
			crowd.wait.Wait()
			come(crowdSize) // under the last configuration
			crowd.wait.Wait()
			if got := s.Platform.Counts(); got.ServiceTokens != 1 || got.ParticipantTokens != crowdSize || got.TokenRequests != crowdSize+1 {
				t.Errorf("%d service tokens, %d participant tokens; want 1, %d", got.ServiceTokens, got.ParticipantTokens, crowdSize)
			}
			// Some people are looked up by one request each, the others found in
			// the list, whose pages hold a hundred.
			questions := make(map[string]int)
			for _, r := range s.Platform.Records() {
				if r.Area == "admin" {
					questions[r.URI]++
				}
			}
			for uri, n := range questions {
				if n > 1 {
					t.Errorf("the platform was asked %d times for %s", n, uri)
				}
			}
			if len(questions) > crowdSize+crowdSize/100 {
				t.Errorf("the platform was asked %d times about %d people", len(questions), crowdSize)
			}
			if n := asked.Load(); n != crowdSize {
				t.Errorf("R8: the app was asked %d times about %d sessions", n, crowdSize)
			}
			u.client.CloseIdleConnections()
		})
	}
}

// TestR3_StateEndsByItself protects a server that is reloaded for months with
// settings that differ each time: when the last configuration has gone, so has
// everything that ran for it.
func TestR3_StateEndsByItself(t *testing.T) {
	s := newStack(t)
	unlimited(s)
	countSessions(s)
	before := runtime.NumGoroutine()
	for n := range 5 {
		caddyfile := strings.NewReplacer(
			"scopes          api ", fmt.Sprintf("http {\n\t\t\t\ttimeout %ds\n\t\t\t}\n\t\t\tscopes api ", 5+n),
			"cache 5m", fmt.Sprintf("cache %dm", 1+n),
		).Replace(askedSessions("participant_identifier"))
		load(t, s, caddyfile)
		u := signIn(t, s, "alice")
		u.get(participantPath).want(t, http.StatusOK, "")
		u.client.CloseIdleConnections()
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	settle(t, before+5)
}

// TestR4_RunningLookupsSurviveAReload protects who waits for a slow look-up: a
// changed mapping, which starts the next configuration cold, ends it with what
// it finds, and not with a refusal.
func TestR4_RunningLookupsSurviveAReload(t *testing.T) {
	alice := stack.Alice
	alice.CustomFields = map[string]string{"user": "alice"}
	s := newStack(t, alice)
	slow := newHoldback(t, s, func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/participants") })
	load(t, s, stack.Caddyfile)
	u, crowd := signIn(t, s, "alice"), crowd{t: t}
	crowd.get(u, participantPath, http.StatusOK, "", nil)
	await(t, "the look-up", func() bool { return slow.arrived.Load() == 1 })
	load(t, s, strings.Replace(stack.Caddyfile, "participant_identifier", "participant_field user", 1))
	crowd.get(u, participantPath, http.StatusOK, "", nil)
	await(t, "the list", func() bool { return slow.arrived.Load() == 2 })
	load(t, s, strings.Replace(stack.Caddyfile, "[[.PlatformURL]]", elsewhere(t, s), 1)) // and nobody goes on with either
	slow.release()
	crowd.wait.Wait()
}

// TestR3_QuotaIsTheProjects protects a platform's hourly limit, and those who
// are within it: two providers of one project know together what is left.
func TestR3_QuotaIsTheProjects(t *testing.T) {
	participants := simulator.SampleParticipants(30)
	for i := range participants {
		participants[i].CustomFields = map[string]string{"user": participants[i].Identifier}
	}
	s := newStack(t, participants...)
	s.Platform.Set(func(set *simulator.Settings) { set.AdminQuota, set.DelegatedQuota = 20, 0 })
	load(t, s, strings.ReplaceAll(twoProviders(), "participant_identifier", "participant_field user"))
	for _, path := range []string{participantPath, otherPath} {
		for _, p := range participants {
			signIn(t, s, p.Identifier).get(path)
		}
	}
	if got := s.Platform.Counts(); got.Admin != 20 {
		t.Errorf("the platform was asked %d times; want all that it allows", got.Admin)
	}
	if got := s.Platform.Counts(); got.Throttled != 0 {
		t.Errorf("the platform was asked %d times beyond the limit", got.Throttled)
	}
}

// TestR13_RotationVoidsNothing protects everybody who is at work while the
// operator rotates the service account's key, in each of the ways there are:
// the file is replaced and nothing reloaded, and then something else is; or the
// new key is listed below the old one until that is taken out.
func TestR13_RotationVoidsNothing(t *testing.T) {
	bearerUsed := func(t *testing.T, s *stack.Stack, u *user) string {
		t.Helper()
		u.get(participantPath).want(t, http.StatusOK, "")
		used := bearers(s)["/api/v1/delegated/participant"]
		return used[len(used)-1]
	}
	t.Run("file", func(t *testing.T) {
		s := start(t, administered(stack.Caddyfile))
		s.Platform.Set(func(set *simulator.Settings) { set.ServiceTokenLifetime = 2 })
		alice, bob := signIn(t, s, "alice"), signIn(t, s, "bob")
		before := bearerUsed(t, s, alice)
		if err := s.Rotate(); err != nil {
			t.Fatal(err)
		}
		ended := time.Now().Add(2 * time.Second)
		await(t, "the service token's end", func() bool { return time.Now().After(ended) })
		bearerUsed(t, s, bob) // by the new key
		if bearerUsed(t, s, alice) != before {
			t.Error("what the old key had obtained is out of reach")
		}
		load(t, s, strings.Replace(stack.Caddyfile, "delegate_proxy mydatahelps {", "delegate_proxy mydatahelps {\n\t\t\trealm default", 1))
		if bearerUsed(t, s, alice) != before {
			t.Error("the next reload has put it out of reach")
		}
	})
	t.Run("two keys", func(t *testing.T) {
		s := start(t, stack.Caddyfile)
		alice := signIn(t, s, "alice")
		before := bearerUsed(t, s, alice)
		addKey(t, s)
		both := strings.Replace(stack.Caddyfile, "{file.[[.KeyFile]]}", "{file.[[.KeyFile]]}\n\t\t\tprivate_key {file.[[.Dir]]/new.pem}", 1)
		load(t, s, both)
		if bearerUsed(t, s, alice) != before {
			t.Error("a second key has put everybody's token out of reach")
		}
		load(t, s, strings.Replace(stack.Caddyfile, "{file.[[.KeyFile]]}", "{file.[[.Dir]]/new.pem}", 1))
		if bearerUsed(t, s, alice) != before {
			t.Error("the end of the rotation has")
		}
	})
}
