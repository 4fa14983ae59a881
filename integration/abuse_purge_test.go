// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestT57_PurgeDuringAMint protects a sign-out that meets a mint in flight:
// the token is neither kept nor used by those who wait for it. Whoever asks
// again is judged anew and gets a new one.
func TestT57_PurgeDuringAMint(t *testing.T) {
	const all = `"mydatahelps"`
	for name, c := range map[string]struct {
		body string
		hits bool
	}{
		"everything":          {``, true},
		"the provider":        {`{"provider":"mydatahelps"}`, true},
		"the user":            {`{"subject":"alice"}`, true},
		"the user of a realm": {`{"realm":"default","subject":"alice"}`, true},
		"the realm":           {`{"realm":"default"}`, true},
		"the participant":     {`{"participant":"` + stack.Alice.ID + `"}`, true},
		"another user":        {`{"subject":"bob"}`, false},
		"another realm":       {`{"realm":"elsewhere","subject":"alice"}`, false},
		"another participant": {`{"participant":"` + stack.Bob.ID + `"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, administered(scoped()))
			a, u := newAdmin(t, s), signIn(t, s, "alice")
			u.get(projectPath).want(t, http.StatusOK, "") // known, but without the token
			s.Platform.Reset()
			release := hold(t, s, "token")
			w := crowd{t: t}
			const waiters = 5
			for range waiters {
				if !c.hits {
					w.get(u, participantPath, http.StatusOK, "", nil)
					continue
				}
				w.get(u, participantPath, http.StatusServiceUnavailable, "issuer_unavailable", func(a answer) {
					if got := a.Header.Get("Retry-After"); got != "1" {
						t.Errorf("Retry-After %q", got)
					}
				})
			}
			arrived(t, s, 1)
			a.waiting(waiters)
			a.purge(c.body, all)
			release()
			w.wait.Wait()
			got := s.Platform.Counts()
			if got.ParticipantTokens != 1 || (got.Delegated == 0) != c.hits {
				t.Errorf("%+v; want the token that was minted to be used: %t", got, !c.hits)
			}
			u.get(participantPath).want(t, http.StatusOK, "")
			want := map[bool]int{true: 2, false: 1}[c.hits]
			if got := s.Platform.Counts(); got.ParticipantTokens != want {
				t.Errorf("%d tokens in all, want %d", got.ParticipantTokens, want)
			}
		})
	}
}

// TestT57_AskedAfterThePurge protects whoever signs in again while the mint of
// before the purge is still going on: they do not wait for that one, nor get
// its token.
func TestT57_AskedAfterThePurge(t *testing.T) {
	s := start(t, administered(scoped()))
	a, u := newAdmin(t, s), signIn(t, s, "alice")
	u.get(projectPath).want(t, http.StatusOK, "")
	s.Platform.Reset()
	release := hold(t, s, "token")
	w := crowd{t: t}
	w.get(u, participantPath, http.StatusServiceUnavailable, "issuer_unavailable", nil)
	arrived(t, s, 1)
	a.purge(`{"participant":"`+stack.Alice.ID+`"}`, `"mydatahelps"`)
	w.get(u, participantPath, http.StatusOK, "", nil)
	arrived(t, s, 2)
	release()
	w.wait.Wait()
	u.get(participantPath).want(t, http.StatusOK, "")
	if got := s.Platform.Counts(); got.ParticipantTokens != 2 || got.Delegated != 2 {
		t.Errorf("%+v; want two tokens, of which the second was used twice", got)
	}
	if used := bearers(s)["/api/v1/delegated/participant"]; len(slices.Compact(used)) != 1 {
		t.Error("two tokens were used")
	}
}

// TestT57_PurgeDuringARenewal protects a sign-out that meets the replacement
// of a revoked token: the request that waits for it is not sent again.
func TestT57_PurgeDuringARenewal(t *testing.T) {
	s := start(t, administered(stack.Caddyfile))
	a, u := newAdmin(t, s), signIn(t, s, "alice")
	u.get(participantPath).want(t, http.StatusOK, "")
	s.Platform.Revoke(stack.Alice.ID)
	s.Platform.Reset()
	release := hold(t, s, "token")
	w := crowd{t: t}
	w.get(u, participantPath, http.StatusServiceUnavailable, "issuer_unavailable", nil)
	arrived(t, s, 1)
	a.purge(`{"subject":"alice"}`, `"mydatahelps"`)
	release()
	w.wait.Wait()
	if got := s.Platform.Counts(); got.Delegated != 1 || got.Unauthorized != 1 {
		t.Errorf("%+v; want the one request that was refused", got)
	}
	u.get(participantPath).want(t, http.StatusOK, "")
	if got := s.Platform.Counts(); got.ParticipantTokens != 2 {
		t.Errorf("%d tokens; want the purged one and a new one", got.ParticipantTokens)
	}
}

// TestT57_PurgeDuringAReload protects a logout from a configuration that was
// just replaced: its requests are still being served, with an engine of its own.
func TestT57_PurgeDuringAReload(t *testing.T) {
	caddyfile := administered(scoped())
	s := start(t, caddyfile)
	a, u := newAdmin(t, s), signIn(t, s, "alice")
	u.get(projectPath).want(t, http.StatusOK, "") // known, but without the token
	s.Platform.Reset()
	release := hold(t, s, "token")
	got := make(chan answer, 1)
	go func() {
		a, err := u.try(u.request(http.MethodGet, participantPath, nil))
		if err != nil {
			t.Error(err)
		}
		got <- a
	}()
	arrived(t, s, 1)
	load(t, s, strings.Replace(caddyfile, "delegate {", "delegate {\n\t\ttokens {\n\t\t\tconcurrency 8\n\t\t}\n", 1))
	a.purge(`{"realm":"default","subject":"alice"}`, `"mydatahelps"`)
	release()
	if a := <-got; a.Response == nil || a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the request of before: %+v", a.Response)
	}
	if c := s.Platform.Counts(); c.Delegated != 0 {
		t.Errorf("%+v; want the token not to be used", c)
	}
}
