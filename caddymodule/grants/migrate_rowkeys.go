// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/pressly/goose/v3"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/tuple"
)

// firstSequence is more than the nanoseconds since 1970 by which versions 1 and 2
// have ordered consents: whatever happens from now on is later.
const firstSequence = 4_000_000_000_000_000_000

// rowKeysMigration brings the tables to version 3: row keys, row versions, and an
// order that no clock decides. It is not written in SQL, because each row is sealed
// anew. The tables are made anew, so that nothing that older programs have deleted
// stays in their files.
func (s *Store) rowKeysMigration() *goose.Migration {
	return goose.NewGoMigration(3, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		if err := s.checkSealedBy(ctx, tx, "grants", "journeys"); err != nil {
			return err
		}
		schema := rowKeysSchema()
		if s.dialect.goose == "postgres" {
			schema = append(schema, disableStatistics()...)
		}
		for _, text := range schema {
			if _, err := tx.ExecContext(ctx, text); err != nil {
				return err
			}
		}
		// In the same transaction as the tables, so that one of two machines that
		// find nothing is first.
		if _, err := s.exec(ctx, tx, "INSERT INTO keyset (sealed_by) VALUES (", s.primaryKeyName(), ")"); err != nil {
			return err
		}
		if err := s.resealOldGrants(ctx, tx); err != nil {
			return err
		}
		if err := s.resealOldFlows(ctx, tx); err != nil {
			return err
		}
		for _, text := range append([]string{"DROP TABLE old_grants", "DROP TABLE old_journeys"}, rowKeysIndexes...) {
			if _, err := tx.ExecContext(ctx, text); err != nil {
				return err
			}
		}
		return s.queueErasure(ctx, tx, wholeFile)
	}}, nil)
}

// rowKeysSchema returns the statements that make the tables of version 3.
func rowKeysSchema() []string {
	all := []string{
		"ALTER TABLE grants RENAME TO old_grants",
		"ALTER TABLE journeys RENAME TO old_journeys",
		`CREATE TABLE grants (
	id        TEXT    NOT NULL PRIMARY KEY,
	provider  TEXT    NOT NULL,
	source    TEXT    NOT NULL,
	person    TEXT    NOT NULL, -- pseudonym of realm, subject and slot
	account   TEXT    NOT NULL, -- pseudonym of the account at the platform
	state     TEXT    NOT NULL, -- active, suspended, conflict or retired
	owner     BYTEA   NOT NULL, -- sealed by the row's key: whose it is
	secret    BYTEA   NOT NULL, -- sealed by the row's key: what the provider keeps
	row_key   TEXT    NOT NULL, -- the id of the key, in the table of its first two digits
	sealed_by TEXT    NOT NULL, -- pseudonym of the keyset's key that seals the row's
	version   BIGINT  NOT NULL, -- another after each change
	created   BIGINT  NOT NULL, -- milliseconds since 1970
	changed   BIGINT  NOT NULL
)`,
		`CREATE TABLE journeys (
	id        TEXT    NOT NULL PRIMARY KEY,
	provider  TEXT    NOT NULL,
	source    TEXT    NOT NULL,
	person    TEXT    NOT NULL,
	link      TEXT    NOT NULL, -- pseudonym of the token that the platform is given
	back      TEXT    NOT NULL, -- pseudonym of the token that the browser comes back with
	browser   TEXT    NOT NULL, -- pseudonym of the token that the browser keeps
	state     TEXT    NOT NULL, -- open, staged or done
	owner     BYTEA   NOT NULL, -- sealed by the row's key: who set out
	staged    BYTEA   NOT NULL, -- sealed by the row's key: what the platform said; empty before
	row_key   TEXT    NOT NULL,
	sealed_by TEXT    NOT NULL,
	created   BIGINT  NOT NULL,
	expires   BIGINT  NOT NULL
)`,
		// The queue of erasures: tables of row keys, or the whole file.
		"CREATE TABLE erasures (id TEXT NOT NULL PRIMARY KEY, what TEXT NOT NULL)",
		// The keyset's primary key, also while the database is empty: two machines
		// with different keysets would not meet each other's bindings.
		"CREATE TABLE keyset (sealed_by TEXT NOT NULL)",
		"CREATE TABLE counters (name TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL)",
		fmt.Sprintf("INSERT INTO counters (name, value) VALUES ('order', %d)", int64(firstSequence)),
	}
	for _, name := range rowKeyTableNames {
		all = append(all, "CREATE TABLE "+name+" (id TEXT NOT NULL PRIMARY KEY, sealed BYTEA NOT NULL)")
	}
	return all
}

// disableStatistics keeps ANALYZE, which PostgreSQL runs by itself, from copying
// values into pg_statistic. No erasure reaches that table, which belongs to the
// superuser, and a row key in it would open what was deleted.
func disableStatistics() (all []string) {
	sealed := map[string][]string{"grants": {"owner", "secret"}, "journeys": {"owner", "staged"}}
	for _, name := range rowKeyTableNames {
		sealed[name] = []string{"sealed"}
	}
	for table, columns := range sealed {
		for _, column := range columns {
			all = append(all, "ALTER TABLE "+table+" ALTER COLUMN "+column+" SET STATISTICS 0")
		}
	}
	return all
}

// rowKeysIndexes are made when the old tables are gone, whose indexes have the same
// names.
var rowKeysIndexes = []string{
	"CREATE UNIQUE INDEX grants_person  ON grants (provider, source, person)  WHERE state IN ('active', 'suspended')",
	"CREATE UNIQUE INDEX grants_account ON grants (provider, source, account) WHERE state IN ('active', 'suspended')",
	"CREATE INDEX grants_of_person ON grants (provider, source, person)",
	"CREATE INDEX grants_created ON grants (created, id)",
	"CREATE INDEX grants_sealed_by ON grants (sealed_by)",
	"CREATE UNIQUE INDEX journeys_link ON journeys (link)",
	"CREATE UNIQUE INDEX journeys_back ON journeys (back)",
	"CREATE INDEX journeys_person ON journeys (provider, source, person)",
	"CREATE INDEX journeys_expires ON journeys (expires)",
}

// resealOldGrants seals all grants anew. One that does not open is kept as it is,
// for an operator to see and to delete.
func (s *Store) resealOldGrants(ctx context.Context, tx querier) error {
	return s.forEachOldRow(ctx, tx, "old_grants", func(id string) error {
		g := new(Grant)
		var owner, secret []byte
		var person, account, sealedBy string
		var created, changed int64
		if err := s.queryRow(ctx, tx, func(row scanner) error {
			return row.Scan(&g.ID, &g.Provider, &g.Source, &person, &account, &g.State, &owner, &secret, &sealedBy, &created, &changed)
		}, "SELECT id, provider, source, person, account, state, owner, secret, sealed_by, created, changed FROM old_grants WHERE id = ", id, ""); err != nil {
			return err
		}
		var who sealedOwner
		var plain []byte
		err := s.openOldSealed(owner, &who, g.ownerAAD()...)
		if err == nil {
			g.Owner, g.Account = who.toOwner(g.Provider, g.Source), who.Account
			plain, err = s.keys.Open(secret, tuple.Encode(g.secretAAD()...))
		}
		key := ""
		if err == nil {
			k, err := s.newRowKey(ctx, tx)
			if err != nil {
				return err
			}
			if owner, err = k.sealJSON(who, g.ownerAAD()...); err != nil {
				return err
			}
			key, secret, sealedBy = k.id, k.seal(plain, g.secretAAD()...), s.primaryKeyName()
			person, account = s.ownerPseudonym(g.Owner), s.accountPseudonym(g.Provider, g.Source, g.Account)
		}
		_, err = s.exec(ctx, tx, "INSERT INTO grants (id, provider, source, person, account, state, owner, secret, row_key, sealed_by, version, created, changed) VALUES (",
			g.ID, ", ", g.Provider, ", ", g.Source, ", ", person, ", ", account, ", ", string(g.State), ", ",
			owner, ", ", secret, ", ", key, ", ", sealedBy, ", ", 1, ", ", created, ", ", changed, ")")
		return err
	})
}

// resealOldFlows seals the consent flows anew. One that does not open is dropped:
// nobody could complete it.
func (s *Store) resealOldFlows(ctx context.Context, tx querier) error {
	return s.forEachOldRow(ctx, tx, "old_journeys", func(id string) error {
		f := &storedFlow{mode: FlowCallback}
		var owner, staged []byte
		var created, expires int64
		if err := s.queryRow(ctx, tx, func(row scanner) error {
			return row.Scan(&f.id, &f.provider, &f.source, &f.link, &f.back, &f.browser, &f.state, &owner, &staged, &created, &expires)
		}, "SELECT id, provider, source, link, back, browser, state, owner, staged, created, expires FROM old_journeys WHERE id = ", id, ""); err != nil {
			return err
		}
		var who sealedOwner
		err := s.openOldSealed(owner, &who, f.ownerAAD()...)
		if err == nil && len(staged) > 0 {
			err = s.openOldSealed(staged, &f.result, f.resultAAD()...)
		}
		if err != nil {
			return nil //nolint:nilerr // as said above
		}
		f.owner, f.kind = who.toOwner(f.provider, f.source), who.Kind
		if f.state == flowDone {
			f.result = f.result.digestOnly()
		}
		sealed, err := s.sealFlow(ctx, tx, f)
		if err != nil {
			return err
		}
		_, err = s.exec(ctx, tx, "INSERT INTO journeys (id, provider, source, person, link, back, browser, state, owner, staged, row_key, sealed_by, created, expires) VALUES (",
			f.id, ", ", f.provider, ", ", f.source, ", ", s.ownerPseudonym(f.owner), ", ", f.link, ", ", f.back, ", ",
			f.browser, ", ", f.state, ", ", sealed.owner, ", ", sealed.staged, ", ", f.rowKey, ", ", s.primaryKeyName(), ", ", created, ", ", expires, ")")
		return err
	})
}

// forEachOldRow calls do with the id of each row of a table.
func (s *Store) forEachOldRow(ctx context.Context, tx querier, table string, do func(id string) error) error {
	for after := ""; ; {
		text, args := s.buildQuery("SELECT id FROM "+table+" WHERE id > ", after, " ORDER BY id LIMIT 1000")
		ids, err := scanStrings(tx.QueryContext(ctx, text, args...))
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if err := do(id); err != nil {
				return err
			}
		}
		after = ids[len(ids)-1]
	}
}

// openOldSealed opens JSON that the keyset itself has sealed, as in versions 1 and
// 2.
func (s *Store) openOldSealed(sealed []byte, v any, place ...string) error {
	plain, err := s.keys.Open(sealed, tuple.Encode(place...))
	if err != nil {
		return err
	}
	if json.Unmarshal(plain, v) != nil {
		return errors.New("it is no JSON")
	}
	return nil
}
