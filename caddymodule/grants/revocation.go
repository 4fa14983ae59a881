// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"time"
)

// Revocation is a consent that has ended here, and of which the platform is to be told
// with the credential that there was. It is in the database until the platform has been
// told, or for [revocationLife]: nobody can use it as a grant.
type Revocation struct {
	// Grant is the grant as it was. Its ID names the revocation as well.
	Grant *Grant
	// Uncertain reports that somebody may have spent its refresh token.
	Uncertain bool
	// Attempts is how often the platform was to be told.
	Attempts int
	// Created is when the consent has ended, and Due when the platform is told next, by
	// the database's clock.
	Created, Due time.Time
}

// RevocationOutcome is how telling a platform has gone, as logs and metrics name it.
type RevocationOutcome string

// The outcomes of telling a platform.
const (
	// RevocationDone is that the platform has ended the consent, or knows it no more.
	RevocationDone RevocationOutcome = "done"
	// RevocationPending is that it could not be told, and is told again.
	RevocationPending RevocationOutcome = "pending"
	// RevocationGivenUp is that it could not be told for a week.
	RevocationGivenUp RevocationOutcome = "given_up"
)

const (
	// revocationLife is for how long a platform is told again and again.
	revocationLife = 7 * 24 * time.Hour
	// minRevocationPause is the time to the second attempt, which grows fourfold with
	// each to maxRevocationPause.
	minRevocationPause = 2 * time.Second
	maxRevocationPause = 6 * time.Hour
)

// revocationPause is the time between an attempt and the next one.
func revocationPause(attempts int) time.Duration {
	pause := minRevocationPause
	for ; attempts > 1 && pause < maxRevocationPause; attempts-- {
		pause *= 4
	}
	return min(pause, maxRevocationPause)
}

const revocationColumns = "id, provider, source, owner, secret, tokens, row_key, uncertain, attempts, due, created"

// sealedRevocation is a revocation as the database has it.
type sealedRevocation struct {
	sealedGrant
	uncertain    int
	attempts     int
	due, created int64
}

// scanRevocation reads a row of revocationColumns.
func scanRevocation(row scanner) (*sealedRevocation, error) {
	r := new(sealedRevocation)
	r.inQueue = true
	err := row.Scan(&r.ID, &r.Provider, &r.Source, &r.owner, &r.secret, &r.tokens, &r.rowKey, &r.uncertain, &r.attempts, &r.due, &r.created)
	return r, err
}

// openRevocation opens a revocation. The error is errNoRowKey, [ErrDamaged] or the
// database's.
func (s *Store) openRevocation(ctx context.Context, db querier, r *sealedRevocation) (*Revocation, error) {
	g, err := s.openGrant(ctx, db, &r.sealedGrant)
	if err != nil {
		return nil, err
	}
	return &Revocation{Grant: g, Uncertain: r.uncertain != 0, Attempts: r.attempts, Created: time.UnixMilli(r.created), Due: time.UnixMilli(r.due)}, nil
}

// revocation reads one revocation and opens it.
func (s *Store) revocation(ctx context.Context, db querier, pieces ...any) (*Revocation, error) {
	for range maxRereads { // its key is gone if it was replaced after it was read
		var r *sealedRevocation
		if err := s.queryRow(ctx, db, func(row scanner) (err error) {
			r, err = scanRevocation(row)
			return err
		}, pieces...); err != nil {
			return nil, err
		}
		if opened, err := s.openRevocation(ctx, db, r); !errors.Is(err, errNoRowKey) {
			return opened, err
		}
	}
	return nil, ErrDamaged
}

// queueRevocation has the platform told of a grant that is not in the database any more,
// or never was, within the transaction that ends it. It does nothing for one whose client
// is not known, or whose account another grant in use has.
func (s *Store) queueRevocation(ctx context.Context, tx querier, g *Grant) error {
	if g.Client == "" {
		return nil
	}
	used, err := s.isAccountInUse(ctx, tx, g)
	if err != nil || used {
		return err
	}
	now, err := s.now(ctx, tx)
	if err != nil {
		return err
	}
	return s.insertRevocation(ctx, tx, &Revocation{Grant: g, Created: now, Due: now}, now)
}

// isAccountInUse reports whether another grant in use has a grant's account: at the same
// source, or by the same client of the vendor. A vendor may end all of them with one.
func (s *Store) isAccountInUse(ctx context.Context, tx querier, g *Grant) (bool, error) {
	const inUse = "SELECT id FROM grants WHERE state IN ('active', 'suspended') AND id <> "
	var other string
	read := func(row scanner) error { return row.Scan(&other) }
	err := s.queryRow(ctx, tx, read, inUse, g.ID, " AND provider = ", g.Provider, " AND source = ", g.Source,
		" AND account IN ", s.accountPseudonyms(g.Provider, g.Source, g.Account), " LIMIT 1")
	if errors.Is(err, ErrNotFound) && g.Client != "" {
		err = s.queryRow(ctx, tx, read, inUse, g.ID, " AND shared IN ", s.sharedPseudonyms(g), " LIMIT 1")
	}
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// insertRevocation writes a revocation that nobody but the caller tells before
// leasedUntil. One of the same grant is replaced.
func (s *Store) insertRevocation(ctx context.Context, tx querier, r *Revocation, leasedUntil time.Time) error {
	queued := *r.Grant
	queued.inQueue = true
	if queued.State == Suspended { // its access token may be refused: it gets another one first
		queued.Tokens.AccessExpires = r.Created
	}
	r.Grant = &queued
	if err := s.deleteRows(ctx, tx, "DELETE FROM revocations WHERE id = ", queued.ID, ""); err != nil {
		return err
	}
	sealed, err := s.sealGrant(ctx, tx, &queued)
	if err != nil {
		return err
	}
	uncertain := 0
	if r.Uncertain {
		uncertain = 1
	}
	_, err = s.exec(ctx, tx, "INSERT INTO revocations (id, provider, source, account, shared, owner, secret, tokens, row_key, sealed_by, uncertain, attempts, due, lease_until, created) VALUES (",
		queued.ID, ", ", queued.Provider, ", ", queued.Source, ", ", s.accountPseudonym(queued.Provider, queued.Source, queued.Account), ", ", s.sharedPseudonym(&queued), ", ",
		sealed.owner, ", ", sealed.secret, ", ", sealed.tokens, ", ", queued.rowKey, ", ", s.primaryKeyName(), ", ", uncertain, ", ", r.Attempts, ", ",
		millis(r.Due), ", ", millis(leasedUntil), ", ", millis(r.Created), ")")
	return err
}

// dropRevocations forgets what a platform was to be told of an account that somebody has
// connected again, or consented to in a flow that waits for them: it would end the new
// consent.
func (s *Store) dropRevocations(ctx context.Context, tx querier, g *Grant) error {
	err := s.deleteRows(ctx, tx, "DELETE FROM revocations WHERE provider = ", g.Provider, " AND source = ", g.Source,
		" AND account IN ", s.accountPseudonyms(g.Provider, g.Source, g.Account), "")
	if err != nil || g.Client == "" {
		return err
	}
	return s.deleteRows(ctx, tx, "DELETE FROM revocations WHERE shared IN ", s.sharedPseudonyms(g), "")
}

// queueUnused keeps a consent that has led to nothing here as a revocation, for the
// caller to tell the platform of within a term; nil if a grant in use has the same
// account. The error is [ErrUnavailable].
func (s *Store) queueUnused(ctx context.Context, o Owner, result PendingResult, term time.Duration) (r *Revocation, err error) {
	err = s.write(ctx, "keeping an unused consent for its revocation", func(ctx context.Context, tx querier) error {
		r = nil
		g := result.grant(o)
		used, err := s.isAccountInUse(ctx, tx, g)
		if err != nil || used {
			return err
		}
		now, err := s.now(ctx, tx)
		if err != nil {
			return err
		}
		r = &Revocation{Grant: g, Attempts: 1, Created: now, Due: now}
		return s.insertRevocation(ctx, tx, r, now.Add(term))
	})
	return r, err
}

// grant returns what a result would be as an owner's grant.
func (r PendingResult) grant(o Owner) *Grant {
	return &Grant{ID: newID(), Owner: o, Account: r.Account, Label: r.Label, Scopes: r.Scopes, Vendor: r.Vendor, Client: r.Client, State: Retired, Secret: r.Secret, Tokens: r.Tokens}
}
