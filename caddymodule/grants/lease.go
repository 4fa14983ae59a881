// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"time"
)

// LeasePurpose is the call of the platform for which a grant is leased.
type LeasePurpose string

// The purposes of leases.
const (
	// LeaseRefresh spends the grant's refresh token. It alone writes an intent.
	LeaseRefresh LeasePurpose = "refresh"
	// LeaseProbe, LeaseRevoke and LeaseExchange spend nothing that the row has.
	LeaseProbe    LeasePurpose = "probe"
	LeaseRevoke   LeasePurpose = "revoke"
	LeaseExchange LeasePurpose = "exchange" // of a code or one-time token, by who is connected already
)

// leaseMargin is how much longer a lease lasts than the call that it is for: what
// storing the platform's answer may take.
const leaseMargin = DefaultTimeout

// Lease is the right of one caller, on whatever machine, to call the platform for a
// grant. It ends by [Lease.Rotate], [Lease.Cancel] or [Lease.Release], or by the
// database's clock, and is not extended. What it was taken with is in the row of
// the grant: if the machine dies, the next one learns from the intent that the
// refresh token may be spent.
type Lease struct {
	// Grant is the grant as it was when the lease was taken.
	Grant *Grant
	// Uncertain is how many attempts at spending its refresh token nobody has
	// reported back from. They may have spent it.
	Uncertain int

	store  *Store
	holder string
	spends bool
	ends   time.Time // by this machine's clock, never later than by the database's
}

// Lease leases a grant for a call of the platform that takes up to callTimeout; for
// [LeaseRefresh] it must be active or suspended. It writes one row, and waits for
// no writer of another one in PostgreSQL. The error is a [*LeasedError] while
// somebody else has it, [ErrNotFound], [ErrDamaged] or [ErrUnavailable].
func (s *Store) Lease(ctx context.Context, g *Grant, purpose LeasePurpose, callTimeout time.Duration) (*Lease, error) {
	for range maxRereads {
		l, err := s.lease(ctx, g.ID, purpose, callTimeout+leaseMargin)
		if !errors.Is(err, errChanged) {
			return l, err
		}
	}
	return nil, errChanged
}

// lease is [Store.Lease] once. The error is errChanged if the grant was changed
// before it could be opened.
func (s *Store) lease(ctx context.Context, id string, purpose LeasePurpose, term time.Duration) (*Lease, error) {
	const operation = "leasing a grant"
	l := &Lease{store: s, holder: newID(), spends: purpose == LeaseRefresh}
	var row *sealedGrant
	if err := s.update(ctx, operation, func(ctx context.Context, db querier) (err error) {
		row, err = l.take(ctx, db, id, term)
		return err
	}); err != nil {
		return nil, err
	}
	l.Grant = &row.Grant
	err := s.read(ctx, operation, func(ctx context.Context, db querier) error {
		g, err := s.openGrant(ctx, db, row)
		if errors.Is(err, errNoRowKey) { // it was sealed anew, or changed
			if g, err = s.byID(ctx, db, id); err == nil && g.Version != row.Version {
				err = errChanged
			}
		}
		if err == nil {
			l.Grant = g
		}
		return err
	})
	if err != nil {
		_ = l.Cancel(ctx) // it lapses otherwise
		return nil, err
	}
	return l, nil
}

// take takes the lease by one conditional statement, and returns the row as it is
// then.
func (l *Lease) take(ctx context.Context, db querier, id string, term time.Duration) (row *sealedGrant, err error) {
	l.ends = time.Now().Add(term)
	now, err := l.store.now(ctx, db)
	if err != nil {
		return nil, err
	}
	intent, usable := "", ""
	if l.spends {
		intent, usable = ", intent = version, attempts = attempts + 1", " AND state IN ('active', 'suspended')"
	}
	err = l.store.queryRow(ctx, db, func(r scanner) (err error) {
		row, err = scanGrant(scannerAfter{r, &l.Uncertain})
		return err
	}, "UPDATE grants SET lease_holder = ", l.holder, ", lease_until = ", millis(now.Add(term)), intent+" WHERE id = ", id,
		" AND lease_until <= ", millis(now), usable+" RETURNING attempts, "+grantColumns)
	if errors.Is(err, ErrNotFound) {
		return nil, l.store.whyNotLeased(ctx, db, id)
	}
	if l.spends {
		l.Uncertain-- // this attempt
	}
	return row, err
}

// scannerAfter is a row whose first column is read into first.
type scannerAfter struct {
	scanner
	first any
}

func (s scannerAfter) Scan(into ...any) error {
	return s.scanner.Scan(append([]any{s.first}, into...)...)
}

// whyNotLeased is the error of a lease that could not be taken.
func (s *Store) whyNotLeased(ctx context.Context, db querier, id string) error {
	until, _, err := s.leasedUntil(ctx, db, id)
	if err != nil {
		return err
	}
	now, err := s.now(ctx, db) // it may have waited for the row
	if err == nil && until.After(now) {
		return &LeasedError{For: until.Sub(now)}
	}
	if err == nil {
		err = ErrNotFound // it is not in use, or the lease has just ended: the caller reads again
	}
	return err
}

// leasedUntil returns when a grant's lease ends by the database's clock, and the
// grant's version.
func (s *Store) leasedUntil(ctx context.Context, db querier, id string) (until time.Time, version int64, err error) {
	var ms int64
	err = s.queryRow(ctx, db, func(row scanner) error { return row.Scan(&ms, &version) }, "SELECT lease_until, version FROM grants WHERE id = ", id, "")
	return time.UnixMilli(ms), version, err
}

// Cancel ends a lease without the refresh token having been spent: nothing was
// sent, or the platform has answered that it has issued nothing. The intent is
// taken back. If the database is away that is done when it is back. The error is
// [ErrUnavailable].
func (l *Lease) Cancel(ctx context.Context) error {
	if !l.spends {
		return l.Release(ctx)
	}
	err := l.cancel(ctx)
	if errors.Is(err, ErrUnavailable) {
		l.store.commitLater(l.Grant.ID, l.cancel)
	}
	return err
}

func (l *Lease) cancel(ctx context.Context) error {
	return l.store.update(ctx, "releasing a lease", func(ctx context.Context, db querier) error {
		// A later version has the same intent if its credential is the same, and
		// this lease if that has not lapsed.
		_, err := l.store.exec(ctx, db, "UPDATE grants SET intent = CASE WHEN attempts <= 1 THEN 0 ELSE intent END"+
			", attempts = CASE WHEN attempts <= 1 THEN 0 ELSE attempts - 1 END, lease_until = CASE lease_holder WHEN ", l.holder, " THEN 0 ELSE lease_until END"+
			", lease_holder = CASE lease_holder WHEN ", l.holder, " THEN '' ELSE lease_holder END WHERE id = ", l.Grant.ID,
			" AND (lease_holder = ", l.holder, " OR intent = ", l.Grant.Version, ")")
		return err
	})
}

// Release ends a lease. After [LeaseRefresh] the intent stays: whether the refresh
// token is spent is not known. The error is [ErrUnavailable]; the lease lapses then.
func (l *Lease) Release(ctx context.Context) error {
	return l.store.update(ctx, "releasing a lease", func(ctx context.Context, db querier) error {
		_, err := l.store.exec(ctx, db, "UPDATE grants SET lease_until = 0, lease_holder = '' WHERE id = ", l.Grant.ID, " AND lease_holder = ", l.holder, "")
		return err
	})
}

// ErrLeased is that somebody else is calling the platform for the grant, on whatever
// machine. It is wrapped by a [*LeasedError].
var ErrLeased = errors.New("grants: the platform is being called for this grant already")

// LeasedError is an [ErrLeased] with the longest time until the grant can be leased.
type LeasedError struct{ For time.Duration }

func (e *LeasedError) Error() string { return ErrLeased.Error() }
func (e *LeasedError) Unwrap() error { return ErrLeased }
