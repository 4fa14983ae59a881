// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Databases do not overwrite what is deleted: SQLite keeps copies in its log and in
// pages that were rearranged, PostgreSQL in dead rows that VACUUM only hides. A
// deletion therefore queues, in its own transaction, which table of row keys has to
// be cleaned. The table is written anew afterwards, and the queue's entry removed
// when nothing is left. After a crash in between the entry is still there, and the
// next process that has the database open goes on.

// wholeFile is queued instead of a table's name for all of a SQLite file, where a
// program before version 3 of the tables has left what it deleted.
const wholeFile = "file"

const (
	// eraseEvery is how often entries of other processes, and expired consent flows,
	// are looked for.
	eraseEvery = 20 * time.Second
	// eraseWait bounds how long a deletion waits for its erasure.
	eraseWait = 2 * time.Second
	// eraseLockTimeout bounds, in milliseconds, how long readers of a table may
	// have to wait behind an erasure that itself waits, such as for a dump.
	eraseLockTimeout = "300"
	// eraseRestFactor is how much longer the loop rests than an erasure took.
	eraseRestFactor = 20
	// eraseWarnAfter is how many erasures in a row fail before the operator is
	// warned.
	eraseWarnAfter = 5
)

// errInUse is that a table or the log cannot be cleaned while others read it.
var errInUse = errors.New("a backup or another program is reading it: it is tried again")

// queueErasure queues a table of row keys, or wholeFile, to be cleaned.
func (s *Store) queueErasure(ctx context.Context, tx querier, what string) error {
	_, err := s.exec(ctx, tx, "INSERT INTO erasures (id, what) VALUES (", newID(), ", ", what, ")")
	return err
}

// Erase cleans the database of the row keys that were deleted or replaced; without
// them nothing else that is left can be read. The background does it after each
// deletion. An error says that something is left, and that it is tried again.
func (s *Store) Erase(ctx context.Context) error {
	select {
	case s.eraseSlot <- struct{}{}:
	case <-ctx.Done():
		return s.unavailable("erasing", ctx.Err())
	}
	defer func() { <-s.eraseSlot }()
	return s.unavailable("erasing what was deleted", s.erase(ctx))
}

// erase is [Store.Erase] for the holder of the eraseSlot.
func (s *Store) erase(ctx context.Context) error {
	due, err := s.pendingErasures(ctx)
	if err != nil || len(due) == 0 {
		return err
	}
	var done []string
	var errs []error
	for what, ids := range due {
		if err := s.dialect.erase(ctx, s, what); err != nil {
			errs = append(errs, err)
			continue
		}
		done = append(done, ids...)
	}
	if len(done) > 0 {
		if err := s.dialect.truncateLog(ctx, s); err != nil {
			return errors.Join(append(errs, err)...)
		}
	}
	for ids := range slices.Chunk(done, 500) {
		if _, err := s.exec(ctx, s.db, "DELETE FROM erasures WHERE id IN ", ids, ""); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// pendingErasures returns the ids of the queue's entries by the table that has to
// be cleaned, or wholeFile. A deletion after they were read queues entries of its
// own.
func (s *Store) pendingErasures(ctx context.Context) (map[string][]string, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT id, what FROM erasures")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	due := make(map[string][]string)
	for rows.Next() {
		var id, what string
		if err := rows.Scan(&id, &what); err != nil {
			return nil, err
		}
		due[what] = append(due[what], id)
	}
	return due, rows.Err()
}

// sealedKey is a row key as its table has it.
type sealedKey struct {
	id     string
	sealed []byte
}

// rowKeysIn returns all of a table's row keys, by their ids.
func rowKeysIn(ctx context.Context, db querier, table string) (all []sealedKey, err error) {
	rows, err := db.QueryContext(ctx, "SELECT id, sealed FROM "+table+" ORDER BY id")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var k sealedKey
		if err := rows.Scan(&k.id, &k.sealed); err != nil {
			return nil, err
		}
		all = append(all, k)
	}
	return all, rows.Err()
}

// wakeEraser has the loop erase at once.
func (s *Store) wakeEraser() {
	select {
	case s.eraserWake <- struct{}{}:
	default:
	}
}

// eraseLoop works off the queue, also of other processes, and deletes expired
// flows, until the store is closed.
func (s *Store) eraseLoop(ctx context.Context) {
	defer close(s.eraserDone)
	every := time.NewTicker(eraseEvery)
	defer every.Stop()
	failed := 0
	for {
		began := time.Now()
		// A panic in a driver must not end all further attempts.
		err := background.Do("erasing what was deleted", func() error { return s.Erase(ctx) })
		if ctx.Err() != nil {
			return
		}
		if failed++; err == nil {
			failed = 0
		} else if failed == eraseWarnAfter {
			s.warn("what was deleted from the grants is still in the files of their database; it is tried again until it is gone", err)
		}
		select { // rewriting tables must not be all that the database does
		case <-time.After(eraseRestFactor * time.Since(began)):
		case <-ctx.Done():
			return
		}
		select {
		case <-s.eraserWake:
		case <-every.C:
			_ = background.Do("deleting expired consent flows", func() error { return s.sweepFlows(ctx) }) // if it fails, again at the next tick
		case <-ctx.Done():
			return
		}
	}
}

// sweepFlows deletes expired flows. Whoever begins one does not wait for that.
func (s *Store) sweepFlows(ctx context.Context) error {
	return s.write(ctx, "deleting expired consent flows", func(ctx context.Context, tx querier) error {
		now, err := s.now(ctx, tx)
		if err == nil {
			err = s.deleteExpiredFlows(ctx, tx, now)
		}
		return err
	})
}

// eraseBeforeAnswer erases before a deletion is answered, if that takes no longer
// than eraseWait. Otherwise the loop does it.
func (s *Store) eraseBeforeAnswer(ctx context.Context) {
	ctx, cancel := context.WithTimeout(delegation.Detach(ctx), eraseWait)
	defer cancel()
	_ = s.Erase(ctx) // the loop warns if it fails again and again
}
