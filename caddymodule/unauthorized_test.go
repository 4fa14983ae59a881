// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/blame"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

func doubtful(subject, path string) *delegation.Delegation {
	d := &delegation.Delegation{Method: "GET", Path: path}
	d.Subject = subject
	return d
}

func renewable(s *unauthorizedHistory, d *delegation.Delegation) bool {
	_, leave, ok := s.mayRenew(d)
	if ok {
		leave()
	}
	return ok
}

// TestUnauthorizedOfARoute protects the issuer from an API that refuses everybody's
// tokens, new ones too: after three people the rest have none minted in vain,
// and one request at a time finds out when it is over. Other routes go on.
func TestUnauthorizedOfARoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, refused := newUnauthorizedHistory(), delegation.Refuse(delegation.UpstreamUnauthorized, nil)
		for _, subject := range []string{"a", "b", "c"} {
			if d := doubtful(subject, "/x"); !renewable(s, d) {
				t.Fatalf("%s is not tried", subject)
			} else {
				s.recordFailure(d, blame.Pass{}, refused)
			}
		}
		if renewable(s, doubtful("d", "/x")) {
			t.Error("a fourth person is tried at once")
		}
		if !renewable(s, doubtful("d", "/y")) {
			t.Error("another route suffers")
		}
		time.Sleep(2 * time.Second)
		pass, leave, ok := s.mayRenew(doubtful("d", "/x"))
		if !ok {
			t.Fatal("nobody tries whether it is over")
		}
		if renewable(s, doubtful("e", "/x")) {
			t.Error("two people try at once")
		}
		s.recordFailure(doubtful("d", "/x"), pass, refused)
		leave()
		time.Sleep(1200 * time.Millisecond)
		if renewable(s, doubtful("e", "/x")) {
			t.Error("the second pause is no longer than the first")
		}
		s.recordSuccess(doubtful("f", "/x"))
		if !renewable(s, doubtful("e", "/x")) {
			t.Error("a route that answers is still in doubt")
		}
		if renewable(s, doubtful("b", "/x")) {
			t.Error("somebody else's answer ends a person's own doubt")
		}
	})
}

// TestUnauthorizedOfOne protects everybody from one person whose 401s no token
// cures.
func TestUnauthorizedOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, refused := newUnauthorizedHistory(), delegation.Refuse(delegation.UpstreamUnauthorized, nil)
		for range 10 {
			s.recordFailure(doubtful("a", "/x"), blame.Pass{}, refused)
		}
		for _, subject := range []string{"b", "c", "d", "e"} {
			s.recordUnseen(doubtful(subject, "/x"), delegation.Bearer{})
		}
		if !renewable(s, doubtful("f", "/x")) {
			t.Error("the route is taken for the platform's trouble")
		}
		if renewable(s, doubtful("a", "/x")) {
			t.Error("a 401 is forgotten")
		}
		if !renewable(s, doubtful("b", "/x")) {
			t.Error("nobody has seen whether a new token helps, and none is tried")
		}
		if !renewable(s, doubtful("a", "/y")) {
			t.Error("10 requests to one route counted more than once")
		}
		s.recordFailure(doubtful("a", "/y"), blame.Pass{}, refused)
		s.recordFailure(doubtful("a", "/z"), blame.Pass{}, refused)
		if renewable(s, doubtful("a", "/w")) {
			t.Error("a fourth route is tried")
		}
		time.Sleep(renewEvery)
		if !renewable(s, doubtful("a", "/w")) {
			t.Error("none is tried any more")
		}
		time.Sleep(unauthorizedLife)
		if !renewable(s, doubtful("a", "/x")) {
			t.Error("it never ends")
		}
	})
}

// TestUnauthorizedAreTheirs protects everybody else from one person's doubts: shards
// of the memory are shared.
func TestUnauthorizedAreTheirs(t *testing.T) {
	s, refused := newUnauthorizedHistory(), delegation.Refuse(delegation.UpstreamUnauthorized, nil)
	for _, path := range []string{"/x", "/y", "/z"} {
		s.recordFailure(doubtful("a", path), blame.Pass{}, refused)
	}
	for n := range 500 {
		d := doubtful(strconv.Itoa(n), "/x")
		if !renewable(s, d) {
			t.Fatalf("the doubts of one person are those of %s too", d.Subject)
		}
	}
}

// TestRenewedUnseen protects somebody whose upload met a 401 from being taken
// for one whom no new token helps, and the issuer from one whom none does.
func TestRenewedUnseen(t *testing.T) {
	bearer := func(access string) delegation.Credential {
		return delegation.Bearer{Token: &delegation.Token{Access: delegation.NewSecret(access)}}
	}
	synctest.Test(t, func(t *testing.T) {
		s, d := newUnauthorizedHistory(), doubtful("a", "/x")
		if s.wasRenewed(d, bearer("old")) {
			t.Error("nothing was renewed")
		}
		s.recordUnseen(d, bearer("old"))
		if s.wasRenewed(d, bearer("old")) {
			t.Error("a request that was under way with the old one counts")
		}
		if !s.wasRenewed(d, bearer("new")) || s.wasRenewed(doubtful("a", "/y"), bearer("new")) || s.wasRenewed(doubtful("b", "/x"), bearer("new")) {
			t.Error("the new one does not count, or elsewhere")
		}
		s.recordSuccess(d)
		if s.wasRenewed(d, bearer("newer")) {
			t.Error("a success is forgotten")
		}
		for n := range 10 {
			d := doubtful("b", strconv.Itoa(n))
			got := s.mayRenewUnseen(d)
			if got != (n < renewBurst) {
				t.Errorf("renewal %d in the background: %t", n, got)
			}
			if got {
				s.recordUnseen(d, bearer("old"))
			}
		}
	})
}
