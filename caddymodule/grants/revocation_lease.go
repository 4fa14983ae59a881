// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// leaseRevocations leases up to a number of a source's revocations that are due, for
// attempts of up to term. Those of before revocationLife are not among them.
func (s *Store) leaseRevocations(ctx context.Context, provider, source string, most int, term time.Duration) (all []*Revocation, err error) {
	const operation = "leasing revocations"
	var rows []*sealedRevocation
	err = s.update(ctx, operation, func(ctx context.Context, db querier) error {
		rows = nil
		now, err := s.now(ctx, db)
		if err != nil {
			return err
		}
		text, args := s.buildQuery("UPDATE revocations SET attempts = attempts + 1, lease_until = ", millis(now.Add(term)),
			" WHERE lease_until <= ", millis(now), " AND id IN (SELECT id FROM revocations WHERE provider = ", provider, " AND source = ", source, " AND due <= ", millis(now), " AND lease_until <= ", millis(now),
			" AND created > ", millis(now.Add(-revocationLife)), fmt.Sprintf(" ORDER BY due, id LIMIT %d) RETURNING ", most)+revocationColumns)
		found, err := db.QueryContext(ctx, text, args...)
		if err != nil {
			return err
		}
		defer func() { _ = found.Close() }()
		for found.Next() {
			r, err := scanRevocation(found)
			if err != nil {
				return err
			}
			rows = append(rows, r)
		}
		return found.Err()
	})
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		var r *Revocation
		err := s.read(ctx, operation, func(ctx context.Context, db querier) (err error) {
			if r, err = s.openRevocation(ctx, db, row); errors.Is(err, errNoRowKey) { // it was sealed anew, or dropped
				r, err = nil, nil
			}
			return err
		})
		if errors.Is(err, ErrDamaged) { // it was altered: the platform cannot be told with it
			err = s.endRevocation(ctx, &row.Grant)
		}
		if err != nil {
			return all, err // their leases lapse
		}
		if r != nil {
			all = append(all, r)
		}
	}
	return all, nil
}

// holdRevocation leases a revocation for a term from now on, by who has leased it before:
// much may have happened since, while others of the lease were told. held is false if the
// platform must not be told: it was dropped, or somebody else has leased it. One whose
// account is in use is deleted.
func (s *Store) holdRevocation(ctx context.Context, r *Revocation, term time.Duration) (held bool, err error) {
	err = s.write(ctx, "leasing a revocation", func(ctx context.Context, tx querier) error {
		held = false
		used, err := s.isAccountInUse(ctx, tx, r.Grant)
		switch {
		case err != nil:
			return err
		case used:
			return s.deleteRows(ctx, tx, "DELETE FROM revocations WHERE id = ", r.Grant.ID, " AND row_key = ", r.Grant.rowKey, "")
		}
		now, err := s.now(ctx, tx)
		if err != nil {
			return err
		}
		n, err := s.exec(ctx, tx, "UPDATE revocations SET lease_until = ", millis(now.Add(term)),
			" WHERE id = ", r.Grant.ID, " AND row_key = ", r.Grant.rowKey, " AND attempts = ", r.Attempts, "")
		held = n > 0
		return err
	})
	return held && err == nil, err
}

// endRevocation deletes a revocation of which the platform was told. One that has other
// tokens by now, which a refresh under way has brought, stays.
func (s *Store) endRevocation(ctx context.Context, g *Grant) error {
	return s.write(ctx, "ending a revocation", func(ctx context.Context, tx querier) error {
		return s.deleteRows(ctx, tx, "DELETE FROM revocations WHERE id = ", g.ID, " AND row_key = ", g.rowKey, "")
	})
}

// postponeRevocation ends the lease of a revocation of which the platform could not be
// told: it is told after a pause.
func (s *Store) postponeRevocation(ctx context.Context, r *Revocation, pause time.Duration) error {
	return s.update(ctx, "postponing a revocation", func(ctx context.Context, db querier) error {
		now, err := s.now(ctx, db)
		if err != nil {
			return err
		}
		_, err = s.exec(ctx, db, "UPDATE revocations SET lease_until = 0, due = ", millis(now.Add(pause)), " WHERE id = ", r.Grant.ID, " AND row_key = ", r.Grant.rowKey, "")
		return err
	})
}

// rotateRevocation keeps the tokens that the platform has issued for those of a
// revocation, whose refresh token is spent. One that was dropped meanwhile stays so.
func (s *Store) rotateRevocation(ctx context.Context, r *Revocation, tokens delegation.GrantTokens) error {
	err := s.write(ctx, "storing a refreshed credential", func(ctx context.Context, tx querier) error {
		now, err := s.revocation(ctx, tx, "SELECT "+revocationColumns+" FROM revocations WHERE id = ", r.Grant.ID, "")
		if err != nil || now.Grant.rowKey != r.Grant.rowKey {
			return err
		}
		now.Grant.Tokens, now.Uncertain = tokens, false
		if err := s.replaceRevocation(ctx, tx, now); err != nil {
			return err
		}
		r.Grant.rowKey = now.Grant.rowKey
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// replaceRevocation writes a revocation that is in the database, sealed by a new row key
// and by the primary key of the keyset.
func (s *Store) replaceRevocation(ctx context.Context, tx querier, r *Revocation) error {
	g, before := r.Grant, r.Grant.rowKey
	sealed, err := s.sealGrant(ctx, tx, g)
	if err != nil {
		return err
	}
	uncertain := 0
	if r.Uncertain {
		uncertain = 1
	}
	if _, err := s.exec(ctx, tx, "UPDATE revocations SET provider = ", g.Provider, ", source = ", g.Source, ", account = ", s.accountPseudonym(g.Provider, g.Source, g.Account),
		", shared = ", s.sharedPseudonym(g), ", owner = ", sealed.owner, ", secret = ", sealed.secret, ", tokens = ", sealed.tokens, ", row_key = ", g.rowKey,
		", sealed_by = ", s.primaryKeyName(), ", uncertain = ", uncertain, " WHERE id = ", g.ID, ""); err != nil {
		return err
	}
	return s.deleteRowKeys(ctx, tx, before)
}

// giveUpRevocations deletes the revocations of a source of which the platform could not
// be told for revocationLife, or all of them, and returns how many.
func (s *Store) giveUpRevocations(ctx context.Context, provider, source string, all bool) (n int, err error) {
	err = s.write(ctx, "giving up revocations", func(ctx context.Context, tx querier) error {
		now, err := s.now(ctx, tx)
		if err != nil {
			return err
		}
		before := now.Add(-revocationLife)
		if all {
			before = now
		}
		old := []any{" FROM revocations WHERE provider = ", provider, " AND source = ", source, " AND created <= ", millis(before), ""}
		if err := s.queryRow(ctx, tx, func(row scanner) error { return row.Scan(&n) }, append([]any{"SELECT count(*)" + old[0].(string)}, old[1:]...)...); err != nil || n == 0 {
			return err
		}
		return s.deleteRows(ctx, tx, append([]any{"DELETE" + old[0].(string)}, old[1:]...)...)
	})
	return n, err
}

// ForEachRevocation calls tell with every revocation of which a platform was not told
// yet, without its credential, the oldest first. An error of tell ends it and is
// returned. Otherwise the error is [ErrUnavailable], or an [ErrDamaged] that names the
// grant.
func (s *Store) ForEachRevocation(ctx context.Context, tell func(*Revocation) error) error {
	var ids []string
	if err := s.read(ctx, "listing revocations", func(ctx context.Context, db querier) (err error) {
		ids, err = scanStrings(db.QueryContext(ctx, "SELECT id FROM revocations ORDER BY created, id"))
		return err
	}); err != nil {
		return err
	}
	for _, id := range ids {
		var r *Revocation
		err := s.read(ctx, "listing revocations", func(ctx context.Context, db querier) (err error) {
			r, err = s.revocation(ctx, db, "SELECT "+revocationColumns+" FROM revocations WHERE id = ", id, "")
			return err
		})
		if errors.Is(err, ErrNotFound) {
			continue // it was told meanwhile
		}
		if err != nil {
			return fmt.Errorf("%w: grant %s", err, id)
		}
		r.Grant.Secret, r.Grant.Tokens = delegation.Secret{}, delegation.GrantTokens{}
		if err := tell(r); err != nil {
			return err
		}
	}
	return nil
}
