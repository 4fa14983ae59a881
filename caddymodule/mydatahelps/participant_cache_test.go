// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Misses are forgotten after 30 s, so that a new participant need not wait;
// until then they cost nothing.
func TestMissesAreCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByIdentifier, 1)
		for range 5 {
			wantParticipant(t, p, "planted-1", "", delegation.ParticipantUnknown)
		}
		pf.change(func() { pf.people = people(2) })
		time.Sleep(29 * time.Second)
		wantParticipant(t, p, "planted-1", "", delegation.ParticipantUnknown)
		if gets, _, _, _ := pf.counts(); gets != 1 {
			t.Errorf("%d lookups", gets)
		}
		time.Sleep(2 * time.Second)
		wantParticipant(t, p, "planted-1", guid(1), "")
	})
}

// A failure is nobody's answer: it is remembered for a second, so that one who
// keeps asking does not add to it, and no longer.
func TestFailuresAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByIdentifier, 1)
		pf.admin = func(*http.Request) *http.Response { return reply(503, "") }
		for range 20 {
			wantParticipant(t, p, "planted-0", "", delegation.IssuerUnavailable)
		}
		if gets, _, _, _ := pf.counts(); gets != 1 {
			t.Errorf("%d lookups", gets)
		}
		pf.change(func() { pf.admin = nil })
		time.Sleep(time.Second + time.Millisecond)
		wantParticipant(t, p, "planted-0", guid(0), "")
	})
}

// T57 for lookups: what was found before a purge, and noted after it, would
// keep somebody the participant they were.
func TestPurgeDuringALookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newParticipantCache(newLocalBindings())
		defer d.Close()
		who := delegation.Person{Realm: "app", Subject: "planted"}
		id := guid(0)
		find := func(context.Context, bool) (string, error) {
			found := id
			time.Sleep(time.Second)
			return found, nil
		}
		go func() { _, _ = d.resolve(t.Context(), who, "planted", find) }()
		synctest.Wait()
		id = guid(7)
		d.forget(delegation.Selection{Realm: "app", Subject: "planted"})
		time.Sleep(time.Minute)
		if got, err := d.resolve(t.Context(), who, "planted", find); got != id || err != nil {
			t.Errorf("%s, %v", got, err)
		}
	})
}

// A person who keeps using the app costs no lookup for an hour, then one in
// the background, and never waits for it.
func TestHitsAreCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByIdentifier, 1)
		wantParticipant(t, p, "planted-0", guid(0), "")
		pf.change(func() { pf.delay = 3 * time.Second })
		for hour := 1; hour <= 30; hour++ {
			time.Sleep(61 * time.Minute)
			begin := time.Now()
			wantParticipant(t, p, "planted-0", guid(0), "")
			if waited := time.Since(begin); waited != 0 {
				t.Errorf("waited %v in hour %d", waited, hour)
			}
			time.Sleep(5 * time.Second)
			if gets, _, _, _ := pf.counts(); gets != 1+hour {
				t.Fatalf("%d lookups after %d hours", gets, hour)
			}
			wantParticipant(t, p, "planted-0", guid(0), "")
		}
	})
}

// While the quota is low nothing is looked up that could as well wait; a day
// is the longest a lookup is trusted unseen.
func TestHitsWithoutQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByIdentifier, 1)
		wantParticipant(t, p, "planted-0", guid(0), "")
		begin := time.Now()
		for time.Since(begin) < 23*time.Hour {
			time.Sleep(30 * time.Minute)
			p.cache.quota.observe(http.Header{"Ratelimit-Limit": {"1000"}, "Ratelimit-Remaining": {"400"}, "Ratelimit-Reset": {"1900"}})
			wantParticipant(t, p, "planted-0", guid(0), "")
		}
		synctest.Wait()
		if gets, _, _, _ := pf.counts(); gets != 1 {
			t.Errorf("%d lookups", gets)
		}
		time.Sleep(time.Hour + time.Second)
		wantParticipant(t, p, "planted-0", guid(0), "")
		if gets, _, _, _ := pf.counts(); gets != 2 {
			t.Errorf("%d lookups after a day", gets)
		}
	})
}

// A check in the background that fails changes nothing, and is not repeated
// with every request.
func TestCheckFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByIdentifier, 1)
		wantParticipant(t, p, "planted-0", guid(0), "")
		time.Sleep(2 * time.Hour)
		pf.change(func() { pf.admin = func(*http.Request) *http.Response { return reply(500, "") } })
		for range 59 {
			wantParticipant(t, p, "planted-0", guid(0), "")
			time.Sleep(10 * time.Second)
		}
		if gets, _, _, _ := pf.counts(); gets != 3 {
			t.Errorf("%d lookups in ten minutes", gets)
		}
	})
}

// Two apps may call different users by one name, and one user may come with
// another claim: none of them may get the other's lookup.
func TestLookupKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := openWith(t, ByIdentifier, 3)
		for i, d := range []*delegation.Delegation{
			{Person: delegation.Person{Realm: "a", Subject: "s"}, Claim: "planted-0"},
			{Person: delegation.Person{Realm: "b", Subject: "s"}, Claim: "planted-1"},
			{Person: delegation.Person{Realm: "a", Subject: "s"}, Claim: "planted-2"},
		} {
			if _, err := p.Authorize(t.Context(), d); err != nil || d.Participant != guid(i) {
				t.Errorf("%d: %s, %v", i, d.Participant, err)
			}
		}
	})
	if lookupKey(delegation.Person{Realm: `a""b`, Subject: "c"}, "d") == lookupKey(delegation.Person{Realm: "a", Subject: `b""c`}, "d") {
		t.Error("two people have one key")
	}
}

// Strangers must not push the people out whom the cache is for, and neither
// cache may grow without bound.
func TestCachesAreBounded(t *testing.T) {
	d := newParticipantCache(newLocalBindings())
	defer d.Close()
	known := delegation.Person{Subject: "known"}
	op := d.purges.Begin(new(delegation.Identity))
	defer op.End()
	d.recordLookup("known", known, "known", guid(0), nil, op)
	unknown := delegation.Refuse(delegation.ParticipantUnknown, errors.New("x"))
	for i := range maxMisses + 500 {
		d.recordLookup(guid(i), delegation.Person{Subject: guid(i)}, guid(i), "", unknown, op)
	}
	if n := d.misses.store.Len(); n > maxMisses || n < maxMisses*8/10 {
		t.Errorf("%d misses kept", n)
	}
	if _, ok := d.hits.Get(known, "known", time.Now()); !ok {
		t.Error("a hit was pushed out by misses")
	}
	for i := range maxHits + 500 {
		d.recordLookup(guid(i), delegation.Person{Subject: guid(i)}, guid(i), guid(i), nil, op)
	}
	if n := d.hits.Len(); n > maxHits || n < maxHits*8/10 {
		t.Errorf("%d hits kept", n)
	}
}

// TestR4_LookupsOutliveConfigurations protects who waits while a reload leaves
// the directory behind: the look-up goes on, the reading of a whole list too,
// and one that begins only then. Afterwards nothing runs by itself.
func TestR4_LookupsOutliveConfigurations(t *testing.T) {
	for _, by := range []string{ByIdentifier, ByField} {
		t.Run(by, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pf := newPlatform(people(250)...)
				pf.delay = 2 * time.Second
				p, h := open(t, testConfig(by), pf)
				go func() {
					time.Sleep(time.Second)
					h.close()
				}()
				wantParticipant(t, p, "planted-0", guid(0), "")
				wantParticipant(t, p, "planted-1", guid(1), "")
				if !p.cache.lifecycle.unused() || p.cache.lifecycle.foreground.ctx.Err() == nil {
					t.Error("something would go on")
				}
			})
		})
	}
}
