// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"errors"
	"slices"
)

// The errors by which callers decide. Any other means that the database cannot be
// used now, see [ErrUnavailable].
var (
	// ErrNotFound is that there is no such grant or consent flow, or no longer.
	ErrNotFound = errors.New("grants: no such grant or consent flow")
	// ErrConflict is that the account belongs to another owner.
	ErrConflict = errors.New("grants: the account belongs to another person")
	// ErrUnavailable is that the database cannot be used now. Nothing was changed;
	// or it was, and the next call with the same arguments finds it so.
	ErrUnavailable = errors.New("grants: the database cannot be used")
	// ErrDamaged is that a row does not open: it was altered, or sealed by a key
	// that is not in the keyset any more.
	ErrDamaged = errors.New("grants: a row does not open: it was altered, or its key is not in the keyset")
)

// unavailableError is an [ErrUnavailable] with the operation and the reason.
type unavailableError struct {
	operation, reason string
	needsOperator     bool
}

func (e *unavailableError) Error() string {
	return ErrUnavailable.Error() + ": " + e.operation + ": " + e.reason
}

func (e *unavailableError) Unwrap() error { return ErrUnavailable }

// NeedsOperator tells whether an error of [Open] or [LazyStore.Store] lasts until
// an operator changes something: the settings, the keyset or the program. Otherwise
// the database is away, and may be back at any moment.
func NeedsOperator(err error) bool {
	if away, ok := errors.AsType[*unavailableError](err); ok {
		return away.needsOperator
	}
	return err != nil && !errors.Is(err, ErrUnavailable)
}

// unavailable hides the database's own text, which may quote values, and records
// outages. Errors of this package pass.
func (s *Store) unavailable(operation string, err error) error {
	if err == nil || isStoreError(err) {
		if !errors.Is(err, ErrUnavailable) {
			s.outage.record(err, nil)
		}
		return err
	}
	reason, needsOperator := s.dialect.reason(err)
	failure := &unavailableError{operation, reason, needsOperator}
	s.outage.record(err, failure)
	return failure
}

// decisive are the errors by which callers decide, as far as a transaction returns
// them.
var decisive = []error{ErrNotFound, ErrPending, ErrForeignFlow, ErrConflict, ErrLeased, ErrReplaced, ErrImported, ErrImportedForOther, ErrHasGrant, ErrImportUnfinished, ErrDamaged, ErrUnavailable}

// isStoreError tells whether an error is one of this package's.
func isStoreError(err error) bool {
	if _, ok := errors.AsType[*EndedError](err); ok {
		return true
	}
	return slices.ContainsFunc(decisive, func(known error) bool { return errors.Is(err, known) })
}

// The errors of consent flows, besides those of grants.
var (
	// ErrPending is that the platform has handed over nothing yet.
	ErrPending = errors.New("grants: the platform has not called back yet")
	// ErrForeignFlow is that another browser or person has begun the flow.
	ErrForeignFlow = errors.New("grants: the consent flow was begun by another user, or in another browser")
	// ErrClaimed is that somebody redeems what this flow's browser has brought at
	// this moment.
	ErrClaimed = errors.New("grants: the token is being redeemed: ask again")
	// ErrSpent is that another flow has claimed the one-time token.
	ErrSpent = errors.New("grants: the one-time token was used in another consent flow")
	// ErrProbeRefused is that the platform does not accept the credential that it
	// has handed over.
	ErrProbeRefused = errors.New("grants: the platform does not accept the credential that it has handed over")
	// ErrConfirm is that another account is connected than that of the result, which
	// waits for its owner's decision, see [Store.Decide].
	ErrConfirm = errors.New("grants: another account is connected: the person has to decide between the two")
	// ErrOtherAccount is that another account is connected, which a flow for any
	// browser does not replace: its account may be that of another person who has
	// opened the link.
	ErrOtherAccount = errors.New("grants: another account is connected, which a consent flow of this kind does not replace: disconnect first")
)

// EndedError is that a flow, or the token that was brought to it, has led to
// nothing, by the platform's last word.
type EndedError struct {
	// Reason is the word that [Store.RefuseClaim] or [Store.Deny] was given.
	Reason string
}

func (e *EndedError) Error() string {
	return "grants: the consent flow has ended without a grant: " + e.Reason
}
