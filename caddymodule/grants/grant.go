// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// State is what a grant is worth.
type State string

// The states of a grant.
const (
	// Active grants are used.
	Active State = "active"
	// Suspended grants are not: the platform did not accept them any more. What
	// they hold is kept, for consent that is given again.
	Suspended State = "suspended"
	// Conflict is a grant whose account belongs to somebody else. An operator
	// has to decide.
	Conflict State = "conflict"
	// Retired grants were replaced by one of another account, or released by an
	// operator.
	Retired State = "retired"
)

// Owner is whose a grant is.
type Owner struct {
	// Provider is the configured name of the provider.
	Provider string
	// Source is where the provider has the data from, for platforms with
	// several sources; usually empty.
	Source string
	delegation.Person
	// Slot tells apart several grants of one person; usually empty.
	Slot string
}

// Grant is what somebody has consented to.
type Grant struct {
	ID string
	Owner
	// Account is the person at the platform.
	Account string
	State   State
	// Secret is what the provider keeps. It is empty in lists.
	Secret  delegation.Secret
	Created time.Time
	Changed time.Time

	sequence int64  // when the platform did: a number of [Store.next]
	version  int64  // of the row: each change makes it another
	rowKey   string // the id of the key that seals it
}

const grantColumns = "id, provider, source, state, owner, secret, row_key, version, created, changed"

// Find returns somebody's grant, active or suspended. The error is [ErrNone],
// [ErrConflict] if all they have connected is an account that belongs to
// somebody else, [ErrDamaged] or [ErrUnavailable].
func (s *Store) Find(ctx context.Context, o Owner) (g *Grant, err error) {
	err = s.read(ctx, "looking for a grant", func(ctx context.Context, db querier) (err error) {
		g, err = s.find(ctx, db, o)
		return err
	})
	return g, err
}

func (s *Store) find(ctx context.Context, db querier, o Owner) (*Grant, error) {
	g, err := s.byOwner(ctx, db, o)
	if !errors.Is(err, ErrNotFound) {
		return g, err
	}
	all, err := s.conflictsOf(ctx, db, o)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		// It lasts as long as another holds the account.
		other, err := s.byAccount(ctx, db, c.Provider, c.Source, c.Account)
		if err == nil && other.Owner != o {
			return nil, ErrConflict
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
	}
	return nil, ErrNotFound
}

// conflictsOf are somebody's. They are few.
func (s *Store) conflictsOf(ctx context.Context, db querier, o Owner) (all []*Grant, err error) {
	text, args := s.buildQuery("SELECT "+grantColumns+" FROM grants WHERE provider = ", o.Provider, " AND source = ", o.Source,
		" AND state = 'conflict' AND person IN ", s.ownerPseudonyms(o), "")
	rows, err := db.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	found, err := scanGrants(rows)
	if err != nil {
		return nil, err
	}
	for _, r := range found {
		g, err := s.openGrant(ctx, db, r)
		if errors.Is(err, errNoRowKey) {
			g, err = s.byID(ctx, db, r.ID) // it was changed meanwhile
		}
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, g)
	}
	return all, nil
}

// byOwner is the grant that an owner has.
func (s *Store) byOwner(ctx context.Context, db querier, o Owner) (*Grant, error) {
	g, err := s.queryGrant(ctx, db, "SELECT "+grantColumns+" FROM grants WHERE provider = ", o.Provider, " AND source = ", o.Source,
		" AND state IN ('active', 'suspended') AND person IN ", s.ownerPseudonyms(o), "")
	if err != nil {
		return nil, err
	}
	if g.Owner != o {
		return nil, ErrDamaged // somebody has written another's name on it
	}
	return g, nil
}

// byAccount is the grant that holds an account.
func (s *Store) byAccount(ctx context.Context, db querier, provider, source, account string) (*Grant, error) {
	return s.queryGrant(ctx, db, "SELECT "+grantColumns+" FROM grants WHERE provider = ", provider, " AND source = ", source,
		" AND state IN ('active', 'suspended') AND account IN ", s.accountPseudonyms(provider, source, account), "")
}

func (s *Store) queryGrant(ctx context.Context, db querier, pieces ...any) (g *Grant, err error) {
	// Its key is gone if it was replaced after it was read.
	for range maxRereads {
		var r *sealedGrant
		if err = s.queryRow(ctx, db, func(row scanner) (err error) {
			r, err = scanGrant(row)
			return err
		}, pieces...); err != nil {
			return nil, err
		}
		if g, err = s.openGrant(ctx, db, r); !errors.Is(err, errNoRowKey) {
			return g, err
		}
	}
	return nil, ErrDamaged
}

// activate makes what somebody has consented to theirs, in place of what they had.
// That is kept aside, unless it is the same account and proven tells that the
// new one works. If the account belongs to somebody else, it becomes a
// conflict, for an operator to decide.
func (s *Store) activate(ctx context.Context, tx querier, g *Grant, proven bool) error {
	other, err := s.byAccount(ctx, tx, g.Provider, g.Source, g.Account)
	switch {
	case err == nil && other.Owner == g.Owner && proven:
		g.ID, g.Created, g.rowKey = other.ID, other.Created, other.rowKey
		return s.replace(ctx, tx, g)
	case err == nil && other.Owner != g.Owner:
		g.State = Conflict
		if proven {
			if err := s.dropConflicts(ctx, tx, g); err != nil {
				return err
			}
		}
		return s.insert(ctx, tx, g)
	case err != nil && !errors.Is(err, ErrNotFound):
		return err
	}
	if _, err := s.exec(ctx, tx, "UPDATE grants SET state = 'retired', version = version + 1, changed = ", millis(g.Changed), " WHERE provider = ", g.Provider,
		" AND source = ", g.Source, " AND state IN ('active', 'suspended') AND person IN ", s.ownerPseudonyms(g.Owner), ""); err != nil {
		return err
	}
	if proven {
		if err := s.dropConflicts(ctx, tx, g); err != nil {
			return err
		}
	}
	return s.insert(ctx, tx, g)
}

// dropConflicts drops the conflicts that a grant ends: those of its owner for its
// account, unless one was told later.
func (s *Store) dropConflicts(ctx context.Context, tx querier, g *Grant) error {
	all, err := s.conflictsOf(ctx, tx, g.Owner)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.ID == g.ID || c.Account != g.Account || c.sequence > g.sequence {
			continue
		}
		if err := s.deleteRows(ctx, tx, "DELETE FROM grants WHERE id = ", c.ID, ""); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) insert(ctx context.Context, tx querier, g *Grant) error {
	owner, secret, err := s.sealGrant(ctx, tx, g)
	if err != nil {
		return err
	}
	g.version = 1
	_, err = s.exec(ctx, tx, "INSERT INTO grants (id, provider, source, person, account, state, owner, secret, row_key, sealed_by, version, created, changed) VALUES (",
		g.ID, ", ", g.Provider, ", ", g.Source, ", ", s.ownerPseudonym(g.Owner), ", ", s.accountPseudonym(g.Provider, g.Source, g.Account), ", ", string(g.State), ", ",
		owner, ", ", secret, ", ", g.rowKey, ", ", s.primaryKeyName(), ", ", g.version, ", ", millis(g.Created), ", ", millis(g.Changed), ")")
	return err
}

// replace writes a grant that is there, by a new key and the primary key of the
// keyset. What was there does not open any more.
func (s *Store) replace(ctx context.Context, tx querier, g *Grant) error {
	before := g.rowKey
	owner, secret, err := s.sealGrant(ctx, tx, g)
	if err != nil {
		return err
	}
	if err := s.queryRow(ctx, tx, func(row scanner) error { return row.Scan(&g.version) },
		"UPDATE grants SET person = ", s.ownerPseudonym(g.Owner), ", account = ", s.accountPseudonym(g.Provider, g.Source, g.Account),
		", state = ", string(g.State), ", owner = ", owner, ", secret = ", secret, ", row_key = ", g.rowKey, ", sealed_by = ", s.primaryKeyName(),
		", version = version + 1, changed = ", millis(g.Changed), " WHERE id = ", g.ID, " RETURNING version"); err != nil {
		return err
	}
	return s.deleteRowKeys(ctx, tx, before)
}

// Suspend notes that the platform does not accept a grant any more, and tells
// whether it did: one that was changed since it was read is left as it is.
func (s *Store) Suspend(ctx context.Context, g *Grant) (done bool, err error) {
	err = s.write(ctx, "suspending a grant", func(ctx context.Context, tx querier) error {
		n, err := s.exec(ctx, tx, "UPDATE grants SET state = 'suspended', version = version + 1, changed = ", millis(time.Now()),
			" WHERE id = ", g.ID, " AND state = 'active' AND version = ", g.version, "")
		done = n == 1
		return err
	})
	return done && err == nil, err
}

// Resume notes that the platform accepts a suspended grant after all, and
// returns it as it is now; or, that it was tried now. The error is [ErrNone] if
// it is not accepted, or was changed since it was read.
func (s *Store) Resume(ctx context.Context, g *Grant, accepted bool) (now *Grant, err error) {
	state := Suspended
	if accepted {
		state = Active
	}
	err = s.write(ctx, "trying a grant again", func(ctx context.Context, tx querier) error {
		n, err := s.exec(ctx, tx, "UPDATE grants SET state = ", string(state), ", version = version + 1, changed = ", millis(time.Now()),
			" WHERE id = ", g.ID, " AND state = 'suspended' AND version = ", g.version, "")
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

// DeleteByOwner deletes all that is kept of an owner, journeys too. What is forgotten
// cannot be had back from the platform, nor read from the files of the database:
// if a backup that is being made keeps them in use, it is erased after.
func (s *Store) DeleteByOwner(ctx context.Context, o Owner) error {
	err := s.write(ctx, "forgetting a grant", func(ctx context.Context, tx querier) error {
		for _, table := range []string{"grants", "journeys"} {
			if err := s.deleteRows(ctx, tx, "DELETE FROM "+table+" WHERE provider = ", o.Provider, " AND source = ", o.Source,
				" AND person IN ", s.ownerPseudonyms(o), ""); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		s.eraseBeforeAnswer(ctx)
	}
	return err
}
