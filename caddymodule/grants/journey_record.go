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

// storedFlow is a journey as the database has it.
type storedFlow struct {
	id, provider, source string
	link, back, browser  string // as the database names them
	state, rowKey        string
	owner                Owner
	kind                 FlowKind
	result               storedResult // what the platform has; empty while it is open
	expires              time.Time
}

const flowColumns = "id, provider, source, link, back, browser, state, owner, staged, row_key, expires"

func (s *Store) flowByToken(ctx context.Context, db querier, provider, source, column, token string) (*storedFlow, error) {
	return s.queryFlow(ctx, db, "SELECT "+flowColumns+" FROM journeys WHERE provider = ", provider, " AND source = ", source,
		" AND "+column+" IN ", s.tokenPseudonyms(column, token), "")
}

func (s *Store) queryFlow(ctx context.Context, db querier, pieces ...any) (*storedFlow, error) {
	// Its key is gone if it was replaced after it was read.
	for range maxRereads {
		r := new(storedFlow)
		var owner, staged []byte
		var expires int64
		if err := s.queryRow(ctx, db, func(row scanner) error {
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
			err = r.unseal(k, owner, staged)
		}
		if err != nil {
			return nil, err
		}
		return r, nil
	}
	return nil, ErrDamaged
}

func (r *storedFlow) unseal(k *rowKey, owner, staged []byte) error {
	var who sealedOwner
	if err := k.openJSON(owner, &who, r.ownerAAD()...); err != nil {
		return err
	}
	r.kind, r.owner = who.Kind, who.toOwner(r.provider, r.source)
	if len(staged) == 0 {
		return nil
	}
	return k.openJSON(staged, &r.result, r.resultAAD()...)
}

// sealFlow seals a journey by a new key, which is kept with it.
func (s *Store) sealFlow(ctx context.Context, tx querier, r *storedFlow) (owner, staged []byte, err error) {
	k, err := s.newRowKey(ctx, tx)
	if err != nil {
		return nil, nil, err
	}
	r.rowKey = k.id
	staged = []byte{} // a database reads nil, and takes it for NULL
	if r.result.Sequence != 0 {
		if staged, err = k.sealJSON(r.result, r.resultAAD()...); err != nil {
			return nil, nil, err
		}
	}
	owner, err = k.sealJSON(newSealedOwner(r.owner, r.kind), r.ownerAAD()...)
	return owner, staged, err
}

// replaceFlow writes a journey that is there, by a new key and the primary
// key of the keyset. What was there does not open any more.
func (s *Store) replaceFlow(ctx context.Context, tx querier, r *storedFlow) error {
	before := r.rowKey
	owner, staged, err := s.sealFlow(ctx, tx, r)
	if err != nil {
		return err
	}
	if _, err := s.exec(ctx, tx, "UPDATE journeys SET state = ", r.state, ", person = ", s.ownerPseudonym(r.owner), ", owner = ", owner, ", staged = ", staged,
		", row_key = ", r.rowKey, ", sealed_by = ", s.primaryKeyName(), " WHERE id = ", r.id, ""); err != nil {
		return err
	}
	return s.deleteRowKeys(ctx, tx, before)
}

// expired tells whether it is too late to end a journey. What the platform has
// told waits for longer: it may be unable to tell a second time.
func (r *storedFlow) expired(now time.Time) bool {
	switch {
	case r.state == flowOpen:
		return now.After(r.expires)
	case r.state == flowStaged && r.browser == "":
		return now.After(r.expires.Add(returnGraceAnyBrowser))
	case r.state == flowStaged:
		return now.After(r.expires.Add(returnGrace))
	default:
		return false
	}
}

// ownerAAD has the tokens in it: a row whose tokens somebody has exchanged for
// ones they know does not open.
func (r *storedFlow) ownerAAD() []string {
	return []string{"owner of journey", r.provider, r.source, r.id, r.link, r.back, r.browser}
}

func (r *storedFlow) resultAAD() []string {
	return []string{"staged of journey", r.provider, r.source, r.id}
}

// storedResult is what was staged.
type storedResult struct {
	Account  string `json:"account,omitempty"`
	Secret   []byte `json:"secret,omitempty"` // bytes, because JSON mends what is not UTF-8
	Sequence int64  `json:"at"`               // when: a number of [Store.next]
	// Digest is all that is left of the two when the journey is over, to tell the
	// same word from another.
	Digest []byte `json:"sum,omitempty"`
}

func (t storedResult) pending() PendingResult {
	return PendingResult{Account: t.Account, Secret: delegation.NewSecret(string(t.Secret))}
}

func resultDigest(account string, secret []byte) []byte {
	sum := sha256.Sum256(associated(account, string(secret)))
	return sum[:]
}

// digestOnly is what is left of it.
func (t storedResult) digestOnly() storedResult {
	return storedResult{Sequence: t.Sequence, Digest: resultDigest(t.Account, t.Secret)}
}

// equals tells whether the platform has told the same before.
func (t storedResult) equals(what PendingResult) bool {
	sum := t.Digest
	if sum == nil {
		sum = resultDigest(t.Account, t.Secret)
	}
	return subtle.ConstantTimeCompare(sum, resultDigest(what.Account, []byte(what.Secret.Reveal()))) == 1
}
