// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// The errors of [Store.BeginImport], besides [ErrConflict] and an [EndedError] of a
// token that was refused before.
var (
	// ErrImported is that the token was imported before, whatever has become of the
	// grant since.
	ErrImported = errors.New("grants: the token was imported before")
	// ErrImportedForOther is that it was imported for another owner.
	ErrImportedForOther = errors.New("grants: the token was imported for another person")
	// ErrHasGrant is that the owner has a grant in use, which an import does not touch.
	ErrHasGrant = errors.New("grants: the person has connected already")
	// ErrImportUnfinished is that the import of another token of the owner was begun and
	// is not over, such as after a process that was killed.
	ErrImportUnfinished = errors.New("grants: another token of the person was begun to be imported, and that is not over: import that one again first, or delete the grant")
)

const (
	// causeImporting is the cause in [Grant.SuspendCause] of a grant whose import is
	// not over. Nobody but the import tries it.
	causeImporting = "importing"

	// importedLifetime is how long an imported token is known by its pseudonym, so that
	// an import that is run again does not send it again, nor bring back the grant of
	// somebody who has left.
	importedLifetime = 365 * 24 * time.Hour
)

// BeginImport writes the grant of another program, suspended and with the token that
// will tell whether the platform accepts it, and remembers that token. So whoever comes
// after a process that was killed finds how far it had got: the unfinished grant is
// returned again. again has a token tried that was refused before, but no
// other that led to nothing: it is spent. The error is [ErrImported],
// [ErrImportedForOther], [ErrHasGrant], [ErrImportUnfinished], [ErrConflict], an
// [EndedError], [ErrDamaged] or [ErrUnavailable].
func (s *Store) BeginImport(ctx context.Context, g *Grant, token delegation.Secret, again bool) (begun *Grant, err error) {
	err = s.write(ctx, "beginning an import", func(ctx context.Context, tx querier) error {
		names := s.keys.Names("imported token", token.Reveal())
		var id, refused string
		err := s.queryRow(ctx, tx, func(row scanner) error { return row.Scan(&id, &refused) }, "SELECT flow, refused FROM redeemed WHERE token IN ", names, "")
		switch {
		case err == nil && refused == reasonRefused && again:
			if err := s.forgetImport(ctx, tx, id); err != nil {
				return err
			}
		case err == nil && refused != "":
			return &EndedError{refused}
		case err == nil:
			begun, err = s.unfinishedImport(ctx, tx, id, g.Owner)
			return err
		case !errors.Is(err, ErrNotFound):
			return err
		}
		begun, err = s.insertImport(ctx, tx, *g, names)
		return err
	})
	if err != nil {
		return nil, err
	}
	return begun, nil
}

// unfinishedImport returns the grant of a token that was seen before, if its import is
// not over.
func (s *Store) unfinishedImport(ctx context.Context, tx querier, id string, o Owner) (*Grant, error) {
	g, err := s.byID(ctx, tx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, ErrImported // and deleted since
	case err != nil:
		return nil, err
	case g.Owner != o:
		return nil, ErrImportedForOther
	case !g.isImporting():
		return nil, ErrImported
	default:
		return g, nil
	}
}

// isImporting reports whether a grant is one whose import is not over.
func (g *Grant) isImporting() bool { return g.State == Suspended && g.SuspendCause == causeImporting }

// insertImport writes a grant, and its token's pseudonyms by all keys of the keyset.
func (s *Store) insertImport(ctx context.Context, tx querier, g Grant, names []string) (*Grant, error) {
	if has, err := s.byOwner(ctx, tx, g.Owner); err == nil && has.isImporting() {
		return nil, ErrImportUnfinished
	} else if err == nil {
		return nil, ErrHasGrant
	} else if !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	if _, err := s.byAccount(ctx, tx, g.Provider, g.Source, g.Account); err == nil {
		return nil, ErrConflict
	} else if !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	now, err := s.now(ctx, tx)
	if err != nil {
		return nil, err
	}
	if g.sequence, err = s.nextSequence(ctx, tx); err != nil {
		return nil, err
	}
	g.ID, g.State, g.SuspendCause, g.Created, g.Changed = newID(), Suspended, causeImporting, now, now
	for _, name := range names {
		if _, err := s.exec(ctx, tx, "INSERT INTO redeemed (token, flow, refused, expires) VALUES (", name, ", ", g.ID, ", '', ", millis(now.Add(importedLifetime)), ")"); err != nil {
			return nil, err
		}
	}
	return &g, s.insert(ctx, tx, &g)
}

// forgetImport forgets the token of an import.
func (s *Store) forgetImport(ctx context.Context, tx querier, id string) error {
	_, err := s.exec(ctx, tx, "DELETE FROM redeemed WHERE flow = ", id, "")
	return err
}

// refuseImport notes why the token of an import has led to nothing.
func (s *Store) refuseImport(ctx context.Context, tx querier, id, reason string) error {
	_, err := s.exec(ctx, tx, "UPDATE redeemed SET refused = ", reason, " WHERE flow = ", id, "")
	return err
}

// EndImport deletes a grant whose import has led to nothing. reason is why the platform
// does not accept it, in a word, and remembered; empty if it was not asked, so that the
// import can begin anew. A grant that is not being imported any more is left alone. The
// error is [ErrUnavailable].
func (s *Store) EndImport(ctx context.Context, g *Grant, reason string) error {
	return s.write(ctx, "ending an import", func(ctx context.Context, tx querier) error {
		now, err := s.byID(ctx, tx, g.ID)
		if errors.Is(err, ErrNotFound) || err == nil && !now.isImporting() {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.deleteRows(ctx, tx, "DELETE FROM grants WHERE id = ", g.ID, ""); err != nil {
			return err
		}
		if reason == "" {
			return s.forgetImport(ctx, tx, g.ID)
		}
		return s.refuseImport(ctx, tx, g.ID, reason)
	})
}
