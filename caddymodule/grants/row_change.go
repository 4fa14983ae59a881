// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
)

// rowChange is what a writer changes of a row besides its seal, as a part of the
// statement. A row that is only sealed anew keeps its version.
type rowChange string

const (
	sealChanged rowChange = ""
	// ownerChanged is another owner or state: whether the refresh token may be spent
	// is as before.
	ownerChanged rowChange = ", version = version + 1, intent = CASE intent WHEN 0 THEN 0 ELSE version + 1 END"
	// credentialChanged ends the lease and the intent, which are of the former one.
	credentialChanged rowChange = ", version = version + 1, intent = 0, attempts = 0, lease_until = 0, lease_holder = ''" //nolint:gosec // not a credential: a part of a statement
)

// replace writes a grant that is in the database, sealed by a new row key and by
// the primary key of the keyset. Its former columns do not open any more. When it
// was last used, and when it ends, is not part of that. The error is errChanged if the row is
// not as it was read any more: what was read must not be written back, such as a
// refresh token that is spent by now.
func (s *Store) replace(ctx context.Context, tx querier, g *Grant, change rowChange) error {
	before := g.rowKey
	sealed, err := s.sealGrant(ctx, tx, g)
	if err != nil {
		return err
	}
	err = s.queryRow(ctx, tx, func(row scanner) error { return row.Scan(&g.Version) },
		"UPDATE grants SET person = ", s.ownerPseudonym(g.Owner), ", account = ", s.accountPseudonym(g.Provider, g.Source, g.Account),
		", state = ", string(g.State), ", owner = ", sealed.owner, ", secret = ", sealed.secret, ", tokens = ", sealed.tokens, ", row_key = ", g.rowKey, ", sealed_by = ", s.primaryKeyName(),
		", suspend_cause = ", g.SuspendCause, ", suspend_count = ", g.SuspendCount, ", shared = ", s.sharedPseudonym(g), ", changed = ", millis(g.Changed),
		", renew_at = CASE ", string(change), " WHEN ", string(credentialChanged), " THEN ", optionalMillis(g.renewAt()), " ELSE renew_at END"+string(change)+" WHERE id = ", g.ID, " AND version = ", g.Version, " AND row_key = ", before, " RETURNING version")
	if errors.Is(err, ErrNotFound) {
		return errChanged
	}
	if err != nil {
		return err
	}
	return s.deleteRowKeys(ctx, tx, before)
}
