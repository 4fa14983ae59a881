// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"database/sql"
	"time"
)

// housekeepingTerm is for how long a process has the housekeeping of a source, unless it
// gives it back.
const housekeepingTerm = 2 * time.Minute

// takeTurn makes a process the one that does the housekeeping of a source among all that
// share the database. ok is false while another one has it.
func (s *Store) takeTurn(ctx context.Context, name, holder string) (ok bool, err error) {
	err = s.update(ctx, "taking the housekeeping", func(ctx context.Context, db querier) error {
		now, err := s.now(ctx, db)
		if err != nil {
			return err
		}
		until := millis(now.Add(housekeepingTerm))
		n, err := s.exec(ctx, db, "INSERT INTO housekeeping (name, holder, until) VALUES (", name, ", ", holder, ", ", until,
			") ON CONFLICT (name) DO UPDATE SET holder = ", holder, ", until = ", until, " WHERE housekeeping.until <= ", millis(now), " OR housekeeping.holder = ", holder, "")
		ok = n > 0
		return err
	})
	return ok && err == nil, err
}

// endTurn gives the housekeeping of a source back.
func (s *Store) endTurn(ctx context.Context, name, holder string) error {
	return s.update(ctx, "ending the housekeeping", func(ctx context.Context, db querier) error {
		_, err := s.exec(ctx, db, "UPDATE housekeeping SET until = 0 WHERE name = ", name, " AND holder = ", holder, "")
		return err
	})
}

// untilHousekeeping returns the time until the next thing that is due of a source, by the
// database's clock; most if there is none before. renews includes the refresh of unused
// grants. It changes nothing.
func (s *Store) untilHousekeeping(ctx context.Context, provider, source string, renews bool, most time.Duration) (wait time.Duration, err error) {
	renewals := ""
	if !renews {
		renewals = " AND 1 = 0"
	}
	err = s.read(ctx, "looking for housekeeping", func(ctx context.Context, db querier) error {
		now, err := s.now(ctx, db)
		if err != nil {
			return err
		}
		var next sql.NullInt64
		if err := s.queryRow(ctx, db, func(row scanner) error { return row.Scan(&next) },
			"SELECT min(next.at) FROM (SELECT min(ends) AS at FROM grants WHERE ends > 0 AND provider = ", provider, " AND source = ", source,
			" UNION ALL SELECT min(renew_at) FROM grants WHERE renew_at > 0 AND state = 'active' AND (ends = 0 OR ends > ", millis(now), ")"+renewals+" AND provider = ", provider, " AND source = ", source,
			" UNION ALL SELECT min(CASE WHEN due > lease_until THEN due ELSE lease_until END) FROM revocations WHERE provider = ", provider, " AND source = ", source, ") AS next"); err != nil {
			return err
		}
		wait = most
		if next.Valid {
			wait = min(most, time.UnixMilli(next.Int64).Sub(now))
		}
		return nil
	})
	return wait, err
}
