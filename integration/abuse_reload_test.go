// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/goleak"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestT07_ChangedSettings protects against tokens that outlive what they were
// minted with: after a reload with another client, key, scopes or platform the
// old ones are out of reach, while those of another provider stay.
func TestT07_ChangedSettings(t *testing.T) {
	for name, c := range map[string]struct {
		old, changed string
		prepare      func(s *stack.Stack) error
	}{
		"nothing":  {},
		"client":   {old: "participant_identifier", changed: "participant_identifier\n\t\t\tclient_id RKStudio.DelegatedParticipant"},
		"scopes":   {old: "scopes          api ", changed: "scopes          "},
		"lookup":   {old: "participant_identifier", changed: "participant_field user"},
		"key":      {prepare: (*stack.Stack).Rotate},
		"two keys": {old: "participant_identifier", changed: "participant_identifier\n\t\t\tprivate_key {file.[[.Dir]]/old.pem}", prepare: rotateSlowly},
		"base_url": {old: "[[.PlatformURL]]", changed: "[[.Elsewhere]]"},
	} {
		t.Run(name, func(t *testing.T) {
			alice := stack.Alice
			alice.CustomFields = map[string]string{"user": "alice"}
			s, other := newStack(t, alice, stack.Bob), newStack(t)
			caddyfile := twoPlatforms(other)
			load(t, s, caddyfile)
			u := signIn(t, s, "alice")
			bearerUsed := func() string {
				t.Helper()
				u.get(participantPath).want(t, http.StatusOK, "")
				u.get(otherPath).want(t, http.StatusOK, "")
				used := bearers(s)["/api/v1/delegated/participant"]
				return used[len(used)-1]
			}
			before := bearerUsed()
			if bearerUsed() != before {
				t.Fatal("the token is not kept")
			}
			if c.prepare != nil {
				if err := c.prepare(s); err != nil {
					t.Fatal(err)
				}
			}
			changed := strings.Replace(caddyfile, c.old, c.changed, 1)
			load(t, s, strings.ReplaceAll(changed, "[[.Elsewhere]]", elsewhere(t, s)))
			if same := bearerUsed() == before; same != (name == "nothing") {
				t.Errorf("the token of before is used: %t", same)
			}
			if got := other.Platform.Counts(); got.TokenRequests != 2 || got.Lookups != 1 {
				t.Errorf("the other provider: %+v; want it to stay warm", got)
			}
		})
	}
}

// elsewhere is a second address of the stack's platform.
func elsewhere(t *testing.T, s *stack.Stack) string {
	t.Helper()
	server := httptest.NewServer(s.Platform)
	t.Cleanup(server.Close)
	return server.URL
}

// rotateSlowly replaces the stack's key and leaves a copy of the old one beside it.
func rotateSlowly(s *stack.Stack) error {
	key, err := os.ReadFile(s.KeyFile)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "old.pem"), key, 0o600); err != nil {
		return err
	}
	return s.Rotate()
}

// TestReloadLeaksNothing protects a server that is reloaded for months: each
// change of settings makes a new token engine, and the old one leaves neither
// goroutine nor memory.
func TestReloadLeaksNothing(t *testing.T) {
	participants := simulator.SampleParticipants(20)
	s := newStack(t, participants...)
	unlimited(s)
	caddyfile := unkept(stack.Caddyfile)
	serve := func(n int) {
		load(t, s, strings.Replace(caddyfile, "delegate {", fmt.Sprintf("delegate {\n\t\ttokens {\n\t\t\tmax_entries %d\n\t\t}", 1000+n), 1))
		u := signIn(t, s, participants[0].Identifier)
		for _, p := range participants {
			u.session = s.App.SignIn(p.Identifier, time.Time{})
			u.get(participantPath).want(t, http.StatusOK, "")
		}
		u.client.CloseIdleConnections()
	}
	serve(0)
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	known := goleak.IgnoreCurrent()
	serve(1)
	heap := heapInUse()
	const reloads = 30
	for n := range reloads {
		serve(2 + n)
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

// TestOverloaded protects memory and everybody else from too many who wait:
// one person's five hundred and first request is refused at once, and told to
// come back. Others wait as before. (That everybody's ten thousand and first is
// refused, TestWaitingIsBounded of the token engine tests with smaller numbers.)
func TestOverloaded(t *testing.T) {
	const perPerson = 500
	participants := simulator.SampleParticipants(3)
	s := start(t, administered(strings.Replace(scoped(), "delegate {", "delegate {\n\t\ttokens {\n\t\t\ttimeout 1m\n\t\t}", 1)), participants...)
	unlimited(s)
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
	for range perPerson {
		c.get(users[0], participantPath, http.StatusOK, "", nil)
	}
	a.waiting(perPerson)
	overloaded(users[0])
	c.get(users[1], participantPath, http.StatusOK, "", nil)
	a.waiting(perPerson + 1)
	// Who has a token does not wait, and is served.
	users[2].get(projectPath).want(t, http.StatusOK, "")
	release()
	c.wait.Wait()
	for _, u := range users {
		u.get(participantPath).want(t, http.StatusOK, "")
	}
}
