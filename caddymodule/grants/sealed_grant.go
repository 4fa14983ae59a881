// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"database/sql"
	"time"
)

// maxRereads is how often a row is read that is replaced each time.
const maxRereads = 5

// sealedGrant is a grant as the database has it.
type sealedGrant struct {
	Grant
	sealedColumns
}

// sealedColumns are the columns of a grant that its row key seals.
type sealedColumns struct{ owner, secret, tokens []byte }

// scanGrant reads a row of grantColumns.
func scanGrant(row scanner) (*sealedGrant, error) {
	r := new(sealedGrant)
	var lastUsed, ends, created, changed int64
	if err := row.Scan(&r.ID, &r.Provider, &r.Source, &r.State, &r.owner, &r.secret, &r.tokens, &r.rowKey, &r.Version,
		&r.SuspendCause, &r.SuspendCount, &lastUsed, &ends, &created, &changed); err != nil {
		return nil, err
	}
	r.Created, r.Changed = time.UnixMilli(created), time.UnixMilli(changed)
	r.LastUsed, r.Ends = optionalTime(lastUsed), optionalTime(ends)
	return r, nil
}

// scanGrants reads all rows, and closes them: their row keys are read by another
// query.
func scanGrants(rows *sql.Rows) ([]*sealedGrant, error) { return scanEach(rows, scanGrant) }

// scanEach is [scanGrants] for rows that are read by scan.
func scanEach(rows *sql.Rows, scan func(scanner) (*sealedGrant, error)) (all []*sealedGrant, err error) {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

// openGrant opens a grant. The error is errNoRowKey if it was replaced since it was
// read, [ErrDamaged] or the database's.
func (s *Store) openGrant(ctx context.Context, db querier, r *sealedGrant) (*Grant, error) {
	k, err := s.rowKey(ctx, db, r.rowKey)
	if err != nil {
		return nil, err
	}
	if err := r.openOwner(k, r.owner); err != nil {
		return nil, err
	}
	if err := r.openSecret(k, r.secret); err != nil {
		return nil, err
	}
	return &r.Grant, r.openTokens(k, r.tokens)
}
