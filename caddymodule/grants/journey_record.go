// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// record is a journey as the database has it.
type record struct {
	id, provider, source string
	link, back, browser  string // as the database names them
	state, rowKey        string
	owner                Owner
	kind                 Kind
	told                 said // what the platform has; empty while it is open
	expires              time.Time
}

const journeyColumns = "id, provider, source, link, back, browser, state, owner, staged, row_key, expires"

func (s *Store) journey(ctx context.Context, db doer, provider, source, column, token string) (*record, error) {
	return s.oneJourney(ctx, db, "SELECT "+journeyColumns+" FROM journeys WHERE provider = ", provider, " AND source = ", source,
		" AND "+column+" IN ", s.tokens(column, token), "")
}

func (s *Store) oneJourney(ctx context.Context, db doer, pieces ...any) (*record, error) {
	// Its key is gone if it was replaced after it was read.
	for range readAgain {
		r := new(record)
		var owner, staged []byte
		var expires int64
		if err := s.row(ctx, db, func(row scanner) error {
			return row.Scan(&r.id, &r.provider, &r.source, &r.link, &r.back, &r.browser, &r.state, &owner, &staged, &r.rowKey, &expires)
		}, pieces...); err != nil {
			return nil, err
		}
		r.expires = time.UnixMilli(expires)
		k, err := s.rowKey(ctx, db, r.rowKey)
		if errors.Is(err, errNoRowKey) {
			continue
		}
		if err == nil {
			err = r.open(k, owner, staged)
		}
		if err != nil {
			return nil, err
		}
		return r, nil
	}
	return nil, ErrDamaged
}

func (r *record) open(k *rowKey, owner, staged []byte) error {
	var who identity
	if err := k.openJSON(owner, &who, r.ownerPlace()...); err != nil {
		return err
	}
	r.kind, r.owner = who.Kind, who.owner(r.provider, r.source)
	if len(staged) == 0 {
		return nil
	}
	return k.openJSON(staged, &r.told, r.place()...)
}

// sealJourney seals a journey by a new key, which is kept with it.
func (s *Store) sealJourney(ctx context.Context, tx doer, r *record) (owner, staged []byte, err error) {
	k, err := s.newRowKey(ctx, tx)
	if err != nil {
		return nil, nil, err
	}
	r.rowKey = k.id
	staged = []byte{} // a database reads nil, and takes it for NULL
	if r.told.At != 0 {
		if staged, err = k.sealJSON(r.told, r.place()...); err != nil {
			return nil, nil, err
		}
	}
	owner, err = k.sealJSON(identityOf(r.owner, r.kind), r.ownerPlace()...)
	return owner, staged, err
}

// replaceJourney writes a journey that is there, by a new key and the primary
// key of the keyset. What was there does not open any more.
func (s *Store) replaceJourney(ctx context.Context, tx doer, r *record) error {
	before := r.rowKey
	owner, staged, err := s.sealJourney(ctx, tx, r)
	if err != nil {
		return err
	}
	if _, err := s.run(ctx, tx, "UPDATE journeys SET state = ", r.state, ", person = ", s.person(r.owner), ", owner = ", owner, ", staged = ", staged,
		", row_key = ", r.rowKey, ", sealed_by = ", s.keyName(), " WHERE id = ", r.id, ""); err != nil {
		return err
	}
	return s.dropRowKeys(ctx, tx, before)
}

// late tells whether it is too late to end a journey. What the platform has
// told waits for longer: it may be unable to tell a second time.
func (r *record) late(now time.Time) bool {
	switch {
	case r.state == stateOpen:
		return now.After(r.expires)
	case r.state == stateStaged && r.browser == "":
		return now.After(r.expires.Add(keptAny))
	case r.state == stateStaged:
		return now.After(r.expires.Add(kept))
	default:
		return false
	}
}

// ownerPlace has the tokens in it: a row whose tokens somebody has exchanged for
// ones they know does not open.
func (r *record) ownerPlace() []string {
	return []string{"owner of journey", r.provider, r.source, r.id, r.link, r.back, r.browser}
}

func (r *record) place() []string { return []string{"staged of journey", r.provider, r.source, r.id} }

// said is what was staged.
type said struct {
	Account string `json:"account,omitempty"`
	Secret  []byte `json:"secret,omitempty"` // bytes, because JSON mends what is not UTF-8
	At      int64  `json:"at"`               // when: a number of [Store.next]
	// Sum is all that is left of the two when the journey is over, to tell the
	// same word from another.
	Sum []byte `json:"sum,omitempty"`
}

func (t said) staged() Staged {
	return Staged{Account: t.Account, Secret: delegation.NewSecret(string(t.Secret))}
}

func sumOf(account string, secret []byte) []byte {
	sum := sha256.Sum256(associated(account, string(secret)))
	return sum[:]
}

// over is what is left of it.
func (t said) over() said { return said{At: t.At, Sum: sumOf(t.Account, t.Secret)} }

// is tells whether the platform has told the same before.
func (t said) is(what Staged) bool {
	sum := t.Sum
	if sum == nil {
		sum = sumOf(t.Account, t.Secret)
	}
	return subtle.ConstantTimeCompare(sum, sumOf(what.Account, []byte(what.Secret.Reveal()))) == 1
}
