// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// maxWriterWait bounds how long a writer waits for those of this process before it,
// as long as these get on.
const maxWriterWait = 30 * time.Second

// read runs f, which changes nothing, outside of a transaction. operation is part
// of the error's text.
func (s *Store) read(ctx context.Context, operation string, f func(ctx context.Context, db querier) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.unavailable(operation, f(ctx, s.db))
}

// write runs f in a transaction, one at a time among all processes. Either all of
// it is done, and on the disk, or nothing. It goes on when ctx ends, so that a
// caller never has to guess whether it was done; the store's timeout bounds it.
func (s *Store) write(ctx context.Context, operation string, f func(ctx context.Context, tx querier) error) error {
	// In turn within the process: SQLite would have all of them try again and
	// again, and the timeout is for what the database takes, not for a crowd.
	if !s.acquireWriteSlot() {
		return &unavailableError{operation, "too many are writing, or one takes too long", false}
	}
	defer func() { <-s.writeSlot }()
	ctx, cancel := context.WithTimeout(delegation.Detach(ctx), s.timeout)
	defer cancel()
	err := s.unavailable(operation, s.transact(ctx, s.dialect.lockWriters, f))
	if err == nil {
		s.lastWrite.Store(time.Now().UnixNano())
		s.wakeEraser()
	}
	return err
}

// acquireWriteSlot waits for the turn to write, up to maxWriterWait; no longer than
// one operation may take if no writer has committed meanwhile.
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

// errChanged is that a row was changed between reading and writing it, each time
// that it was tried.
var errChanged = fmt.Errorf("%w: others change the same grant again and again", ErrUnavailable)

// writeRow is [Store.write] for one grant and its row key. In PostgreSQL it does not
// wait for the writers of other grants: it makes and ends none, so that their turn
// is not needed.
func (s *Store) writeRow(ctx context.Context, operation string, f func(ctx context.Context, tx querier) error) error {
	if s.dialect.lockWriters == "" {
		return s.write(ctx, operation, f) // SQLite has one writer at a time
	}
	ctx, cancel := context.WithTimeout(delegation.Detach(ctx), s.timeout)
	defer cancel()
	err := s.unavailable(operation, s.transact(ctx, "", f))
	if err == nil {
		s.wakeEraser()
	}
	return err
}

// update is [Store.writeRow] for one statement that changes no sealed column; f may
// read before it.
func (s *Store) update(ctx context.Context, operation string, f func(ctx context.Context, db querier) error) error {
	if s.dialect.lockWriters == "" {
		return s.write(ctx, operation, f)
	}
	ctx, cancel := context.WithTimeout(delegation.Detach(ctx), s.timeout)
	defer cancel()
	return s.unavailable(operation, f(ctx, s.db))
}

// transact runs f in a transaction, after a statement that has it wait its turn;
// may be empty. What [Store.writeRow] does is not in turn: if the error of f is
// errChanged it is run again, in a new transaction.
func (s *Store) transact(ctx context.Context, lock string, f func(ctx context.Context, tx querier) error) (err error) {
	for range maxRereads {
		if err = s.transactOnce(ctx, lock, f); !errors.Is(err, errChanged) {
			break
		}
	}
	return err
}

// transactOnce is [Store.transact] without another attempt.
func (s *Store) transactOnce(ctx context.Context, lock string, f func(ctx context.Context, tx querier) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // no effect after a commit
	if lock != "" {
		if _, err := tx.ExecContext(ctx, lock); err != nil {
			return err
		}
	}
	if err := f(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// lockNames has a transaction of [Store.writeRow] wait for others that lock one of
// the names, which are those of one thing by all keys of the keyset: a machine with
// another primary key locks the same.
func (s *Store) lockNames(ctx context.Context, tx querier, names []string) error {
	if s.dialect.lockName == "" {
		return nil
	}
	for _, name := range slices.Sorted(slices.Values(names)) {
		if _, err := s.exec(ctx, tx, s.dialect.lockName, name, "))"); err != nil {
			return err
		}
	}
	return nil
}
