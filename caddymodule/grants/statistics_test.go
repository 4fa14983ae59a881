// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"strconv"
	"testing"
	"time"
)

// analyzed is a store of PostgreSQL with enough rows that ANALYZE keeps values
// of each table of row keys.
func analyzed(t *testing.T) (*Store, Options) {
	t.Helper()
	address, err := postgresServer(t).Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := Options{Postgres: address, Keyset: newKeyset(t), Timeout: time.Minute}
	s := opened(t, at)
	if err := s.write(t.Context(), "filling", func(ctx context.Context, tx querier) error {
		for i := range 1000 {
			who := "other-" + strconv.Itoa(i)
			now := time.Now()
			if err := s.insert(ctx, tx, &Grant{ID: newID(), Owner: owner(who), Account: who, State: Active, Created: now, Changed: now}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	erased(t, s)
	// As the autovacuum daemon does by itself when a tenth of the rows has changed.
	if _, err := s.db.ExecContext(t.Context(), "ANALYZE"); err != nil {
		t.Fatal(err)
	}
	return s, at
}

// TestForgottenInStatistics protects what people have had deleted from whoever
// reads what PostgreSQL's ANALYZE has copied of the tables: values in pg_statistic
// outlive rows, and no erasure reaches them.
func TestForgottenInStatistics(t *testing.T) {
	s, at := analyzed(t)
	before := sealedKeys(t, s)
	for i := range 40 {
		if err := s.DeleteByOwner(t.Context(), owner("other-"+strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	erased(t, s)
	kept := 0 // of which a few are enough to look for: the files are large
	for id := range sealedKeys(t, s) {
		if kept++; kept > 5 {
			delete(before, id)
		}
	}
	gone(t, s, at, before)
}

// TestNothingSealedInStatistics protects the same in every table: no column with
// sealed values is one that ANALYZE looks at.
func TestNothingSealedInStatistics(t *testing.T) {
	s, _ := analyzed(t)
	looked, err := scanStrings(s.db.QueryContext(t.Context(), `SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.atttypid = 'bytea'::regtype AND coalesce(a.attstattarget, -1) <> 0`))
	if err != nil {
		t.Fatal(err)
	}
	for _, column := range looked {
		t.Errorf("values of %s are copied by ANALYZE", column)
	}
	kept, err := scanStrings(s.db.QueryContext(t.Context(), `SELECT tablename || '.' || attname FROM pg_stats WHERE schemaname = 'public' AND attname IN ('sealed', 'owner', 'secret', 'staged')`))
	if err != nil || len(kept) > 0 {
		t.Errorf("ANALYZE has kept values of %v, %v", kept, err)
	}
}
