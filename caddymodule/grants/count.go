// SPDX-License-Identifier: Apache-2.0

package grants

import "context"

// StateCount is the number of grants of a provider and source in a state.
type StateCount struct {
	Provider, Source string
	State            State
	Grants           int
}

// CountByState counts the grants of each provider, source and state, sorted by name.
// The error is [ErrUnavailable].
func (s *Store) CountByState(ctx context.Context) (all []StateCount, err error) {
	err = s.read(ctx, "counting grants", func(ctx context.Context, db querier) error {
		all = nil
		rows, err := db.QueryContext(ctx, "SELECT provider, source, state, count(*) FROM grants GROUP BY provider, source, state ORDER BY provider, source, state")
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var c StateCount
			if err := rows.Scan(&c.Provider, &c.Source, &c.State, &c.Grants); err != nil {
				return err
			}
			all = append(all, c)
		}
		return rows.Err()
	})
	return all, err
}
