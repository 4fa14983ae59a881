// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// maxNoting is how many uses a process writes to one database at the same time.
const maxNoting = 2

// noteUse has the use of a grant in memory written to the database, at most once an
// hour, whose reading began when the person's dropCount was since. No request waits
// for that, or fails by it: while too many are being written, the next reading has
// it written, and a database that does not take it is told an hour later.
func (c *Consents) noteUse(store *Store, person delegation.Person, since uint64) {
	cache := c.o.Cache
	known, ok := cache.get(person)
	if !ok || time.Since(known.notedAt) < useInterval {
		return
	}
	select {
	case cache.noting <- struct{}{}:
	default:
		return
	}
	noted := *known
	noted.notedAt = time.Now()
	cache.putUnlessDropped(person, &noted, since)
	background.Go("noting the use of a grant", func() {
		defer func() { <-cache.noting }()
		_ = store.NoteUse(context.Background(), known.grant.ID) // nothing depends on it
	})
}
