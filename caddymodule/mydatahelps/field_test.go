// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// The list is read once, however many ask meanwhile, and everybody found in it
// is verified before anything is done as them.
func TestFieldIndex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(250)...)
		pf.delay = time.Second
		p, _ := open(t, testConfig(ByField), pf)
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() { wantParticipant(t, p, fmt.Sprintf("planted-%d", i*12), guid(i*12), "") })
		}
		all.Wait()
		if gets, lists, _, _ := pf.counts(); gets != 20 || lists != 3 {
			t.Errorf("%d lookups, %d pages", gets, lists)
		}
		for number, q := range pf.lists {
			if q.Encode() != fmt.Sprintf("pageNumber=%d&pageSize=100&sortAscending=true&sortBy=InsertedDate", number) {
				t.Errorf("page %d: %v", number, q)
			}
		}
		wantParticipant(t, p, "planted-0", guid(0), "")
		if gets, _, _, _ := pf.counts(); gets != 20 {
			t.Error("a cached hit was verified again")
		}
	})
}

// Values compare byte for byte; what is unset, empty or no text names nobody.
func TestFieldValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := people(6)
		all[0].field, all[1].field, all[2].field, all[3].field = "", nil, 42, []string{"planted-3"}
		all[4].field, all[5].field = "Planted", "planted/ü ?"
		all[5].identifier = "an/other ?"
		pf := newPlatform(all...)
		p, _ := open(t, testConfig(ByField), pf)
		for _, subject := range []string{"null", "42", "planted", "planted-3", "Planted "} {
			wantParticipant(t, p, subject, "", delegation.ParticipantUnknown)
		}
		wantParticipant(t, p, "Planted", guid(4), "")
		wantParticipant(t, p, "planted/ü ?", guid(5), "")
		d := request("planted")
		d.Claim = ""
		if _, err := p.Authorize(t.Context(), d); asRefusal(t, err).Code != delegation.ParticipantUnknown {
			t.Errorf("an empty claim: %v", err)
		}
	})
}

// Nobody is let in as one of two.
func TestFieldAmbiguousAndWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := people(4)
		all[1].field = all[0].field
		all[2].withdrawn = "2026-01-01T00:00:00Z"
		pf := newPlatform(all...)
		p, _ := open(t, testConfig(ByField), pf)
		wantParticipant(t, p, "planted-0", "", delegation.ParticipantAmbiguous)
		wantParticipant(t, p, "planted-1", "", delegation.ParticipantUnknown)
		wantParticipant(t, p, "planted-2", "", delegation.ParticipantWithdrawn)
		wantParticipant(t, p, "planted-3", guid(3), "")
	})
}

// The index is older than the truth: a value that was moved away must not let
// its old holder's data be read, and the new holder is found.
func TestFieldChangedSinceIndexed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := people(3)
		pf := newPlatform(all...)
		p, _ := open(t, testConfig(ByField), pf)
		wantParticipant(t, p, "planted-2", guid(2), "") // the list is read
		pf.change(func() { pf.people[0].field, pf.people[1].field = "planted-moved", "planted-0" })
		wantParticipant(t, p, "planted-0", "", delegation.ParticipantUnknown)
		wantParticipant(t, p, "planted-moved", guid(0), "")
		time.Sleep(31 * time.Second)
		wantParticipant(t, p, "planted-0", guid(1), "")
	})
}

// A verification that is answered with somebody else lets nobody in.
func TestFieldVerification(t *testing.T) {
	for name, c := range map[string]struct {
		answer *http.Response
		code   delegation.Code
	}{
		"other identifier": {reply(200, person{id: guid(0), identifier: "planted-x", field: "planted-0"}.json()), delegation.ParticipantUnknown},
		"made anew":        {reply(200, person{id: guid(9), identifier: "planted-0", field: "planted-x"}.json()), delegation.ParticipantUnknown},
		"no ID":            {reply(200, person{identifier: "planted-0", field: "planted-0"}.json()), delegation.ParticipantUnknown},
		"other case":       {reply(200, person{id: guid(0), identifier: "planted-0", field: "Planted-0"}.json()), delegation.ParticipantUnknown},
		"withdrawn":        {reply(200, person{id: guid(0), identifier: "planted-0", field: "planted-0", withdrawn: "x"}.json()), delegation.ParticipantWithdrawn},
		"gone":             {reply(404, "{}"), delegation.ParticipantUnknown},
		"down":             {reply(503, ""), delegation.IssuerUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, pf := openWith(t, ByField, 1)
				pf.admin = func(req *http.Request) *http.Response {
					if strings.HasSuffix(req.URL.Path, "/participants") {
						return nil
					}
					return c.answer
				}
				wantParticipant(t, p, "planted-0", "", c.code)
				if _, _, grants, _ := pf.counts(); grants != 0 {
					t.Error("a token was asked for")
				}
			})
		})
	}
}

// A participant who was deleted and made anew is found under the new ID, once
// the platform itself has said so.
func TestFieldMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByField, 2)
		wantParticipant(t, p, "planted-1", guid(1), "")
		pf.change(func() { pf.people[0].id = guid(9) })
		wantParticipant(t, p, "planted-0", guid(9), "")
	})
}

// Somebody who joins is found by reading the list's end, at most every 30 s
// whoever asks.
func TestFieldNewParticipants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByField, 250)
		wantParticipant(t, p, "planted-0", guid(0), "")
		time.Sleep(31 * time.Second)
		pf.change(func() { pf.people = people(420) })
		wantParticipant(t, p, "planted-419", guid(419), "")
		if _, lists, _, _ := pf.counts(); lists != 3+3 {
			t.Errorf("%d pages", lists)
		}
		pf.change(func() { pf.people = people(421) })
		for i := range 28 {
			wantParticipant(t, p, fmt.Sprintf("planted-stranger-%d", i), "", delegation.ParticipantUnknown)
			time.Sleep(time.Second)
		}
		if _, lists, _, _ := pf.counts(); lists != 3+3 {
			t.Errorf("%d pages: strangers have the list read", lists)
		}
		time.Sleep(10 * time.Second)
		wantParticipant(t, p, "planted-420", guid(420), "")
	})
}

// A refresh that failed does not make people unknown who may have joined.
func TestFieldRefreshFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByField, 1)
		wantParticipant(t, p, "planted-0", guid(0), "")
		time.Sleep(31 * time.Second)
		pf.change(func() { pf.admin = func(*http.Request) *http.Response { return reply(500, "") } })
		wantParticipant(t, p, "planted-1", "", delegation.IssuerUnavailable)
		wantParticipant(t, p, "planted-2", "", delegation.IssuerUnavailable)
		if _, lists, _, _ := pf.counts(); lists != 2 {
			t.Errorf("%d pages: a sick platform is hammered", lists)
		}
		pf.change(func() { pf.admin, pf.people = nil, people(2) })
		time.Sleep(40 * time.Second)
		wantParticipant(t, p, "planted-1", guid(1), "")
	})
}

// What long-standing participants change shows once the whole list was read
// again, in the background, by somebody's use, within a quarter of the quota.
func TestFieldRescan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(1250)...) // 13 pages: every 187.2 s would be a quarter, so every 5 min
		p, _ := open(t, testConfig(ByField), pf)
		wantParticipant(t, p, "planted-0", guid(0), "")
		pf.change(func() { pf.people[7].field = "planted-late" })
		time.Sleep(4 * time.Minute)
		wantParticipant(t, p, "planted-late", "", delegation.ParticipantUnknown)
		time.Sleep(2 * time.Minute)
		begin := time.Now()
		pf.change(func() { pf.delay = time.Second })
		wantParticipant(t, p, "planted-1", guid(1), "")
		if waited := time.Since(begin); waited != time.Second {
			t.Errorf("waited %v for the background", waited)
		}
		time.Sleep(time.Minute)
		wantParticipant(t, p, "planted-late", guid(7), "")
	})
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(1250)...)
		pf.limit = 100 // a quarter is 25 pages an hour: every 31.2 min
		p, _ := open(t, testConfig(ByField), pf)
		for i := range 60 {
			authorizeAs(t, p, fmt.Sprintf("planted-%d", i%2))
			if i%2 == 0 {
				authorizeAs(t, p, fmt.Sprintf("planted-stranger-%d", i))
			}
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		rescans := 0
		for _, q := range pf.lists {
			if q.Get("pageNumber") == "0" {
				rescans++
			}
		}
		if rescans != 2 {
			t.Errorf("the list was read from its beginning %d times in an hour", rescans)
		}
	})
}

// Reading the whole list again is for when there is quota to spare: it goes on
// where it stopped, and what is left stays for people who wait.
func TestFieldRescanIsFrugal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(1250)...)
		pf.limit = 20
		p, _ := open(t, testConfig(ByField), pf)
		wantParticipant(t, p, "planted-0", guid(0), "") // 13 pages and a lookup
		pf.change(func() { pf.people[1249].field = "planted-late" })
		for hour := range 6 {
			time.Sleep(61 * time.Minute)
			wantParticipant(t, p, fmt.Sprintf("planted-%d", hour), guid(hour), "")
			synctest.Wait()
			if pf.used > 12 {
				t.Errorf("%d of 20 requests spent in hour %d", pf.used, hour)
			}
		}
		time.Sleep(61 * time.Minute)
		wantParticipant(t, p, "planted-late", guid(1249), "")
	})
}
