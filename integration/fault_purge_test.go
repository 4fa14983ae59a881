// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestR5_PurgeOfWhatWaits protects who signs out while the renewal of their
// token waits behind a slow issuer, for however long: it is not minted.
func TestR5_PurgeOfWhatWaits(t *testing.T) {
	people := simulator.SampleParticipants(6)
	options := "delegate {\n\t\ttokens {\n\t\t\ttimeout 1s\n\t\t\tconcurrency 1\n\t\t}\n"
	s := start(t, administered(strings.Replace(stack.Caddyfile, "delegate {", options, 1)), people...)
	unlimited(s)
	const life = 30 * time.Second
	s.Platform.Set(func(set *simulator.Settings) { set.ParticipantTokenLifetime = int(life / time.Second) })
	var slow atomic.Bool
	s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
		if slow.Load() && strings.Contains(r.URL.Path, "token") {
			time.Sleep(800 * time.Millisecond)
		}
		platform.ServeHTTP(w, r)
	})
	a := newAdmin(t, s)
	var users []*user
	for _, p := range people {
		u := signIn(t, s, p.Identifier)
		users = append(users, u)
		u.get(participantPath).want(t, http.StatusOK, "")
	}
	last := len(users) - 1
	time.Sleep(life * 65 / 100) // all are due, and their next use has them renewed
	before := s.Platform.Counts().ParticipantTokens
	slow.Store(true)
	for i, u := range users {
		if i == last {
			time.Sleep(50 * time.Millisecond) // behind all others
		}
		u.get(participantPath).want(t, http.StatusOK, "")
	}
	a.send(http.MethodPost, "/delegate/purge", `{"realm":"default","subject":"`+people[last].Identifier+`"}`)
	time.Sleep(2500 * time.Millisecond)
	a.send(http.MethodPost, "/delegate/purge", `{"realm":"default","subject":"somebody else"}`)
	await(t, "the others' renewals", func() bool { return s.Platform.Counts().ParticipantTokens >= before+last })
	time.Sleep(1500 * time.Millisecond) // its own turn
	if got := s.Platform.Counts().ParticipantTokens - before; got != last {
		t.Errorf("%d tokens were minted, want those of the %d others", got, last)
	}
}
