// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestExpiry protects requests from a token that expires on its way, and
// short-lived tokens from never being used at all.
func TestExpiry(t *testing.T) {
	for life, serves := range map[time.Duration]time.Duration{
		time.Hour:        time.Hour - 30*time.Second,
		30 * time.Second: 27 * time.Second,
		time.Second:      900 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			_, i := start(t, Options{}, life)
			i.get(t, alice)
			i.failing(delegation.IssuerUnavailable, 0)
			time.Sleep(serves - time.Millisecond)
			i.want(t, alice, true, "")
			time.Sleep(2 * time.Millisecond)
			i.want(t, alice, false, delegation.IssuerUnavailable)
		})
	}
}

// TestActiveUsersNeverWait protects the promise itself: whoever uses the app
// at least once in every quarter of a token's life waits once.
func TestActiveUsersNeverWait(t *testing.T) {
	for life, every := range map[time.Duration]time.Duration{
		6 * time.Hour:    2 * time.Hour,
		time.Hour:        50 * time.Minute / 3,
		5 * time.Minute:  75 * time.Second,
		30 * time.Second: 7 * time.Second,
		2 * time.Second:  500 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			_, i := start(t, Options{}, life)
			i.want(t, alice, false, "")
			for range 100 {
				time.Sleep(every)
				i.want(t, alice, true, "")
			}
			synctest.Wait()
			lives := int(100 * every / life)
			if n := i.count(); n < lives || n > 2*lives+2 {
				t.Errorf("%d mints in %d lives of %s", n, lives, life)
			}
			if i.why[MintFirst] != 1 || i.why[MintAhead] != i.count()-1 {
				t.Errorf("why: %v", i.why)
			}
		})
	}
}

// TestEveryMinuteNeverWaits protects the promise for everyday use: with tokens
// of five minutes or more, somebody who calls at least once a minute, however
// irregularly, waits once. Renewed at 75 % of the life, one in 380 calls waited.
func TestEveryMinuteNeverWaits(t *testing.T) {
	for _, life := range []time.Duration{5 * time.Minute, 10 * time.Minute, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			_, i := start(t, Options{}, life)
			done := make(chan struct{})
			for n := range 20 {
				go func() {
					defer func() { done <- struct{}{} }()
					i.want(t, person(fmt.Sprint(n)), false, "")
					for begun := time.Now(); time.Since(begun) < 24*time.Hour; {
						time.Sleep(30*time.Second + rand.N(30*time.Second))
						i.want(t, person(fmt.Sprint(n)), true, "")
					}
				}()
			}
			for range 20 {
				<-done
			}
		})
	}
}

// TestIdleTokensLapse protects the issuer from renewing for people who have
// gone home, and memory from their tokens: only a use renews a token.
func TestIdleTokensLapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, i := start(t, Options{}, time.Hour)
		i.get(t, alice)
		time.Sleep(10 * time.Minute)
		i.want(t, alice, true, "")
		i.get(t, person("once"))
		time.Sleep(24 * time.Hour)
		if i.count() != 2 {
			t.Errorf("%d mints, want 2 and no renewal", i.count())
		}
		synctest.Wait()
		if n := e.entries.Len(); n != 0 {
			t.Errorf("%d expired tokens are kept", n)
		}
		i.want(t, alice, false, "")
		if n := e.entries.Len(); n != 1 {
			t.Errorf("%d tokens are kept", n)
		}
	})
}

// TestT36_ShortLife protects the issuer of tokens that live shorter than the
// margin: one that renewed at a fixed 5 minutes before the end fetched for
// every request.
func TestT36_ShortLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, i := start(t, Options{}, 30*time.Second)
		for range 600 { // ten requests a second, for a minute
			_, _, code := i.get(t, alice)
			if code != "" {
				t.Fatal(code)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if i.count() > 4 {
			t.Errorf("%d mints in two lives", i.count())
		}
	})
}

// TestT37_NoHerd protects the issuer from ten thousand tokens that were minted
// in the same second: their renewals spread over a tenth of their life, and
// never are more at once than the background may be.
func TestT37_NoHerd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const people = 10_000
		_, i := start(t, Options{Concurrency: 8}, time.Hour)
		for n := range people {
			i.get(t, person(fmt.Sprint(n)))
		}
		time.Sleep(time.Second)
		for n := range people {
			i.want(t, person(fmt.Sprint(n)), true, "")
		}
		i.mu.Lock()
		i.peak = 0
		i.mu.Unlock()
		busiest, before := 0, i.count()
		for second := range 3600 - 60 {
			time.Sleep(time.Second)
			for n := second % 60; n < people; n += 60 { // each once a minute
				i.want(t, person(fmt.Sprint(n)), true, "")
			}
			synctest.Wait()
			busiest = max(busiest, i.count()-before)
			before = i.count()
		}
		if total := i.count(); total != 2*people {
			t.Errorf("%d mints, want one renewal each", total-people)
		}
		if busiest > people/100 || i.peak > 4 {
			t.Errorf("%d renewals in one second, %d at once", busiest, i.peak)
		}
	})
}

// TestOutageIsSilent protects users from an outage that they need not notice:
// as long as their tokens last nothing fails, and renewals are tried again
// without hammering. Then the cause is told.
func TestOutageIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, i := start(t, Options{}, time.Hour)
		i.get(t, alice)
		time.Sleep(time.Minute)
		i.failing(delegation.IssuerThrottled, 7*time.Second)
		for range 58 {
			i.want(t, alice, true, "")
			time.Sleep(time.Minute)
		}
		if n := i.count(); n < 3 || n > 20 {
			t.Errorf("%d attempts in the last quarter", n-1)
		}
		time.Sleep(time.Minute)
		i.want(t, alice, false, delegation.IssuerThrottled)

		// It is well again, and so is she.
		i.failing("", 0)
		time.Sleep(time.Minute)
		i.want(t, alice, false, "")
	})
}

// TestRenewalAfterOutage protects the promise after a short outage: the
// renewal is made up for while the old token still serves.
func TestRenewalAfterOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, i := start(t, Options{}, time.Hour)
		i.get(t, alice)
		time.Sleep(time.Minute)
		i.want(t, alice, true, "")
		i.failing(delegation.IssuerUnavailable, 0)
		use := func(minutes int) {
			for range minutes {
				time.Sleep(time.Minute)
				i.want(t, alice, true, "")
			}
		}
		use(46)
		i.failing("", 0)
		use(13)
		if i.why[MintAhead] < 2 {
			t.Errorf("why: %v", i.why)
		}
	})
}

// TestRenewalEndsWithTheEngine protects against renewals for a configuration
// that is gone.
func TestRenewalEndsWithTheEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, i := start(t, Options{}, time.Hour)
		other := &issuer{life: time.Hour, found: map[RequestResult]int{}, why: map[MintReason]int{}}
		i.get(t, alice)
		other.view = e.Attach(other)
		time.Sleep(time.Minute)
		other.want(t, alice, true, "")
		i.view.Detach()
		time.Sleep(50 * time.Minute)
		other.want(t, alice, true, "")
		synctest.Wait()
		if i.count() != 1 || other.count() != 1 {
			t.Errorf("%d and %d mints; want the renewal to be the later configuration's", i.count(), other.count())
		}
		other.want(t, alice, true, "")
		other.view.Detach()
		time.Sleep(50 * time.Minute)
		other.want(t, alice, true, "") // a request that outlives its configuration
		synctest.Wait()
		if other.count() != 1 {
			t.Error("a token was renewed that no configuration uses")
		}
	})
}

// TestT57_RenewalAfterAPurge protects a logout from a renewal that was waiting
// for its slot: nobody has a token minted for them after it.
func TestT57_RenewalAfterAPurge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, i := start(t, Options{Concurrency: 2}, time.Hour) // one slot for renewals
		people := []delegation.Identity{alice, person("bob")}
		for _, id := range people {
			i.get(t, id)
		}
		time.Sleep(time.Minute)
		hold := i.holdRenewals(t, people)
		waiting := people[0]
		if i.mints[2] == waiting.Subject {
			waiting = people[1]
		}
		e.PurgeLocal(delegation.Selection{Realm: "r", Subject: waiting.Subject})
		close(hold)
		synctest.Wait()
		if i.count() != 3 || e.lookup(e.keys.identityKey(&waiting), &waiting, time.Now()) != nil {
			t.Errorf("%d mints; want none for somebody who was purged", i.count())
		}
	})
}
