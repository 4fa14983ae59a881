// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"time"
)

// Suspend takes a grant out of use whose credential the platform does not accept.
// cause is why, in a word of the log. done is false if the grant was changed since
// it was read: it is left as it is. The error is [ErrUnavailable].
func (s *Store) Suspend(ctx context.Context, g *Grant, cause string) (done bool, err error) {
	err = s.write(ctx, "suspending a grant", func(ctx context.Context, tx querier) error {
		now, err := s.now(ctx, tx)
		if err != nil {
			return err
		}
		n, err := s.exec(ctx, tx, "UPDATE grants SET state = 'suspended', suspend_cause = ", cause, ", suspend_count = suspend_count + 1, changed = ", millis(now),
			string(ownerChanged)+" WHERE id = ", g.ID, " AND state = 'active' AND version = ", g.Version, "")
		done = n == 1
		return err
	})
	return done && err == nil, err
}

// Resume notes how probing a suspended grant has ended. With accepted it is active
// again, and returned as it is now; without, the time of the probe is noted, and one
// more in SuspendCount. The error is [ErrNotFound] if it was not accepted or was
// changed since it was read, or [ErrUnavailable].
func (s *Store) Resume(ctx context.Context, g *Grant, accepted bool) (now *Grant, err error) {
	set := ", suspend_count = suspend_count + 1"
	if accepted {
		set = ", state = 'active', suspend_cause = '', suspend_count = 0"
	}
	err = s.write(ctx, "trying a grant again", func(ctx context.Context, tx querier) error {
		at, err := s.now(ctx, tx)
		if err != nil {
			return err
		}
		n, err := s.exec(ctx, tx, "UPDATE grants SET changed = ", millis(at), set+string(ownerChanged)+" WHERE id = ", g.ID,
			" AND state = 'suspended' AND version = ", g.Version, "")
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

// UnchangedFor returns how long ago a grant was changed last, when it was read. It is
// told by the database's clock, which has written the time of the change. The error
// is [ErrUnavailable].
func (s *Store) UnchangedFor(ctx context.Context, g *Grant) (age time.Duration, err error) {
	err = s.read(ctx, "asking for the time", func(ctx context.Context, db querier) error {
		now, err := s.now(ctx, db)
		age = now.Sub(g.Changed)
		return err
	})
	return age, err
}

// resume is the grant's state when the platform has accepted its credential.
func (g *Grant) resume() {
	if g.State == Suspended {
		g.State = Active
	}
	g.SuspendCause, g.SuspendCount = "", 0
}

// useInterval is how often the use of a grant is noted.
const useInterval = time.Hour

// NoteUses notes that grants are in use, at most once an hour each, so that they can
// be told from those that nobody uses. One that somebody else is changing is left
// out. The error is [ErrUnavailable].
func (s *Store) NoteUses(ctx context.Context, ids []string) error {
	return s.update(ctx, "noting the use of grants", func(ctx context.Context, db querier) error {
		now, err := s.now(ctx, db)
		if err == nil {
			_, err = s.exec(ctx, db, "UPDATE grants SET last_used = ", millis(now), " WHERE id IN (SELECT id FROM grants WHERE id IN ", ids,
				" AND state = 'active' AND last_used <= ", millis(now.Add(-useInterval)), s.dialect.skipLocked+")")
		}
		return err
	})
}
