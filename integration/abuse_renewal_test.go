// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestT36_LivesShorterThanTheMargin protects the issuer of tokens that live
// for a second: a client that renewed 30 s before the end fetched one for every request.
func TestT36_LivesShorterThanTheMargin(t *testing.T) {
	for _, kind := range []string{"participant", "service", "both"} {
		t.Run(kind, func(t *testing.T) {
			s := start(t, stack.Caddyfile)
			unlimited(s)
			s.Platform.Set(func(set *simulator.Settings) {
				if kind != "service" {
					set.ParticipantTokenLifetime = 1
				}
				if kind != "participant" {
					set.ServiceTokenLifetime = 1
				}
			})
			began := time.Now()
			c := crowd{t: t}
			var served atomic.Int64
			for range 4 {
				u := signIn(t, s, "alice")
				c.wait.Go(func() {
					for time.Since(began) < 3*time.Second {
						a, err := u.try(u.request(http.MethodGet, participantPath, nil))
						if err != nil || a.StatusCode != http.StatusOK {
							t.Errorf("%d %s %v", a.StatusCode, a.body, err)
							return
						}
						served.Add(1)
					}
				})
			}
			c.wait.Wait()
			// Renewed at the earliest after 0.55 s, and a few may have been lost by 401s.
			most := 2 + int(time.Since(began)/(550*time.Millisecond))
			got := s.Platform.Counts()
			if got.ParticipantTokens > most || got.ServiceTokens > most {
				t.Errorf("%+v for %d requests; want at most %d tokens of a kind", got, served.Load(), most)
			}
			if served.Load() < 50 {
				t.Errorf("only %d requests were served", served.Load())
			}
		})
	}
}

// TestT37_NobodyWaits protects active users from the expiry of their tokens,
// which were minted together: over several lives each request finds one at
// hand. Caddy tells: X-Cache.
func TestT37_NobodyWaits(t *testing.T) {
	// Between renewal and end is a quarter of the life: more than a busy machine's hiccups.
	const life, lives = 4 * time.Second, 3
	participants := simulator.SampleParticipants(8)
	s := start(t, scoped(), participants...)
	unlimited(s)
	s.Platform.Set(func(set *simulator.Settings) { set.ParticipantTokenLifetime = int(life / time.Second) })
	c := crowd{t: t}
	var waited, served atomic.Int64
	began := time.Now()
	for _, p := range participants {
		u := signIn(t, s, p.Identifier)
		u.get(participantPath).want(t, http.StatusOK, "")
		c.wait.Go(func() {
			pace := time.NewTicker(50 * time.Millisecond)
			defer pace.Stop()
			for ; time.Since(began) < lives*life; <-pace.C {
				a, err := u.try(u.request(http.MethodGet, participantPath, nil))
				if err != nil || a.StatusCode != http.StatusOK {
					t.Errorf("%d %s %v", a.StatusCode, a.body, err)
					return
				}
				served.Add(1)
				if a.Header.Get("X-Cache") != "hit" {
					waited.Add(1)
				}
			}
		})
	}
	c.wait.Wait()
	got := s.Platform.Counts()
	if waited.Load() > 0 {
		t.Errorf("%d of %d requests waited for a token", waited.Load(), served.Load())
	}
	if most := len(participants) * (2 + int(time.Since(began)/(life*55/100))); got.ParticipantTokens < len(participants)*lives || got.ParticipantTokens > most || got.Unauthorized > 0 {
		t.Errorf("%+v; want each to have had %d tokens or more, and at most %d in all", got, lives, most)
	}
}

// TestIssuerDownWithTokens protects users from an outage of the token endpoint:
// as long as their tokens last not one request fails, though renewals do, and
// those are not tried all the time.
func TestIssuerDownWithTokens(t *testing.T) {
	const life = 6 * time.Second
	participants := simulator.SampleParticipants(10)
	s := start(t, stack.Caddyfile, participants...)
	unlimited(s)
	s.Platform.Set(func(set *simulator.Settings) { set.ParticipantTokenLifetime = int(life / time.Second) })
	began := time.Now()
	users := make([]*user, len(participants))
	for i, p := range participants {
		users[i] = signIn(t, s, p.Identifier)
		users[i].get(participantPath).want(t, http.StatusOK, "")
	}
	s.Platform.Reset()
	s.Platform.Set(func(set *simulator.Settings) {
		set.Outages = map[string]simulator.Outage{"token": {Status: http.StatusServiceUnavailable}}
	})
	c := crowd{t: t}
	var served atomic.Int64
	for _, u := range users {
		c.wait.Go(func() {
			pace := time.NewTicker(20 * time.Millisecond)
			defer pace.Stop()
			// Tokens serve until a tenth of their life is left.
			for ; time.Since(began) < life*85/100; <-pace.C {
				a, err := u.try(u.request(http.MethodGet, participantPath, nil))
				if err != nil || a.StatusCode != http.StatusOK {
					t.Errorf("after %v: %d %s %v", time.Since(began), a.StatusCode, a.body, err)
					return
				}
				served.Add(1)
			}
		})
	}
	c.wait.Wait()
	got := s.Platform.Counts()
	if got.TokenRequests == 0 || got.TokenRequests > 3*len(users) {
		t.Errorf("%d attempts to renew %d tokens", got.TokenRequests, len(users))
	}
	if served.Load() < 200 {
		t.Errorf("only %d requests were served", served.Load())
	}
}
