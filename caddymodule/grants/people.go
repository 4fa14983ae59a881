// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
)

// storedPerson is the identifier by which a platform knows somebody.
type storedPerson struct {
	id, provider, source string
	owner                Owner
	pairwise, rowKey     string
}

const personColumns = "id, provider, source, owner, row_key"

// PairwiseID returns the identifier by which the platform knows a person (OpenID
// Connect Core section 8.1): 26 random letters and digits, made by the first call,
// on whatever machine, and the same until [Store.DeleteByOwner]. It is not computed
// from a key, which may be rotated. The error is [ErrDamaged] or [ErrUnavailable].
func (s *Store) PairwiseID(ctx context.Context, o Owner) (id string, err error) {
	const operation = "looking for a person's identifier"
	find := func(ctx context.Context, db querier) error {
		p, err := s.personOf(ctx, db, o)
		if err == nil {
			id = p.pairwise
		}
		return err
	}
	// An identifier that is there does not have writers wait.
	if err := s.read(ctx, operation, find); !errors.Is(err, ErrNotFound) {
		return id, err
	}
	err = s.writeRow(ctx, operation, func(ctx context.Context, tx querier) error {
		// Who makes this person's identifier waits for others who do, and for nobody
		// else.
		if err := s.lockNames(ctx, tx, s.ownerPseudonyms(o)); err != nil {
			return err
		}
		if err := find(ctx, tx); !errors.Is(err, ErrNotFound) {
			return err
		}
		now, err := s.now(ctx, tx)
		if err != nil {
			return err
		}
		p := &storedPerson{id: newID(), provider: o.Provider, source: o.Source, owner: o, pairwise: newID()}
		sealed, err := s.sealPerson(ctx, tx, p)
		if err != nil {
			return err
		}
		id = p.pairwise
		_, err = s.exec(ctx, tx, "INSERT INTO people (id, provider, source, person, owner, row_key, sealed_by, created) VALUES (",
			p.id, ", ", p.provider, ", ", p.source, ", ", s.ownerPseudonym(o), ", ", sealed, ", ", p.rowKey, ", ", s.primaryKeyName(), ", ", millis(now), ")")
		return err
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

// personOf returns the identifier of an owner. The error is [ErrNotFound], or
// [ErrDamaged] if pseudonyms were exchanged in the database.
func (s *Store) personOf(ctx context.Context, db querier, o Owner) (*storedPerson, error) {
	p, err := s.queryPerson(ctx, db, "SELECT "+personColumns+" FROM people WHERE provider = ", o.Provider, " AND source = ", o.Source,
		" AND person IN ", s.ownerPseudonyms(o), "")
	if err == nil && p.owner != o {
		err = ErrDamaged
	}
	return p, err
}

// queryPerson reads one identifier and opens it.
func (s *Store) queryPerson(ctx context.Context, db querier, pieces ...any) (*storedPerson, error) {
	// A row's key is gone if the row was replaced after it was read.
	for range maxRereads {
		p := new(storedPerson)
		var sealed []byte
		if err := s.queryRow(ctx, db, func(row scanner) error {
			return row.Scan(&p.id, &p.provider, &p.source, &sealed, &p.rowKey)
		}, pieces...); err != nil {
			return nil, err
		}
		k, err := s.rowKey(ctx, db, p.rowKey)
		if errors.Is(err, errNoRowKey) {
			continue
		}
		var who sealedOwner
		if err == nil {
			err = k.openJSON(sealed, &who, p.ownerAAD()...)
		}
		if err != nil {
			return nil, err
		}
		p.owner, p.pairwise = who.toOwner(p.provider, p.source), who.Pairwise
		return p, nil
	}
	return nil, ErrDamaged
}

func (p *storedPerson) ownerAAD() []string {
	return []string{"owner of person", p.provider, p.source, p.id}
}

// sealPerson returns the sealed column of an identifier, by a new row key that is
// kept with it.
func (s *Store) sealPerson(ctx context.Context, tx querier, p *storedPerson) ([]byte, error) {
	k, err := s.newRowKey(ctx, tx)
	if err != nil {
		return nil, err
	}
	p.rowKey = k.id
	who := newSealedOwner(p.owner, "")
	who.Pairwise = p.pairwise
	return k.sealJSON(who, p.ownerAAD()...)
}

// replacePerson writes an identifier that is in the database, sealed by a new row
// key and by the primary key of the keyset.
func (s *Store) replacePerson(ctx context.Context, tx querier, p *storedPerson) error {
	before := p.rowKey
	sealed, err := s.sealPerson(ctx, tx, p)
	if err != nil {
		return err
	}
	if _, err := s.exec(ctx, tx, "UPDATE people SET provider = ", p.provider, ", source = ", p.source, ", person = ", s.ownerPseudonym(p.owner), ", owner = ", sealed,
		", row_key = ", p.rowKey, ", sealed_by = ", s.primaryKeyName(), " WHERE id = ", p.id, ""); err != nil {
		return err
	}
	return s.deleteRowKeys(ctx, tx, before)
}

// resealPeople seals some identifiers anew, and returns how many.
func (s *Store) resealPeople(ctx context.Context, tx querier) (int, error) {
	ids, err := s.outdatedIDs(ctx, tx, "people")
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		p, err := s.queryPerson(ctx, tx, "SELECT "+personColumns+" FROM people WHERE id = ", id, "")
		switch {
		case err == nil:
			err = s.replacePerson(ctx, tx, p)
		case errors.Is(err, ErrDamaged):
			err = s.dropPerson(ctx, tx, id)
		}
		if err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// dropPerson deletes an identifier that does not open. Its person could not begin a
// consent flow with it, and gets another one.
func (s *Store) dropPerson(ctx context.Context, tx querier, id string) error {
	return s.deleteRows(ctx, tx, "DELETE FROM people WHERE id = ", id, "")
}

// renamePeople renames up to renameBatch identifiers, and returns how many. One that a person has under the new name already gives way: the
// grants that are renamed were consented to with this one.
func (s *Store) renamePeople(ctx context.Context, tx querier, to renaming) (int, error) {
	ids, err := s.idsToRename(ctx, tx, "people", to)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		p, err := s.queryPerson(ctx, tx, "SELECT "+personColumns+" FROM people WHERE id = ", id, "")
		if errors.Is(err, ErrDamaged) {
			if err := s.dropPerson(ctx, tx, id); err != nil {
				return 0, err
			}
			continue
		}
		if err != nil {
			return 0, err
		}
		to.apply(&p.owner)
		p.provider, p.source = p.owner.Provider, p.owner.Source
		if err := s.deletePerson(ctx, tx, p.provider, p.source, s.ownerPseudonyms(p.owner)); err != nil {
			return 0, err
		}
		if err := s.replacePerson(ctx, tx, p); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

func (s *Store) deletePerson(ctx context.Context, tx querier, provider, source string, persons []string) error {
	return s.deleteRows(ctx, tx, "DELETE FROM people WHERE provider = ", provider, " AND source = ", source, " AND person IN ", persons, "")
}

// deletePersonWithoutGrant deletes the identifier of somebody whose last grant an
// operator has deleted.
func (s *Store) deletePersonWithoutGrant(ctx context.Context, tx querier, provider, source string, persons []string) error {
	var left int
	if err := s.queryRow(ctx, tx, func(row scanner) error { return row.Scan(&left) },
		"SELECT count(*) FROM grants WHERE provider = ", provider, " AND source = ", source, " AND person IN ", persons, ""); err != nil || left > 0 {
		return err
	}
	return s.deletePerson(ctx, tx, provider, source, persons)
}
