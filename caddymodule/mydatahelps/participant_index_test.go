// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// pagedList is a participant list.
type pagedList struct {
	people []participantRecord
	size   int // of its pages
	total  bool
	reads  int
}

func newPagedList(n, size int, total bool) *pagedList {
	b := &pagedList{size: size, total: total}
	for i := range n {
		b.people = append(b.people, participantRecord{ID: guid(i), Identifier: fmt.Sprint(i)})
	}
	return b
}

func (b *pagedList) read(_ context.Context, number int) ([]participantRecord, *int, error) {
	b.reads++
	from := min(number*b.size, len(b.people))
	page := b.people[from:min(from+b.size, len(b.people))]
	if !b.total {
		return page, nil, nil
	}
	n := len(b.people)
	return page, &n, nil
}

func identifierIndex() *participantIndex {
	return newParticipantIndex(claimOf(Participant{By: ByIdentifier}))
}

// The whole list has to be read whatever its length and page size are: who is
// on a page that was left out is locked out.
func TestIndexReadsAll(t *testing.T) {
	for _, size := range []int{100, 50, 1} {
		for _, n := range []int{0, 1, 49, 50, 51, 99, 100, 101, 120, 199, 200, 201, 350} {
			for _, total := range []bool{true, false} {
				if !total && size != 100 {
					continue // a short page is the last where no total is given
				}
				b, x := newPagedList(n, size, total), identifierIndex()
				if err := x.readToEnd(t.Context(), b.read); err != nil {
					t.Fatal(err)
				}
				if len(x.byID) != n || b.reads > n/size+1 {
					t.Errorf("%d of %d by %d, total %v, in %d reads", len(x.byID), n, size, total, b.reads)
				}
				// Read again, only the end is read, and finds what is new.
				b.people = append(b.people, participantRecord{ID: guid(9999), Identifier: "new"})
				b.reads = 0
				if err := x.readToEnd(t.Context(), b.read); err != nil {
					t.Fatal(err)
				}
				if len(x.find("new")) != 1 || b.reads > 2 {
					t.Errorf("after %d by %d, total %v: new found %d times in %d reads", n, size, total, len(x.find("new")), b.reads)
				}
			}
		}
	}
}

// Deletions move the list's end to an earlier page.
func TestIndexShrinks(t *testing.T) {
	b, x := newPagedList(350, 100, true), identifierIndex()
	if err := x.readToEnd(t.Context(), b.read); err != nil {
		t.Fatal(err)
	}
	b.people = append(b.people[:140], participantRecord{ID: guid(9999), Identifier: "new"})
	if err := x.readToEnd(t.Context(), b.read); err != nil {
		t.Fatal(err)
	}
	if len(x.find("new")) != 1 {
		t.Error("who came after the deletions is not found")
	}
}

// A list whose pages repeat or never end must not keep us reading: every read
// costs quota.
func TestIndexEnds(t *testing.T) {
	b := newPagedList(1000, 100, true)
	reads := 0
	same := func(ctx context.Context, _ int) ([]participantRecord, *int, error) {
		reads++
		return b.read(ctx, 0)
	}
	if err := identifierIndex().readToEnd(t.Context(), same); err == nil || reads > 4 {
		t.Errorf("%v after %d reads", err, reads)
	}
}

// What is known of a participant is replaced, never added to: an old value
// must not go on naming them.
func TestIndexPut(t *testing.T) {
	x := identifierIndex()
	upper := "ABCDEF00-0000-4000-8000-000000000000"
	x.upsert(&participantRecord{ID: upper, Identifier: "old"})
	x.upsert(&participantRecord{ID: guid(1), Identifier: "old"})
	x.upsert(&participantRecord{ID: strings.ToLower(upper), Identifier: "new", WithdrawDate: "x"})
	x.upsert(&participantRecord{ID: "no GUID", Identifier: "new"})
	if old, new := x.find("old"), x.find("new"); len(old) != 1 || old[0].id != guid(1) || len(new) != 1 || !new[0].withdrawn {
		t.Errorf("old %v, new %v", old, new)
	}
	x.upsert(&participantRecord{ID: guid(1)})
	if len(x.find("old")) != 0 || len(x.find("")) != 0 {
		t.Error("an empty value names somebody")
	}
}

// A list that takes more requests than an hour has is read on where the quota
// stopped it.
func TestIndexResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(2500)...)
		pf.limit = 20
		p, _ := open(t, testConfig(ByField), pf)
		wantParticipant(t, p, "planted-2499", "", delegation.IssuerThrottled)
		time.Sleep(time.Hour)
		wantParticipant(t, p, "planted-2499", guid(2499), "")
		if _, lists, _, _ := pf.counts(); lists > 26 {
			t.Errorf("%d pages of 25", lists)
		}
	})
}

// A list that cannot be read says so: the wrong project, no permission, an
// outage, an answer that is something else.
func TestIndexErrors(t *testing.T) {
	for name, c := range map[string]struct {
		answer *http.Response
		code   delegation.Code
	}{
		"404":             {reply(404, "{}"), delegation.CredentialsRejected},
		"403":             {reply(403, "{}"), delegation.CredentialsRejected},
		"500":             {reply(500, ""), delegation.IssuerUnavailable},
		"HTML":            {reply(200, "<html>"), delegation.IssuerUnavailable},
		"no participants": {reply(200, `{"totalParticipants":0}`), delegation.IssuerUnavailable},
		"empty":           {reply(200, `{"totalParticipants":0,"participants":[]}`), delegation.ParticipantUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pf := newPlatform()
				p, _ := open(t, testConfig(ByField), pf)
				pf.admin = func(*http.Request) *http.Response { return c.answer }
				wantParticipant(t, p, "planted-0", "", c.code)
			})
		})
	}
}

// Who waits for the list may leave; the reading goes on for the others, and a
// list that takes long does not hold a request for ever.
func TestIndexIsDetached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(1000)...)
		pf.delay = 5 * time.Second
		p, _ := open(t, testConfig(ByField), pf)
		begin := time.Now()
		if _, code := authorizeAs(t, p, "planted-0"); code != delegation.IssuerUnavailable || time.Since(begin) != lookupTimeout {
			t.Errorf("%s after %v", code, time.Since(begin))
		}
		time.Sleep(30 * time.Second)
		wantParticipant(t, p, "planted-0", guid(0), "")
		if _, lists, _, _ := pf.counts(); lists != 10 {
			t.Errorf("%d pages", lists)
		}
	})
}
