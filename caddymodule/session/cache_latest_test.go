// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/fairqueue"
)

// named is who vouches for sessions that are named after their users, as
// alice-1: for those of nobody it does not.
type named struct{}

func (named) Verify(_ context.Context, credential Credential) (*Session, error) {
	who, _, _ := strings.Cut(credential.Text, "-")
	if who == "nobody" {
		return nil, refuseCredential("nobody")
	}
	return &Session{Realm: "r", Subject: who, IssuedBefore: time.Now(), remote: true}, nil
}

// TestOnePersonsSessionsPushOutTheirOwn protects everybody's remembered sessions
// from one person who signs in again and again, or writes a cookie in as many
// ways as the app decodes.
func TestOnePersonsSessionsPushOutTheirOwn(t *testing.T) {
	v := &counted{Verifier: named{}}
	c := NewCache(v, NewRevocations(), time.Hour)
	const people = 300
	asked := func(credential string) (n int) {
		before := v.calls
		if _, err := c.Verify(t.Context(), bearer(credential)); err != nil {
			t.Errorf("%s: %v", credential, err)
		}
		return v.calls - before
	}
	for n := range people {
		asked(fmt.Sprintf("person%d-1", n))
	}
	for n := range 2 * maxSessions {
		asked(fmt.Sprintf("mallory-%d", n))
	}
	again := 0
	for n := range people {
		again += asked(fmt.Sprintf("person%d-1", n))
	}
	if again > 0 {
		t.Errorf("%d of %d were pushed out", again, people)
	}
	theirs := 0
	for n := range maxPerPerson {
		theirs += asked(fmt.Sprintf("mallory-%d", 2*maxSessions-1-n))
	}
	if got := c.sessions.Len(); theirs > 0 || got != people+maxPerPerson {
		t.Errorf("%d sessions are remembered; %d of the person's latest are not", got, theirs)
	}
}

// TestStrangersPushNoAddressOut protects the addresses of good users from
// worthless credentials, and from one person's good ones, sent from as many
// networks as anybody has with IPv6.
func TestStrangersPushNoAddressOut(t *testing.T) {
	for _, who := range []string{"nobody", "mallory"} {
		a := NewRemoteVerifier(named{}, 0)
		a.ClientNetwork = clientFrom
		const good = 200
		for n := range good {
			if _, err := a.Verify(from(t, n), bearer(fmt.Sprintf("person%d-1", n))); err != nil {
				t.Fatal(err)
			}
		}
		for n := range 2 * maxNetworks {
			from := context.WithValue(t.Context(), clientKey{}, fmt.Sprintf("2001:db8:0:%x::1", n))
			_, _ = a.Verify(from, bearer(fmt.Sprintf("%s-%d", who, n)))
		}
		first := 0
		for n := range good {
			if a.networks.rank(a.ClientNetwork(from(t, n))) == fairqueue.RankFirst {
				first++
			}
		}
		if first < good {
			t.Errorf("%s: of %d good addresses %d still go first", who, good, first)
		}
	}
}
