// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// errListTooLong is the error for a list that cannot be read without the requests
// that are reserved for single look-ups.
var errListTooLong = errors.New("the participant list takes more than is left of the hourly limit of administrative requests")

// onlyWhole returns a reader that reads a page only if what is left of the quota is
// enough for the rest of the list: a part of the list answers for nobody.
func (c *participantCache) onlyWhole(read pageReader) pageReader {
	return func(ctx context.Context, number int) ([]participantRecord, *int, error) {
		c.mu.Lock()
		left := max(c.listPages-number, 1)
		c.mu.Unlock()
		if !c.quota.canAfford(left) {
			return nil, nil, errListTooLong
		}
		people, total, err := read(ctx, number)
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case errors.Is(err, errListTooLong): // the platform does not tell how long it is
			c.listPages = number + c.quota.halfLimit()
		case err == nil && total != nil && number == 0 && len(people) > 0:
			c.listPages = (*total-1)/len(people) + 1
		}
		return people, total, err
	}
}

// ensureList returns the index, after reading the whole list if there is none.
func (c *participantCache) ensureList(ctx context.Context, claim func(*participantRecord) string, read pageReader) (*participantIndex, error) {
	c.mu.Lock()
	x := c.list
	c.mu.Unlock()
	if x != nil {
		return x, nil
	}
	return c.listReads.Do(ctx, "scan", "", func(context.Context) (*participantIndex, error) {
		if x := c.currentList(); x != nil { // it was read just before
			return x, nil
		}
		return c.readList(c.lifecycle.listContext(), claim, read)
	})
}

// readList reads the whole list into a new index, or goes on with one that a spent
// quota has stopped.
func (c *participantCache) readList(ctx context.Context, claim func(*participantRecord) string, read pageReader) (*participantIndex, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	c.mu.Lock()
	if c.unfinishedList == nil {
		c.unfinishedList = newParticipantIndex(claim)
	}
	x := c.unfinishedList
	c.mu.Unlock()
	if err := x.readToEnd(ctx, read); err != nil {
		return nil, err
	}
	x.mu.Lock()
	x.endReadAt = time.Now()
	x.mu.Unlock()
	c.mu.Lock()
	c.list, c.unfinishedList = x, nil
	c.mu.Unlock()
	return x, nil
}

// refreshListEnd reads the end of the list again, where new participants are. Before
// the interval is over it returns the last error instead.
func (c *participantCache) refreshListEnd(ctx context.Context, x *participantIndex, read pageReader) error {
	if due, failed := c.listEndDue(x); !due {
		return failed
	}
	_, err := c.listReads.Do(ctx, "refresh", "", func(context.Context) (*participantIndex, error) {
		if due, failed := c.listEndDue(x); !due {
			return nil, failed
		}
		ctx, cancel := context.WithTimeout(c.lifecycle.listContext(), listTimeout)
		defer cancel()
		err := x.readToEnd(ctx, read)
		var r *delegation.Refusal
		if errors.Is(err, errListTooLong) || errors.As(err, &r) && r.Code == delegation.IssuerThrottled {
			return nil, err // tried again as soon as the quota allows
		}
		x.mu.Lock()
		x.endReadAt, x.endReadError = time.Now(), err
		x.mu.Unlock()
		return nil, err
	})
	return err
}

// listEndDue reports whether to read the list's end again, and otherwise the error
// of the last time.
func (c *participantCache) listEndDue(x *participantIndex) (bool, error) {
	every := max(refreshInterval, c.quota.minInterval(1, refreshShare))
	x.mu.RLock()
	defer x.mu.RUnlock()
	return time.Since(x.endReadAt) >= every, x.endReadError
}

// rereadList reads the whole list again in the background when the index is old:
// what participants change of themselves does not show at the list's end.
func (c *participantCache) rereadList(x *participantIndex, read pageReader) {
	x.mu.RLock()
	pages := len(x.byID)/pageSize + 1
	x.mu.RUnlock()
	every := max(rereadInterval, c.quota.minInterval(pages, rereadShare))
	c.mu.Lock()
	due := c.list == x && !c.lifecycle.unused() && time.Since(x.begunAt) > every && time.Since(c.lastListRead) > rereadInterval
	if due {
		c.lastListRead = time.Now()
	}
	c.mu.Unlock()
	if due {
		spare := func(ctx context.Context, number int) ([]participantRecord, *int, error) {
			if !c.quota.hasSlack() {
				return nil, nil, errors.New("left for later: the quota is needed for people who wait")
			}
			return read(ctx, number)
		}
		background.Go("reading the participant list", func() {
			_, _ = c.listReads.Do(c.lifecycle.background.ctx, "scan", "", func(context.Context) (*participantIndex, error) {
				return c.readList(c.lifecycle.background.ctx, x.claim, spare)
			})
		})
	}
}

// removeFromList makes an entry that is not true any more impossible to find.
func (c *participantCache) removeFromList(e indexEntry) {
	if x := c.currentList(); x != nil {
		x.upsert(&participantRecord{ID: e.id, Identifier: e.identifier})
	}
}

// updateInList replaces the entry of a participant.
func (c *participantCache) updateInList(p *participantRecord) {
	if x := c.currentList(); x != nil {
		x.upsert(p)
	}
}

// currentList returns the index, or nil if the list was never read to its end.
func (c *participantCache) currentList() *participantIndex {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.list
}
