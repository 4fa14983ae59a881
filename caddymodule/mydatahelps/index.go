// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	pageSize = 100
	maxPages = 100_000

	// refreshInterval is how often a miss may have the list's end read again.
	refreshInterval = 30 * time.Second
	refreshShare    = 8 // of the limit: 1/8

	// rereadInterval is how old an index gets before the whole list is read again.
	rereadInterval = 5 * time.Minute
	rereadShare    = 4 // of the limit: 1/4
)

// pageReader reads one page of the participant list, oldest first; total is nil if
// the platform does not say.
type pageReader func(ctx context.Context, number int) (people []participant, total *int, err error)

// participantIndex finds participants by the claim. It is filled page by page and goes on
// where it stopped, because a large project's list takes more requests than an
// hour has.
type participantIndex struct {
	claim func(*participant) string // "" = not to be found

	mu           sync.RWMutex
	byID         map[string]*indexEntry // by lower-case ID
	byClaim      map[string][]*indexEntry
	nextPage     int // page to read next
	fullPage     int // of a full page
	complete     bool
	begunAt      time.Time
	endReadAt    time.Time // when the end was read again
	endReadError error     // how that went
}

type indexEntry struct {
	id, identifier, claim string
	withdrawn             bool
	readAt                time.Time
}

func newParticipantIndex(claim func(*participant) string) *participantIndex {
	return &participantIndex{
		claim: claim, byID: make(map[string]*indexEntry), byClaim: make(map[string][]*indexEntry),
		fullPage: pageSize, begunAt: time.Now(),
	}
}

func (x *participantIndex) find(claim string) []indexEntry {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var found []indexEntry
	for _, e := range x.byClaim[claim] {
		found = append(found, *e)
	}
	return found
}

// blank tells whether there are participants and none of them has a claim.
func (x *participantIndex) blank() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.byID) > 0 && len(x.byClaim) == 0
}

// upsert adds a participant, or corrects what is known of them. It reports
// whether they are new.
func (x *participantIndex) upsert(p *participant) bool {
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

// readToEnd reads the list from where the index stopped to its end. Only one
// caller at a time.
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
			x.fullPage = min(x.fullPage, len(people)) // the platform's pages are smaller than asked
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

// movedEnd tells whether deletions have moved the list's end to an earlier page,
// and to which.
func (x *participantIndex) movedEnd(total *int) (page int, ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if total == nil || *total <= 0 || *total == len(x.byID) {
		return 0, false
	}
	page = (*total - 1) / x.fullPage
	return page, page < x.nextPage
}

// ensureList returns the index, reading the whole list first if there is none.
func (d *participantCache) ensureList(ctx context.Context, claim func(*participant) string, read pageReader) (*participantIndex, error) {
	d.mu.Lock()
	x := d.list
	d.mu.Unlock()
	if x != nil {
		return x, nil
	}
	return d.listReads.Do(ctx, "scan", "", func(context.Context) (*participantIndex, error) {
		if x := d.currentList(); x != nil { // it was read just before
			return x, nil
		}
		return d.readList(d.lifecycle.listContext(), claim, read)
	})
}

// readList reads the whole list into a new index, or goes on with one that a spent
// quota had stopped.
func (d *participantCache) readList(ctx context.Context, claim func(*participant) string, read pageReader) (*participantIndex, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	d.mu.Lock()
	if d.unfinishedList == nil {
		d.unfinishedList = newParticipantIndex(claim)
	}
	x := d.unfinishedList
	d.mu.Unlock()
	if err := x.readToEnd(ctx, read); err != nil {
		return nil, err
	}
	x.mu.Lock()
	x.endReadAt = time.Now()
	x.mu.Unlock()
	d.mu.Lock()
	d.list, d.unfinishedList = x, nil
	d.mu.Unlock()
	return x, nil
}

// refreshListEnd reads the end of the list again, where new participants are. Within
// its pace it repeats how that went last.
func (d *participantCache) refreshListEnd(ctx context.Context, x *participantIndex, read pageReader) error {
	if due, failed := d.listEndDue(x); !due {
		return failed
	}
	_, err := d.listReads.Do(ctx, "refresh", "", func(context.Context) (*participantIndex, error) {
		if due, failed := d.listEndDue(x); !due {
			return nil, failed
		}
		ctx, cancel := context.WithTimeout(d.lifecycle.listContext(), listTimeout)
		defer cancel()
		err := x.readToEnd(ctx, read)
		var r *delegation.Refusal
		if errors.Is(err, errListTooLong) || errors.As(err, &r) && r.Code == delegation.IssuerThrottled {
			return nil, err // to be tried as soon as the quota allows
		}
		x.mu.Lock()
		x.endReadAt, x.endReadError = time.Now(), err
		x.mu.Unlock()
		return nil, err
	})
	return err
}

func (d *participantCache) listEndDue(x *participantIndex) (bool, error) {
	every := max(refreshInterval, d.quota.minInterval(1, refreshShare))
	x.mu.RLock()
	defer x.mu.RUnlock()
	return time.Since(x.endReadAt) >= every, x.endReadError
}

// rereadList has the whole list read again in the background when the index is
// old: what participants change of themselves does not show at the list's end.
func (d *participantCache) rereadList(x *participantIndex, read pageReader) {
	x.mu.RLock()
	pages := len(x.byID)/pageSize + 1
	x.mu.RUnlock()
	every := max(rereadInterval, d.quota.minInterval(pages, rereadShare))
	d.mu.Lock()
	due := d.list == x && !d.lifecycle.unused() && time.Since(x.begunAt) > every && time.Since(d.lastListRead) > rereadInterval
	if due {
		d.lastListRead = time.Now()
	}
	d.mu.Unlock()
	if due {
		spare := func(ctx context.Context, number int) ([]participant, *int, error) {
			if !d.quota.hasSlack() {
				return nil, nil, errors.New("left for later: the quota is needed for people who wait")
			}
			return read(ctx, number)
		}
		background.Go("reading the participant list", func() {
			_, _ = d.listReads.Do(d.lifecycle.background.ctx, "scan", "", func(context.Context) (*participantIndex, error) {
				return d.readList(d.lifecycle.background.ctx, x.claim, spare)
			})
		})
	}
}

// removeFromList drops an entry that is not true any more.
func (d *participantCache) removeFromList(e indexEntry) {
	if x := d.currentList(); x != nil {
		x.upsert(&participant{ID: e.id, Identifier: e.identifier})
	}
}

// updateInList corrects an entry.
func (d *participantCache) updateInList(p *participant) {
	if x := d.currentList(); x != nil {
		x.upsert(p)
	}
}

func (d *participantCache) currentList() *participantIndex {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.list
}
