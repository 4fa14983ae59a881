// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

func limits(limit, remaining, reset int) http.Header {
	return http.Header{
		"Ratelimit-Limit": {strconv.Itoa(limit)}, "Ratelimit-Remaining": {strconv.Itoa(remaining)}, "Ratelimit-Reset": {strconv.Itoa(reset)},
	}
}

// People who are not participants may spend a fifth of the project's hourly
// quota; after that a page of the list answers for a hundred of them, and
// whoever is a participant still gets in.
func TestStrangersAndQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByIdentifier, 250)
		for i := range 400 {
			wantParticipant(t, p, fmt.Sprintf("planted-stranger-%d", i), "", delegation.ParticipantUnknown)
		}
		gets, lists, _, _ := pf.counts()
		if gets != 200 || lists != 4 { // one for whether there is such a project
			t.Errorf("%d lookups, %d pages", gets, lists)
		}
		for i := range 250 {
			wantParticipant(t, p, fmt.Sprintf("planted-%d", i), guid(i), "")
		}
		if gets, lists, _, _ := pf.counts(); gets != 200 || lists != 4 {
			t.Errorf("%d lookups, %d pages with participants", gets, lists)
		}
		// In the next hour there is a new share.
		time.Sleep(time.Hour)
		wantParticipant(t, p, "planted-stranger-again", "", delegation.ParticipantUnknown)
		if gets, _, _, _ := pf.counts(); gets != 201 {
			t.Errorf("%d lookups in the next hour", gets)
		}
	})
}

// However long strangers keep coming, most of the hour's quota is left.
func TestStrangersForAnHour(t *testing.T) {
	for _, limit := range []int{50, 1000} {
		synctest.Test(t, func(t *testing.T) {
			pf := newPlatform(people(30)...)
			pf.limit = limit
			p, _ := open(t, testConfig(ByIdentifier), pf)
			for i := range 3590 {
				wantParticipant(t, p, fmt.Sprintf("planted-stranger-%d", i), "", delegation.ParticipantUnknown)
				time.Sleep(time.Second)
			}
			if gets, lists, _, _ := pf.counts(); gets > limit/5+1 || gets+lists > limit/2 {
				t.Errorf("of %d: %d lookups, %d pages", limit, gets, lists)
			}
			wantParticipant(t, p, "planted-3", guid(3), "")
		})
	}
}

// Lookups that find somebody are not charged to the strangers.
func TestParticipantsAreNoStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByIdentifier, 300)
		for i := range 300 {
			wantParticipant(t, p, fmt.Sprintf("planted-%d", i), guid(i), "")
		}
		if gets, lists, _, _ := pf.counts(); gets != 300 || lists != 0 {
			t.Errorf("%d lookups, %d pages", gets, lists)
		}
	})
}

// When the quota runs low, whoever spent it, cold lookups read the list: the
// whole app comes back at once after a restart.
func TestLowQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(1000)...)
		pf.limit = 500
		p, _ := open(t, testConfig(ByIdentifier), pf)
		for i := range 1000 {
			wantParticipant(t, p, fmt.Sprintf("planted-%d", i), guid(i), "")
		}
		if gets, lists, _, _ := pf.counts(); gets < 390 || gets > 401 || lists != 10 {
			t.Errorf("%d lookups, %d pages", gets, lists)
		}
	})
}

// The list tells as well who has withdrawn and who is there twice.
func TestListedIdentifiers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := people(5)
		all[1].withdrawn = "2026-01-01T00:00:00Z"
		all[3].identifier = all[2].identifier
		pf := newPlatform(all...)
		p, _ := open(t, testConfig(ByIdentifier), pf)
		p.cache.quota.observe(limits(1000, 150, 3600))
		wantParticipant(t, p, "planted-0", guid(0), "")
		wantParticipant(t, p, "planted-1", "", delegation.ParticipantWithdrawn)
		wantParticipant(t, p, "planted-2", "", delegation.ParticipantAmbiguous)
		wantParticipant(t, p, "PLANTED-4", "", delegation.ParticipantUnknown)
		if gets, _, _, _ := pf.counts(); gets != 0 {
			t.Errorf("%d lookups", gets)
		}
	})
}

// With nothing left nobody is asked, and the answer says until when; whoever
// is known is served.
func TestSpentQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByIdentifier, 2)
		wantParticipant(t, p, "planted-0", guid(0), "")
		p.cache.quota.observe(limits(1000, 0, 1200))
		wantParticipant(t, p, "planted-0", guid(0), "")
		_, err := p.Authorize(t.Context(), request("planted-1"))
		if r := asRefusal(t, err); r.Code != delegation.IssuerThrottled || r.RetryAfter != 20*time.Minute {
			t.Errorf("%v after %v", r, r.RetryAfter)
		}
		if gets, lists, _, _ := pf.counts(); gets+lists != 1 {
			t.Error("the platform was asked")
		}
		time.Sleep(20 * time.Minute)
		wantParticipant(t, p, "planted-1", guid(1), "")
	})
}

// A 429 stops us until the platform says so, even without the other headers.
func TestThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByIdentifier, 1)
		res := reply(429, "")
		res.Header.Set("RateLimit-Reset", "300")
		pf.admin = func(*http.Request) *http.Response { return res }
		for range 5 {
			_, err := p.Authorize(t.Context(), request("planted-0"))
			if r := asRefusal(t, err); r.Code != delegation.IssuerThrottled || r.RetryAfter != 5*time.Minute {
				t.Errorf("%v after %v", r, r.RetryAfter)
			}
		}
		if gets, _, _, _ := pf.counts(); gets != 1 {
			t.Errorf("%d lookups", gets)
		}
		pf.change(func() { pf.admin = nil })
		time.Sleep(5 * time.Minute)
		wantParticipant(t, p, "planted-0", guid(0), "")
	})
}

// Answers overtake each other, miss headers or say nonsense: none of it may
// give the quota back that was spent.
func TestQuotaObserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuota()
		q.observe(limits(100, 40, 600))
		for _, h := range []http.Header{
			{},
			limits(0, 1000, 600),
			{"Ratelimit-Limit": {"x"}, "Ratelimit-Remaining": {"100"}, "Ratelimit-Reset": {"1"}},
			{"Ratelimit-Limit": {"100"}, "Ratelimit-Remaining": {"-1"}, "Ratelimit-Reset": {"1"}},
			{"Ratelimit-Limit": {"100"}, "Ratelimit-Remaining": {"1"}},
			limits(100, 45, 601), limits(100, 90, 595),
			{"Ratelimit-Limit": {"100"}, "Ratelimit-Remaining": {"99999999999999999999"}, "Ratelimit-Reset": {"600"}},
		} {
			if q.observe(h); q.remaining != 40 || q.limit != 100 {
				t.Errorf("%v: %d of %d", h, q.remaining, q.limit)
			}
		}
		q.observe(limits(100, 99, 3600)) // a new window
		if q.remaining != 99 {
			t.Errorf("%d in the new window", q.remaining)
		}
		q.observe(limits(2000, 1500, 3600)) // a new licence
		if q.remaining != 1500 || q.limit != 2000 {
			t.Errorf("%d of %d", q.remaining, q.limit)
		}
		q.observe(limits(10, 0, 1<<30))
		time.Sleep(24 * time.Hour)
		if err := q.spend(); err != nil {
			t.Errorf("an absurd reset stops us for more than a day: %v", err)
		}
	})
}

// Until an answer tells, a thousand an hour are assumed.
func TestQuotaAssumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuota()
		for range assumedLimit {
			if err := q.spend(); err != nil {
				t.Fatal(err)
			}
		}
		var r *delegation.Refusal
		if err := q.spend(); !errors.As(err, &r) || r.RetryAfter != time.Hour {
			t.Errorf("%v", err)
		}
		time.Sleep(time.Hour)
		if err := q.spend(); err != nil {
			t.Error(err)
		}
	})
}
