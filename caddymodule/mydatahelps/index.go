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

	// refreshEvery is how often a miss may have the list's end read again.
	refreshEvery = 30 * time.Second
	refreshShare = 8 // of the limit: 1/8

	// rescanEvery is how old an index gets before the whole list is read again.
	rescanEvery = 5 * time.Minute
	rescanShare = 4 // of the limit: 1/4
)

// page reads one page of the participant list, oldest first; total is nil if
// the platform does not say.
type page func(ctx context.Context, number int) (people []participant, total *int, err error)

// index finds participants by the claim. It is filled page by page and goes on
// where it stopped, because a large project's list takes more requests than an
// hour has.
type index struct {
	claim func(*participant) string // "" = not to be found

	mu       sync.RWMutex
	people   map[string]*entry // by lower-case ID
	byClaim  map[string][]*entry
	next     int // page to read next
	size     int // of a full page
	complete bool
	began    time.Time
	tried    time.Time // when the end was read again
	failed   error     // how that went
}

type entry struct {
	id, identifier, claim string
	withdrawn             bool
	read                  time.Time
}

func newIndex(claim func(*participant) string) *index {
	return &index{
		claim: claim, people: make(map[string]*entry), byClaim: make(map[string][]*entry),
		size: pageSize, began: time.Now(),
	}
}

func (x *index) find(claim string) []entry {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var found []entry
	for _, e := range x.byClaim[claim] {
		found = append(found, *e)
	}
	return found
}

// blank tells whether there are participants and none of them has a claim.
func (x *index) blank() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.people) > 0 && len(x.byClaim) == 0
}

// put adds a participant, or corrects what is known of them. It reports
// whether they are new.
func (x *index) put(p *participant) bool {
	if !isGUID(p.ID) {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	key := strings.ToLower(p.ID)
	old := x.people[key]
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
	e := &entry{id: p.ID, identifier: p.Identifier, claim: x.claim(p), withdrawn: p.withdrawn(), read: time.Now()}
	x.people[key] = e
	if e.claim != "" {
		x.byClaim[e.claim] = append(x.byClaim[e.claim], e)
	}
	return old == nil
}

// advance reads the list from where the index stopped to its end. Only one
// caller at a time.
func (x *index) advance(ctx context.Context, read page) error {
	repeats, steppedBack := 0, false
	for x.next < maxPages {
		people, total, err := read(ctx, x.next)
		if err != nil {
			return err
		}
		if len(people) == 0 {
			if back, shorter := x.shorter(total); shorter && !steppedBack {
				x.next, steppedBack = back, true
				continue
			}
			x.complete = true
			return nil
		}
		fresh := false
		for i := range people {
			fresh = x.put(&people[i]) || fresh
		}
		if x.next == 0 && total != nil && len(people) < *total {
			x.size = min(x.size, len(people)) // the platform's pages are smaller than asked
		}
		last := len(people) < x.size
		if total != nil {
			last = x.next*x.size+len(people) >= *total
		}
		if last {
			if len(people) >= x.size {
				x.next++
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
		x.next++
	}
	return delegation.Refuse(delegation.IssuerUnavailable, errors.New("the participant list does not end"))
}

// shorter tells whether deletions have moved the list's end to an earlier page,
// and to which.
func (x *index) shorter(total *int) (page int, ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if total == nil || *total <= 0 || *total == len(x.people) {
		return 0, false
	}
	page = (*total - 1) / x.size
	return page, page < x.next
}

// ready returns the index, reading the whole list first if there is none.
func (d *directory) ready(ctx context.Context, claim func(*participant) string, read page) (*index, error) {
	d.mu.Lock()
	x := d.current
	d.mu.Unlock()
	if x != nil {
		return x, nil
	}
	return d.scans.Do(ctx, "scan", "", func(context.Context) (*index, error) {
		if x := d.index(); x != nil { // it was read just before
			return x, nil
		}
		return d.scan(d.life.reading(), claim, read)
	})
}

// scan reads the whole list into a new index, or goes on with one that a spent
// quota had stopped.
func (d *directory) scan(ctx context.Context, claim func(*participant) string, read page) (*index, error) {
	ctx, cancel := context.WithTimeout(ctx, scanTimeout)
	defer cancel()
	d.mu.Lock()
	if d.pending == nil {
		d.pending = newIndex(claim)
	}
	x := d.pending
	d.mu.Unlock()
	if err := x.advance(ctx, read); err != nil {
		return nil, err
	}
	x.mu.Lock()
	x.tried = time.Now()
	x.mu.Unlock()
	d.mu.Lock()
	d.current, d.pending = x, nil
	d.mu.Unlock()
	return x, nil
}

// refresh reads the end of the list again, where new participants are. Within
// its pace it repeats how that went last.
func (d *directory) refresh(ctx context.Context, x *index, read page) error {
	if due, failed := d.refreshDue(x); !due {
		return failed
	}
	_, err := d.scans.Do(ctx, "refresh", "", func(context.Context) (*index, error) {
		if due, failed := d.refreshDue(x); !due {
			return nil, failed
		}
		ctx, cancel := context.WithTimeout(d.life.reading(), scanTimeout)
		defer cancel()
		err := x.advance(ctx, read)
		var r *delegation.Refusal
		if errors.Is(err, errNoList) || errors.As(err, &r) && r.Code == delegation.IssuerThrottled {
			return nil, err // to be tried as soon as the quota allows
		}
		x.mu.Lock()
		x.tried, x.failed = time.Now(), err
		x.mu.Unlock()
		return nil, err
	})
	return err
}

func (d *directory) refreshDue(x *index) (bool, error) {
	every := max(refreshEvery, d.quota.spread(1, refreshShare))
	x.mu.RLock()
	defer x.mu.RUnlock()
	return time.Since(x.tried) >= every, x.failed
}

// rescan has the whole list read again in the background when the index is
// old: what participants change of themselves does not show at the list's end.
func (d *directory) rescan(x *index, read page) {
	x.mu.RLock()
	pages := len(x.people)/pageSize + 1
	x.mu.RUnlock()
	every := max(rescanEvery, d.quota.spread(pages, rescanShare))
	d.mu.Lock()
	due := d.current == x && !d.life.over() && time.Since(x.began) > every && time.Since(d.scanned) > rescanEvery
	if due {
		d.scanned = time.Now()
	}
	d.mu.Unlock()
	if due {
		spare := func(ctx context.Context, number int) ([]participant, *int, error) {
			if !d.quota.comfortable() {
				return nil, nil, errors.New("left for later: the quota is needed for people who wait")
			}
			return read(ctx, number)
		}
		background.Go("reading the participant list", func() {
			_, _ = d.scans.Do(d.life.unattended.ctx, "scan", "", func(context.Context) (*index, error) {
				return d.scan(d.life.unattended.ctx, x.claim, spare)
			})
		})
	}
}

// unlist drops an entry that is not true any more.
func (d *directory) unlist(e entry) {
	if x := d.index(); x != nil {
		x.put(&participant{ID: e.id, Identifier: e.identifier})
	}
}

// relist corrects an entry.
func (d *directory) relist(p *participant) {
	if x := d.index(); x != nil {
		x.put(p)
	}
}

func (d *directory) index() *index {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.current
}
