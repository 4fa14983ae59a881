// SPDX-License-Identifier: Apache-2.0

package circuit

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

var down = delegation.Refuse(delegation.IssuerUnavailable, nil)

func known(name string) Owner    { return KnownPerson(delegation.Person{Realm: "r", Subject: name}) }
func newcomer(name string) Owner { return NewPerson(delegation.Person{Realm: "r", Subject: name}) }

// ask asks for an owner, with an outcome, unless the breaker refuses.
func ask(b *Breaker, o Owner, v Verdict) (asked bool) {
	p, refusal := b.Allow(o)
	if refusal != nil {
		return false
	}
	defer b.Release(p)
	b.Record(p, o, v)
	return true
}

func state(t *testing.T, b *Breaker, want State) {
	t.Helper()
	if s := b.Status(); s.State != want {
		t.Errorf("%+v, want %s", s, want)
	}
}

// TestVerdicts protects everybody from what is not about the service: no
// number of verdicts about credentials or people opens a breaker, keeps one
// open, or makes its pauses longer.
func TestVerdicts(t *testing.T) {
	for name, c := range map[string]struct {
		owner func(n int) Owner
		v     Verdict
		opens bool
	}{
		"a credential":              {func(n int) Owner { return known(fmt.Sprint(n)) }, CredentialFault(), false},
		"people":                    {func(n int) Owner { return known(fmt.Sprint(n)) }, PersonRefused(), false},
		"our own":                   {func(n int) Owner { return known(fmt.Sprint(n)) }, Neutral(), false},
		"one person's silence":      {func(int) Owner { return known("a") }, ServiceFailed(down), false},
		"two persons'":              {func(n int) Owner { return known(fmt.Sprint(n % 2)) }, ServiceFailed(down), false},
		"two and strangers'":        {func(n int) Owner { return []Owner{known("a"), Unverified}[n%2] }, ServiceFailed(down), false},
		"strangers'":                {func(int) Owner { return Unverified }, ServiceFailed(down), false},
		"two people and strangers'": {func(n int) Owner { return []Owner{known("a"), known("b"), Unverified}[n%3] }, ServiceFailed(down), false},
		"some newcomers'":           {func(n int) Owner { return newcomer(fmt.Sprint(n % (MinNewPeople - 1))) }, ServiceFailed(down), false},
		"everybody's":               {func(int) Owner { return Operator }, ServiceFailed(down), true},
		"three persons'":            {func(n int) Owner { return known(fmt.Sprint(n % 3)) }, ServiceFailed(down), true},
		"many newcomers'":           {func(n int) Owner { return newcomer(fmt.Sprint(n)) }, ServiceFailed(down), true},
		"two and a newcomer's":      {func(n int) Owner { return []Owner{known("a"), known("b"), newcomer("c")}[n%3] }, ServiceFailed(down), true},
		"nobody can connect":        {func(int) Owner { return Unverified }, Unreachable(down), true},
		"nobody can connect, 2":     {func(int) Owner { return known("a") }, Unreachable(down), true},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := NewBreaker()
			opened := false
			for n := range 100 {
				ask(b, c.owner(n), c.v)
				opened = opened || b.Status().State != Closed
			}
			if opened != c.opens {
				t.Errorf("%s: opened %t", name, opened)
			}
			if c.opens || c.v.ConcernsService() {
				return
			}
			// While it is open for good reason.
			b = NewBreaker()
			ask(b, Operator, ServiceFailed(down))
			time.Sleep(time.Second)
			ask(b, c.owner(0), c.v)
			if wait := time.Until(b.Status().Until); wait > 0 {
				t.Errorf("%s: open for %s more", name, wait)
			}
		})
	}
}

// TestBlip protects from one failed connection: it refuses nobody.
func TestBlip(t *testing.T) {
	b := NewBreaker()
	for range 10 {
		ask(b, known("a"), Unreachable(down))
		ask(b, known("b"), Unreachable(down))
		state(t, b, Closed)
		ask(b, known("c"), Healthy())
	}
}

// TestOthersAreAnswered protects everybody from any number of people for whom a
// service hangs while it answers the others.
func TestOthersAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker()
		for n := range 100 {
			p, r := b.Allow(known(fmt.Sprint("hangs", n)))
			if r != nil {
				t.Fatalf("refused after %d", n)
			}
			time.AfterFunc(5*time.Second, func() { b.Record(p, known(fmt.Sprint("hangs", n)), ServiceFailed(down)); b.Release(p) })
			if n%10 == 9 {
				ask(b, known("a"), Healthy())
			}
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(4800 * time.Millisecond)
		state(t, b, Closed)
		time.Sleep(time.Second) // nobody was answered any more
	})
}

// TestOwnTroubleIsNoNews protects everybody from people for whom a service
// hangs while it answers others: that they are the next three in a row, while
// nobody else happens to ask, says nothing of it.
func TestOwnTroubleIsNoNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker()
		for _, well := range []bool{true, false} {
			for _, name := range []string{"x", "y", "z"} {
				p, _ := b.Allow(known(name))
				if well {
					ask(b, known("a"), Healthy())
				}
				b.Record(p, known(name), ServiceFailed(down))
				b.Release(p)
			}
			state(t, b, Closed)
		}
		// Nor does anybody wait for them when it is open.
		b.Record(Permit{}, Operator, ServiceFailed(down))
		time.Sleep(2 * time.Second)
		if p, r := b.Allow(known("x")); r != nil || !p.IsProbe() {
			t.Errorf("%v", r)
		}
		if !ask(b, known("b"), Healthy()) {
			t.Error("another waits")
		}
		state(t, b, Closed)
	})
}

// TestStrangersProveNothing protects everybody from questions that anybody can
// have asked: they neither keep a breaker open nor have others wait for them.
func TestStrangersProveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker()
		ask(b, Operator, ServiceFailed(down))
		time.Sleep(time.Second)
		if !ask(b, Unverified, ServiceFailed(down)) || ask(b, Unverified, ServiceFailed(down)) {
			t.Error("strangers do not try in turn")
		}
		state(t, b, HalfOpen)
		time.Sleep(time.Second)
		if p, r := b.Allow(Unverified); r != nil || !p.IsProbe() {
			t.Errorf("%v", r)
		}
		if !ask(b, known("a"), Healthy()) {
			t.Error("who is known waits for a stranger")
		}
		state(t, b, Closed)
	})
}

// TestAFewDoNotHoldIt protects everybody from three people for whom a service
// always fails, slowly, and who are always there first when a pause is over:
// neither do others wait for them, nor are they kept from trying.
func TestAFewDoNotHoldIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker()
		served, refused := 0, 0
		for range 600 {
			for _, name := range []string{"x", "y", "z"} {
				if p, r := b.Allow(known(name)); r == nil {
					go func() {
						time.Sleep(5 * time.Second)
						b.Record(p, known(name), ServiceFailed(down))
						b.Release(p)
					}()
				}
			}
			for n := range 20 {
				if ask(b, known(fmt.Sprint(n)), Healthy()) {
					served++
				} else {
					refused++
				}
			}
			time.Sleep(time.Second)
		}
		if refused > 20 {
			t.Errorf("%d were served, %d refused", served, refused)
		}
		time.Sleep(time.Minute)
	})
}

// TestEverybodyFailedBefore protects from a breaker that opens for ever because
// it failed for all there are: they try it in turn, at their own pace.
func TestEverybodyFailedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker()
		names := []string{"a", "b", "c"}
		for _, name := range names {
			ask(b, known(name), ServiceFailed(down))
		}
		asked := 0
		for range 600 {
			for _, name := range names {
				if ask(b, known(name), ServiceFailed(down)) {
					asked++
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
		if asked < 3 || asked > 20 {
			t.Errorf("asked %d times in a minute", asked)
		}
		time.Sleep(maxDelay)
		if !ask(b, known("a"), Healthy()) {
			t.Error("nobody tries whether it is back")
		}
		state(t, b, Closed)
	})
}

// TestRetryAfter: what is asked of the operator's own account is kept, what of
// some people is theirs.
func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wish := delegation.Refuse(delegation.IssuerThrottled, nil)
		wish.RetryAfter = 40 * time.Second
		b := NewBreaker()
		for _, name := range []string{"a", "b", "c"} {
			ask(b, known(name), ServiceFailed(wish))
		}
		if wait := time.Until(b.Status().Until); wait > time.Second || wait <= 0 {
			t.Errorf("open for %s", wait)
		}
		b.Reset()
		ask(b, Operator, ServiceFailed(wish))
		if wait := time.Until(b.Status().Until); wait != 40*time.Second {
			t.Errorf("open for %s", wait)
		}
		state(t, b, Open)
	})
}

// TestOf protects from blaming an issuer for whom it refuses.
func TestOf(t *testing.T) {
	for code, want := range map[delegation.Code]concern{
		delegation.Overloaded: concernNone, delegation.SessionRequired: concernNone,
		delegation.DelegationRefused: concernPerson, delegation.ScopeRejected: concernPerson, delegation.ConsentRequired: concernPerson,
		delegation.IssuerUnavailable: concernService, delegation.IssuerThrottled: concernService, delegation.CredentialsRejected: concernService,
		delegation.GrantsUnavailable: concernService,
	} {
		if v := VerdictOf(delegation.Refuse(code, nil)); v.concern != want {
			t.Errorf("%s: %+v", code, v)
		}
	}
}
