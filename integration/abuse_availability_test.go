// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestT31_SickIssuer protects those who wait for a sick issuer. Measured with
// a mutex around the call, the twentieth client of an issuer that answers 503
// after half a second waited 10.8 s, for the twentieth call. Here all are
// answered by the first, be they one participant or twenty.
func TestT31_SickIssuer(t *testing.T) {
	const clients = 20
	for name, people := range map[string]int{"one participant": 1, "as many participants": clients} {
		t.Run(name, func(t *testing.T) {
			participants := simulator.SampleParticipants(people)
			s := start(t, stack.Caddyfile, participants...)
			s.Platform.Set(func(set *simulator.Settings) {
				set.Outages = map[string]simulator.Outage{"token": {Delay: 500, Status: http.StatusServiceUnavailable}}
			})
			users := make([]*user, clients)
			for i := range users {
				users[i] = signIn(t, s, participants[i%people].Identifier)
			}
			c := crowd{t: t}
			began := time.Now()
			for _, u := range users {
				c.get(u, participantPath, http.StatusServiceUnavailable, "issuer_unavailable", nil)
			}
			c.wait.Wait()
			// 0.5 s where nothing else runs; one call after the other took ten.
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the last was answered after %v", took)
			}
			if got := s.Platform.Counts(); got.TokenRequests != 1 || got.Delegated != 0 {
				t.Errorf("%+v; want one call for all", got)
			}
			// Who comes next is answered without a call, and at once.
			began = time.Now()
			users[0].get(participantPath).want(t, http.StatusServiceUnavailable, "issuer_unavailable")
			if got := s.Platform.Counts(); got.TokenRequests > 2 || got.TokenRequests == 2 && time.Since(began) < 500*time.Millisecond {
				t.Errorf("%+v after the first failure", got)
			}
		})
	}
}

// TestT31_SickIssuerAndAQueue protects the issuer, and those at the end of the
// queue for it: many known participants ask at once, more than may be at the
// issuer together, and it answers 503 after half a second. Who has not had
// their turn when the first fail is answered with them, and asks nobody.
func TestT31_SickIssuerAndAQueue(t *testing.T) {
	participants := simulator.SampleParticipants(100)
	s := start(t, scoped(), participants...)
	unlimited(s)
	users := make([]*user, len(participants))
	for i, p := range participants {
		users[i] = signIn(t, s, p.Identifier)
		users[i].get(projectPath).want(t, http.StatusOK, "") // known, but without the token
	}
	s.Platform.Reset()
	s.Platform.Set(func(set *simulator.Settings) {
		set.Outages = map[string]simulator.Outage{"token": {Delay: 500, Status: http.StatusServiceUnavailable}}
	})
	c := crowd{t: t}
	began := time.Now()
	for _, u := range users {
		c.get(u, participantPath, http.StatusServiceUnavailable, "issuer_unavailable", nil)
	}
	c.wait.Wait()
	// Sixteen are at the issuer at once, and the failure of three people tells
	// that it is nobody's own: the first two let one more pass each.
	const most = 16 + 2
	if got := s.Platform.Counts(); got.TokenRequests > most {
		t.Errorf("%d calls, want at most %d; the last was answered after %v", got.TokenRequests, most, time.Since(began))
	}
}

// TestT32_LeaderDisconnects protects those who wait: the client whose request
// began the mint goes away, and the others get their answer from that mint.
func TestT32_LeaderDisconnects(t *testing.T) {
	s := start(t, administered(scoped()))
	a, u := newAdmin(t, s), signIn(t, s, "alice")
	u.get(projectPath).want(t, http.StatusOK, "") // known, but without the token
	s.Platform.Reset()
	release := hold(t, s, "token")

	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := u.try(u.request(http.MethodGet, participantPath, nil).WithContext(ctx))
		left <- err
	}()
	arrived(t, s, 1)
	c := crowd{t: t}
	const others = 10
	for range others {
		c.get(u, participantPath, http.StatusOK, "", nil)
	}
	a.waiting(others + 1)
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the leader got an answer: %v", err)
	}
	a.waiting(others) // it waits no more on the server either
	release()
	c.wait.Wait()
	if got := s.Platform.Counts(); got.TokenRequests != 1 || got.ParticipantTokens != 1 {
		t.Errorf("%+v; want one mint", got)
	}
}

// TestT35_ParticipantsQuota protects what the API itself says to a participant
// who asks too much: it is passed on as it is, not tried again, and stops
// nobody else.
func TestT35_ParticipantsQuota(t *testing.T) {
	s := start(t, stack.Caddyfile)
	s.Platform.Set(func(set *simulator.Settings) { set.DelegatedQuota = 3 })
	u := signIn(t, s, "alice")
	for range 3 {
		u.get(participantPath).want(t, http.StatusOK, "")
	}
	s.Platform.Reset()
	for range 5 {
		got := u.get(participantPath)
		if got.StatusCode != http.StatusTooManyRequests || got.code() != "" || got.Header.Get("RateLimit-Remaining") != "0" || !strings.Contains(got.body, "limit") {
			t.Errorf("%d %v %s; want the platform's own 429", got.StatusCode, got.Header, got.body)
		}
	}
	if got := s.Platform.Counts(); got.Delegated != 5 || got.TokenRequests != 0 {
		t.Errorf("%+v; want five calls and nothing else", got)
	}
	signIn(t, s, "bob").get(participantPath).want(t, http.StatusOK, "")
}
