// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	// noteDelay is how long uses are gathered, to be written by one statement.
	noteDelay = time.Second
	// maxUses is how many are gathered at most.
	maxUses = 1000
)

// uses are the grants whose use is to be written to the database.
type uses struct {
	mu      sync.Mutex
	ids     []string
	writing bool // they will be, after noteDelay, or are being written
}

// add has the use of a grant written by write. ok is false if there are too many
// already.
func (u *uses) add(id string, write func(ids []string)) (ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.ids) == maxUses {
		return false
	}
	u.ids = append(u.ids, id)
	if !u.writing {
		u.writing = true
		u.schedule(write)
	}
	return true
}

func (u *uses) schedule(write func(ids []string)) {
	background.After(noteDelay, "noting the use of grants", func() {
		u.mu.Lock()
		ids := u.ids
		u.ids = nil
		u.mu.Unlock()
		defer u.written(write)
		write(ids)
	})
}

// written goes on with the uses that have come meanwhile.
func (u *uses) written(write func(ids []string)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.writing = len(u.ids) > 0; u.writing {
		u.schedule(write)
	}
}

// noteUse has the use of a grant in memory written to the database, at most once an
// hour, whose reading began when the person's dropCount was since. No request waits
// for that, or fails by it: while too many are to be written, the next reading has
// it written, and a database that does not take it is told an hour later.
func (c *Consents) noteUse(store *Store, person delegation.Person, since uint64) {
	known, ok := c.o.Cache.get(person)
	if !ok || time.Since(known.notedAt) < useInterval {
		return
	}
	write := func(ids []string) { _ = store.NoteUses(context.Background(), ids) } // nothing depends on it
	if !c.o.Cache.uses.add(known.grant.ID, write) {
		return
	}
	noted := *known
	noted.notedAt = time.Now()
	c.o.Cache.putUnlessDropped(person, &noted, since)
}
