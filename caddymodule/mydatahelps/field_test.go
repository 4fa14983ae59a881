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
				pf := newPlatform(people(1)...)
				p, _ := open(t, testConfig(ByField), pf)
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
		pf := newPlatform(people(2)...)
		p, _ := open(t, testConfig(ByField), pf)
		wantParticipant(t, p, "planted-1", guid(1), "")
		pf.change(func() { pf.people[0].id = guid(9) })
		wantParticipant(t, p, "planted-0", guid(9), "")
	})
}

// Somebody who joins is found by reading the list's end, at most every 30 s
// whoever asks.
func TestFieldNewParticipants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(250)...)
		p, _ := open(t, testConfig(ByField), pf)
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
		pf := newPlatform(people(1)...)
		p, _ := open(t, testConfig(ByField), pf)
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

// The first binding holds, both ways, through logout and the end of every
// cache: participants can write their own custom fields.
func TestPins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(3)...)
		p, h := open(t, testConfig(ByField), pf)
		wantParticipant(t, p, "planted-0", guid(0), "")

		// Participant 1 takes the value of participant 0, who loses it.
		pf.change(func() { pf.people[0].field, pf.people[1].field = "", "planted-0" })
		who := request("planted-0").Person
		for range 2 {
			h.purge(t, who.Subject)
			time.Sleep(25 * time.Hour)
			_, _ = authorizeAs(t, p, "planted-x") // has the list read again
			synctest.Wait()
			wantParticipant(t, p, "planted-0", "", delegation.AccountConflict)
		}
		if h.logs.FilterMessageSnippet("pin").Len() == 0 {
			t.Error("the operator was not told")
		}

		// Another user of the app claims the participant of a first one.
		pf.change(func() { pf.people[2].field = "planted-2" })
		wantParticipant(t, p, "planted-2", guid(2), "")
		pf.change(func() { pf.people[2].field = "planted-thief" })
		time.Sleep(6 * time.Minute)
		_, _ = authorizeAs(t, p, "planted-y")
		synctest.Wait()
		time.Sleep(31 * time.Second)
		wantParticipant(t, p, "planted-thief", "", delegation.AccountConflict)

		// The operator has made sure who is who.
		p.Release(who)
		h.purge(t, who.Subject)
		wantParticipant(t, p, "planted-0", guid(1), "")
		p.Release(request("planted-2").Person)
		h.purge(t, "planted-2")
		time.Sleep(31 * time.Second)
		wantParticipant(t, p, "planted-thief", guid(2), "")
	})
}

// One subject in two realms is two people, and a GUID's case makes no other
// participant.
func TestPinsCompare(t *testing.T) {
	p := newLocalBindings()
	a, b := delegation.Person{Realm: "a", Subject: "s"}, delegation.Person{Realm: "b", Subject: "s"}
	for i, step := range []struct {
		who  delegation.Person
		id   string
		want bool
	}{
		{a, "AB", true}, {a, "ab", true}, {b, "aB", false}, {b, "cd", true}, {a, "cd", false}, {b, "ab", false},
	} {
		if p.bind(step.who, step.id) != step.want {
			t.Errorf("step %d", i)
		}
	}
	p.release(delegation.Person{Realm: "c"})
	p.release(a)
	if !p.bind(delegation.Person{Realm: "c"}, "ab") || p.bind(b, "ab") {
		t.Error("after the release")
	}
}

// A reload keeps the pins, the lookups and the quota; an old configuration's
// provider and a new one's agree.
func TestStateOutlivesReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(2)...)
		p, h := open(t, testConfig(ByField), pf)
		wantParticipant(t, p, "planted-0", guid(0), "")
		next, err := New(testConfig(ByField))
		if err != nil {
			t.Fatal(err)
		}
		if err := next.Open(h); err != nil {
			t.Fatal(err)
		}
		if next.client != p.client {
			t.Error("another HTTP client")
		}
		wantParticipant(t, next, "planted-0", guid(0), "")
		wantParticipant(t, next, "planted-1", guid(1), "")
		if gets, lists, grants, service := pf.counts(); gets != 2 || lists != 1 || grants != 2 || service != 1 {
			t.Errorf("%d lookups, %d pages, %d grants, %d service tokens", gets, lists, grants, service)
		}
	})
}

// Where the operator knows the platform's filter it is used, and what it lets
// through is compared again.
func TestFieldQuery(t *testing.T) {
	c := testConfig(ByField)
	c.Participant.Query = "customField.appUser"
	for name, test := range map[string]struct {
		filter  string
		people  []person
		id      string
		code    delegation.Code
		operate bool // the operator is told
	}{
		"found":              {"customField.appUser", people(300), guid(0), "", false},
		"not found":          {"customField.appUser", people(300)[1:], "", delegation.ParticipantUnknown, false},
		"two":                {"customField.appUser", append(people(300), person{id: guid(900), identifier: "planted-900", field: "planted-0"}), "", delegation.ParticipantAmbiguous, false},
		"withdrawn":          {"customField.appUser", []person{{id: guid(0), identifier: "planted-0", field: "planted-0", withdrawn: "x"}}, "", delegation.ParticipantWithdrawn, false},
		"no ID":              {"customField.appUser", []person{{id: "0", identifier: "planted-0", field: "planted-0"}}, "", delegation.ParticipantUnknown, false},
		"ignored, few":       {"", people(50), guid(0), "", false},
		"ignored, not found": {"", people(300)[1:], "", delegation.ParticipantUnknown, true},
		"ignored, found":     {"", people(300), "", delegation.ParticipantAmbiguous, true}, // another may be on the next page
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pf := newPlatform(test.people...)
				pf.filter = test.filter
				p, h := open(t, c, pf)
				wantParticipant(t, p, "planted-0", test.id, test.code)
				gets, lists, _, _ := pf.counts()
				if gets != 0 || lists != 1 || pf.lists[0].Get("customField.appUser") != "planted-0" || pf.lists[0].Get("pageSize") != "100" {
					t.Errorf("%d lookups, pages %v", gets, pf.lists)
				}
				if told := h.logs.FilterMessageSnippet("participant_query").Len() > 0; told != test.operate {
					t.Errorf("log %v", h.logs.All())
				}
			})
		})
	}
}

// Strangers cannot spend the quota by way of the filter either.
func TestFieldQueryStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(50)...)
		pf.filter = "q"
		c := testConfig(ByField)
		c.Participant.Query = "q"
		p, _ := open(t, c, pf)
		for i := range 400 {
			wantParticipant(t, p, fmt.Sprintf("planted-stranger-%d", i), "", delegation.ParticipantUnknown)
		}
		if _, lists, _, _ := pf.counts(); lists != 201 {
			t.Errorf("%d pages", lists)
		}
		wantParticipant(t, p, "planted-7", guid(7), "")
	})
}
