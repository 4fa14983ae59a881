// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"fmt"
)

// Doubt notes for all grants in use that hold tokens that their refresh token may have
// been spent: because the database is a backup, and other tokens may have replaced them
// since. Whoever spends one next takes the platform's word at the first refusal, see
// [Lease.Uncertain], instead of trying again later. provider and source select grants;
// empty: all. by is the operator, for the record. It returns the number of grants. The
// error is [ErrUnavailable].
func (s *Store) Doubt(ctx context.Context, provider, source, by string) (n int, err error) {
	pieces := []any{"UPDATE grants SET intent = version, attempts = CASE attempts WHEN 0 THEN 1 ELSE attempts END" +
		" WHERE state IN ('active', 'suspended') AND length(tokens) > 0"}
	for column, value := range map[string]string{"provider": provider, "source": source} {
		if value != "" {
			pieces[len(pieces)-1] = fmt.Sprint(pieces[len(pieces)-1], " AND ", column, " = ")
			pieces = append(pieces, value, "")
		}
	}
	err = s.write(ctx, "doubting refresh tokens", func(ctx context.Context, tx querier) error {
		changed, err := s.exec(ctx, tx, pieces...)
		if err != nil {
			return err
		}
		n = int(changed)
		return s.recordDecision(ctx, tx, actionDoubt, "", by)
	})
	return n, err
}
