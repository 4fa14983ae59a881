// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Databases do not overwrite what is deleted: SQLite keeps copies in its log
// and in pages that were rearranged, PostgreSQL in dead rows that VACUUM only
// hides. A deletion therefore notes, in its own transaction, which table of row
// keys it has left something in; the table is written anew afterwards, and the
// note removed when nothing is left. A process that dies in between leaves the
// note, and the next one to open the database, or another one that has it open,
// goes on.

// wholeFile stands for all of a SQLite file, where an older program has left
// what it deleted.
const wholeFile = "file"

const (
	// eraseEvery is how often what others have left is looked for.
	eraseEvery = time.Minute
	// eraseWait bounds how long one who deletes waits for the erasure.
	eraseWait = 2 * time.Second
	// eraseLockTimeout bounds how long readers of a table may have to wait behind an
	// erasure that itself waits, such as for a dump, in milliseconds.
	eraseLockTimeout = "300"
	// eraseRestFactor is how much longer a pass in the background rests than it took.
	eraseRestFactor = 20
	// eraseWarnAfter is how many passes in a row fail before that is told.
	eraseWarnAfter = 5
)

// errInUse says that a table or the log cannot be cleaned while others read it.
var errInUse = errors.New("a backup or another program is reading it: it is tried again")

func (s *Store) queueErasure(ctx context.Context, tx querier, what string) error {
	_, err := s.exec(ctx, tx, "INSERT INTO erasures (id, what) VALUES (", newID(), ", ", what, ")")
	return err
}

// Erase cleans the database of what was deleted or replaced: of the row keys,
// without which the rest cannot be read. It is done in the background after each
// deletion; an error says that something is left, to be tried again.
func (s *Store) Erase(ctx context.Context) error {
	select {
	case s.eraseSlot <- struct{}{}:
	case <-ctx.Done():
		return s.unavailable("erasing", ctx.Err())
	}
	defer func() { <-s.eraseSlot }()
	return s.unavailable("erasing what was deleted", s.erase(ctx))
}

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

// pendingErasures are the notes of what has to be cleaned. What is deleted after they
// were read leaves notes of its own.
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

type sealedKey struct {
	id     string
	sealed []byte
}

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

// wakeEraser has the background look at once.
func (s *Store) wakeEraser() {
	select {
	case s.eraserWake <- struct{}{}:
	default:
	}
}

// eraseLoop erases what is due, and what others have left, until the store is
// closed; and drops journeys that are long over.
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
		select { // rewriting must not be all that is done
		case <-time.After(eraseRestFactor * time.Since(began)):
		case <-ctx.Done():
			return
		}
		select {
		case <-s.eraserWake:
		case <-every.C:
			_ = background.Do("dropping old journeys", func() error { return s.sweepFlows(ctx) }) // or in a minute
		case <-ctx.Done():
			return
		}
	}
}

// sweepFlows drops journeys that are long over, also where nobody begins another.
func (s *Store) sweepFlows(ctx context.Context) error {
	return s.write(ctx, "dropping old journeys", func(ctx context.Context, tx querier) error {
		now, err := s.now(ctx, tx)
		if err == nil {
			err = s.deleteExpiredFlows(ctx, tx, now)
		}
		return err
	})
}

// eraseBeforeAnswer erases what was deleted before who asked for it is answered, if that
// can be done in a moment; otherwise the background does it.
func (s *Store) eraseBeforeAnswer(ctx context.Context) {
	ctx, cancel := context.WithTimeout(delegation.Detach(ctx), eraseWait)
	defer cancel()
	_ = s.Erase(ctx) // the background tells if it cannot be done for long
}

// scanStrings are the values of a query of one column.
func scanStrings(rows *sql.Rows, err error) (all []string, _ error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, rows.Err()
}
