// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/blame"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// The claim becomes exactly one segment of the path: whatever it holds, it
// must not reach another resource of the administrative API.
func TestIdentifierEscaping(t *testing.T) {
	for claim, segment := range map[string]string{
		"AA-0000-0000":           "AA-0000-0000",
		"auth0|1 2":              "auth0%7C1%202",
		"a/b":                    "a%2Fb",
		"../../participants":     "..%2F..%2Fparticipants",
		"a?pageSize=1#x":         "a%3FpageSize=1%23x",
		"a;b,c":                  "a%3Bb%2Cc",
		"%2e%2e":                 "%252e%252e",
		"...":                    "...",
		"Zoë":                    "Zo%C3%AB",
		`a\b`:                    "a%5Cb",
		strings.Repeat("x", 256): strings.Repeat("x", 256),
	} {
		synctest.Test(t, func(t *testing.T) {
			pf := newPlatform(person{id: guid(7), identifier: claim})
			p, _ := open(t, testConfig(ByIdentifier), pf)
			wantParticipant(t, p, claim, guid(7), "")
			if len(pf.gets) != 1 || pf.gets[0] != segment {
				t.Errorf("%q was asked for as %q", claim, pf.gets)
			}
		})
	}
}

// A claim that cannot be one segment is nobody's, and is not asked for.
func TestIdentifierImpossible(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(1)...)
		p, _ := open(t, testConfig(ByIdentifier), pf)
		for _, claim := range []string{"", ".", "..", "a\x00", "a\nb", "a\x7f", "a\u0085", "a\xff", strings.Repeat("x", 257)} {
			d := request("planted")
			d.Claim = claim
			if _, err := p.Authorize(t.Context(), d); asRefusal(t, err).Code != delegation.ParticipantUnknown {
				t.Errorf("%q: %v", claim, err)
			}
		}
		if gets, lists, grants, service := pf.counts(); gets+lists+grants+service != 0 {
			t.Error("the platform was asked")
		}
	})
}

// Only an answer that is byte for byte about who was asked for lets anybody
// in. A platform that ignores case, cleans paths or takes IDs as well would
// otherwise make one user of the app another's participant.
func TestIdentifierAnswers(t *testing.T) {
	redirect := reply(307, "")
	redirect.Header.Set("Location", testBase+"/planted")
	for name, c := range map[string]struct {
		answer *http.Response
		code   delegation.Code
	}{
		"other case":       {reply(200, person{id: guid(1), identifier: "PLANTED-0"}.json()), delegation.ParticipantUnknown},
		"other person":     {reply(200, person{id: guid(1), identifier: "planted-1"}.json()), delegation.ParticipantUnknown},
		"trailing space":   {reply(200, person{id: guid(1), identifier: "planted-0 "}.json()), delegation.ParticipantUnknown},
		"no identifier":    {reply(200, map[string]any{"id": guid(1)}), delegation.ParticipantUnknown},
		"null":             {reply(200, "null"), delegation.ParticipantUnknown},
		"no ID":            {reply(200, person{identifier: "planted-0"}.json()), delegation.IssuerUnavailable},
		"ID is no GUID":    {reply(200, person{id: "planted-0", identifier: "planted-0"}.json()), delegation.IssuerUnavailable},
		"withdrawn":        {reply(200, person{id: guid(1), identifier: "planted-0", withdrawn: "2026-01-01T00:00:00Z"}.json()), delegation.ParticipantWithdrawn},
		"404":              {reply(404, "planted"), delegation.ParticipantUnknown},
		"403":              {reply(403, "planted"), delegation.CredentialsRejected},
		"429":              {reply(429, "planted"), delegation.IssuerThrottled},
		"500":              {reply(500, "planted"), delegation.IssuerUnavailable},
		"307":              {redirect, delegation.IssuerUnavailable},
		"204":              {reply(204, ""), delegation.IssuerUnavailable},
		"HTML":             {reply(200, "<html>planted"), delegation.IssuerUnavailable},
		"empty":            {reply(200, ""), delegation.IssuerUnavailable},
		"list":             {reply(200, "[]"), delegation.IssuerUnavailable},
		"cut off":          {reply(200, `{"id":"planted`), delegation.IssuerUnavailable},
		"trailing garbage": {reply(200, `{"id":"`+guid(1)+`","participantIdentifier":"planted-0"} planted`), delegation.IssuerUnavailable},
		"2 MiB":            {reply(200, `{"id":"`+guid(1)+`","participantIdentifier":"planted-0","x":"`+strings.Repeat("x", 2<<20)+`"}`), delegation.IssuerUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pf := newPlatform(people(1)...)
				p, h := open(t, testConfig(ByIdentifier), pf)
				pf.admin = func(req *http.Request) *http.Response {
					if strings.HasSuffix(req.URL.Path, "/participants") {
						return nil // the project is known
					}
					return c.answer
				}
				wantParticipant(t, p, "planted-0", "", c.code)
				if gets, _, grants, _ := pf.counts(); gets != 1 || grants != 0 {
					t.Errorf("%d lookups, %d grants", gets, grants)
				}
				mismatch := c.code == delegation.ParticipantUnknown && name != "404"
				if logged := h.logs.FilterMessageSnippet("another participant").Len(); (logged == 1) != mismatch {
					t.Errorf("the operator was told %d times", logged)
				}
			})
		})
	}
}

// An answer that outgrows what is read must be told from one that is damaged:
// the operator mends them in different places.
func TestLookupTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform()
		p, _ := open(t, testConfig(ByIdentifier), pf)
		pf.admin = func(*http.Request) *http.Response { return reply(200, "{}"+strings.Repeat(" ", maxAnswer)) }
		_, err := p.Authorize(t.Context(), request("planted-0"))
		if cause := asRefusal(t, err).Unwrap().Error(); !strings.Contains(cause, "too large") {
			t.Error(cause)
		}
	})
}

// The address of a lookup names the person, and so do net/http's errors.
func TestLookupErrorsNameNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(1)...)
		pf.delay = time.Hour
		p, _ := open(t, testConfig(ByIdentifier), pf)
		begin := time.Now()
		wantParticipant(t, p, "planted-0", "", delegation.IssuerUnavailable)
		if waited := time.Since(begin); waited != delegation.DefaultTimeout {
			t.Errorf("waited %v", waited)
		}
	})
}

// Misses are forgotten after 30 s, so that a new participant need not wait;
// until then they cost nothing.
func TestMissesAreCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(1)...)
		p, _ := open(t, testConfig(ByIdentifier), pf)
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
		pf := newPlatform(people(1)...)
		p, _ := open(t, testConfig(ByIdentifier), pf)
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

// A platform that fails for many people is left alone for a moment, and its
// hourly quota is not spent on finding out. Of those whom it never knew a few
// prove nothing: a firewall may dislike their names.
func TestSickPlatform(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(50)...)
		p, _ := open(t, testConfig(ByIdentifier), pf)
		pf.admin = func(*http.Request) *http.Response { return reply(503, "") }
		for i := range 50 {
			wantParticipant(t, p, fmt.Sprintf("planted-%d", i), "", delegation.IssuerUnavailable)
		}
		if gets, _, _, _ := pf.counts(); gets != blame.MinNewPeople {
			t.Errorf("%d lookups", gets)
		}
		pf.change(func() { pf.admin = nil })
		time.Sleep(2 * time.Second)
		wantParticipant(t, p, "planted-7", guid(7), "")
		wantParticipant(t, p, "planted-8", guid(8), "")
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
		pf := newPlatform(people(1)...)
		p, _ := open(t, testConfig(ByIdentifier), pf)
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
		pf := newPlatform(people(1)...)
		p, _ := open(t, testConfig(ByIdentifier), pf)
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
		pf := newPlatform(people(1)...)
		p, _ := open(t, testConfig(ByIdentifier), pf)
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
		pf := newPlatform(people(3)...)
		p, _ := open(t, testConfig(ByIdentifier), pf)
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
