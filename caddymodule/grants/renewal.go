// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"sync"
	"time"
)

// renewAt is when the refresh token is spent if nobody uses the grant: at 80 % of its
// life, so that monthly visits do not lose a consent. Zero if its end is not known.
func (g *Grant) renewAt() time.Time {
	life := g.Tokens.RefreshExpires.Sub(g.Changed)
	if g.Tokens.Refresh.Reveal() == "" || g.Tokens.RefreshExpires.IsZero() || life <= 0 {
		return time.Time{}
	}
	return g.Changed.Add(life * 4 / 5)
}

// renewableGrants returns some grants of a source whose refresh token would end unused,
// and which do not end by their date before.
func (s *Store) renewableGrants(ctx context.Context, provider, source string, most int) (all []*Grant, err error) {
	const operation = "looking for unused grants"
	var ids []string
	if err := s.read(ctx, operation, func(ctx context.Context, db querier) error {
		now, err := s.now(ctx, db)
		if err != nil {
			return err
		}
		text, args := s.buildQuery("SELECT id FROM grants WHERE provider = ", provider, " AND source = ", source,
			" AND state = 'active' AND renew_at > 0 AND renew_at <= ", millis(now), " AND (ends = 0 OR ends > ", millis(now), ") ORDER BY renew_at, id LIMIT ", most, "")
		ids, err = scanStrings(db.QueryContext(ctx, text, args...))
		return err
	}); err != nil {
		return nil, err
	}
	for _, id := range ids {
		var g *Grant
		err := s.read(ctx, operation, func(ctx context.Context, db querier) (err error) {
			g, err = s.byID(ctx, db, id)
			return err
		})
		switch {
		case err == nil:
			all = append(all, g)
		case errors.Is(err, ErrDamaged): // whoever uses it is told
			err = s.renewLater(ctx, id, revocationLife)
		case errors.Is(err, ErrNotFound):
			err = nil
		}
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// renewLater has an unused grant refreshed after a pause.
func (s *Store) renewLater(ctx context.Context, id string, pause time.Duration) error {
	return s.update(ctx, "postponing a refresh", func(ctx context.Context, db querier) error {
		now, err := s.now(ctx, db)
		if err != nil {
			return err
		}
		_, err = s.exec(ctx, db, "UPDATE grants SET renew_at = ", millis(now.Add(pause)), " WHERE id = ", id, "")
		return err
	})
}

// refusedOnce are the grants whose refresh token the housekeeping of this process was
// refused once, with the version that was refused.
type refusedOnce struct {
	mu    sync.Mutex
	since map[string]refusal
}

type refusal struct {
	version int64
	at      time.Time
}

const (
	// secondLook is how long after a refusal a second one ends a grant: platforms in
	// trouble refuse everybody.
	secondLook = 20 * time.Second
	// maxRefused bounds how many are remembered.
	maxRefused = 10_000
)

// isSecond notes that a grant's refresh token was refused, and reports whether it was
// before, at least secondLook ago.
func (r *refusedOnce) isSecond(g *Grant, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.since[g.ID]; ok && known.version == g.Version {
		return now.Sub(known.at) >= secondLook
	}
	if r.since == nil || len(r.since) >= maxRefused {
		r.since = make(map[string]refusal)
	}
	r.since[g.ID] = refusal{g.Version, now}
	return false
}

// forget forgets a grant that was refreshed or suspended.
func (r *refusedOnce) forget(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.since, id)
}
