// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

func doubtful(subject, path string) *delegation.Delegation {
	d := &delegation.Delegation{Method: "GET", Path: path}
	d.Subject = subject
	return d
}

func renewable(s *doubts, d *delegation.Delegation) bool {
	_, leave, ok := s.enter(d)
	if ok {
		leave()
	}
	return ok
}

// TestDoubtsOfARoute protects the issuer from an API that refuses everybody's
// tokens, new ones too: after three people the rest have none minted in vain,
// and one request at a time finds out when it is over. Other routes go on.
func TestDoubtsOfARoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, refused := newDoubts(), delegation.Refuse(delegation.UpstreamUnauthorized, nil)
		for _, subject := range []string{"a", "b", "c"} {
			if d := doubtful(subject, "/x"); !renewable(s, d) {
				t.Fatalf("%s is not tried", subject)
			} else {
				s.note(d, 0, refused)
			}
		}
		if renewable(s, doubtful("d", "/x")) {
			t.Error("a fourth person is tried at once")
		}
		if !renewable(s, doubtful("d", "/y")) {
			t.Error("another route suffers")
		}
		time.Sleep(2 * time.Second)
		pass, leave, ok := s.enter(doubtful("d", "/x"))
		if !ok {
			t.Fatal("nobody tries whether it is over")
		}
		if renewable(s, doubtful("e", "/x")) {
			t.Error("two people try at once")
		}
		s.note(doubtful("d", "/x"), pass, refused)
		leave()
		time.Sleep(1200 * time.Millisecond)
		if renewable(s, doubtful("e", "/x")) {
			t.Error("the second pause is no longer than the first")
		}
		s.clear(doubtful("f", "/x"))
		if !renewable(s, doubtful("e", "/x")) {
			t.Error("a route that answers is still in doubt")
		}
		if renewable(s, doubtful("b", "/x")) {
			t.Error("somebody else's answer ends a person's own doubt")
		}
	})
}

// TestDoubtsOfOne protects everybody from one person whose 401s no token
// cures, and from uploads of which nobody can see what a new token does.
func TestDoubtsOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, refused := newDoubts(), delegation.Refuse(delegation.UpstreamUnauthorized, nil)
		for range 10 {
			s.note(doubtful("a", "/x"), 0, refused)
		}
		for _, subject := range []string{"b", "c", "d", "e"} {
			s.note(doubtful(subject, "/x"), 0, nil)
		}
		if !renewable(s, doubtful("f", "/x")) {
			t.Error("the route is taken for the platform's trouble")
		}
		if renewable(s, doubtful("a", "/x")) || renewable(s, doubtful("b", "/x")) {
			t.Error("a doubt is forgotten")
		}
		if !renewable(s, doubtful("a", "/y")) {
			t.Error("10 requests to one route counted more than once")
		}
		s.note(doubtful("a", "/y"), 0, refused)
		s.note(doubtful("a", "/z"), 0, refused)
		if renewable(s, doubtful("a", "/w")) {
			t.Error("a fourth route is tried")
		}
		time.Sleep(doubtEvery)
		if !renewable(s, doubtful("a", "/w")) {
			t.Error("none is tried any more")
		}
		time.Sleep(doubtLife)
		if !renewable(s, doubtful("a", "/x")) {
			t.Error("a doubt never ends")
		}
	})
}

// TestDoubtsAreTheirs protects everybody else from one person's doubts: shards
// of the memory are shared.
func TestDoubtsAreTheirs(t *testing.T) {
	s, refused := newDoubts(), delegation.Refuse(delegation.UpstreamUnauthorized, nil)
	for _, path := range []string{"/x", "/y", "/z"} {
		s.note(doubtful("a", path), 0, refused)
	}
	for n := range 500 {
		d := doubtful(strconv.Itoa(n), "/x")
		if !renewable(s, d) {
			t.Fatalf("the doubts of one person are those of %s too", d.Subject)
		}
	}
}
