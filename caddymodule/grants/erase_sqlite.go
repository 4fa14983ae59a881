// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// eraseSQLite writes a table anew: secure_delete overwrites all of its pages, and
// the copies that rearranging them has left. For wholeFile it runs VACUUM.
func eraseSQLite(ctx context.Context, s *Store, what string) error {
	if what == wholeFile {
		_, err := s.db.ExecContext(ctx, "VACUUM")
		return err
	}
	if !isRowKeyTable(what) {
		return nil
	}
	return s.transact(ctx, "", func(ctx context.Context, tx querier) error {
		kept, err := rowKeysIn(ctx, tx, what)
		if err != nil {
			return err
		}
		if _, err := s.exec(ctx, tx, "DELETE FROM "+what); err != nil {
			return err
		}
		for _, k := range kept {
			if _, err := s.exec(ctx, tx, "INSERT INTO "+what+" (id, sealed) VALUES (", k.id, ", ", k.sealed, ")"); err != nil {
				return err
			}
		}
		return nil
	})
}

// truncateLogSQLite empties the write-ahead log, which has pages as they were
// before the erasure. The error is errInUse while others read it.
func truncateLogSQLite(ctx context.Context, s *Store) error {
	c, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	// Writers wait while the checkpoint waits for readers: not for long.
	if _, err := c.ExecContext(ctx, "PRAGMA busy_timeout = "+eraseLockTimeout); err != nil {
		return err
	}
	defer func() { _, _ = c.ExecContext(delegation.Detach(ctx), "PRAGMA busy_timeout = "+s.busyTimeout()) }()
	var busy, frames, moved int
	if err := c.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &moved); err != nil {
		return err
	}
	if busy != 0 {
		return errInUse
	}
	return nil
}
