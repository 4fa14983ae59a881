// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	pageSize = 100
	maxPages = 100_000

	// refreshInterval is how often a miss may have the list's end read again, with
	// an eighth of the limit at most.
	refreshInterval = 30 * time.Second
	refreshShare    = 8

	// rereadInterval is how old an index gets before the whole list is read again,
	// with a quarter of the limit at most.
	rereadInterval = 5 * time.Minute
	rereadShare    = 4
)

// pageReader returns one page of the participant list, oldest participants first,
// and how many the whole list has; total is nil if the platform does not say.
type pageReader func(ctx context.Context, number int) (people []participantRecord, total *int, err error)

// participantIndex is the participant list of the project, indexed by the claim. It
// is read page by page and goes on where it stopped, because the list of a large
// project takes more requests than an hour has.
type participantIndex struct {
	claim func(*participantRecord) string // "" for a participant who cannot be found

	mu           sync.RWMutex
	byID         map[string]*indexEntry // by lower-case ID
	byClaim      map[string][]*indexEntry
	nextPage     int // page to read next
	fullPage     int // participants on a full page
	complete     bool
	begunAt      time.Time
	endReadAt    time.Time // when the list's end was read last
	endReadError error     // the error of that
}

// indexEntry is one participant of the list.
type indexEntry struct {
	id, identifier, claim string
	withdrawn             bool
	readAt                time.Time
}

func newParticipantIndex(claim func(*participantRecord) string) *participantIndex {
	return &participantIndex{
		claim: claim, byID: make(map[string]*indexEntry), byClaim: make(map[string][]*indexEntry),
		fullPage: pageSize, begunAt: time.Now(),
	}
}

// find returns the participants with a claim.
func (x *participantIndex) find(claim string) []indexEntry {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var found []indexEntry
	for _, e := range x.byClaim[claim] {
		found = append(found, *e)
	}
	return found
}

// blank reports whether there are participants and none of them has a claim.
func (x *participantIndex) blank() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.byID) > 0 && len(x.byClaim) == 0
}

// upsert adds a participant, or replaces what is known of them. It reports whether
// they are new.
func (x *participantIndex) upsert(p *participantRecord) bool {
	if !isGUID(p.ID) {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	key := strings.ToLower(p.ID)
	old := x.byID[key]
	if old != nil {
		rest := x.byClaim[old.claim][:0:0]
		for _, e := range x.byClaim[old.claim] {
			if e != old {
				rest = append(rest, e)
			}
		}
		if len(rest) == 0 {
			delete(x.byClaim, old.claim)
		} else {
			x.byClaim[old.claim] = rest
		}
	}
	e := &indexEntry{id: p.ID, identifier: p.Identifier, claim: x.claim(p), withdrawn: p.withdrawn(), readAt: time.Now()}
	x.byID[key] = e
	if e.claim != "" {
		x.byClaim[e.claim] = append(x.byClaim[e.claim], e)
	}
	return old == nil
}

// readToEnd reads the list from where the index stopped to its end. It must not be
// called twice at once.
func (x *participantIndex) readToEnd(ctx context.Context, read pageReader) error {
	repeats, steppedBack := 0, false
	for x.nextPage < maxPages {
		people, total, err := read(ctx, x.nextPage)
		if err != nil {
			return err
		}
		if len(people) == 0 {
			if back, shorter := x.movedEnd(total); shorter && !steppedBack {
				x.nextPage, steppedBack = back, true
				continue
			}
			x.complete = true
			return nil
		}
		fresh := false
		for i := range people {
			fresh = x.upsert(&people[i]) || fresh
		}
		if x.nextPage == 0 && total != nil && len(people) < *total {
			x.fullPage = min(x.fullPage, len(people)) // the platform's pages are smaller than asked for
		}
		last := len(people) < x.fullPage
		if total != nil {
			last = x.nextPage*x.fullPage+len(people) >= *total
		}
		if last {
			if len(people) >= x.fullPage {
				x.nextPage++
			}
			x.complete = true
			return nil
		}
		if repeats++; fresh || x.complete {
			repeats = 0
		}
		if repeats > 2 {
			return delegation.Refuse(delegation.IssuerUnavailable, errors.New("the participant list shows the same page again and again"))
		}
		x.nextPage++
	}
	return delegation.Refuse(delegation.IssuerUnavailable, errors.New("the participant list does not end"))
}

// movedEnd returns the list's last page, if deletions have moved it before the page
// to read next.
func (x *participantIndex) movedEnd(total *int) (page int, ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if total == nil || *total <= 0 || *total == len(x.byID) {
		return 0, false
	}
	page = (*total - 1) / x.fullPage
	return page, page < x.nextPage
}
