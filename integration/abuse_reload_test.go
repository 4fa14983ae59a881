// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/goleak"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestReloadLeaksNothing protects a server that is reloaded for months: each
// change of settings makes a new token engine, and the old one leaves neither
// goroutine nor memory, even with requests that wait in it.
func TestReloadLeaksNothing(t *testing.T) {
	participants := simulator.SampleParticipants(20)
	s := newStack(t, participants...)
	unlimited(s)
	caddyfile := unkept(stack.Caddyfile)
	visit := func(n int) {
		load(t, s, strings.Replace(caddyfile, "delegate {", fmt.Sprintf("delegate {\n\t\ttokens {\n\t\t\tmax_entries %d\n\t\t}", 1000+n), 1))
		u := signIn(t, s, participants[0].Identifier)
		for _, p := range participants {
			u.session = s.App.SignIn(p.Identifier, time.Time{})
			u.get(participantPath).want(t, http.StatusOK, "")
		}
		u.client.CloseIdleConnections()
	}
	visit(0)
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	known := goleak.IgnoreCurrent()
	visit(1)
	heap := heapInUse()
	const reloads = 30
	for n := range reloads {
		visit(2 + n)
	}
	if grown := heapInUse() - heap; grown > 12<<20 {
		t.Errorf("%d KiB are left of %d reloads", grown>>10, reloads)
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := goleak.Find(known); err != nil {
		t.Error(err)
	}
}

// TestSecretFileReread protects the rotation of the service account's key: the
// file is replaced and the platform takes the new key alone, nobody reloads.
// What is there goes on; from the next service token on the new key is used.
func TestSecretFileReread(t *testing.T) {
	s := start(t, administered(stack.Caddyfile))
	s.Platform.Set(func(set *simulator.Settings) { set.ServiceTokenLifetime = 2 })
	alice, bob := signIn(t, s, "alice"), signIn(t, s, "bob")
	alice.get(participantPath).want(t, http.StatusOK, "")
	if err := s.Rotate(); err != nil {
		t.Fatal(err)
	}
	ended := time.Now().Add(2 * time.Second)
	alice.get(participantPath).want(t, http.StatusOK, "")
	await(t, "the service token's end", func() bool { return time.Now().After(ended) })
	bob.get(participantPath).want(t, http.StatusOK, "")
	alice.get(participantPath).want(t, http.StatusOK, "")
	if got := s.Platform.Counts(); got.TokenRefusals != 0 || got.ServiceTokens < 2 {
		t.Errorf("%+v; want a second service token, and nothing refused", got)
	}
	// A file that is just being written leaves the key in use.
	if err := os.WriteFile(s.KeyFile, []byte("-----BEGIN"), 0o600); err != nil {
		t.Fatal(err)
	}
	newAdmin(t, s).purge("", `"mydatahelps"`)
	bob.get(participantPath).want(t, http.StatusOK, "")
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

// TestOverloaded protects memory and everybody else from too many who wait:
// one person's sixth request and everybody's twenty-first are refused at once,
// and told to come back.
func TestOverloaded(t *testing.T) {
	participants := simulator.SampleParticipants(6)
	s := start(t, administered(strings.Replace(scoped(), "delegate {", "delegate {\n\t\ttokens {\n\t\t\tmax_waiting 20 5\n\t\t}", 1)), participants...)
	a := newAdmin(t, s)
	users := make([]*user, len(participants))
	for i, p := range participants {
		users[i] = signIn(t, s, p.Identifier)
		users[i].get(projectPath).want(t, http.StatusOK, "") // known, but without the token
	}
	release := hold(t, s, "token")
	c := crowd{t: t}
	overloaded := func(u *user) {
		t.Helper()
		got := u.get(participantPath)
		got.want(t, http.StatusServiceUnavailable, "overloaded")
		if wait := got.Header.Get("Retry-After"); wait == "" {
			t.Error("no Retry-After")
		}
	}
	for n, u := range users[:4] {
		for range 5 {
			c.get(u, participantPath, http.StatusOK, "", nil)
		}
		a.waiting(5 * (n + 1))
		overloaded(u)
	}
	overloaded(users[4])
	// Who has a token does not wait, and is served.
	users[5].get(projectPath).want(t, http.StatusOK, "")
	release()
	c.wait.Wait()
	for _, u := range users {
		u.get(participantPath).want(t, http.StatusOK, "")
	}
}
