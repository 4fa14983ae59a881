// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Outage is that the database cannot be used; the zero value is that it can, as far
// as is known.
type Outage struct {
	Since time.Time
	Cause string // of the last failure; quotes no value of the database
}

// outageRecord is the present [Outage] of an open store; nil: none.
type outageRecord struct{ present atomic.Pointer[Outage] }

// record notes how an operation ended at the database. One that its caller gave up
// tells nothing.
func (r *outageRecord) record(err error, failure *unavailableError) {
	switch before := r.present.Load(); {
	case errors.Is(err, context.Canceled):
	case failure == nil && before != nil:
		r.present.Store(nil)
	case failure != nil && before == nil:
		r.present.Store(&Outage{time.Now().UTC(), failure.reason})
	case failure != nil:
		r.present.Store(&Outage{before.Since, failure.reason})
	}
}

// Outage returns since when operations have failed because the database cannot be
// used.
func (s *Store) Outage() Outage {
	if present := s.outage.present.Load(); present != nil {
		return *present
	}
	return Outage{}
}

// Ping asks the database for the time, and so finds an outage that no request has
// met yet, or its end. The error is [ErrUnavailable].
func (s *Store) Ping(ctx context.Context) error {
	return s.read(ctx, "asking the database", func(ctx context.Context, db querier) error {
		var one int
		return db.QueryRowContext(ctx, "SELECT 1").Scan(&one)
	})
}

// Outage returns since when the store cannot be opened, or that of the open
// [Store].
func (o *LazyStore) Outage() Outage {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.store != nil:
		return o.store.Outage()
	case o.err != nil:
		return Outage{o.failingSince, o.err.Error()}
	default:
		return Outage{}
	}
}

// Ping finds out whether the database can be used now, if anybody has needed the
// store yet. See [Store.Ping].
func (o *LazyStore) Ping(ctx context.Context) {
	o.mu.Lock()
	store := o.store
	o.mu.Unlock()
	if store != nil {
		_ = store.Ping(ctx) // it is in Outage
	}
}

// Open returns the store if it is open, and nil otherwise. It opens nothing.
func (o *LazyStore) Open() *Store {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.store
}
