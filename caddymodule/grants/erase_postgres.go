// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"

	"github.com/jackc/pgx/v5/stdlib"
)

// erasePostgres writes a table to a new file; the old one is removed. The rows
// are frozen: a dump that began before sees them all, where it would see an
// empty table otherwise, and nothing of it would tell.
func erasePostgres(ctx context.Context, s *Store, table string) error {
	if !isRowKeyTable(table) {
		return nil // the whole: tables of older programs were removed with their files
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

func truncateLogPostgres(context.Context, *Store) error { return nil } // the server's own: see README
