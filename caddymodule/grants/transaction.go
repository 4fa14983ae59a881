// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// maxWriterWait is how long a writer waits for those of this process before it,
// while these get on.
const maxWriterWait = 30 * time.Second

// read does something that changes nothing.
func (s *Store) read(ctx context.Context, doing string, f func(ctx context.Context, db querier) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.unavailable(doing, f(ctx, s.db))
}

// write does something in one transaction, while nobody else writes. Either
// all of it is done, and on the disk, or nothing. Who asked may leave: it goes
// on, so that nobody has to guess whether it was done.
func (s *Store) write(ctx context.Context, doing string, f func(ctx context.Context, tx querier) error) error {
	// In turn here: SQLite would have them all try again and again, and the
	// timeout is for what the database takes, not for a crowd.
	if !s.acquireWriteSlot() {
		return &unavailableError{doing, "too many are writing, or one takes too long", false}
	}
	defer func() { <-s.writeSlot }()
	ctx, cancel := context.WithTimeout(delegation.Detach(ctx), s.timeout)
	defer cancel()
	err := s.unavailable(doing, s.transact(ctx, f))
	if err == nil {
		s.lastWrite.Store(time.Now().UnixNano())
		s.wakeEraser()
	}
	return err
}

// acquireWriteSlot waits for the turn to write; no longer than one operation may take
// if nothing was written meanwhile.
func (s *Store) acquireWriteSlot() bool {
	for began := time.Now(); time.Since(began) < maxWriterWait; {
		select {
		case s.writeSlot <- struct{}{}:
			return true
		case <-time.After(s.timeout):
			if time.Since(time.Unix(0, s.lastWrite.Load())) > s.timeout {
				return false
			}
		}
	}
	return false
}

func (s *Store) transact(ctx context.Context, f func(ctx context.Context, tx querier) error) (err error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	if s.dialect.lockWriters != "" {
		if _, err := tx.ExecContext(ctx, s.dialect.lockWriters); err != nil {
			return err
		}
	}
	if err := f(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}
