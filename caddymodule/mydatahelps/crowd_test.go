// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// A project of 200 000 participants and a thousand users who are none, who
// keep asking for an hour: whoever is a participant is found, known before or
// not, and what is reserved for them is never spent on the others.
func TestA5_StrangersInALargeProject(t *testing.T) {
	const strangers, warm, limit = 1000, 50, 1000
	all := people(200_000)
	for name, from := range map[string]func(second int) int{
		"all at once": func(int) int { return strangers },
		"in waves":    func(second int) int { return min(strangers, 400+second/600*300) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pf := newPlatform(all...)
				pf.limit = limit
				p, _ := open(t, testConfig(ByIdentifier), pf)
				next := 0
				participant := func() {
					wantParticipant(t, p, fmt.Sprintf("planted-%d", next), guid(next), "")
					next++
				}
				for range warm {
					participant()
				}
				least := limit
				for second := range 3600 {
					for n := range from(second) {
						if (second+n)%10 != 0 {
							continue // each comes every ten seconds
						}
						if _, code := authorizeAs(t, p, fmt.Sprintf("planted-stranger-%d", n)); code != delegation.ParticipantUnknown && code != delegation.IssuerThrottled {
							t.Fatalf("a stranger is told %q", code)
						}
					}
					if second%30 == 29 {
						participant()
					}
					if second%7 == 0 {
						wantParticipant(t, p, fmt.Sprintf("planted-%d", second%next), guid(second%next), "")
					}
					least = min(least, limit-pf.used)
					time.Sleep(time.Second - time.Millisecond)
				}
				if gets, lists, _, _ := pf.counts(); least < limit/reservedShare || lists > 2 {
					t.Errorf("%d lookups, %d pages, %d were left", gets, lists, least)
				}
			})
		})
	}
}

// Who keeps asking is looked up ever less often; who is linked meanwhile waits
// no longer than they have waited, and signing out and in again ends it.
func TestA5_MissesLiveLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(1)...)
		p, h := open(t, testConfig(ByIdentifier), pf)
		for range 3600 {
			wantParticipant(t, p, "planted-1", "", delegation.ParticipantUnknown)
			time.Sleep(time.Second)
		}
		if gets, _, _, _ := pf.counts(); gets < 6 || gets > 8 {
			t.Errorf("%d lookups in an hour", gets)
		}
		pf.change(func() { pf.people = people(2) })
		h.purge(t, "planted-1")
		wantParticipant(t, p, "planted-1", guid(1), "")
	})
}

// One who signs out and in again all the time is looked up each time as long as
// the strangers' share lasts, and keeps no newcomer from being found.
func TestA5_SignsOutAndIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(200_000)...)
		p, h := open(t, testConfig(ByIdentifier), pf)
		for n := range 3500 {
			for i := range 3 {
				if _, code := authorizeAs(t, p, fmt.Sprintf("planted-no-%d", i)); code == "" {
					t.Fatal("found")
				}
				h.purge(t, fmt.Sprintf("planted-no-%d", i))
			}
			if n%30 == 29 {
				wantParticipant(t, p, fmt.Sprintf("planted-%d", n), guid(n), "")
			}
			time.Sleep(time.Second)
		}
		if left := pf.limit - pf.used; left < pf.limit/reservedShare {
			t.Errorf("%d are left", left)
		}
	})
}

// Misses are a person's, whatever their session says of them: somebody who can
// choose what it says has no more of them looked up.
func TestA5_MissesAreAPersons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByIdentifier, 1)
		for n := range 200 {
			d := request("planted-somebody")
			d.Claim = fmt.Sprintf("planted-no-%d", n)
			_, err := p.Authorize(t.Context(), d)
			if r := asRefusal(t, err); r.Code != delegation.ParticipantUnknown && r.Code != delegation.IssuerThrottled {
				t.Fatal(r)
			}
			time.Sleep(time.Second)
		}
		if gets, _, _, _ := pf.counts(); gets > freeClaims+4 {
			t.Errorf("%d lookups", gets)
		}
	})
}

// A participant found in a list that was read long ago is looked up before
// anything is done as them.
func TestListedLongAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByIdentifier, 5)
		low := func() { p.cache.quota.observe(limits(1000, 150, 3600)) }
		low()
		wantParticipant(t, p, "planted-0", guid(0), "")
		pf.change(func() { pf.people[1].withdrawn = "2026-01-01T00:00:00Z" })
		wantParticipant(t, p, "planted-1", guid(1), "") // read a moment ago
		time.Sleep(recheckAge)
		low()
		pf.change(func() { pf.people[2].withdrawn = "2026-01-01T00:00:00Z" })
		wantParticipant(t, p, "planted-2", "", delegation.ParticipantWithdrawn)
	})
}

// Odd identifiers, of which a firewall in front of the platform says 5xx, or
// for whom it hangs or says 429, are their owners' trouble.
func TestAb_OddIdentifiers(t *testing.T) {
	for name, answer := range map[string]func() *http.Response{
		"403": func() *http.Response { return reply(403, "") },
		"429": func() *http.Response { return reply(429, "") },
		"500": func() *http.Response { return reply(500, "") },
		"503": func() *http.Response { return reply(503, "") },
	} {
		synctest.Test(t, func(t *testing.T) {
			p, pf := openWith(t, ByIdentifier, 100)
			pf.admin = func(req *http.Request) *http.Response {
				if strings.Contains(req.URL.Path, "odd") {
					return answer()
				}
				return nil
			}
			for n := range 100 {
				for i := range 3 {
					if _, code := authorizeAs(t, p, fmt.Sprintf("planted-odd-%d", i)); code == "" {
						t.Error("found")
					}
				}
				if n%10 == 0 {
					wantParticipant(t, p, fmt.Sprintf("planted-%d", n), guid(n), "")
				}
				time.Sleep(5 * time.Second)
			}
			if gets, _, _, _ := pf.counts(); gets > 120 {
				t.Errorf("%s: %d lookups", name, gets)
			}
		})
	}
}
