// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"database/sql"
	"slices"

	"github.com/pressly/goose/v3"
)

// consentMigration brings the tables to version 4: tokens of OAuth, leases and
// suspensions of grants, codes and one-time tokens that flows redeem, and the
// identifiers by which platforms know people. It only adds, with default values: a
// program of version 3 that still runs beside this one reads and writes what it
// knows.
func (s *Store) consentMigration() *goose.Migration {
	return goose.NewGoMigration(4, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		schema := consentSchema
		if s.dialect.goose == "postgres" {
			schema = append(slices.Clip(schema),
				// See disableStatistics.
				"ALTER TABLE grants ALTER COLUMN tokens SET STATISTICS 0",
				"ALTER TABLE journeys ALTER COLUMN secret SET STATISTICS 0",
				"ALTER TABLE people ALTER COLUMN owner SET STATISTICS 0")
		}
		for _, text := range schema {
			if _, err := tx.ExecContext(ctx, text); err != nil {
				return err
			}
		}
		return nil
	}}, nil)
}

// consentSchema has the statements that make the tables of version 4. A sealed
// column that is empty is the zero value. All times are milliseconds since 1970 by
// the database's clock; 0: none.
var consentSchema = []string{
	// Sealed by the row's key: access and refresh token, and their ends.
	"ALTER TABLE grants ADD COLUMN tokens BYTEA NOT NULL DEFAULT ''",
	// Who calls the platform for the grant, and until when nobody else may.
	"ALTER TABLE grants ADD COLUMN lease_holder TEXT NOT NULL DEFAULT ''",
	"ALTER TABLE grants ADD COLUMN lease_until BIGINT NOT NULL DEFAULT 0",
	// The version whose refresh token may be spent, and how often that was begun
	// without anybody having reported back.
	"ALTER TABLE grants ADD COLUMN intent BIGINT NOT NULL DEFAULT 0",
	"ALTER TABLE grants ADD COLUMN attempts BIGINT NOT NULL DEFAULT 0",
	"ALTER TABLE grants ADD COLUMN suspend_cause TEXT NOT NULL DEFAULT ''",
	"ALTER TABLE grants ADD COLUMN suspend_count BIGINT NOT NULL DEFAULT 0",
	"ALTER TABLE grants ADD COLUMN last_used BIGINT NOT NULL DEFAULT 0",
	"ALTER TABLE grants ADD COLUMN ends BIGINT NOT NULL DEFAULT 0",

	// How the flow's outcome comes: callback, redirect or page. Part of owner's
	// seal, but for those of version 3, which are all of the first.
	"ALTER TABLE journeys ADD COLUMN mode TEXT NOT NULL DEFAULT 'callback'",
	// Who redeems what the browser has brought, and until when nobody else may.
	"ALTER TABLE journeys ADD COLUMN claim_id TEXT NOT NULL DEFAULT ''",
	"ALTER TABLE journeys ADD COLUMN claim_until BIGINT NOT NULL DEFAULT 0",
	// Sealed by the row's key: code verifier, the page's secret, asked scopes.
	"ALTER TABLE journeys ADD COLUMN secret BYTEA NOT NULL DEFAULT ''",

	`CREATE TABLE redeemed (
	token   TEXT   NOT NULL PRIMARY KEY, -- pseudonym of a code or one-time token
	flow    TEXT   NOT NULL,             -- the id of the flow that has claimed it
	refused TEXT   NOT NULL,             -- the reason if the platform has refused it; empty otherwise
	expires BIGINT NOT NULL
)`,
	"CREATE INDEX redeemed_expires ON redeemed (expires)",

	`CREATE TABLE people (
	id        TEXT   NOT NULL PRIMARY KEY,
	provider  TEXT   NOT NULL,
	source    TEXT   NOT NULL,
	person    TEXT   NOT NULL, -- pseudonym of realm, subject and slot
	owner     BYTEA  NOT NULL, -- sealed by the row's key: who it is, and the platform's identifier of them
	row_key   TEXT   NOT NULL,
	sealed_by TEXT   NOT NULL,
	created   BIGINT NOT NULL
)`,
	"CREATE UNIQUE INDEX people_person ON people (provider, source, person)",
	"CREATE INDEX people_sealed_by ON people (sealed_by)",
}
