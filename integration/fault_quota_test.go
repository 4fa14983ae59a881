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

// TestA5_StrangersInALargeProject protects participants whom nobody has looked
// up yet from 201 users who are none, in a project whose list has 799 pages:
// it is not read, because it takes more than there is.
func TestA5_StrangersInALargeProject(t *testing.T) {
	participants := simulator.SampleParticipants(79_900)
	s := newStack(t, participants...)
	s.App.Handle("/says", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Remote-User", r.Header.Get("X-User"))
	}))
	load(t, s, strings.Replace(stack.Caddyfile, "uri /auth", "uri /says", 1))
	u := signIn(t, s, "")
	as := func(name string) answer {
		req := u.request(http.MethodGet, participantPath, nil)
		req.Header.Set("X-User", name)
		return u.do(req)
	}
	for n := range 201 {
		as(fmt.Sprint("stranger-", n)).want(t, http.StatusForbidden, "participant_unknown")
	}
	for n := range 50 {
		p := participants[n*1000]
		got := as(p.Identifier)
		got.want(t, http.StatusOK, "")
		if got.owner() != p.ID {
			t.Errorf("%s sees %q", p.Identifier, got.owner())
		}
	}
	if n := s.Platform.Counts().Admin; n > 201+50+2 {
		t.Errorf("%d requests of the hourly 1000", n)
	}
	// They may come again and again.
	for n := range 600 {
		if got := as(fmt.Sprint("stranger-", n%300)); got.StatusCode == http.StatusOK {
			t.Fatal(got)
		}
	}
	for n := range 50 {
		as(participants[n*1000+500].Identifier).want(t, http.StatusOK, "")
	}
}
