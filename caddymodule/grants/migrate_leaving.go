// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"database/sql"
	"slices"

	"github.com/pressly/goose/v3"
)

// leavingMigration brings the tables to version 5: revocations that platforms have
// not been told of, which grants share a consent at the vendor, when unused grants are
// refreshed, and whose turn it is to do so. It only adds, with default values: a
// program of version 4 that still runs beside this one reads and writes what it knows.
func (s *Store) leavingMigration() *goose.Migration {
	return goose.NewGoMigration(5, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		schema := leavingSchema
		if s.dialect.goose == "postgres" {
			schema = slices.Clip(schema)
			for _, column := range []string{"owner", "secret", "tokens"} { // see disableStatistics
				schema = append(schema, "ALTER TABLE revocations ALTER COLUMN "+column+" SET STATISTICS 0")
			}
		}
		for _, text := range schema {
			if _, err := tx.ExecContext(ctx, text); err != nil {
				return err
			}
		}
		return nil
	}}, nil)
}

// leavingSchema has the statements that make the tables of version 5. All times are
// milliseconds since 1970 by the database's clock; 0: none.
var leavingSchema = []string{
	// Pseudonym of the operator's client at the vendor and the account: grants with the
	// same one share what a vendor ends at once. Empty where that is not known.
	"ALTER TABLE grants ADD COLUMN shared TEXT NOT NULL DEFAULT ''",
	// When an unused refresh token is spent, so that it does not end.
	"ALTER TABLE grants ADD COLUMN renew_at BIGINT NOT NULL DEFAULT 0",
	"CREATE INDEX grants_shared ON grants (shared) WHERE shared <> ''",
	"CREATE INDEX grants_ends ON grants (provider, source, ends) WHERE ends > 0",
	"CREATE INDEX grants_renew_at ON grants (provider, source, renew_at) WHERE renew_at > 0",

	`CREATE TABLE revocations (
	id          TEXT   NOT NULL PRIMARY KEY, -- that of the grant
	provider    TEXT   NOT NULL,
	source      TEXT   NOT NULL,
	account     TEXT   NOT NULL, -- pseudonyms as those of grants
	shared      TEXT   NOT NULL,
	owner       BYTEA  NOT NULL, -- sealed by the row's key, as those of grants
	secret      BYTEA  NOT NULL,
	tokens      BYTEA  NOT NULL,
	row_key     TEXT   NOT NULL,
	sealed_by   TEXT   NOT NULL,
	uncertain   BIGINT NOT NULL, -- 1: the refresh token may be spent
	attempts    BIGINT NOT NULL, -- at telling the platform
	due         BIGINT NOT NULL, -- when it is told next
	lease_until BIGINT NOT NULL, -- until when nobody else tells it
	created     BIGINT NOT NULL
)`,
	"CREATE INDEX revocations_due ON revocations (provider, source, due)",
	"CREATE INDEX revocations_created ON revocations (created)",
	"CREATE INDEX revocations_shared ON revocations (shared)",
	"CREATE INDEX revocations_account ON revocations (provider, source, account)",
	"CREATE INDEX revocations_sealed_by ON revocations (sealed_by)",

	// Which process does the housekeeping of a provider's source, and until when no other
	// does.
	`CREATE TABLE housekeeping (
	name   TEXT   NOT NULL PRIMARY KEY, -- provider and source
	holder TEXT   NOT NULL,
	until  BIGINT NOT NULL
)`,
}
