// SPDX-License-Identifier: Apache-2.0

package unauthorized

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

func delegationOf(subject, path string) *delegation.Delegation {
	d := &delegation.Delegation{Method: "GET", Path: path}
	d.Subject = subject
	return d
}

func mayRenewOnce(s *RenewalLimiter, d *delegation.Delegation) bool {
	_, leave, ok := s.MayRenew(d)
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
		s, refused := New(), delegation.Refuse(delegation.UpstreamUnauthorized, nil)
		for _, subject := range []string{"a", "b", "c"} {
			if d := delegationOf(subject, "/x"); !mayRenewOnce(s, d) {
				t.Fatalf("%s is not tried", subject)
			} else {
				s.RecordFailure(d, circuit.Permit{}, refused)
			}
		}
		if mayRenewOnce(s, delegationOf("d", "/x")) {
			t.Error("a fourth person is tried at once")
		}
		if !mayRenewOnce(s, delegationOf("d", "/y")) {
			t.Error("another route suffers")
		}
		time.Sleep(2 * time.Second)
		pass, leave, ok := s.MayRenew(delegationOf("d", "/x"))
		if !ok {
			t.Fatal("nobody tries whether it is over")
		}
		if mayRenewOnce(s, delegationOf("e", "/x")) {
			t.Error("two people try at once")
		}
		s.RecordFailure(delegationOf("d", "/x"), pass, refused)
		leave()
		time.Sleep(1200 * time.Millisecond)
		if mayRenewOnce(s, delegationOf("e", "/x")) {
			t.Error("the second pause is no longer than the first")
		}
		s.RecordSuccess(delegationOf("f", "/x"))
		if !mayRenewOnce(s, delegationOf("e", "/x")) {
			t.Error("a route that answers is still in doubt")
		}
		if mayRenewOnce(s, delegationOf("b", "/x")) {
			t.Error("somebody else's answer ends a person's own doubt")
		}
	})
}

// TestUnauthorizedOfOne protects everybody from one person whose 401s no token
// cures.
func TestUnauthorizedOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, refused := New(), delegation.Refuse(delegation.UpstreamUnauthorized, nil)
		for range 10 {
			s.RecordFailure(delegationOf("a", "/x"), circuit.Permit{}, refused)
		}
		for _, subject := range []string{"b", "c", "d", "e"} {
			s.RecordBackgroundRenewal(delegationOf(subject, "/x"), delegation.Bearer{})
		}
		if !mayRenewOnce(s, delegationOf("f", "/x")) {
			t.Error("the route is taken for the platform's trouble")
		}
		if mayRenewOnce(s, delegationOf("a", "/x")) {
			t.Error("a 401 is forgotten")
		}
		if !mayRenewOnce(s, delegationOf("b", "/x")) {
			t.Error("nobody has seen whether a new token helps, and none is tried")
		}
		if !mayRenewOnce(s, delegationOf("a", "/y")) {
			t.Error("10 requests to one route counted more than once")
		}
		s.RecordFailure(delegationOf("a", "/y"), circuit.Permit{}, refused)
		s.RecordFailure(delegationOf("a", "/z"), circuit.Permit{}, refused)
		if mayRenewOnce(s, delegationOf("a", "/w")) {
			t.Error("a fourth route is tried")
		}
		time.Sleep(renewEvery)
		if !mayRenewOnce(s, delegationOf("a", "/w")) {
			t.Error("none is tried any more")
		}
		time.Sleep(entryLife)
		if !mayRenewOnce(s, delegationOf("a", "/x")) {
			t.Error("it never ends")
		}
	})
}

// TestUnauthorizedOfASource protects a person's data of one source from another, whose
// vendor refuses each new token as well.
func TestUnauthorizedOfASource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, refused := New(), delegation.Refuse(delegation.UpstreamUnauthorized, nil)
		at := func(source, path string) *delegation.Delegation {
			d := delegationOf("a", "/"+source+path)
			d.Source = source
			return d
		}
		for i := range 10 {
			if d := at("lab", "/"+strconv.Itoa(i)); mayRenewOnce(s, d) {
				s.RecordFailure(d, circuit.Permit{}, refused)
			}
		}
		if mayRenewOnce(s, at("lab", "/other")) {
			t.Error("nothing bounds the renewals at the source")
		}
		if !mayRenewOnce(s, at("oura", "/sleep")) {
			t.Error("another source suffers")
		}
	})
}

// TestUnauthorizedPerPerson protects everybody else from one person's doubts: shards
// of the memory are shared.
func TestUnauthorizedPerPerson(t *testing.T) {
	s, refused := New(), delegation.Refuse(delegation.UpstreamUnauthorized, nil)
	for _, path := range []string{"/x", "/y", "/z"} {
		s.RecordFailure(delegationOf("a", path), circuit.Permit{}, refused)
	}
	for n := range 500 {
		d := delegationOf(strconv.Itoa(n), "/x")
		if !mayRenewOnce(s, d) {
			t.Fatalf("the doubts of one person are those of %s too", d.Subject)
		}
	}
}

// TestBackgroundRenewal protects somebody whose upload met a 401 from being taken
// for one whom no new token helps, and the issuer from one whom none does.
func TestBackgroundRenewal(t *testing.T) {
	bearer := func(access string) delegation.Credential {
		return delegation.Bearer{Token: &delegation.Token{Access: delegation.NewSecret(access)}}
	}
	synctest.Test(t, func(t *testing.T) {
		s, d := New(), delegationOf("a", "/x")
		if s.WasRenewedInBackground(d, bearer("old")) {
			t.Error("nothing was renewed")
		}
		s.RecordBackgroundRenewal(d, bearer("old"))
		if s.WasRenewedInBackground(d, bearer("old")) {
			t.Error("a request that was under way with the old one counts")
		}
		if !s.WasRenewedInBackground(d, bearer("new")) || s.WasRenewedInBackground(delegationOf("a", "/y"), bearer("new")) || s.WasRenewedInBackground(delegationOf("b", "/x"), bearer("new")) {
			t.Error("the new one does not count, or elsewhere")
		}
		s.RecordSuccess(d)
		if s.WasRenewedInBackground(d, bearer("newer")) {
			t.Error("a success is forgotten")
		}
		for n := range 10 {
			d := delegationOf("b", strconv.Itoa(n))
			got := s.MayRenewInBackground(d)
			if got != (n < renewBurst) {
				t.Errorf("renewal %d in the background: %t", n, got)
			}
			if got {
				s.RecordBackgroundRenewal(d, bearer("old"))
			}
		}
	})
}
