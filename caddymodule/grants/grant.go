// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// State says whether a grant is used.
type State string

// The states of a grant.
const (
	// Active grants are used.
	Active State = "active"
	// Suspended grants are not used: the platform did not accept their credential.
	// It is kept, and probed again.
	Suspended State = "suspended"
	// Conflict grants have an account that belongs to another owner. An operator
	// has to decide.
	Conflict State = "conflict"
	// Retired grants were replaced by one of another account, or released by an
	// operator. Their credential is kept and not used.
	Retired State = "retired"
)

// Owner is whose a grant is. An owner has one grant in use: active or suspended.
type Owner struct {
	// Provider is the configured name of the provider.
	Provider string
	// Source is where the provider has the data from, for providers with several
	// sources; empty otherwise.
	Source string
	delegation.Person
	// Slot tells several grants of one person apart. No provider uses it yet:
	// empty.
	Slot string
}

// Grant is a durable credential from a person's consent.
type Grant struct {
	// ID names the grant for operators: 26 random letters and digits.
	ID string
	Owner
	// Account is the owner at the platform, Label how it is shown to them; may be
	// empty.
	Account, Label string
	// Scopes are those that were granted; nil if the platform does not say.
	Scopes []string
	// Vendor and Client are those of [ConsentsOptions] when the person consented.
	Vendor, Client string
	// State says whether the grant is used.
	State State
	// Secret is the provider's value, such as a member key with all that belongs to
	// it. It is empty in lists.
	Secret delegation.Secret
	// Tokens are those of OAuth; zero for a provider without any, and in lists.
	Tokens delegation.GrantTokens
	// SuspendCause is why the grant is suspended, in a word of the log; empty if it
	// is not. SuspendCount is how often it was since its credential last worked.
	SuspendCause string
	SuspendCount int
	// Created and Changed are times by the database's clock, in milliseconds.
	// LastUsed is when the grant was in use last, to an hour; zero if it never was.
	Created, Changed, LastUsed time.Time
	// Ends is when the grant ends by itself; zero if that is not known.
	Ends time.Time
	// Version is another one after each change of the row; 1 for a new grant.
	Version int64

	// sequence orders grants by when the platform handed them over, see
	// [Store.nextSequence].
	sequence int64
	// rowKey is the id of the key that seals the row.
	rowKey string
	// inQueue reports that the row is one of revocations.
	inQueue bool
}

const grantColumns = "id, provider, source, state, owner, secret, tokens, row_key, version, suspend_cause, suspend_count, last_used, ends, created, changed"

// Find returns the grant that an owner has in use, active or suspended. The error
// is [ErrNotFound]; [ErrConflict] if all that they have is an account which belongs
// to somebody else; [ErrDamaged] or [ErrUnavailable].
func (s *Store) Find(ctx context.Context, o Owner) (g *Grant, err error) {
	err = s.read(ctx, "looking for a grant", func(ctx context.Context, db querier) (err error) {
		g, err = s.find(ctx, db, o)
		return err
	})
	return g, err
}

// find is [Store.Find] within a transaction.
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
		// A conflict is over when nobody else has the account in use.
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

// conflictsOf returns an owner's grants in conflict. They are few.
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
			g, err = s.byID(ctx, db, r.ID) // the row was changed meanwhile
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

// byOwner returns the grant that an owner has in use. The error is [ErrNotFound],
// or [ErrDamaged] if pseudonyms were exchanged in the database.
func (s *Store) byOwner(ctx context.Context, db querier, o Owner) (*Grant, error) {
	g, err := s.queryGrant(ctx, db, "SELECT "+grantColumns+" FROM grants WHERE provider = ", o.Provider, " AND source = ", o.Source,
		" AND state IN ('active', 'suspended') AND person IN ", s.ownerPseudonyms(o), "")
	if err != nil {
		return nil, err
	}
	if g.Owner != o {
		return nil, ErrDamaged // the row has another owner's pseudonym
	}
	return g, nil
}

// byAccount returns the grant in use that has an account.
func (s *Store) byAccount(ctx context.Context, db querier, provider, source, account string) (*Grant, error) {
	return s.queryGrant(ctx, db, "SELECT "+grantColumns+" FROM grants WHERE provider = ", provider, " AND source = ", source,
		" AND state IN ('active', 'suspended') AND account IN ", s.accountPseudonyms(provider, source, account), "")
}

// queryGrant reads one grant and opens it.
func (s *Store) queryGrant(ctx context.Context, db querier, pieces ...any) (g *Grant, err error) {
	// A row's key is gone if the row was replaced after it was read.
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

// putInUse makes a grant the one that its owner has in use. The former one is
// retired; if it is of the same account and proven tells that the new credential
// works, it is overwritten. If the account belongs to another owner the grant
// becomes a conflict, for an operator to decide.
func (s *Store) putInUse(ctx context.Context, tx querier, g *Grant, proven bool) error {
	other, err := s.byAccount(ctx, tx, g.Provider, g.Source, g.Account)
	switch {
	case err == nil && other.Owner == g.Owner && proven:
		g.ID, g.Created, g.rowKey, g.Version = other.ID, other.Created, other.rowKey, other.Version
		if err := s.replace(ctx, tx, g, credentialChanged); err != nil {
			return err
		}
		_, err := s.exec(ctx, tx, "UPDATE grants SET ends = ", optionalMillis(g.Ends), " WHERE id = ", g.ID, "")
		return err
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
	if _, err := s.exec(ctx, tx, "UPDATE grants SET state = 'retired', changed = ", millis(g.Changed), string(ownerChanged)+" WHERE provider = ", g.Provider,
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

// dropConflicts deletes the owner's conflicts that a grant settles: those of its
// account, unless one was handed over later.
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

// insert writes a grant that is not in the database.
func (s *Store) insert(ctx context.Context, tx querier, g *Grant) error {
	if g.State == Active {
		if err := s.dropRevocations(ctx, tx, g); err != nil {
			return err
		}
	}
	sealed, err := s.sealGrant(ctx, tx, g)
	if err != nil {
		return err
	}
	g.Version = 1
	_, err = s.exec(ctx, tx, "INSERT INTO grants (id, provider, source, person, account, state, owner, secret, tokens, row_key, sealed_by, version, suspend_cause, suspend_count, last_used, ends, shared, renew_at, created, changed) VALUES (",
		g.ID, ", ", g.Provider, ", ", g.Source, ", ", s.ownerPseudonym(g.Owner), ", ", s.accountPseudonym(g.Provider, g.Source, g.Account), ", ", string(g.State), ", ",
		sealed.owner, ", ", sealed.secret, ", ", sealed.tokens, ", ", g.rowKey, ", ", s.primaryKeyName(), ", ", g.Version, ", ",
		g.SuspendCause, ", ", g.SuspendCount, ", ", optionalMillis(g.LastUsed), ", ", optionalMillis(g.Ends), ", ", s.sharedPseudonym(g), ", ", optionalMillis(g.renewAt()), ", ", millis(g.Created), ", ", millis(g.Changed), ")")
	return err
}

// DeleteByOwner deletes all grants and flows of an owner, and their pairwise
// identifier. They cannot be had back from the platform, nor read from the files of the database: if a backup that is
// being made keeps them in use, they are erased after. The error is
// [ErrUnavailable].
func (s *Store) DeleteByOwner(ctx context.Context, o Owner) error {
	_, _, err := s.EndByOwner(ctx, o, DeleteOptions{})
	return err
}
