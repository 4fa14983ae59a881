// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// maxQueued is how long a writer waits for those of this process before it,
// while these get on.
const maxQueued = 30 * time.Second

// read does something that changes nothing.
func (s *Store) read(ctx context.Context, doing string, f func(ctx context.Context, db doer) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.unavailable(doing, f(ctx, s.db))
}

// write does something in one transaction, while nobody else writes. Either
// all of it is done, and on the disk, or nothing. Who asked may leave: it goes
// on, so that nobody has to guess whether it was done.
func (s *Store) write(ctx context.Context, doing string, f func(ctx context.Context, tx doer) error) error {
	// In turn here: SQLite would have them all try again and again, and the
	// timeout is for what the database takes, not for a crowd.
	if !s.awaitTurn() {
		return &unavailable{doing, "too many are writing, or one takes too long", false}
	}
	defer func() { <-s.writing }()
	ctx, cancel := context.WithTimeout(delegation.Detach(ctx), s.timeout)
	defer cancel()
	err := s.unavailable(doing, s.transact(ctx, f))
	if err == nil {
		s.written.Store(time.Now().UnixNano())
		s.eraseSoon()
	}
	return err
}

// awaitTurn waits for the turn to write; no longer than one operation may take
// if nothing was written meanwhile.
func (s *Store) awaitTurn() bool {
	for began := time.Now(); time.Since(began) < maxQueued; {
		select {
		case s.writing <- struct{}{}:
			return true
		case <-time.After(s.timeout):
			if time.Since(time.Unix(0, s.written.Load())) > s.timeout {
				return false
			}
		}
	}
	return false
}

func (s *Store) transact(ctx context.Context, f func(ctx context.Context, tx doer) error) (err error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	if s.dialect.lock != "" {
		if _, err := tx.ExecContext(ctx, s.dialect.lock); err != nil {
			return err
		}
	}
	if err := f(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}
