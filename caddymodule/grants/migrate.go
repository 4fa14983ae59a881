// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// migrations are versions 1 and 2 of the tables; version 3 is
// [Store.rowKeysMigration], version 4 [Store.consentMigration], version 5
// [Store.leavingMigration].
//
//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the tables up to date, also while other machines do it. An error
// says that nothing was changed; tables of a newer program are one.
func (s *Store) migrate(ctx context.Context) error {
	short, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	long, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true), goose.WithTableName("delegate_migrations"), goose.WithGoMigrations(s.rowKeysMigration(), s.consentMigration(), s.leavingMigration())}
	if s.dialect.goose == "postgres" {
		locker, err := migrationLock()
		if err != nil {
			return err
		}
		options = append(options, goose.WithLocker(locker))
	}
	p, err := goose.NewProvider(goose.Dialect(s.dialect.goose), s.db, files, options...)
	if err != nil {
		return s.unavailable("preparing the tables", err)
	}
	behind, err := p.HasPending(short)
	if err == nil && behind {
		_, err = p.Up(long)
	}
	if errors.Is(err, ErrDamaged) {
		return err
	}
	if err != nil {
		return s.unavailable("bringing the tables up to date", err)
	}
	now, newest, err := p.GetVersions(long)
	if err == nil && now > newest {
		return fmt.Errorf("grants: the tables are of version %d, and this program knows %d: use the newer program", now, newest)
	}
	return s.unavailable("reading the tables' version", err)
}

// migrationLock has machines that bring the tables up to date wait for each other.
// It is a row with a lease and not PostgreSQL's lock of a session: behind a pooler
// in transaction mode that is taken on one connection, given back on another, and
// stays.
func migrationLock() (lock.Locker, error) {
	const pause = time.Second
	return lock.NewPostgresTableLocker(
		lock.WithTableName("delegate_migrations_lock"),
		lock.WithTableLockTimeout(pause, uint64(migrateTimeout/pause)),
		// While another machine has the lock, the error is one of its own. An error
		// that wraps the driver's is not mended by waiting.
		lock.WithTableRetryPolicy(func(err error) bool { return errors.Unwrap(err) == nil }),
	)
}

// checkKeyset refuses a keyset that does not open what is in the database: with a
// wrong one nobody would be found, and everybody would be asked to consent anew.
// After a rotation it notes the new primary key.
func (s *Store) checkKeyset(ctx context.Context) error {
	var by string
	if err := s.read(ctx, "checking the keyset", func(ctx context.Context, db querier) error {
		if err := s.checkSealedBy(ctx, db, "keyset", "grants", "journeys", "people", "revocations"); err != nil {
			return err
		}
		return s.queryRow(ctx, db, func(row scanner) error { return row.Scan(&by) }, "SELECT sealed_by FROM keyset")
	}); err != nil || by == s.primaryKeyName() {
		return err
	}
	// A rotation has made another key the primary.
	return s.write(ctx, "noting the keyset", func(ctx context.Context, tx querier) error {
		if err := s.checkSealedBy(ctx, tx, "keyset"); err != nil {
			return err
		}
		_, err := s.exec(ctx, tx, "UPDATE keyset SET sealed_by = ", s.primaryKeyName(), "")
		return err
	})
}

// checkSealedBy is an [ErrDamaged] if a table has rows that no key of the keyset
// has sealed.
func (s *Store) checkSealedBy(ctx context.Context, db querier, tables ...string) error {
	for _, table := range tables {
		text, args := s.buildQuery("SELECT count(*) FROM "+table+" WHERE sealed_by NOT IN ", s.keyNames(), "")
		var foreign int
		if err := db.QueryRowContext(ctx, text, args...).Scan(&foreign); err != nil {
			return err
		}
		if foreign > 0 {
			return fmt.Errorf("%w: %d rows of %s are sealed by keys that this keyset does not have: put back the keyset file they were written with; nothing was changed", ErrDamaged, foreign, table)
		}
	}
	return nil
}

// primaryKeyName is the pseudonym of the keyset's primary key, which rows have in
// the column sealed_by. keyNames are those of all keys.
func (s *Store) primaryKeyName() string { return s.keys.Name("grants sealed by") }
func (s *Store) keyNames() []string     { return s.keys.Names("grants sealed by") }
