// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"time"
)

// Suspend takes a grant out of use whose credential the platform does not accept.
// done is false if the grant was changed since it was read: it is left as it is.
// The error is [ErrUnavailable].
func (s *Store) Suspend(ctx context.Context, g *Grant) (done bool, err error) {
	err = s.write(ctx, "suspending a grant", func(ctx context.Context, tx querier) error {
		n, err := s.exec(ctx, tx, "UPDATE grants SET state = 'suspended', version = version + 1, changed = ", millis(time.Now()),
			" WHERE id = ", g.ID, " AND state = 'active' AND version = ", g.Version, "")
		done = n == 1
		return err
	})
	return done && err == nil, err
}

// Resume notes how probing a suspended grant has ended. With accepted it is active
// again, and returned as it is now; without, only the time of the probe is noted.
// The error is [ErrNotFound] if it was not accepted or was changed since it was
// read, or [ErrUnavailable].
func (s *Store) Resume(ctx context.Context, g *Grant, accepted bool) (now *Grant, err error) {
	state := Suspended
	if accepted {
		state = Active
	}
	err = s.write(ctx, "trying a grant again", func(ctx context.Context, tx querier) error {
		n, err := s.exec(ctx, tx, "UPDATE grants SET state = ", string(state), ", version = version + 1, changed = ", millis(time.Now()),
			" WHERE id = ", g.ID, " AND state = 'suspended' AND version = ", g.Version, "")
		if err == nil && n == 1 && accepted {
			now, err = s.byOwner(ctx, tx, g.Owner)
		}
		return err
	})
	if err == nil && now == nil {
		err = ErrNotFound
	}
	return now, err
}
