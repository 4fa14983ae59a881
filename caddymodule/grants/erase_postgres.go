// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"

	"github.com/jackc/pgx/v5/stdlib"
)

// erasePostgres writes a table to a new file and removes the old one (TRUNCATE).
// The rows are frozen: a dump that has begun before would see an empty table
// otherwise, without an error.
func erasePostgres(ctx context.Context, s *Store, table string) error {
	if !isRowKeyTable(table) {
		return nil // wholeFile: the migration has removed the files of the old tables
	}
	c, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	tx, err := c.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, text := range []string{"SET LOCAL lock_timeout = " + eraseLockTimeout, "LOCK TABLE " + table + " IN ACCESS EXCLUSIVE MODE"} {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	kept, err := rowKeysIn(ctx, tx, table)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "TRUNCATE "+table); err != nil {
		return err
	}
	var lines bytes.Buffer
	for _, k := range kept {
		fmt.Fprintf(&lines, "%s\t\\\\x%s\n", k.id, hex.EncodeToString(k.sealed))
	}
	if err := c.Raw(func(driver any) error {
		_, err := driver.(*stdlib.Conn).Conn().PgConn().CopyFrom(ctx, &lines, "COPY "+table+" (id, sealed) FROM STDIN WITH (FREEZE)")
		return err
	}); err != nil {
		return err
	}
	return tx.Commit()
}

// truncateLogPostgres does nothing: the write-ahead log is the server's own.
func truncateLogPostgres(context.Context, *Store) error { return nil }
